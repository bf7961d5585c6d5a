"""Mixtures, made on the device without end: a voice, spoken or sung, against music, noise, and other voices far away.

Held whole in the device's memory: LibriSpeech's recordings, what sung.py sang, what music.py rendered. Rhythm and harmony of
different pieces meet, and all are moved in pitch and tempo, so that no mixture comes twice.
"""
import multiprocessing as mp
import os
from pathlib import Path

import numpy as np
import soundfile as sf
import torch
import torch.nn.functional as F

from noises import RATE, noise, unit

SPEEDS = (0.75, 0.84, 0.92, 1.0, 1.09, 1.19, 1.33)


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


def speakers(folder, kept):
    "the FLAC files of all but the last so many speakers, which are there to measure with"
    files = sorted(Path(folder).glob('*.flac'))
    names = sorted({f.name.split('-')[0] for f in files}, key=int)
    chosen = set(names[:len(names) - kept])
    return [f for f in files if f.name.split('-')[0] in chosen]


class Mixer:
    def __init__(self, speech, sung, music, device, kept=15, seed=0):
        torch.manual_seed(seed)
        self.device = device
        self.speech = bank(speakers(speech, kept), device)
        self.song = bank(sorted(Path(sung).glob('*.ogg')), device)
        self.rhythm = bank(sorted(Path(music).glob('*-rhythm.ogg')), device)
        self.harmony = bank(sorted(Path(music).glob('*-harmony.ogg')), device)

    def __str__(self):
        return ', '.join(f'{name} {len(getattr(self, name)) / RATE / 60:.0f} min' for name in ('speech', 'song', 'rhythm', 'harmony'))

    def crops(self, source, batch, n):
        at = torch.randint(len(source) - n, (batch, 1), device=self.device)
        return source[at + torch.arange(n, device=self.device)].float() / 32768

    def moved(self, source, batch, n):
        "crops at a speed of their own"
        speed = torch.tensor(SPEEDS, device=self.device)[torch.randint(len(SPEEDS), (batch, 1), device=self.device)]
        x = self.crops(source, batch, int(n * max(SPEEDS)) + 2)
        at = torch.arange(n, device=self.device) * speed
        low = at.long()
        part = at - low
        return x.gather(1, low) * (1 - part) + x.gather(1, low + 1) * part

    def filtered(self, x):
        "a microphone of its own, and a small room: short, mostly direct"
        batch, n, m = *x.shape, 4000
        knots = F.interpolate(torch.randn(batch, 1, 7, device=x.device) * 3, m // 2 + 1, mode='linear', align_corners=True)[:, 0]
        colour = torch.fft.irfft(torch.polar(torch.pow(10.0, knots / 20), torch.zeros_like(knots)), m).roll(32, 1)[:, :64] * torch.hann_window(64, device=x.device)
        decay = torch.empty(batch, 1, device=x.device).uniform_(0.01, 0.07)
        room = torch.randn(batch, m, device=x.device) * torch.exp(-torch.arange(m, device=x.device) / RATE / decay)
        room = room / room.square().sum(1, keepdim=True).sqrt() * torch.empty(batch, 1, device=x.device).uniform_(0, 0.5) * (torch.rand(batch, 1, device=x.device) < 0.6)
        room[:, 0] += 1
        size = n + m + 64
        return torch.fft.irfft(torch.fft.rfft(x, size) * torch.fft.rfft(room, size) * torch.fft.rfft(colour, size), size)[:, 32:32 + n]

    def pick(self, batch, chance):
        return (torch.rand(batch, 1, device=self.device) < chance).float()

    @torch.no_grad()
    def batch(self, batch, seconds):
        "-> mixture, voice [batch, seconds*RATE]"
        n = int(seconds * RATE)
        sung = self.pick(batch, 0.4)
        voice = sung * self.moved(self.song, batch, n) + (1 - sung) * self.moved(self.speech, batch, n)
        voice = unit(self.filtered(voice)) * self.pick(batch, 0.94)
        rhythm, harmony = self.pick(batch, 0.8), self.pick(batch, 0.85)
        tilt = torch.empty(batch, 1, device=self.device).uniform_(-8, 8)
        music = unit(self.filtered(rhythm * self.moved(self.rhythm, batch, n) * torch.pow(10.0, tilt / 20) + harmony * self.moved(self.harmony, batch, n) + 1e-5))
        babble = unit(sum(self.crops(self.speech, batch, n) for _ in range(5)))
        kind = torch.rand(batch, 1, device=self.device)                         # music, noise, both, babble
        other = (kind < 0.6) * music + (kind > 0.5) * (kind < 0.92) * noise(batch, n, self.device) + (kind > 0.88) * babble * 0.7
        snr = torch.where(kind < 0.6, torch.empty(batch, 1, device=self.device).uniform_(-8, 12), torch.empty(batch, 1, device=self.device).uniform_(-3, 20))
        other = unit(other) * torch.pow(10.0, -snr / 20) * self.pick(batch, 0.96)
        level = torch.empty(batch, 1, device=self.device).uniform_(-42, -16)
        gain = torch.pow(10.0, level / 20) / (voice + other).square().mean(1, keepdim=True).sqrt().clamp(min=0.1)
        return (voice + other) * gain, voice * gain
