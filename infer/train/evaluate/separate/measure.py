"""How well the program takes voices out of music, at 0 dB, with voices and music that nothing was trained on.

    python3 measure.py OUT.md --apart build/apart --speech LIBRISPEECH --singers DIR --music DIR [--systems songs live] [--live separator.onnx] [--vocals DIR] [--count 10]

Voices: speakers that real.py keeps out of LibriSpeech, and the singers of singers.py. Music: Ogg files of Debian's wesnoth-1.16-music and
fretsonfire-songs-sectoid, unpacked in --music; they are measured with and go no further. Each voice meets one piece, and stands in the
middle of a stereo picture. SI-SDR improvement in dB; the processor's time of the whole process, starting and reading the weights included,
per second of audio. --vocals keeps the singers' vocals and mixtures, for pitch.py.
"""
import argparse
import resource
import subprocess
from pathlib import Path

import numpy as np
import soundfile as sf
from scipy.signal import resample_poly

SECONDS, RATE = 8, 44100
PIECES = ('battle-epic', 'knolls', 'love_theme', 'frantic', 'suspense', 'vengeful', 'northerners', 'sad', 'traveling_minstrels', 'the_deep_path', 'elvish-theme', 'main_menu',
          'Feelings/song', 'Metal madness/song', 'War of freedom/song', 'Escape from chaosland/song')


def read(path, rate, start=0.0):
    audio, own = sf.read(path, dtype='float32', start=int(start * sf.info(path).samplerate), frames=SECONDS * sf.info(path).samplerate)
    audio = audio if audio.ndim == 1 or audio.shape[1] > 1 else audio[:, 0]
    return audio if own == rate else resample_poly(audio, rate, own, axis=0).astype(np.float32)


def si_sdr(got, want):
    got, want = got.ravel().astype(np.float64), want.ravel().astype(np.float64)
    like = (got @ want) ** 2 / (want @ want)
    return 10 * np.log10(like / max(got @ got - like, 1e-12))


def mixture(voice, piece):
    "-> stereo mixture and voice, equally loud"
    voice = np.stack([voice, voice], 1)
    music = piece if piece.ndim == 2 else np.stack([piece, piece], 1)
    n = min(len(voice), len(music))
    voice, music = voice[:n], music[:n]
    music = music * np.sqrt((voice ** 2).mean() / max((music ** 2).mean(), 1e-12))
    gain = 0.5 / max(np.abs(voice + music).max(), 1e-6)
    return (voice + music) * gain, voice * gain


def apart(binary, args, audio):
    "-> vocals, seconds of the processor's time"
    before = resource.getrusage(resource.RUSAGE_CHILDREN)
    done = subprocess.run([binary, *args], input=np.ascontiguousarray(audio, '<f4').tobytes(), stdout=subprocess.PIPE, stderr=subprocess.PIPE)
    if done.returncode:
        raise SystemExit(done.stderr.decode())
    after = resource.getrusage(resource.RUSAGE_CHILDREN)
    return np.frombuffer(done.stdout, '<f4').reshape(audio.shape), after.ru_utime + after.ru_stime - before.ru_utime - before.ru_stime


def lives(pack):
    "name -> how apart is asked, of the live separators; pack: one more, or None"
    return {'live': ('live',), **({f'live, {Path(pack).stem}': ('live', pack)} if pack else {})}


def unheard(speech, kept, count):
    "recordings of speakers that real.py keeps out of LibriSpeech, one each"
    files = sorted(Path(speech).glob('*.flac'))
    out = sorted({f.name.split('-')[0] for f in files}, key=int)[-kept:]
    return [f for f in files if f.name.split('-')[0] in out][:count]


def pieces_of(music):
    "what is measured with of the packages' music; None where one is missing"
    where = {str(f.with_suffix('')): f for f in Path(music).rglob('*.ogg')}
    return [next((f for name, f in where.items() if name.endswith('/' + piece)), None) for piece in PIECES]


def begins(piece):
    "where in a piece to begin, seconds: long ones take their time"
    return 20 if sf.info(piece).duration > 40 else 2


def main():
    p = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    p.add_argument('out', type=Path)
    for name in ('apart', 'speech', 'singers', 'music'):
        p.add_argument(f'--{name}', required=True)
    p.add_argument('--live')
    p.add_argument('--vocals', type=Path)
    p.add_argument('--systems', nargs='+', default=['songs', 'live'])
    p.add_argument('--kept', type=int, default=15)
    p.add_argument('--count', type=int, default=10, help='voices of each kind')
    args = p.parse_args()
    spoken = unheard(args.speech, args.kept, args.count)
    sung = sorted(Path(args.singers).glob('[0-9][0-9].flac'))[:args.count]
    pieces = pieces_of(args.music)
    if not spoken or not sung or None in pieces:
        raise SystemExit(f'expected speakers, singers and {len(PIECES)} pieces, found {len(spoken)}, {len(sung)} and {sum(f is not None for f in pieces)}')
    systems = {f'songs, `{preset}`': ('song', preset) for preset in ('fast', 'balanced', 'quality')} if 'songs' in args.systems else {}
    if 'live' in args.systems:
        systems.update(lives(args.live))
    gains, cost = {}, {}
    for i, (kind, path) in enumerate([('spoken', f) for f in spoken] + [('sung', f) for f in sung]):
        mix, voice = mixture(read(path, RATE), read(pieces[i % len(pieces)], RATE, begins(pieces[i % len(pieces)])))
        for name, how in systems.items():
            heard, want = (mix, voice) if how[0] == 'song' else (resample_poly(mix.mean(1), 160, 441), resample_poly(voice.mean(1), 160, 441))
            got, took = apart(args.apart, how, heard.astype(np.float32))
            gains.setdefault(name, {}).setdefault(kind, []).append(si_sdr(got, want) - si_sdr(heard, want))
            cost.setdefault(name, []).append(took / (len(voice) / RATE))
            print(f'{path.stem} in {pieces[i % len(pieces)].stem}, {name}: {gains[name][kind][-1]:.1f} dB', flush=True)
            if args.vocals and kind == 'sung' and how == ('song', 'balanced'):
                args.vocals.mkdir(parents=True, exist_ok=True)
                sf.write(args.vocals / path.name, got, RATE)
                sf.write(args.vocals / f'{path.stem}-mixture.flac', mix, RATE)
    lines = ['| separator | spoken, mean (worst) | sung, mean (worst) | processor time a second of audio |', '|---|---|---|---|']
    for name, kinds in gains.items():
        lines.append(f'| {name} | ' + ' | '.join(f'{np.mean(kinds[k]):.1f} dB ({np.min(kinds[k]):.1f})' for k in ('spoken', 'sung')) + f' | {np.median(cost[name]):.2f} s |')
    args.out.write_text('\n'.join(lines) + '\n')
    print('\n'.join(lines))


if __name__ == '__main__':
    main()
