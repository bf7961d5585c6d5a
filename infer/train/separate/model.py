"""The live separator: a causal network that finds the voice in a mono mixture, 16 kHz, in hops of 10 ms.

    spectrum (640 samples, the newest fade out over 15 ms) -> itself, compressed; log magnitude, now and as it has been for a while
        -> two convolutions along frequency -> causal blocks along time -> back along frequency -> a complex mask

`Sieve.forward` runs whole clips at once for training; `Step` runs one hop with all state explicit, and is what gets
exported: `python3 check.py` holds them against each other. Output hop t stands for the input LATE samples before it.
"""
import math
import sys
from pathlib import Path

import numpy as np
import torch
import torch.nn as nn
import torch.nn.functional as F

sys.path.insert(0, str(Path(__file__).parent.parent))
from voice import Block  # noqa: E402

RATE, HOP, SIZE, HEARD = 16000, 160, 640, 480   # HEARD: the newest samples of a frame, those that are synthesised from it
LATE = HEARD - HOP                              # 320 samples, 20 ms
BINS = SIZE // 2                                # the last bin, 8 kHz, goes the way of the one before it
MEMORIES = (6, 30, 200)                         # hops after which a third of a level is still remembered
FLOOR = 1e-9


def windows():
    """-> analysis [SIZE], synthesis [SIZE]. Their product is a Hann window of HEARD samples at the end, over three hops 1.5 in sum;
    the older samples are heard, which tells tones apart, but cost no delay."""
    fall = HEARD // 2
    rise = SIZE - fall
    analysis = np.concatenate([np.sin(np.pi / 2 * np.arange(rise) / rise), np.cos(np.pi / 2 * np.arange(fall) / fall)])
    hann = np.concatenate([np.zeros(SIZE - HEARD), 0.5 - 0.5 * np.cos(2 * np.pi * np.arange(HEARD) / HEARD)])
    synthesis = np.divide(hann, analysis, out=np.zeros(SIZE), where=analysis > 0) * (2 * HOP / HEARD)
    return torch.from_numpy(analysis.astype(np.float32)), torch.from_numpy(synthesis.astype(np.float32))


class Sieve(nn.Module):
    def __init__(self, width=192, channels=24, dilations=(1, 2, 4, 8, 16, 32, 1, 4), kernel=3):
        super().__init__()
        self.shape = {'width': width, 'channels': channels, 'dilations': list(dilations), 'kernel': kernel}
        rows = BINS // 4
        self.first = nn.Conv1d(3 + len(MEMORIES), channels, 5, stride=2, padding=2)
        self.second = nn.Conv1d(channels, channels, 5, stride=2, padding=2)
        self.enter = nn.Linear(channels * rows, width)
        self.blocks = nn.ModuleList(Block(width, kernel, d) for d in dilations)
        self.norm = nn.LayerNorm(width)
        self.leave = nn.Linear(width, channels * rows)
        self.third = nn.ConvTranspose1d(2 * channels, channels, 4, stride=2, padding=1)
        self.fourth = nn.ConvTranspose1d(2 * channels, 2, 4, stride=2, padding=1)
        nn.init.normal_(self.fourth.weight, std=0.02)
        self.fourth.bias.data = torch.tensor([0.5, 0.0])
        for name, w in zip(('analysis', 'synthesis'), windows()):
            self.register_buffer(name, w, persistent=False)
        self.register_buffer('keep', torch.tensor([math.exp(-1 / m) for m in MEMORIES]), persistent=False)

    # ---- pieces shared by whole clips and hops

    def look(self, spectrum):
        "spectrum [..., 2, BINS] -> level [..., BINS], 0 at silence and about 1 at full scale; the spectrum, its magnitude to the 0.3rd"
        loud = torch.log(spectrum.square().sum(-2) + FLOOR)
        return loud * (1 / 24) - math.log(FLOOR) / 24, spectrum * torch.exp(-0.35 * loud).unsqueeze(-2)

    def act(self, x):
        return F.leaky_relu(x, 0.1)

    def down(self, heard):
        "heard [N, 3+memories, BINS] -> two maps [N, C, BINS/2], [N, C, BINS/4]"
        first = self.act(self.first(heard))
        return first, self.act(self.second(first))

    def up(self, context, first, second):
        "-> mask [N, 2, BINS]: real and imaginary, within a circle of radius 1.4"
        rows = self.leave(self.norm(context)).view(second.shape)
        x = self.act(self.third(torch.cat([rows, second], 1)))
        return 1.4 * torch.tanh(self.fourth(torch.cat([x, first], 1)))

    # ---- whole clips

    def spectrum(self, audio):
        "[B, n] -> [B, T, 2, BINS]; frame t sees the last SIZE samples of hop t"
        frames = F.pad(audio, (SIZE - HOP, 0)).unfold(1, SIZE, HOP) * self.analysis
        return torch.view_as_real(torch.fft.rfft(frames)[..., :BINS]).transpose(2, 3) * (1 / 16)

    def wave(self, spectrum):
        "the way back, LATE samples late: [B, T, 2, BINS] -> [B, T*HOP]"
        whole = F.pad(torch.complex(spectrum[:, :, 0], spectrum[:, :, 1]) * 16, (0, 1))
        parts = torch.fft.irfft(whole, SIZE) * self.synthesis
        parts = parts[..., SIZE - HEARD:].unflatten(2, (3, HOP))               # what a frame adds to the hops two ago, one ago, now
        old = lambda k: F.pad(parts[:, :-k, 2 - (2 - k)], (0, 0, k, 0)) if k else parts[:, :, 0]
        return (old(0) + old(1) + old(2)).flatten(1)

    def remember(self, level):
        "[B, T, BINS] -> [B, T, 1+memories, BINS]"
        t = torch.arange(level.shape[1], device=level.device)
        ago = t[:, None] - t[None]
        held = [torch.where(ago >= 0, (1 - k) * k ** ago.clamp(min=0), 0.0) for k in self.keep.double()]   # small differences follow
        past = [(k @ level.double()).float() for k in held]
        return torch.stack([level, *(level - p for p in past)], 2)

    def forward(self, audio):
        "mixture [B, n] -> voice [B, n], LATE samples late"
        spectrum = self.spectrum(audio)
        batch, hops = spectrum.shape[:2]
        level, wave = self.look(spectrum)
        first, second = self.down(torch.cat([wave, self.remember(level)], 2).flatten(0, 1))
        x = self.enter(second.flatten(1)).unflatten(0, (batch, hops))
        for b in self.blocks:
            x = b(x)
        mask = self.up(x.flatten(0, 1), first, second).unflatten(0, (batch, hops))
        return self.wave(self.masked(spectrum, mask))

    def masked(self, spectrum, mask):
        (a, b), (c, d) = spectrum.unbind(-2), mask.unbind(-2)
        return torch.stack([a * c - b * d, a * d + b * c], -2)


class Step(nn.Module):
    """One hop: spectrum [1, 2, BINS], state [1, M] -> mask [1, 2, BINS], state [1, M]. The Fourier transforms and the mask's
    product are the program's. The state: the memories of every bin, then the frames that the blocks will see again.
    leak: how much of the mixture is let through, which hides what the network does to words."""
    def __init__(self, sieve, leak=0.0):
        super().__init__()
        self.sieve, self.width, self.leak = sieve, sieve.shape['width'], leak
        self.histories = [b.history for b in sieve.blocks]
        self.levels = len(MEMORIES) * BINS

    def first_state(self):
        return torch.zeros(1, self.levels + sum(self.histories) * self.width)

    def forward(self, spectrum, state):
        s = self.sieve
        level, wave = s.look(spectrum)                                          # 1, BINS and 1, 2, BINS
        keep = s.keep[:, None]
        memory = state[:, :self.levels].view(len(MEMORIES), BINS) * keep + level * (1 - keep)
        first, second = s.down(torch.cat([wave[0], level, level - memory], 0)[None])
        x = s.enter(second.flatten(1))
        out, at = [memory.view(1, -1)], self.levels
        for b, history in zip(s.blocks, self.histories):
            size = history * self.width
            past = torch.cat([state[:, at:at + size].view(history, self.width), x], 0)
            out.append(past[1:].reshape(1, -1))
            y = (past[::b.dilation] * b.taps.t()).sum(0, keepdim=True) + b.bias
            x = b.mix(x, y)
            at += size
        mask = s.up(x, first, second)
        if self.leak:
            mask = mask * (1 - self.leak) + self.leak * torch.tensor([[[1.0], [0.0]]])
        return mask, torch.cat(out, 1)
