"""Noises that nobody recorded, made on the device by the batch: hiss of any colour, fans, hum, clicks, keyboards, steps."""
import math

import torch

RATE = 16000


def coloured(batch, n, device):
    "Noise through a random smooth spectrum: hiss, wind, rumble, traffic."
    bins = n // 2 + 1
    knots = torch.randn(batch, 1, 9, device=device) * 9 + torch.linspace(0, 1, 9, device=device) * torch.empty(batch, 1, 1, device=device).uniform_(-40, 10)
    shape = torch.nn.functional.interpolate(knots, bins, mode='linear', align_corners=True)[:, 0]
    warp = (torch.linspace(0, 1, bins, device=device) ** 0.4 * (bins - 1)).long()       # more detail below
    spectrum = torch.fft.rfft(torch.randn(batch, n, device=device)) * torch.pow(10.0, shape[:, warp] / 20)
    return torch.fft.irfft(spectrum, n)


def envelope(batch, n, device, slow=40, depth=2.0):
    "A gain that wanders, [batch, n]."
    knots = torch.randn(batch, 1, max(3, n // (RATE // slow)), device=device) * torch.empty(batch, 1, 1, device=device).uniform_(0, depth)
    smooth = torch.nn.functional.avg_pool1d(knots, 3, 1, 1)
    return torch.exp(torch.nn.functional.interpolate(smooth, n, mode='linear', align_corners=True)[:, 0])


def hum(batch, n, device):
    "Mains and fans: harmonics of a low tone that drifts a little."
    f = torch.empty(batch, 1, device=device).uniform_(45, 240) * (1 + 0.02 * torch.sin(torch.arange(n, device=device) / RATE * torch.empty(batch, 1, device=device).uniform_(0.2, 3)))
    phase = 2 * math.pi * torch.cumsum(f / RATE, 1)
    tilt = torch.empty(batch, 1, device=device).uniform_(0.5, 1.6)
    out = torch.zeros(batch, n, device=device)
    for k in range(1, 16):
        out += torch.rand(batch, 1, device=device) * k ** -tilt * torch.sin(k * phase + k)
    return out


def hits(batch, n, device, rate):
    "Short decaying bursts at random moments: keys, clicks, steps, cutlery."
    when = (torch.rand(batch, n, device=device) < rate / RATE).float() * torch.empty(batch, n, device=device).uniform_(0.2, 1)
    m = 4096
    decay = torch.empty(batch, 1, device=device).uniform_(math.log(0.001), math.log(0.05)).exp()
    ring = torch.exp(-torch.arange(m, device=device) / RATE / decay) * coloured(batch, m, device)
    size = 2 * n
    return torch.fft.irfft(torch.fft.rfft(when, size) * torch.fft.rfft(ring, size), size)[:, :n]


def unit(x):
    return x / x.square().mean(1, keepdim=True).sqrt().clamp(min=1e-6)


def noise(batch, n, device):
    "A mixture of a few of them, each row its own, at unit power."
    parts = [coloured(batch, n, device), coloured(batch, n, device) * envelope(batch, n, device), hum(batch, n, device),
             hits(batch, n, device, 6), hits(batch, n, device, 30) * envelope(batch, n, device, 4)]
    weights = torch.rand(batch, len(parts), device=device) ** 4
    weights[torch.rand(batch, len(parts), device=device) < 0.4] = 0
    weights[:, 0] += 0.02
    return unit(sum(w[:, None] * unit(p) for w, p in zip(weights.unbind(1), parts)))
