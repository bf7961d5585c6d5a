"""Measures packs on actors that no training hears and no bar is set on, so that choices between packs need not be made on the judge's clips.

    python3 acted.py OUT PACK.onnx [PACK.onnx …] [--count 140] [--jobs 2]

The actors are those of Flight of the Amazon Queen, an English game: sound of 11 kHz in MP3 of few bits, as much acted as spoken. What
Whisper makes of a line is the truth for its words. Prints a pack a line; all but the first are compared with it, line by line.
"""
import argparse
import io
import random
import struct
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import numpy as np
import soundfile as sf

import audio as A
from clips import packages
from evaluate import Program, built_with, convert
from measures import Measures

PACKAGE, BOOK = 'flight-of-the-amazon-queen', 'scummvm/flight-of-the-amazon-queen/queen.1c'
LETTERS, SHORT, LONG = 25, 4, 11     # of a line: letters at least; seconds, at least and at most
NAMES = ('cer_added', 'sim', 'f0_corr', 'voicing', 'ovrl')


def lines(book):
    "name -> MP3 of every line in the game's one file: a table (name 12, bundle 1, offset 4, size 4), then what it tells of"
    count, = struct.unpack('>H', book[13:15])
    for at in range(15, 15 + 21 * count, 21):
        name, (offset, size) = book[at:at + 12].split(b'\0')[0].decode('latin1'), struct.unpack('>II', book[at + 13:at + 21])
        if name.endswith('.SB'):
            yield name[:-3], book[offset:offset + size]


def gather(out, count):
    "-> files of that many lines, drawn with a fixed seed"
    path = packages(out, [PACKAGE]) / BOOK
    book = path.read_bytes()
    if book[:4] != b'QTBL':
        raise SystemExit(f'{path}: expected a table of the game (QTBL), found {book[:4]!r}')
    found, files = sorted(lines(book)), []
    random.Random(5).shuffle(found)
    for name, mp3 in found:
        if len(files) == count:
            break
        sound, rate = sf.read(io.BytesIO(mp3), dtype='float32')
        if SHORT <= len(sound) / rate <= LONG:
            files.append(out / 'clips' / f'{name}.flac')
            sf.write(files[-1], A.resample(sound * (0.5 / np.abs(sound).max()), rate, A.RATE), A.RATE, subtype='PCM_16')
    return files


def judged(pack, clips, measures, out, jobs):
    "clip -> its measures; the pack's voices take turns"
    out.mkdir(exist_ok=True)
    program = Program(built_with(pack.resolve(), out), out)
    voices = sorted(program.voices)

    def one(turn, clip):
        job, made = {'voice': voices[turn % len(voices)]}, out / f'{clip.stem}.wav'
        convert(program, job, clip, made)
        return measures.compare(clip, made, program.references[job['voice']], 'en')
    with ThreadPoolExecutor(jobs) as pool:
        found = dict(zip(clips, pool.map(one, range(len(clips)), clips)))
    return {clip: {**m, 'cer_added': min(m['cer_added'], 1)} for clip, m in found.items() if len(m['said']) >= LETTERS and 'f0_corr' in m}


def means(found, first):
    "the means of a pack's measures, and how far they are from the first's with the error of that"
    both, text = [clip for clip in first if clip in found], []
    for name in NAMES:
        now, before = (np.array([m[clip][name] for clip in both]) for m in (found, first))
        apart = now - before
        text.append(f'{name} {now.mean():.4f}' + (f' ({apart.mean():+.4f} +- {apart.std() / len(both) ** 0.5:.4f})' if found is not first else ''))
    return f'{len(both)} lines, ' + ', '.join(text)


def main():
    p = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    p.add_argument('out', type=Path)
    p.add_argument('packs', type=Path, nargs='+')
    p.add_argument('--count', type=int, default=140)
    p.add_argument('--jobs', type=int, default=2)
    args = p.parse_args()
    out = args.out.resolve()
    (out / 'clips').mkdir(parents=True, exist_ok=True)
    clips, measures, first = gather(out, args.count), Measures(out), None
    for number, pack in enumerate(args.packs):
        found = judged(pack, clips, measures, out / f'pack{number}', args.jobs)
        first = first or found
        print(f'{pack}: {means(found, first)}', flush=True)


if __name__ == '__main__':
    main()
