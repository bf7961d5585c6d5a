"""Gathers real speech: one utterance each of LibriSpeech train-clean-100 speakers (CC BY 4.0), FLAC files in one folder.

    python3 real.py FOLDER OUT.npz [--kept 15]

The last --kept speakers are left out, for measuring. Every utterance is kept at four speeds, which make four speakers of one:
pitch, formants and pace move together.
"""
import argparse
import multiprocessing as mp
from pathlib import Path

import numpy as np
import soundfile as sf
from scipy.signal import resample_poly

from synthesize import pitch

SPEEDS = ((3, 2), (7, 4), (13, 10), (6, 5))  # up, down: as it is, a giant's, a child's, a smaller child's in a hurry


def read(job):
    path, (up, down) = job
    audio, rate = sf.read(path, dtype='float32')
    if rate != 16000:
        raise ValueError(f'{path}: expected 16000 Hz, found {rate}')
    wide = resample_poly(audio, up, down)
    wide = wide[:len(wide) // 240 * 240] * (0.08 / np.sqrt(np.mean(wide ** 2)))
    return (np.clip(wide, -1, 1) * 32767).astype(np.int16), pitch(wide)[:len(wide) // 240]


def main():
    p = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    p.add_argument('folder')
    p.add_argument('out')
    p.add_argument('--kept', type=int, default=15)
    args = p.parse_args()
    files = sorted(Path(args.folder).glob('*.flac'))
    names = sorted({f.name.split('-')[0] for f in files}, key=int)
    speakers = names[:len(names) - args.kept]
    files = [f for f in files if f.name.split('-')[0] in speakers]
    kept = {}
    with mp.Pool() as pool:
        for i, (wide, f0) in enumerate(pool.imap(read, [(f, s) for s in SPEEDS for f in files])):
            kept[f'a{i}'], kept[f'f{i}'] = wide, f0
    count = len(files) * len(SPEEDS)
    np.savez(args.out, count=count, **kept)
    print(f'{count} utterances of {len(speakers)} speakers, {sum(len(v) for k, v in kept.items() if k[0] == "a") / 24000 / 60:.1f} min')


if __name__ == '__main__':
    main()
