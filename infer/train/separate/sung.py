"""Makes singing out of speech: the WORLD vocoder says LibriSpeech's words on melodies, vowels drawn out, with vibrato.

    python3 sung.py FOLDER OUT_DIR [--kept 15] [--takes 1] [--workers 2]

No licensed recording of singing is at hand, and a separator that knows speech alone takes a held note for an instrument. The
last --kept speakers are left out, for measuring. OUT_DIR/NAME-T.ogg, mono, 16 kHz; a file that is there is left alone.
"""
import argparse
import multiprocessing as mp
import os
import zlib
from pathlib import Path

import numpy as np
import soundfile as sf

RATE, FRAME = 16000, 5.0                    # Hz, milliseconds
MAJOR, MINOR = (0, 2, 4, 5, 7, 9, 11), (0, 2, 3, 5, 7, 8, 10)


def syllables(voiced, power):
    "places where a new note may begin: where voice sets in, and where it swells again"
    begins, last, floor = [], -99, 0.0
    for i in range(1, len(voiced)):
        floor = min(floor + 0.15, power[i])
        if voiced[i] and i - last > 24 and (not voiced[i - 1] or power[i] > floor + 6):
            begins.append(i)
            last, floor = i, power[i]
    return begins


def melody(rng, frames, begins, home):
    "Hz a frame: notes of a scale around home, glided between, with vibrato that sets in late"
    scale, root = (MAJOR, MINOR)[rng.integers(2)], rng.integers(12)
    degree, notes = 0, []
    for _ in range(len(begins) + 1):
        degree = int(np.clip(degree + rng.choice((-3, -2, -1, -1, 0, 1, 1, 2, 4)), -5, 7))
        notes.append(12 * (degree // 7) + scale[degree % 7] + root - 6)
    curve, since = np.zeros(frames), np.zeros(frames)
    edges = [0, *begins, frames]
    for note, a, b in zip(notes, edges, edges[1:]):
        curve[a:b] = note
        since[a:b] = np.arange(b - a) * FRAME / 1000
    width = int(rng.integers(6, 20))
    curve = np.convolve(np.pad(curve, width, mode='edge'), np.hanning(2 * width + 1) / width, 'valid')
    t, rate, depth = np.arange(frames) * FRAME / 1000, rng.uniform(4.5, 6.8), rng.uniform(0.1, 0.8)
    curve += depth * np.clip((since - 0.2) / 0.3, 0, 1) * np.sin(2 * np.pi * rate * t + rng.uniform(0, 6)) + 0.08 * np.cumsum(rng.normal(0, 0.1, frames)) * 0.1
    return home * 2 ** (curve / 12)


def sing(audio, rng):
    import pyworld as pw
    x = audio.astype(np.float64)
    f0, t = pw.dio(x, RATE, frame_period=FRAME)
    f0 = pw.stonemask(x, f0, t, RATE)
    shape, breath = pw.cheaptrick(x, f0, t, RATE), pw.d4c(x, f0, t, RATE)
    power = 10 * np.log10(shape.mean(1) + 1e-12)
    # Voiced frames last longer, and some of them much longer.
    stretch, factor = np.ones(len(f0)), 1.0
    for i in range(len(f0)):
        if i == 0 or (f0[i] > 0) != (f0[i - 1] > 0) or rng.random() < 0.02:
            factor = float(rng.choice((1.2, 1.8, 2.5, 4.0))) if f0[i] > 0 else rng.uniform(0.7, 1.2)
        stretch[i] = factor
    at = np.cumsum(stretch) - 1
    source = np.interp(np.arange(int(at[-1])), at, np.arange(len(f0)))
    near = np.rint(source).astype(int)
    voiced = f0[near] > 0
    home = float(np.clip(np.median(f0[f0 > 0]) * 2 ** rng.uniform(0, 0.9), 90, 480)) if voiced.any() else 200.0
    begins = syllables(voiced, power[near])
    curve = np.where(voiced, melody(rng, len(near), begins, home), 0.0)
    shape, breath = shape[near], breath[near]
    warp = rng.uniform(0.88, 1.15)                                              # another vocal tract
    bins = np.minimum(np.arange(shape.shape[1]) / warp, shape.shape[1] - 1)
    low, part = bins.astype(int), bins % 1
    high = np.minimum(low + 1, shape.shape[1] - 1)
    shape = np.ascontiguousarray(shape[:, low] * (1 - part) + shape[:, high] * part)
    return pw.synthesize(np.clip(curve, 0, 1100), shape, breath, RATE, FRAME).astype(np.float32)


def work(job):
    path, out = job
    audio, rate = sf.read(path, dtype='float32')
    if rate != RATE:
        raise ValueError(f'{path}: expected {RATE} Hz, found {rate}')
    made = sing(audio[:12 * RATE], np.random.default_rng(zlib.crc32(out.stem.encode())))
    level = np.sqrt(np.mean(made ** 2))
    if not np.isfinite(made).all() or level < 1e-4:
        return 0
    partial = out.with_suffix('.part')
    sf.write(partial, np.clip(made * (0.08 / level), -1, 1), RATE, format='OGG', subtype='VORBIS', compression_level=0.3)
    partial.rename(out)
    return len(made) / RATE


def main():
    p = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    p.add_argument('folder', type=Path)
    p.add_argument('out', type=Path)
    p.add_argument('--kept', type=int, default=15)
    p.add_argument('--takes', type=int, default=1)
    p.add_argument('--only', choices=('all', 'kept'), help='kept: sing what is left out of training, to measure with')
    p.add_argument('--workers', type=int, default=os.cpu_count())
    args = p.parse_args()
    args.out.mkdir(parents=True, exist_ok=True)
    files = sorted(args.folder.glob('*.flac'))
    names = sorted({f.name.split('-')[0] for f in files}, key=int)
    chosen = set(names[len(names) - args.kept:] if args.only == 'kept' else names[:len(names) - args.kept])
    jobs = [(f, args.out / f'{f.stem}-{t}.ogg') for t in range(args.takes) for f in files if f.name.split('-')[0] in chosen]
    jobs = [j for j in jobs if not j[1].exists()]
    with mp.Pool(args.workers) as pool:
        made = sum(pool.imap_unordered(work, jobs))
    print(f'{len(jobs)} files, {made / 60:.1f} min')


if __name__ == '__main__':
    main()
