"""Mixtures, made on the device without end: a voice, spoken or sung, against music, noise, and other voices far away.

Held whole in the device's memory: LibriSpeech's recordings, what sung.py sang, what music.py rendered. Rhythm and harmony of
different pieces meet, and all are moved in pitch and tempo, so that no mixture comes twice.
"""
import math
import multiprocessing as mp
import os
from pathlib import Path

import numpy as np
import soundfile as sf
import torch
import torch.nn.functional as F
import torchaudio.functional as AF

from noises import RATE, between, convolved, noise, seconds, unit

SPEEDS = (0.75, 0.84, 0.92, 1.0, 1.09, 1.19, 1.33)
UNHEARD = 12                                    # pieces of music, the last, that validation keeps


def decode(path):
    audio, rate = sf.read(path, dtype='int16')
    if rate != RATE:
        raise ValueError(f'{path}: expected {RATE} Hz, found {rate}')
    return audio


def bank(paths, device):
    "files -> one long row of samples"
    if not paths:
        raise SystemExit('mix: expected audio files, found none')
    with mp.get_context('fork').Pool(min(16, os.cpu_count())) as pool:
        return torch.from_numpy(np.concatenate(pool.map(decode, paths, chunksize=8))).to(device)


def synthesised(folder, device, minutes=150):
    "what ../synthesize.py left, at 24 kHz -> one long row of samples, so many minutes at most: speech with no room and no noise in it"
    parts, left = [], minutes * 60 * 24000
    for path in sorted(Path(folder).glob('*.npz')):
        with np.load(path) as z:
            for i in range(int(z['count'])):
                parts.append(z[f'a{i}'].ravel()[:max(0, left)])
                left -= len(parts[-1])
    if left == minutes * 60 * 24000:
        raise SystemExit(f'{folder}: expected files of synthesize.py, found none')
    audio = torch.from_numpy(np.concatenate(parts)).to(device)
    return torch.cat([AF.resample(part.float(), 24000, RATE).round().clamp(-32768, 32767).short() for part in audio.split(24000 * 60)])


def speakers(folder, kept):
    "-> the FLAC files to train with, and those of the last so many speakers, which are there to measure with"
    files = sorted(Path(folder).rglob('*.flac'))
    names = sorted({f.name.split('-')[0] for f in files}, key=int)
    out = set(names[len(names) - kept:])
    return [f for f in files if f.name.split('-')[0] not in out], [f for f in files if f.name.split('-')[0] in out]


def pieces(folder, part):
    "-> files of rhythm or harmony to train with, and those that validation keeps"
    files = sorted(Path(folder).glob(f'*-{part}.ogg'))
    return files[:-UNHEARD], files[-UNHEARD:]


class Mixer:
    "Mixtures of what is to be trained with; of what is kept apart when unseen, which are those to measure with."
    def __init__(self, speech, sung, music, device, kept=15, unseen=False, more=None):
        self.device = device
        self.speech = bank(speakers(speech, kept)[unseen], device)
        self.song = self.speech if unseen else bank(sorted(Path(sung).glob('*.ogg')), device)
        self.rhythm, self.harmony = (bank(pieces(music, part)[unseen], device) for part in ('rhythm', 'harmony'))
        self.more = synthesised(more, device) if more else self.speech[:0]
        self.speeds = torch.tensor(SPEEDS, device=device)

    def __str__(self):
        return ', '.join(f'{name} {len(getattr(self, name)) / RATE / 60:.0f} min' for name in ('speech', 'more', 'song', 'rhythm', 'harmony'))

    def crops(self, source, batch, n):
        at = torch.randint(len(source) - n, (batch, 1), device=self.device)
        return source[at + torch.arange(n, device=self.device)].float() / 32768

    def moved(self, source, batch, n):
        "crops at a speed of their own"
        speed = self.speeds[torch.randint(len(SPEEDS), (batch, 1), device=self.device)]
        x = self.crops(source, batch, int(n * max(SPEEDS)) + 2)
        at = torch.arange(n, device=self.device) * speed
        low = at.long()
        part = at - low
        return x.gather(1, low) * (1 - part) + x.gather(1, low + 1) * part

    def filtered(self, x, longest=0.09):
        "a microphone of its own, and a room, mostly small and direct"
        batch, m = len(x), 4096
        knots = F.interpolate(torch.randn(batch, 1, 7, device=x.device) * 3, m // 2 + 1, mode='linear', align_corners=True)[:, 0]
        colour = torch.fft.irfft(torch.polar(torch.pow(10.0, knots / 20), torch.zeros_like(knots)), m).roll(32, 1)[:, :64] * torch.hann_window(64, device=x.device)
        room = torch.randn(batch, m, device=x.device) * torch.exp(-seconds(m, x.device) / between(batch, 0.01, longest, x.device))
        room = room / room.square().sum(1, keepdim=True).sqrt() * between(batch, 0, 0.5, x.device) * self.pick(batch, 0.6)
        room[:, 0] += 1
        return convolved(F.pad(x, (0, 32)), room, colour)[:, 32:]

    def pick(self, batch, chance):
        return (torch.rand(batch, 1, device=self.device) < chance).float()

    def between(self, batch, low, high):
        return between(batch, low, high, self.device)

    def voices(self, batch, n):
        "spoken or sung; a few come late, a few not at all"
        sung = self.pick(batch, 0.35)
        speech = self.moved(self.speech, batch, n)
        if len(self.more):
            made = self.pick(batch, 0.35)
            speech = made * unit(self.moved(self.more, batch, n)) + (1 - made) * unit(speech)
        voice = self.filtered(sung * unit(self.moved(self.song, batch, n)) + (1 - sung) * unit(speech))
        late = self.between(batch, -8, 0.8) * n / RATE
        voice = voice * ((seconds(n, self.device) - late) * 50).clamp(0, 1)
        return unit(voice) * self.pick(batch, 0.95)

    def music(self, batch, n):
        rhythm, harmony, tilt = self.pick(batch, 0.8), self.pick(batch, 0.85), self.between(batch, -8, 8)
        return unit(self.filtered(rhythm * self.moved(self.rhythm, batch, n) * torch.pow(10.0, tilt / 20) + harmony * self.moved(self.harmony, batch, n) + 1e-5))

    def noise(self, batch, n):
        return noise(batch, n, self.device)

    def babble(self, batch, n):
        "two to six talkers in a room, or a crowd made of them"
        some = sum(self.moved(self.speech, batch, n) * (1 if k < 2 else self.pick(batch, 0.6)) for k in range(6))
        crowd = some + some.roll(n // 3, 1) + some.flip(1) + some.flip(1).roll(n // 5, 1)
        many = self.pick(batch, 0.5)
        return unit(self.filtered(many * crowd + (1 - many) * some, 0.2))

    def captured(self, mixture, voice):
        "at a level of its own, through a line that some are narrow; some clip"
        batch, n = mixture.shape
        gain = torch.pow(10.0, self.between(batch, -46, -14) / 20) / mixture.square().mean(1, keepdim=True).sqrt().clamp(min=0.1)
        edge = 9000 + self.pick(batch, 0.12) * self.between(batch, -6000, -2000)
        pass_ = ((edge - torch.linspace(0, RATE / 2, n // 2 + 1, device=self.device)) / 300).clamp(0, 1)
        mixture, voice = (torch.fft.irfft(torch.fft.rfft(x * gain) * pass_, n) for x in (mixture, voice))
        top = mixture.abs().amax(1, keepdim=True) * (1 + self.pick(batch, 0.06) * self.between(batch, -0.75, -0.1))
        return torch.maximum(torch.minimum(mixture, top), -top), voice

    @torch.no_grad()
    def batch(self, batch, length):
        "-> mixture, voice [batch, length*RATE]; rows ascend from music through noise to babble"
        n = int(length * RATE)
        voice = self.voices(batch, n)
        kind = (torch.arange(batch, device=self.device)[:, None] + torch.rand(batch, 1, device=self.device)) / batch
        other = torch.zeros(batch, n, device=self.device)                       # music, noise, both; babble by itself and with noise
        for low, high, make in ((0, 0.52, self.music), (0.44, 0.95, self.noise), (0.88, 1, self.babble)):
            rows = slice(math.floor(low * batch), math.ceil(high * batch))      # those that may have it: kinds ascend
            other[rows] += ((kind[rows] >= low) & (kind[rows] < high)) * make(rows.stop - rows.start, n)
        snr = torch.where(kind < 0.52, self.between(batch, -8, 12), self.between(batch, -5, 25))
        other = unit(other) * torch.pow(10.0, -snr / 20) * self.pick(batch, 0.97)
        return self.captured(voice + other, voice)

    @torch.no_grad()
    def at(self, decibel, other, batch, length):
        "-> mixture, voice: speech alone against music or noise, so many dB louder than it"
        n = int(length * RATE)
        voice = unit(self.crops(self.speech, batch, n)) * 0.05
        other = 0.05 * (self.music(batch, n) if other == 'music' else self.noise(batch, n))
        return voice + other * 10 ** (-decibel / 20), voice
