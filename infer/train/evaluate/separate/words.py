"""What the separators leave of words and of what lies behind them, where somebody speaks in a noisy place or over music.

    python3 words.py OUT.md --apart build/apart --program bin/autovoiced --judge build/judge --speech LIBRISPEECH --music DIR --noise DIR [--live separator.onnx]

Runs in the judge's environment. Speakers that nothing was trained on; recorded noises of places (Debian's lincity-ng-data) 5 dB below
them, and music as loud as they are. Words: character errors of Whisper base, what it hears in the voice alone being the truth; of what
the program converts, in the voice alone as converted. SIG, BAK and OVRL: DNSMOS P.835 of speech, of what is behind it, of both.
"""
import argparse
import subprocess
import sys
import tempfile
from pathlib import Path

import numpy as np
import soundfile as sf
from scipy.signal import resample_poly

sys.path.insert(0, str(Path(__file__).resolve().parents[1]))
from measure import RATE, apart, begins, lives, mixture, pieces_of, read, unheard  # noqa: E402
from measures import Measures, character_error  # noqa: E402

PLACES = ('TraficHigh2', 'SportsCroud1', 'IndustryLight2', 'Fire1', 'MarketMed1', 'Water4', 'RailTrain2', 'Blacksmith1', 'School1', 'Recycle3', 'IndustryHigh1', 'Mill1')
LIVE = 16000


def looped(audio, n):
    "audio over and over, its ends faded into each other over a tenth of it"
    fade = len(audio) // 10
    ramp = np.sqrt(np.linspace(0, 1, fade, dtype=np.float32))
    turn = np.concatenate([audio[:fade] * ramp + audio[-fade:] * ramp[::-1], audio[fade:-fade]])
    return np.tile(turn, -(-n // len(turn)))[:n]


def place(folder, number, voice, decibel):
    "-> the voice in a noisy place, so many dB louder than it"
    path = next(Path(folder).rglob(PLACES[number % len(PLACES)] + '.wav'))
    noise = read(path, LIVE)
    noise = looped(noise.mean(1) if noise.ndim == 2 else noise, len(voice))
    noise = noise - noise.mean()
    return voice + noise * np.sqrt((voice ** 2).mean() / (noise ** 2).mean()) * 10 ** (-decibel / 20)


def lower(stereo):
    "what a live separator hears of a recording"
    return resample_poly(stereo.mean(1), LIVE, RATE).astype(np.float32)


def converted(program, stereo):
    "the voice of what the program makes of a recording, its music turned down"
    with tempfile.TemporaryDirectory() as d:
        sf.write(f'{d}/in.wav', stereo, RATE)
        subprocess.run([program, 'convert', f'{d}/in.wav', '-o', f'{d}/out.wav', '--music-gain', '-48', '--results', '', '--quiet'], check=True)
        return lower(sf.read(f'{d}/out.wav', dtype='float32', always_2d=True)[0])


class Table:
    "name -> of every clip: character errors, and what DNSMOS says"
    def __init__(self, judge):
        self.judge, self.rows = Measures(judge), {}

    def words(self, audio):
        return self.judge.of('words', np.ascontiguousarray(audio, np.float32), 'en')

    def add(self, name, audio, said):
        audio = np.ascontiguousarray(audio / max(np.abs(audio).max(), 1e-6) * 0.5, np.float32)
        quality = self.judge.of('quality', audio)
        self.rows.setdefault(name, []).append([min(1.0, character_error(said, self.words(audio)) or 0), quality['sig'], quality['bak'], quality['ovrl']])
        print(name, np.round(self.rows[name][-1], 3), flush=True)

    def text(self, first):
        lines = [f'| {first} | character errors | SIG | BAK | OVRL |', '|---|---|---|---|---|']
        for name, clips in self.rows.items():
            cer, sig, bak, ovrl = np.mean(clips, 0)
            lines.append(f'| {name} | {cer:.2f} | {sig:.2f} | {bak:.2f} | {ovrl:.2f} |')
        return '\n'.join(lines) + '\n'


def main():
    p = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    p.add_argument('out', type=Path)
    for name in ('apart', 'program', 'judge', 'speech', 'music', 'noise'):
        p.add_argument(f'--{name}', required=True)
    p.add_argument('--live')
    p.add_argument('--kept', type=int, default=15)
    p.add_argument('--count', type=int, default=12, help='speakers')
    p.add_argument('--noise-only', action='store_true', help='no music, which takes most of the time')
    args = p.parse_args()
    pieces, noisy, over = pieces_of(args.music), Table(args.judge), Table(args.judge)
    for i, path in enumerate(unheard(args.speech, args.kept, args.count)):
        voice = read(path, LIVE)
        said = noisy.words(voice)
        noisy.add('the voice alone', voice, said)
        heard = place(args.noise, i, voice, 5).astype(np.float32)
        heard *= 0.5 / np.abs(heard).max()
        noisy.add('not separated', heard, said)
        for name, how in lives(args.live).items():
            noisy.add(name, apart(args.apart, how, heard)[0], said)
        if args.noise_only:
            continue
        mix, voice = mixture(read(path, RATE), read(pieces[i % len(pieces)], RATE, begins(pieces[i % len(pieces)])))
        said = over.words(lower(voice))
        over.add('not separated', lower(mix), said)
        for name, how in lives(args.live).items():
            over.add(name, apart(args.apart, how, lower(mix))[0], said)
        over.add('songs, `balanced`', lower(apart(args.apart, ('song', 'balanced'), mix.astype(np.float32))[0]), said)
        alone = converted(args.program, voice)
        over.add('the voice alone, converted', alone, said)
        over.add('out of the music, converted', converted(args.program, mix), over.words(alone))
    args.out.write_text('\n'.join(['## Words, in a noisy place', '', noisy.text('at 5 dB'), '## Words, over music', '', over.text('at 0 dB')]))
    print(args.out.read_text())


if __name__ == '__main__':
    main()
