"""How well trackers follow singing whose melody is known (singers.py): alone, and taken out of music by the program.

    python3 pitch.py SINGERS OUT.md --follow build/follow --swift MODEL.onnx --program bin/autovoiced [--vocals DIR]

The live tracker, SwiftF0 alone, and the program, which joins them for recordings.

Gross errors: voiced moments that are off by more than 50 cents, where both hear a voice; octave: those near a whole number of
octaves. Cents: the median of the rest. Voicing: how often both agree. Curves are compared each 10 ms.
"""
import argparse
import subprocess
import tempfile
from pathlib import Path

import numpy as np
import onnxruntime as ort
import soundfile as sf
from scipy.signal import resample_poly

STEP, KNOWN = 0.010, 0.0125


def ours(audio, follow):
    done = subprocess.run([follow], input=audio.astype('<f4').tobytes(), stdout=subprocess.PIPE, check=True)
    return np.frombuffer(done.stdout, '<f4').copy()


def program(path, binary, separation):
    "the curve that a recording is converted by, without the gate that cleans pauses where there is no music"
    with tempfile.TemporaryDirectory() as folder:
        folder = Path(folder)
        (folder / 'plain.yaml').write_text('separation:\n  mode: bypass\n')
        subprocess.run([binary.resolve(), 'convert', path.resolve(), '-o', folder / 'out.wav', '-c', folder / 'plain.yaml', '--separation', separation, '--results', '', '--quiet',
                        '--write-f0', folder / 'f0'], cwd=folder, stdout=subprocess.DEVNULL, check=True)
        return np.loadtxt(folder / 'f0', ndmin=1)


def swift(session, audio, low=46.875, high=1100.0):
    "SwiftF0 hears 16 ms at a time: its curve, taken each 10 ms, without a line from silence into a note"
    pitch, sure = session.run(['pitch', 'confidence'], {'audio': audio[None].astype(np.float32), 'fmin': np.asarray(low, np.float32), 'fmax': np.asarray(high, np.float32)})
    pitch, sure = pitch[0], sure[0]
    hops = np.pad(audio, (0, -len(audio) % 256)).reshape(-1, 256)[:len(sure)]
    sure[np.abs(hops).max(1) < 1e-3] = 0
    at = np.arange(int(len(audio) / 160)) * STEP / 0.016
    near = np.minimum(np.rint(at).astype(int), len(pitch) - 1)
    line = np.exp(np.interp(at, np.arange(len(pitch)), np.log(np.maximum(pitch, 1))))
    line = np.where(np.abs(np.log2(line / pitch[near])) < 1 / 12, line, pitch[near])
    return np.where(sure[near] >= 0.5, line, 0)


def compare(got, known):
    n = min(len(got), int(len(known) * KNOWN / STEP))
    want = known[np.minimum((np.arange(n) * STEP / KNOWN).round().astype(int), len(known) - 1)]
    got = got[:n]
    both = (got > 0) & (want > 0)
    cents = 1200 * np.log2(got[both] / want[both])
    gross = np.abs(cents) > 50
    octave = gross & (np.abs(cents - 1200 * np.round(cents / 1200)) < 60)
    return {'gross': gross.mean() if len(cents) else 1.0, 'octave': octave.mean() if len(cents) else 0.0, 'cents': float(np.median(np.abs(cents[~gross]))) if (~gross).any() else 99.0,
            'voicing': float(((got > 0) == (want > 0)).mean()), 'missed': float((want > 0)[got == 0].sum() / max(1, (want > 0).sum())), 'made up': float(((got > 0) & (want == 0)).sum() / max(1, (want == 0).sum()))}


def main():
    p = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    p.add_argument('singers', type=Path)
    p.add_argument('out', type=Path)
    p.add_argument('--follow', required=True)
    p.add_argument('--swift', required=True)
    p.add_argument('--program', type=Path, required=True)
    p.add_argument('--vocals', type=Path, help='folder of NN.flac: the same singers, out of music, and of NN-mixture.flac: with it')
    args = p.parse_args()
    options = ort.SessionOptions()
    options.intra_op_num_threads = 1
    session = ort.InferenceSession(args.swift, options, providers=['CPUExecutionProvider'])
    lines = ['| what is heard | tracker | gross errors | octave errors | median error, cents | voicing agrees | missed | made up |', '|---|---|---|---|---|---|---|---|']
    for name, folder, separation in (('alone', args.singers, 'none'), ('out of music', args.vocals, 'auto')):
        if folder is None:
            continue
        rows = {'autocorrelation': [], 'SwiftF0': [], 'both, as recordings are followed': []}
        for path in sorted(folder.glob('[0-9][0-9].flac')):
            audio, rate = sf.read(path, dtype='float32')
            audio = resample_poly(audio.mean(1) if audio.ndim == 2 else audio, 16000, rate).astype(np.float32)
            whole = path if separation == 'none' else path.with_stem(f'{path.stem}-mixture')
            known = np.fromfile(args.singers / f'{path.stem}.f0', '<f4')
            for tracker, curve in zip(rows, (ours(audio, args.follow), swift(session, audio), program(whole, args.program, separation)), strict=True):
                rows[tracker].append(compare(curve, known))
                print(name, path.stem, tracker, {k: round(float(v), 3) for k, v in rows[tracker][-1].items()})
        for tracker, each in rows.items():
            m = {k: np.mean([r[k] for r in each]) for k in each[0]}
            lines.append(f"| {name} | {tracker} | {100 * m['gross']:.1f} % | {100 * m['octave']:.1f} % | {m['cents']:.1f} | {m['voicing']:.3f} | {100 * m['missed']:.1f} % | {100 * m['made up']:.1f} % |")
    args.out.write_text('\n'.join(lines) + '\n')
    print('\n'.join(lines))


if __name__ == '__main__':
    main()
