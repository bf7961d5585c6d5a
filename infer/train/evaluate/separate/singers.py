"""Made-up singers with a melody that is known: Kokoro says a text slowly while its pitch curve is replaced by notes.

    python3 singers.py KOKORO_ROOT SENTENCES.jsonl OUT [--count 12]

OUT/NN.flac (24 kHz) and OUT/NN.f0 (float32 Hz, every 12.5 ms from 0 on, 0 where unvoiced). No one of these voices is trained on by the
separators. What is voiced is Kokoro's own opinion: where its curve lies well below its median.
"""
import argparse
import json
import sys
from pathlib import Path

import numpy as np
import onnx
import onnxruntime as ort
import soundfile as sf
from onnx import TensorProto, helper

sys.path.insert(0, str(Path(__file__).resolve().parents[2]))
from kokoro import CURVE, CURVE_RATE, RATE, Kokoro, assemble  # noqa: E402

# Lowest note of each singer in Hz and the span in semitones: from a bass to a soprano's top.
RANGES = ((65, 17), (82, 19), (98, 19), (110, 22), (131, 22), (147, 22), (175, 24), (196, 24), (220, 24), (294, 22))
SCALES = ((0, 2, 4, 5, 7, 9, 11), (0, 2, 3, 5, 7, 8, 10), (0, 3, 5, 7, 10))


def replaceable(root):
    "the model with an input that is added to the pitch curve after f0_scale: scale 0 leaves that curve alone"
    model = assemble(root)
    g = model.graph
    g.input.append(helper.make_tensor_value_info('f0_added', TensorProto.FLOAT, None))
    for node in g.node:
        for i, name in enumerate(node.input):
            if name == 'f0_scaled':
                node.input[i] = 'f0_sung'
    at = next(i for i, n in enumerate(g.node) if 'f0_scaled' in n.output)
    g.node.insert(at + 1, helper.make_node('Add', ['f0_scaled', 'f0_added'], ['f0_sung']))
    return model


class Singer(Kokoro):
    def run(self, tokens, style, speed, scale, added):
        audio, f0 = self.session.run(None, {'tokens': np.array([[0, *tokens, 0]], np.int64), 'style': style[None].astype(np.float32),
                                            'speed': np.array([speed], np.float32), 'f0_scale': np.array([scale], np.float32), 'f0_added': added.astype(np.float32)})
        return audio.ravel(), f0


def melody(rng, voiced, low, span):
    "Hz for each value of the curve: notes of 0.2 to 0.9 s, glides of 40 to 120 ms, vibrato that sets in late"
    n, scale = len(voiced), SCALES[rng.integers(len(SCALES))]
    steps = [12 * o + s for o in range(3) for s in scale if 12 * o + s <= span]
    curve, since, at, place = np.zeros(n), np.zeros(n), 0, int(rng.integers(len(steps)))
    while at < n:
        length = int(rng.uniform(0.2, 0.9) * CURVE_RATE)
        curve[at:at + length], since[at:at + length] = steps[place], np.arange(len(curve[at:at + length])) / CURVE_RATE
        place = int(np.clip(place + rng.choice((-4, -2, -1, 1, 2, 3, 5)), 0, len(steps) - 1))
        at += length
    width = int(rng.integers(2, 5))
    curve = np.convolve(np.pad(curve, width, mode='edge'), np.hanning(2 * width + 1) / width, 'valid')
    curve += rng.uniform(0.2, 0.7) * np.clip((since - 0.15) / 0.2, 0, 1) * np.sin(2 * np.pi * rng.uniform(4.8, 6.2) * np.arange(n) / CURVE_RATE)
    return np.where(voiced, low * 2 ** (curve / 12), 0)


def main():
    p = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    p.add_argument('root', type=Path)
    p.add_argument('sentences', type=Path)
    p.add_argument('out', type=Path)
    p.add_argument('--count', type=int, default=len(RANGES))
    args = p.parse_args()
    args.out.mkdir(parents=True, exist_ok=True)
    model = args.out / 'kokoro.onnx'
    if not model.exists():
        onnx.save(replaceable(args.root), model)
    singer = Singer(args.root, model)
    lines = [x for x in map(json.loads, open(args.sentences)) if 45 < len(singer.tokens(x['ipa'])) < 80]
    for i in range(args.count):
        out = args.out / f'{i:02d}.flac'
        if out.exists():
            continue
        rng = np.random.default_rng([7, i])
        tokens = singer.tokens(lines[int(rng.integers(len(lines)))]['ipa'])
        low, span = RANGES[i % len(RANGES)]
        pack = 'jm_kumo' if low < 140 else ('jf_alpha', 'jf_nezumi')[i in (6, 8)]
        style = np.concatenate([singer.speaker(pack, len(tokens)) + 0.05 * rng.standard_normal(128), singer.prosody(pack, len(tokens))])
        _, spoken = singer.run(tokens, style, 0.62, 1, np.zeros((1, 1, 1)))
        voiced = spoken.ravel() > 0.5 * np.median(spoken[spoken > 50])
        curve = melody(rng, voiced, low, span)
        audio, _ = singer.run(tokens, style, 0.62, 0, np.where(voiced, curve, spoken.ravel()).reshape(spoken.shape))
        curve.astype('<f4').tofile(out.with_suffix('.f0'))
        sf.write(out.with_suffix('.part'), np.clip(audio / max(1, np.abs(audio).max()), -1, 1), RATE, format='FLAC')
        out.with_suffix('.part').rename(out)
        print(f'{out.name}: {pack}, {low} Hz and {span} semitones up, {len(audio) / RATE:.1f} s', flush=True)


if __name__ == '__main__':
    main()
