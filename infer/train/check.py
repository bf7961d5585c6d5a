"""Holds runs of N hops against single hops and against Voice.forward, on random input. Exits 1 when they differ."""
import math
import sys

import torch
import torch.nn.functional as F

from export import HOPS
from step import Step
from voice import HOP_OUT, MELS, SPEAKER, Voice

torch.manual_seed(1)
hops, voice = 2 * max(HOPS), Voice().eval()
torch.nn.init.normal_(voice.leave[1].weight, std=0.1)
mel, noise, speaker = torch.randn(1, MELS, hops) * 2 - 8, torch.randn(1, hops * HOP_OUT), F.normalize(torch.randn(1, SPEAKER))
f0 = 150 + 40 * torch.sin(torch.arange(hops) / 5.0)[None]
f0[:, 20:30] = 0


def run(n):
    step, parts = Step(voice, n), []
    state = step.first_state()
    for t in range(0, hops, n):
        audio, state = step(mel[:, :, t:t + n], f0[:, t:t + n], noise[:, t * HOP_OUT:(t + n) * HOP_OUT], speaker, state)
        parts.append(audio)
    return torch.cat(parts, 1)


def decibel(error, of):
    return 20 * math.log10(float(error.norm() / of.norm()) + 1e-20)


with torch.no_grad():
    whole, _ = voice(mel, f0, speaker, noise)
    single = run(1)
    worst = decibel(single - whole, whole) + 80             # forward sums the phase in double precision
    print(f'single hops against forward: {worst - 80:.1f} dB')
    for n in HOPS[1:]:
        apart = decibel(run(n) - single, single)
        worst = max(worst, apart + 100)
        print(f'{n} hops a run against single hops: {apart:.1f} dB')
print(f'{sum(p.numel() for p in voice.parameters()) / 1e6:.2f} M parameters, state {Step(voice, 1).first_state().numel()}')
sys.exit(worst > 0)
