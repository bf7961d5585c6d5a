"""Holds Voice.step against Voice.forward on random input: the same samples to -80 dB. Exits 1 when they differ."""
import math
import sys

import torch
import torch.nn.functional as F

from voice import HOP_OUT, MELS, SPEAKER, Voice

torch.manual_seed(1)
hops, v = 60, Voice().eval()
torch.nn.init.normal_(v.leave[1].weight, std=0.1)
mel, noise, speaker = torch.randn(1, MELS, hops) * 2 - 8, torch.randn(1, hops * HOP_OUT), F.normalize(torch.randn(1, SPEAKER))
f0 = 150 + 40 * torch.sin(torch.arange(hops) / 5.0)[None]
f0[:, 20:30] = 0
with torch.no_grad():
    whole, _ = v(mel, f0, speaker, noise)
    state, parts = v.first_state(), []
    for t in range(hops):
        audio, state = v.step(mel[:, :, t:t + 1], f0[:, t:t + 1], noise[:, t * HOP_OUT:(t + 1) * HOP_OUT], speaker, state)
        parts.append(audio)
error = torch.cat(parts, 1) - whole
decibel = 20 * math.log10(float(error.norm() / whole.norm()) + 1e-20)
print(f'step against forward: {decibel:.1f} dB, {sum(p.numel() for p in v.parameters()) / 1e6:.2f} M parameters, state {state.numel()}')
sys.exit(decibel > -80)
