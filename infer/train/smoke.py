"""Makes what a training is made from, small and out of nothing, for smoke.sh: `python3 smoke.py OUT_DIR`.

OUT_DIR/pairs, OUT_DIR/librispeech and OUT_DIR/own hold "speech": pulse trains and noise through moving formants, with pauses.
OUT_DIR/whisper.npz and OUT_DIR/ge2e.npz hold teachers of the right shapes who know nothing: seeded random weights.
"""
import sys
from pathlib import Path

import numpy as np
import soundfile as sf
from scipy.signal import lfilter

from synthesize import FEMALE, MALE, pitch

RATE, HOP = 24000, 240
VOWELS = ((700, 1200, 2600), (300, 2300, 3000), (350, 800, 2400), (500, 1800, 2500))


def speak(words, hz, tract, rng):
    "words [(vowel, voiced)] -> audio at RATE, 200 ms each, by a voice at hz whose formants are times tract"
    parts, phase = [], 0.0
    for vowel, voiced in words:
        n = RATE // 5
        f0 = hz * (1 + 0.1 * np.sin(np.arange(n) / RATE * 2 * np.pi * 3))
        turns = phase + np.cumsum(f0) / RATE
        phase = turns[-1] % 1
        sound = np.diff(np.floor(turns), prepend=0) if voiced else 0.1 * rng.standard_normal(n)
        for formant in VOWELS[vowel]:
            radius, angle = np.exp(-np.pi * 90 / RATE), 2 * np.pi * formant * tract / RATE
            sound = lfilter([1 - radius], [1, -2 * radius * np.cos(angle), radius ** 2], sound)
        parts.append(sound * np.hanning(n) ** 0.3)
    audio = np.concatenate(parts)
    return (0.08 * audio / np.sqrt(np.mean(audio ** 2)) + 1e-4 * rng.standard_normal(len(audio))).astype(np.float32)


def words(rng, count=14):
    return [(int(rng.integers(len(VOWELS))), rng.random() < 0.8) for _ in range(count)]


def pairs(folder, rng):
    kept = {}
    for i in range(6):
        said, who = words(rng), (FEMALE[i % len(FEMALE)], MALE[i % len(MALE)], -1, -1)
        rows = np.stack([speak(said, hz, tract, rng) for hz, tract in ((210, 1.15), (120, 1.0), (90, 0.9), (300, 1.3))])
        kept |= {f'a{i}': (np.clip(rows, -1, 1) * 32767).astype(np.int16), f'f{i}': np.stack([pitch(r)[:rows.shape[1] // HOP] for r in rows]), f't{i}': np.array(who), f'l{i}': 'en'}
    folder.mkdir(parents=True)
    np.savez(folder / '000.npz', count=6, **kept)


def recordings(folder, names, rate, rng, count=20):
    folder.mkdir(parents=True)
    for i, name in enumerate(names):
        audio = speak(words(rng, count), 110 + 30 * i, 1 + 0.05 * i, rng)
        sf.write(folder / name, np.interp(np.arange(0, len(audio), RATE / rate), np.arange(len(audio)), audio), rate)


def whisper(path, rng, layers=4, inner=64, vocabulary=51865):
    random = lambda *shape: (rng.standard_normal(shape, np.float32) / np.sqrt(shape[-1])).astype(np.float16)
    norm = lambda name: {f'{name}/gamma': np.ones(512, np.float16), f'{name}/beta': np.zeros(512, np.float16)}
    line = lambda name, out, into: {f'{name}/weight': random(out, into), f'{name}/bias': random(out)}
    w = {'encoder/conv1/weight': random(512, 80, 3), 'encoder/conv1/bias': random(512), 'encoder/conv2/weight': random(512, 512, 3),
         'encoder/conv2/bias': random(512), 'decoder/embeddings/weight': random(vocabulary, 512)}
    for side in ('encoder', 'decoder'):
        w |= norm(f'{side}/layer_norm') | {f'{side}/position_encodings/encodings': random(1500, 512)}
        for i in range(layers):
            a, b, f = (f'{side}/layer_{i}/{part}' for part in ('self_attention', 'attention', 'ffn'))
            w |= norm(f'{a}/layer_norm') | line(f'{a}/linear_0', 1536, 512) | line(f'{a}/linear_1', 512, 512)
            w |= norm(f'{f}/layer_norm') | line(f'{f}/linear_0', inner, 512) | line(f'{f}/linear_1', 512, inner)
            if side == 'decoder':
                w |= norm(f'{b}/layer_norm') | line(f'{b}/linear_0', 512, 512) | line(f'{b}/linear_1', 1024, 512) | line(f'{b}/linear_2', 512, 512)
    np.savez(path, **w)


def ge2e(path, rng):
    random = lambda *shape: (rng.uniform(-1, 1, shape) / 16).astype(np.float32)
    w = {'linear.weight': random(256, 256), 'linear.bias': np.abs(random(256))}
    for i, into in enumerate((40, 256, 256)):
        w |= {f'lstm.weight_ih_l{i}': random(1024, into), f'lstm.weight_hh_l{i}': random(1024, 256), f'lstm.bias_ih_l{i}': random(1024), f'lstm.bias_hh_l{i}': random(1024)}
    np.savez(path, **w)


def main(out):
    out, rng = Path(out), np.random.default_rng(1)
    pairs(out / 'pairs', rng)
    recordings(out / 'librispeech', [f'{100 + i}-1-0000.flac' for i in range(4)], 16000, rng)
    recordings(out / 'own', ['one.wav', 'two.flac', 'three.mp3'], 44100, rng, 28)
    whisper(out / 'whisper.npz', rng)
    ge2e(out / 'ge2e.npz', rng)


if __name__ == '__main__':
    main(sys.argv[1])
