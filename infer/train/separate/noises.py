"""Noises that nobody recorded, made on the device by the batch: hiss of any colour, fans, hum, wind, traffic, rain, keys, beeps."""
import math

import torch
import torch.nn.functional as F

RATE = 16000
SOME = 0.3                                      # of the rows, how many have a kind of noise


def between(batch, low, high, device):
    return torch.empty(batch, 1, device=device).uniform_(low, high)


def seconds(n, device):
    return torch.arange(n, device=device) / RATE


def unit(x):
    return x / x.square().mean(1, keepdim=True).sqrt().clamp(min=1e-6)


def convolved(x, *others):
    "x [batch, n] through filters, cut to its length; the transform's size is one that is quick"
    size = -(-(x.shape[1] + sum(o.shape[1] for o in others)) // 4096) * 4096
    spectrum = torch.fft.rfft(x, size)
    for other in others:
        spectrum = spectrum * torch.fft.rfft(other, size)
    return torch.fft.irfft(spectrum, size)[:, :x.shape[1]]


def coloured(batch, n, device, low=-40.0, high=10.0, rough=9.0):
    "Noise through a random smooth spectrum that tilts by so many dB: hiss, fans, rumble."
    bins = n // 2 + 1
    knots = torch.randn(batch, 1, 9, device=device) * rough + torch.linspace(0, 1, 9, device=device) * between(batch, low, high, device)[..., None]
    shape = F.interpolate(knots, bins, mode='linear', align_corners=True)[:, 0]
    warp = (torch.linspace(0, 1, bins, device=device) ** 0.4 * (bins - 1)).long()       # more detail below
    spectrum = torch.fft.rfft(torch.randn(batch, n, device=device)) * torch.pow(10.0, shape[:, warp] / 20)
    return torch.fft.irfft(spectrum, n)


def envelope(batch, n, device, slow=40, depth=2.0):
    "A gain that wanders, [batch, n]."
    knots = torch.randn(batch, 1, max(3, n // (RATE // slow)), device=device) * between(batch, 0, depth, device)[..., None]
    smooth = F.avg_pool1d(knots, 3, 1, 1)
    return torch.exp(F.interpolate(smooth, n, mode='linear', align_corners=True)[:, 0])


def gate(batch, n, device, pieces=12, open=0.5):
    "On and off, in pieces of about n/pieces, with soft edges."
    knots = (torch.rand(batch, 1, pieces, device=device) < open).float()
    return (2 * F.interpolate(knots, n, mode='linear', align_corners=True)[:, 0]).clamp(max=1)


def hum(batch, n, device):
    "Mains, motors and fans: harmonics of a low tone that drifts a little."
    t = seconds(n, device)
    f = between(batch, 45, 240, device) * (1 + between(batch, 0, 0.03, device) * torch.sin(t * between(batch, 0.2, 3, device)))
    phase = 2 * math.pi * torch.cumsum(f / RATE, 1)
    tilt = between(batch, 0.5, 1.6, device)
    out = torch.zeros(batch, n, device=device)
    for k in range(1, 16):
        out += torch.rand(batch, 1, device=device) * k ** -tilt * torch.sin(k * phase + k)
    return out


def hits(batch, n, device, rate, longest=0.05):
    "Decaying bursts at random moments, each row of its own sound: keys, clicks, steps, cutlery; many of them are rain."
    when = (torch.rand(batch, n, device=device) < rate / RATE).float() * torch.empty(batch, n, device=device).uniform_(0.2, 1)
    m = 4096
    decay = between(batch, math.log(0.001), math.log(longest), device).exp()
    return convolved(when, torch.exp(-seconds(m, device) / decay) * coloured(batch, m, device, -25, 25))


def clatter(batch, n, device):
    "Hits that ring: dishes, glasses, metal."
    m, t = 8192, seconds(8192, device)
    ring = torch.zeros(batch, m, device=device)
    for _ in range(5):
        ring += torch.rand(batch, 1, device=device) * torch.exp(-t / between(batch, 0.01, 0.15, device)) * torch.sin(2 * math.pi * between(batch, 400, 7000, device) * t)
    return convolved((torch.rand(batch, n, device=device) < 2.5 / RATE).float() * torch.empty(batch, n, device=device).uniform_(0.1, 1), ring)


def wind(batch, n, device):
    "Gusts that beat on a microphone: deep, and never still."
    return coloured(batch, n, device, -90, -45, 4.0) * envelope(batch, n, device, 12, 2.5) * envelope(batch, n, device, 2, 2.0)


def traffic(batch, n, device):
    "Things that pass: tyres and an engine, louder as they are near."
    t = seconds(n, device)
    near = sum(torch.rand(batch, 1, device=device) * torch.exp(-((t - between(batch, -1, n / RATE + 1, device)) / between(batch, 0.4, 2.5, device)).square()) for _ in range(3))
    return (unit(coloured(batch, n, device, -50, -15, 5.0)) + between(batch, 0, 1, device) * unit(hum(batch, n, device))) * (near + 0.05)


def beeps(batch, n, device):
    "Tones that come and go, steady or gliding: telephones, machines, birds, sirens."
    t = seconds(n, device)
    f = between(batch, math.log(250), math.log(5000), device).exp()
    glide = between(batch, 0, 0.5, device) * (torch.rand(batch, 1, device=device) < 0.6) * torch.sin(2 * math.pi * t * between(batch, math.log(0.2), math.log(12), device).exp())
    phase = 2 * math.pi * torch.cumsum(f * torch.exp(glide) / RATE, 1)
    return (torch.sin(phase) + between(batch, 0, 0.5, device) * torch.sin(2 * phase) + between(batch, 0, 0.3, device) * torch.sin(3 * phase)) * gate(batch, n, device, 24, 0.4)


def noise(batch, n, device):
    "A mixture of a few of them, each row its own, at unit power; each kind is made for the rows alone that have it."
    kinds = [lambda b: coloured(b, n, device), lambda b: coloured(b, n, device) * envelope(b, n, device), lambda b: coloured(b, n, device) * gate(b, n, device),
             lambda b: hum(b, n, device), lambda b: hits(b, n, device, 3), lambda b: hits(b, n, device, 25) * gate(b, n, device),
             lambda b: hits(b, n, device, 400, 0.01), lambda b: clatter(b, n, device), lambda b: wind(b, n, device), lambda b: traffic(b, n, device),
             lambda b: beeps(b, n, device)]
    hiss = 0.02 + 0.5 * (torch.rand(batch, 1, device=device) < 0.2)             # never none, and often steady hiss alone
    sound, some = hiss * unit(coloured(batch, n, device)), max(1, round(SOME * batch))
    for kind in kinds:
        rows = torch.rand(batch, device=device).argsort()[:some]
        sound.index_add_(0, rows, torch.rand(some, 1, device=device) ** 3 * unit(kind(some)))
    return unit(sound)
