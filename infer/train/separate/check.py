"""Holds the live separator's single hops against whole clips, and its transforms against themselves. Exits 1 when they differ."""
import math
import sys

import torch

from model import HOP, LATE, Sieve, Step

torch.manual_seed(1)
sieve = Sieve().eval()
torch.nn.init.normal_(sieve.fourth.weight, std=0.3)
audio = 0.1 * torch.randn(2, 200 * HOP)


def decibel(error, of):
    return 20 * math.log10(float(error.norm() / of.norm()) + 1e-20)


with torch.no_grad():
    low = torch.fft.irfft(torch.fft.rfft(audio) * (torch.arange(audio.shape[1] // 2 + 1) < 0.97 * audio.shape[1] / 2), audio.shape[1])
    again = sieve.wave(sieve.spectrum(low))
    there = decibel((again[:, LATE:] - low[:, :-LATE])[:, 1000:], low)
    whole, step = sieve(audio[:1]), Step(sieve)
    state, masks, spectrum = step.first_state(), [], sieve.spectrum(audio[:1])
    for t in range(spectrum.shape[1]):
        mask, state = step(spectrum[:, t], state)
        masks.append(sieve.masked(spectrum[:, t], mask))
    apart = decibel(sieve.wave(torch.stack(masks, 1)) - whole, whole)
print(f'there and back: {there:.1f} dB; single hops against whole clips: {apart:.1f} dB')
sys.exit(there > -50 or apart > -90)
