"""Renders composed pieces with FluidSynth and a sound font, as mono Ogg Vorbis that a training takes along.

    python3 music.py MIDI_DIR OUT_DIR [--font /usr/share/sounds/sf2/FluidR3_GM.sf2] [--workers 2]

A file that is there already is left alone.
"""
import argparse
import multiprocessing as mp
import os
import subprocess
from pathlib import Path

import numpy as np
import soundfile as sf
from scipy.signal import resample_poly

RATE, RENDER = 16000, 32000
FONT = '/usr/share/sounds/sf2/FluidR3_GM.sf2'


def render(midi, font, room):
    "-> mono at RATE; the sound font's reverb at one of a few sizes"
    done = subprocess.run(['fluidsynth', '-q', '-n', '-i', '-a', 'file', '-T', 'raw', '-O', 'float', '-E', 'little', '-F', '/dev/stdout', '-r', str(RENDER), '-g', '0.4',
                           '-o', 'audio.file.endian=little', '-o', f'synth.reverb.room-size={room}', font, str(midi)], stdout=subprocess.PIPE, stderr=subprocess.DEVNULL, check=True)
    stereo = np.frombuffer(done.stdout, '<f4').reshape(-1, 2)
    return resample_poly(stereo.mean(1), RATE, RENDER).astype(np.float32)


def work(job):
    midi, out, font, number = job
    audio = render(midi, font, (0.2, 0.5, 0.8)[number % 3])
    level = np.sqrt(np.mean(audio ** 2))
    if level < 1e-4 or not np.isfinite(audio).all():
        return 0
    partial = out.with_suffix('.part')
    sf.write(partial, np.clip(audio * (0.1 / level), -1, 1), RATE, format='OGG', subtype='VORBIS', compression_level=0.4)
    partial.rename(out)
    return len(audio) / RATE


def main():
    p = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    p.add_argument('midi', type=Path)
    p.add_argument('out', type=Path)
    p.add_argument('--font', default=FONT)
    p.add_argument('--workers', type=int, default=os.cpu_count())
    args = p.parse_args()
    if not Path(args.font).is_file():
        raise SystemExit(f'{args.font}: expected a sound font, found no file: apt-get install fluidsynth fluid-soundfont-gm')
    args.out.mkdir(parents=True, exist_ok=True)
    jobs = [(m, args.out / f'{m.stem}.ogg', args.font, i) for i, m in enumerate(sorted(args.midi.glob('*.mid')))]
    jobs = [j for j in jobs if not j[1].exists()]
    with mp.Pool(args.workers) as pool:
        made = sum(pool.imap_unordered(work, jobs))
    print(f'{len(jobs)} files, {made / 60:.1f} min')


if __name__ == '__main__':
    main()
