"""The voice: a causal source-filter network that works in hops of 10 ms.

    log-mel (16 kHz) -> encoder -> content (blind to the speaker) -> decoder(content, speaker, pitch)
                     -> two minimum-phase filters: one for a pulse train at f0, one for noise -> 24 kHz

The speaker is a GE2E embedding of unit length, of a built-in voice or of anyone.

`Voice.forward` runs whole clips at once for training; `Step` in step.py runs a few hops with all state explicit, and
is what gets exported. They are the same function: `python3 check.py` holds them against each other.
Output hop t stands for the input that ended LOOKAHEAD_MS before hop t did.
"""
import math
from functools import lru_cache

import numpy as np
import torch
import torch.nn as nn
import torch.nn.functional as F

RATE_IN, RATE_OUT, HOP_IN, HOP_OUT = 16000, 24000, 160, 240
LOOKAHEAD_MS = 18.5
LATE = int(RATE_OUT * LOOKAHEAD_MS / 1000)    # samples by which the output lags behind the hop that it came with
F0_DELAY_MS = 20                     # how old the pitch of a hop is
SPEAKER = 256
MELS, FFT, WINDOW, FLOOR = 80, 512, 400, 1e-10
# The same, as contracts tell it.
MEL = {'n_fft': FFT, 'window': WINDOW, 'hop': HOP_IN, 'bands': MELS, 'fmin': 0, 'fmax': RATE_IN / 2, 'floor': FLOOR, 'scale': 'slaney'}
SILENT = 0.5 * math.log(FLOOR * MELS)       # the level of nothing at all
BANDS, TAPS, FILTER_FFT = 64, 512, 1024
LOW, NEXT = 6, 4                     # bands below about 220 Hz, and from there to 410 Hz
TOP_HZ = 11500.0                     # no harmonic above this
STEPS = 4                            # gains of each excitation within a hop: bursts are shorter than 10 ms


def slaney_mel(rate=RATE_IN, fft=FFT, bands=MELS, fmin=0.0, fmax=8000.0):
    """Slaney's mel filter bank with area normalisation, [bands, fft/2+1]; the formula of the Auditory Toolbox."""
    def to_mel(f):
        f = np.asarray(f, float)
        return np.where(f < 1000, f / (200 / 3), 15 + np.log(np.maximum(f, 1e-9) / 1000) / (math.log(6.4) / 27))

    def to_hz(m):
        return np.where(m < 15, m * (200 / 3), 1000 * np.exp((m - 15) * (math.log(6.4) / 27)))
    edges = to_hz(np.linspace(to_mel(fmin), to_mel(fmax), bands + 2))
    bins = np.linspace(0, rate / 2, fft // 2 + 1)
    up = (bins[None] - edges[:-2, None]) / (edges[1:-1] - edges[:-2])[:, None]
    down = (edges[2:, None] - bins[None]) / (edges[2:] - edges[1:-1])[:, None]
    return (np.maximum(0, np.minimum(up, down)) * (2 / (edges[2:] - edges[:-2]))[:, None]).astype(np.float32)


def log_mel(audio, change=None):
    """[B, n] at 16 kHz -> [B, MELS, n/HOP_IN]. Frame t sees the last WINDOW samples of hop t.
    change is given their power spectra, [B, frames, bins], and gives others."""
    x = F.pad(audio, (WINDOW - HOP_IN, 0)).unfold(1, WINDOW, HOP_IN)
    window = torch.hann_window(WINDOW, periodic=True, device=audio.device)
    power = torch.fft.rfft(x * window, FFT).abs().square()
    if change is not None:
        power = change(power)
    return torch.log(torch.clamp(power @ mel_bank(audio.device).T, min=FLOOR)).transpose(1, 2)


@lru_cache
def mel_bank(device):
    return torch.from_numpy(slaney_mel()).to(device)


class Block(nn.Module):
    """Depthwise causal convolution, then a two-layer perceptron, with a skip around both."""
    def __init__(self, width, kernel, dilation, expand=2):
        super().__init__()
        self.kernel, self.dilation, self.history = kernel, dilation, (kernel - 1) * dilation
        self.taps = nn.Parameter(torch.randn(width, kernel) / math.sqrt(kernel))
        self.bias = nn.Parameter(torch.zeros(width))
        self.norm = nn.LayerNorm(width)
        self.up, self.down = nn.Linear(width, expand * width), nn.Linear(expand * width, width)
        nn.init.normal_(self.down.weight, std=0.02)

    def mix(self, x, y):
        return x + self.down(F.relu(self.up(self.norm(y))).square())

    def forward(self, x):                                                       # B, T, C
        y = F.conv1d(F.pad(x.transpose(1, 2), (self.history, 0)), self.taps[:, None], self.bias,
                     dilation=self.dilation, groups=x.shape[2]).transpose(1, 2)
        return self.mix(x, y)


def filter_matrices():
    """Constants that turn band levels into filters: bands -> (log magnitude, minimum phase), spectrum -> taps."""
    bins = FILTER_FFT // 2 + 1
    mel = lambda f: 2595 * np.log10(1 + np.asarray(f) / 700)
    at = mel(np.linspace(0, RATE_OUT / 2, bins)) / mel(RATE_OUT / 2) * (BANDS - 1)
    hat = np.maximum(0, 1 - np.abs(at[None] - np.arange(BANDS)[:, None]))       # BANDS, bins
    cepstrum = np.fft.irfft(hat, FILTER_FFT)
    fold = np.zeros(FILTER_FFT)
    fold[0] = fold[FILTER_FFT // 2] = 1
    fold[1:FILTER_FFT // 2] = 2
    phase = np.fft.rfft(cepstrum * fold).imag                                   # linear in the log magnitude
    basis = np.eye(bins)
    fade = np.ones(TAPS)
    fade[-128:] = 0.5 + 0.5 * np.cos(np.pi * (np.arange(128) + 0.5) / 128)
    inverse = np.concatenate([np.fft.irfft(basis, FILTER_FFT)[:, :TAPS], np.fft.irfft(1j * basis, FILTER_FFT)[:, :TAPS]]) * fade
    return [torch.from_numpy(m.astype(np.float32)) for m in (hat, phase, inverse)]


def pulses(phase, f0):
    """Band-limited pulse train: the sum of cos(2 pi k phase) for all k with k f0 < TOP_HZ, scaled to about unit power.
    Closed form of the Dirichlet kernel, so two sines a sample instead of one a harmonic."""
    k = torch.floor(TOP_HZ / f0)
    p = phase - torch.floor(phase + 0.5)                                        # [-0.5, 0.5): small angles near the pulse
    low = torch.sin(math.pi * p)
    near = low.abs() < 1e-5
    ratio = torch.sin((2 * k + 1) * math.pi * p) / torch.where(near, 1.0, low)
    return (torch.where(near, 2 * k + 1, ratio) - 1) * torch.sqrt(f0 / RATE_OUT)


class Voice(nn.Module):
    def __init__(self, width=256, content=96, encoder=(1, 2, 4, 8, 1, 2, 4, 8), decoder=(1, 2, 4, 1, 2), kernel=5):
        super().__init__()
        self.width, self.content = width, content
        self.read = nn.Linear(MELS + 1, width)
        self.encoder = nn.ModuleList(Block(width, kernel, d) for d in encoder)
        self.narrow = nn.Linear(width, content)
        self.teacher = nn.Linear(content, 512)                                  # training only
        self.enter = nn.Linear(content + 3, width)
        self.speak = nn.Sequential(nn.Linear(SPEAKER, width), nn.GELU(), nn.Linear(width, width))
        self.decoder = nn.ModuleList(Block(width, kernel, d) for d in decoder)
        self.leave = nn.Sequential(nn.LayerNorm(width), nn.Linear(width, 2 * BANDS + 2 * STEPS))
        for name, m in zip(('hat', 'phase', 'inverse'), filter_matrices()):
            self.register_buffer(name, m, persistent=False)
        fade = (torch.arange(HOP_OUT) + 1) / HOP_OUT
        self.register_buffer('fade', fade, persistent=False)
        self.register_buffer('even', fade * (HOP_OUT / RATE_OUT), persistent=False)   # sums over the hop of 1 and of fade, exact at any length
        self.register_buffer('rising', torch.cumsum(fade.double(), 0).float() / RATE_OUT, persistent=False)
        at = fade * STEPS                                                       # straight lines from gain to gain, the first from the last hop's
        self.register_buffer('lines', torch.clamp(1 - (at[None] - torch.arange(STEPS + 1)[:, None]).abs(), min=0), persistent=False)

    # ---- pieces shared by whole clips and hops

    def level(self, mel):                                                       # ..., MELS -> ..., 1: log amplitude
        return 0.5 * torch.logsumexp(mel, -1, keepdim=True)

    def look(self, mel, level):
        return torch.cat([(mel - 2 * level) * 0.25 + 1.5, level * 0.25 + 0.5], -1)

    def squeeze(self, x):
        return F.layer_norm(self.narrow(x), (self.content,))

    def condition(self, content, speaker, f0, level):
        voiced = (f0 > 0).to(f0.dtype)
        tone = torch.log(torch.clamp(f0, min=40.0)) - 5.0
        return self.enter(torch.cat([content, voiced, tone * voiced, level * 0.25 + 0.5], -1)) + self.speak(speaker)

    def filters(self, x, level, f0):                                            # ..., C -> taps ..., 2, TAPS and gains ..., 2, STEPS
        bands, gains = torch.split(self.leave(x), [2 * BANDS, 2 * STEPS], -1)
        gains = 1 + torch.tanh(gains.unflatten(-1, (2, STEPS)))
        bands = bands.unflatten(-1, (2, BANDS)) + (level.unsqueeze(-1) - 2.0)
        # Below the lowest pitch that a voice was heard at, nothing was learnt: there the pulse filter may not fall off,
        # or a speaker who goes lower loses the fundamental and seems to jump an octave or two up.
        tone, breath = bands.unbind(-2)
        tone = torch.cat([torch.maximum(tone[..., :LOW], self.floor(tone, f0)), tone[..., LOW:]], -1)
        bands = torch.stack([tone, breath], -2)
        size, angle = torch.exp(torch.clamp(bands @ self.hat, -14.0, 6.0)), bands @ self.phase
        return torch.cat([size * torch.cos(angle), size * torch.sin(angle)], -1) @ self.inverse, gains

    def floor(self, tone, f0):
        """The least that the lowest bands of the pulse filter may be: a neper below the next one. At a deep voice's pitches, where they hold the
        fundamental and little else, also what the loudest of the next is at 80 Hz, and 0.03 nepers less for every hertz above."""
        deep = tone[..., LOW:LOW + NEXT].amax(-1, keepdim=True) - 0.03 * torch.clamp(f0 - 80.0, min=0.0)
        return torch.maximum(tone[..., LOW:LOW + 1] - 1.0, deep)

    # ---- whole clips

    def encode(self, mel):
        """[B, MELS, T] -> content [B, T, content], level [B, T, 1]"""
        mel = mel.transpose(1, 2)
        level = self.level(mel)
        x = self.read(self.look(mel, level))
        for b in self.encoder:
            x = b(x)
        return self.squeeze(x), level

    def forward(self, mel, f0, speaker, noise, start=None):
        """mel [B, MELS, T], f0 [B, T] Hz at the end of each output hop, speaker [B, S], noise [B, T*HOP_OUT]
        -> audio [B, T*HOP_OUT], content [B, T, content]"""
        content, level = self.encode(mel)
        late = F.pad(level[:, :-1], (0, 0, 1, 0), value=SILENT)
        x = self.condition(content, speaker[:, None], f0[..., None], late)
        for b in self.decoder:
            x = b(x)
        return self.synthesise(*self.filters(x, late, f0[..., None]), f0, noise, start), content

    def synthesise(self, taps, gains, f0, noise, start=None):
        before = F.pad(f0[:, :-1], (1, 0))
        wave, turn, gain = self.glide(before[..., None], f0[..., None])         # B, T, HOP
        begin = F.pad(torch.cumsum(turn[:, :-1, -1].double(), 1), (1, 0))
        if start is not None:
            begin = begin + start[:, None]
        phase = (begin - torch.floor(begin)).float()[..., None] + turn
        last = F.pad(gains[:, :-1, :, -1:], (0, 0, 0, 0, 1, 0))                  # B, T, 2, 1
        shape = (torch.cat([last, gains], -1) @ self.lines).transpose(1, 2).flatten(2)
        source = torch.stack([(pulses(phase, wave) * gain).flatten(1), noise], 1) * shape   # B, 2, n
        past = F.pad(source, (TAPS, 0)).unfold(2, TAPS + HOP_OUT, HOP_OUT)      # B, 2, T, TAPS+HOP
        spectrum = torch.fft.rfft(past, FILTER_FFT).transpose(1, 2)             # B, T, 2, bins
        now = torch.fft.rfft(taps, FILTER_FFT)
        old = F.pad(now[:, :-1], (0, 0, 0, 0, 1, 0))
        tail = lambda h: torch.fft.irfft((spectrum * h).sum(2), FILTER_FFT)[..., TAPS:TAPS + HOP_OUT]
        return (tail(now) * self.fade + tail(old) * (1 - self.fade)).flatten(1)

    def glide(self, before, now):
        """Frequency (Hz), phase since the hop's beginning (turns) and amplitude of the pulse train, from the pitch at its two ends."""
        both = (before > 0) & (now > 0)
        one = torch.clamp(torch.maximum(before, now), min=40.0)
        first, change = torch.where(both, before, one), torch.where(both, now - before, 0.0)
        on, was = (now > 0).to(now.dtype), (before > 0).to(now.dtype)
        return first + change * self.fade, first * self.even + change * self.rising, was + (on - was) * self.fade
