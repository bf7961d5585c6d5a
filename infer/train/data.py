"""Training material, held whole in the device's memory and cut at random.

Pairs: aligned renderings of one text (synthesize.py). Real: LibriSpeech train-clean-100 speakers, each their own target
(real.py), so that the encoder meets microphones, rooms and people that no synthesiser has.
"""
from dataclasses import dataclass
from functools import lru_cache
from pathlib import Path

import numpy as np
import torch
import torch.nn.functional as F
from torchaudio.transforms import Resample

from voice import F0_DELAY_MS, FFT, FLOOR, HOP_OUT, LATE, RATE_IN, RATE_OUT
from whisper import LANGUAGES

OLD = F0_DELAY_MS // 10              # hops
LEVEL = 0.07                         # root mean square at which speakers are compared


def down(audio):
    return resampler(audio.device)(audio)


@lru_cache
def resampler(device):
    return Resample(RATE_OUT, RATE_IN, lowpass_filter_width=24).to(device)


@dataclass
class Crops:
    source: torch.Tensor    # [B, n] at 24 kHz
    target: torch.Tensor    # [B, n] the same words by another speaker, as late as the voice will be
    f0: torch.Tensor        # [B, hops] Hz, the target's, as old as the voice will hear it
    speaker: torch.Tensor   # [B, 256] the target's embedding
    home: torch.Tensor      # [B] the target's median pitch, Hz
    content: torch.Tensor   # [B, hops, 512] the teacher's features at the time of each output hop
    language: torch.Tensor  # [B] the teacher's number of it


class Material:
    """rows int16 [R, n] at 24 kHz, f0 [R, n/240], who [R, utterances] (number of a built-in voice or -1), where utterances start
    (hops), in what language they are (English unless said otherwise), and what teacher and ge2e make of them."""
    def __init__(self, rows, f0, who, starts, device, languages=None):
        self.rows = torch.from_numpy(rows).to(device)
        self.f0 = torch.from_numpy(f0).to(device)
        self.who = torch.from_numpy(who).to(device)
        self.starts = torch.from_numpy(starts).to(device)
        self.language = torch.tensor([LANGUAGES[name] for name in languages or ['en'] * len(starts)], device=device)
        self.hops = rows.shape[1] // HOP_OUT
        self.ends = torch.cat([self.starts[1:], torch.tensor([self.hops], device=device)])
        voiced = [[f[f > 0] for f in np.split(row, starts[1:])] for row in f0]
        self.home = torch.tensor([[float(np.median(f)) if len(f) else 0.0 for f in row] for row in voiced], device=device)

    def teach(self, teacher, seconds=12):
        "The teacher's features of row 0, 50 a second: what every row says."
        parts, n = [], seconds * RATE_OUT
        for at in range(0, self.rows.shape[1], n):
            audio = down(self.rows[:1, at:at + n].float() / 32768)
            audio = F.pad(audio, (0, -audio.shape[1] % 320))
            with torch.no_grad():
                parts.append(teacher(audio)[-1][0].half())
        self.content = torch.cat(parts)

    @torch.no_grad()
    def listen(self, ge2e, parts=3, span=1.7):
        "The embedding of every utterance, from a few places in it."
        n, embeddings = int(span * RATE_OUT), []
        where = torch.linspace(0, 1, parts, device=self.rows.device)
        room = (self.ends - self.starts) * HOP_OUT - n
        at = (self.starts * HOP_OUT)[:, None] + (room.clamp(min=0)[:, None] * where).long()
        at = at.clamp(max=self.rows.shape[1] - n).flatten()
        for row in self.rows:
            made = []
            for piece in at.split(256):
                audio = row[piece[:, None] + torch.arange(n, device=row.device)].float() / 32768
                made.append(ge2e(down(audio)))
            embeddings.append(F.normalize(torch.cat(made).view(len(self.starts), parts, -1).mean(1), dim=1))
        self.speaker = torch.stack(embeddings)                                  # R, utterances, 256

    def cut(self, count, hops, rows=None, same=False):
        "Random crops; rows [R]: how likely each row is as a target. same: the source is the target itself."
        device = self.rows.device
        at = torch.randint(OLD + 1, self.hops - hops - 1, (count,), device=device)
        odds = torch.ones(len(self.rows), device=device) if rows is None else rows
        target = torch.searchsorted(odds.cumsum(0)[:-1] / odds.sum(), torch.rand(count, device=device))
        source = target if same else torch.randint(len(self.rows), (count,), device=device)
        n = torch.arange(hops * HOP_OUT, device=device)
        take = lambda row, late: self.rows[row[:, None], (at * HOP_OUT - late)[:, None] + n].float() / 32768
        hop = at[:, None] + torch.arange(hops, device=device)
        utterance = torch.searchsorted(self.starts, at + hops // 2, right=True) - 1
        when = (hop.float() + 1 - LATE / HOP_OUT) * 0.5 - 0.5                    # teacher frame j is centred at 20 j + 10 ms
        low = when.floor().clamp(0, len(self.content) - 2)
        mix = (when - low).clamp(0, 1)[..., None]
        low = low.long()
        content = self.content[low].float() * (1 - mix) + self.content[low + 1].float() * mix
        return Crops(take(source, 0), take(target, LATE), self.f0[target[:, None], hop + 1 - OLD], self.speaker[target, utterance],
                     self.home[target, utterance], content, self.language[utterance])


def load_pairs(folder, device):
    utterances = []
    for path in sorted(Path(folder).glob('*.npz')):
        z = np.load(path)
        utterances += [(z[f't{i}'], z[f'a{i}'], z[f'f{i}'], str(z[f'l{i}'])) for i in range(int(z['count']))]
    utterances.sort(key=lambda u: (int(u[0][0]), int(u[0][1])))                 # so that crops rarely change target
    who, audio, f0, languages = zip(*utterances)
    return join(audio, f0, np.stack(who, 1), device, languages)


def load_real(path, device):
    z = np.load(path)
    count = int(z['count'])
    return join([z[f'a{i}'][None] for i in range(count)], [z[f'f{i}'][None] for i in range(count)], np.full((1, count), -1), device)


def join(rows, f0, who, device, languages=None):
    starts = np.cumsum([0] + [f.shape[1] for f in f0[:-1]])
    return Material(np.concatenate(rows, 1), np.concatenate(f0, 1).astype(np.float32), who.astype(np.int64), starts.astype(np.int64), device, languages)


def centroids(material, count):
    "-> [count, 256]: each built-in voice's embedding over all that it says; its utterances then carry it too, three times in four."
    kept = []
    for i in range(count):
        mine = material.who == i
        kept.append(F.normalize(material.speaker[mine].mean(0), dim=0) if mine.any() else torch.zeros(256, device=mine.device))
        typical = mine & (torch.rand(mine.shape, device=mine.device) < 0.75)
        material.speaker[typical] = kept[-1]
    return torch.stack(kept)


# ---- what happens to a voice on its way to the program

def coloured(shape, device, tilt):
    "Noise of unit power whose spectrum falls with frequency to the power of tilt [B, 1]."
    n = shape[1]
    spectrum = torch.fft.rfft(torch.randn(shape, device=device))
    f = torch.linspace(0, 1, spectrum.shape[1], device=device).clamp(min=1 / 400)
    noise = torch.fft.irfft(spectrum * f[None] ** (-tilt), n)
    return noise / noise.square().mean(1, keepdim=True).sqrt()


def room(audio, rate):
    "Convolves with exponentially decaying noise: 0.1 to 0.5 s of reverberation, direct sound 0 to 15 dB above it."
    batch, n = audio.shape
    t = torch.arange(int(0.5 * rate), device=audio.device) / rate
    decay = 6.9 / (0.1 + 0.4 * torch.rand(batch, 1, device=audio.device))
    tail = torch.randn(batch, len(t), device=audio.device) * torch.exp(-decay * t)
    tail = tail / tail.square().sum(1, keepdim=True).sqrt() * 10 ** (-torch.rand(batch, 1, device=audio.device) * 15 / 20)
    tail[:, 0] = 1
    size = 1 << (n + len(t)).bit_length()
    return torch.fft.irfft(torch.fft.rfft(audio, size) * torch.fft.rfft(tail, size), size)[:, :n]


def microphone(audio):
    "A smooth random frequency response, now and then without highs or lows."
    batch, n = audio.shape
    bins = n // 2 + 1
    knots = torch.randn(batch, 1, 9, device=audio.device) * 4
    curve = torch.nn.functional.interpolate(knots, bins, mode='linear', align_corners=True)[:, 0]
    f = torch.linspace(0, 8000, bins, device=audio.device)[None]
    cut = lambda p, lo, hi: torch.where(torch.rand(batch, 1, device=audio.device) < p, lo + (hi - lo) * torch.rand(batch, 1, device=audio.device), torch.full((batch, 1), -1.0, device=audio.device))
    top, bottom = cut(0.15, 3300, 7500), cut(0.3, 60, 300)
    curve = torch.where((top > 0) & (f > top), curve - 40, curve)
    curve = torch.where((bottom > 0) & (f < bottom), curve - 30, curve)
    return torch.fft.irfft(torch.fft.rfft(audio) * 10 ** (curve / 20), n)


def some(batch, p, device):
    return torch.rand(batch, 1, device=device) < p


def chords(shape, device, notes=4, partials=6):
    "Music of unit power, more or less: notes that change together every 0.2 to 1 s, each struck and dying away."
    batch, n = shape
    t = torch.arange(n, device=device) / RATE_IN
    beat = t / torch.empty(batch, 1, device=device).uniform_(0.2, 1.0) + torch.rand(batch, 1, device=device)
    key = torch.randint(36, 85, (batch, notes, int(n / RATE_IN / 0.2) + 3), device=device)
    hz = 440 * 2 ** ((key.gather(2, beat.long()[:, None].expand(-1, notes, -1)) - 69) / 12)
    phase = 2 * torch.pi * (torch.cumsum(hz.double() / RATE_IN, 2) % 1).float()
    falls = torch.rand(batch, 1, 1, device=device) * 1.5                       # how fast higher partials weaken
    tone = sum(torch.sin(k * phase) * k ** -falls * (k * hz < RATE_IN / 2) for k in range(1, partials + 1)).sum(1)
    music = tone * torch.exp(-torch.empty(batch, 1, device=device).uniform_(0.3, 6) * (beat % 1))
    return music / (music.square().mean(1, keepdim=True).sqrt() + 1e-5)


def crowd(audio, people=3):
    "Others of the batch talking at once, at unit power."
    babble = sum(audio.roll(k, 0) for k in range(1, people + 1))
    return babble / (babble.square().mean(1, keepdim=True).sqrt() + 1e-5)


def swelling(x):
    "Now loud, now quiet, as traffic and crowds of a game are: up to 12 dB either way, over a quarter of a second or more."
    knots = torch.empty(len(x), 1, max(2, x.shape[1] * 4 // RATE_IN), device=x.device).uniform_(-12, 12)
    return x * 10 ** (F.interpolate(knots, x.shape[1], mode='linear')[:, 0] / 20)


def around(audio):
    "What is heard beside a voice: noise of any colour, steady or not, music, or people."
    batch, device = audio.shape[0], audio.device
    noise = coloured(audio.shape, device, torch.rand(batch, 1, device=device) * 1.2)
    noise = torch.where(some(batch, 0.4, device), swelling(noise), noise)
    noise = torch.where(some(batch, 0.25, device), chords(audio.shape, device), noise)
    return torch.where(some(batch, 0.2, device), crowd(audio), noise)


def coarse(audio):
    "What codecs and converters of few bits leave: noise that is loud while the voice is loud, 6 to 26 dB below it."
    loud = F.avg_pool1d(F.pad(audio.square()[:, None], (63, 64), mode='reflect'), 128, 1)[:, 0].sqrt()
    noise = coloured(audio.shape, audio.device, torch.rand(len(audio), 1, device=audio.device) * 0.4)
    return audio + loud * noise * 10 ** (-(6 + 20 * torch.rand(len(audio), 1, device=audio.device)) / 20)


def sparse(audio, fft=512):
    "What codecs of few bits a second leave out: whatever is 0 to 15 dB weaker than what is around it in the spectrum."
    window = torch.hann_window(fft, device=audio.device)
    spectrum = torch.stft(audio, fft, fft // 4, window=window, return_complex=True)
    power = spectrum.abs().square()
    around = F.avg_pool1d(power.transpose(1, 2).flatten(0, 1)[:, None], 17, 1, 8)[:, 0].view(*power.transpose(1, 2).shape).transpose(1, 2)
    weak = power < around * 10 ** (-1.5 * torch.rand(len(audio), 1, 1, device=audio.device))
    frames = torch.fft.irfft(spectrum.masked_fill(weak, 0), fft, dim=1) * window[:, None] / 1.5    # four squared windows add up to that
    size = (frames.shape[2] - 1) * (fft // 4) + fft
    return F.fold(frames, (1, size), (1, fft), stride=(1, fft // 4))[:, 0, 0, fft // 2:fft // 2 + audio.shape[1]]


def weather(audio):
    "audio [B, n] at 16 kHz -> as a stranger's microphone hears it"
    batch, device = audio.shape[0], audio.device
    x = torch.where(some(batch, 0.3, device), room(audio, RATE_IN), audio)
    x = torch.where(some(batch, 0.6, device), microphone(x), x)
    power = x.square().mean(1, keepdim=True).sqrt() + 1e-5
    snr = 3 + 37 * torch.rand(batch, 1, device=device)
    x = torch.where(some(batch, 0.65, device), x + around(audio) * power * 10 ** (-snr / 20), x)
    x = torch.where(some(batch, 0.05, device), torch.clamp(x, -2 * power, 2 * power), x)
    x = torch.where(some(batch, 0.2, device), coarse(x), x)
    return torch.where(some(batch, 0.2, device), sparse(x), x)


# ---- whom the program hears, and at what pitch it takes them to be

def warped(power, factor):
    "Power spectra [B, T, bins] with every frequency times factor [B]: another vocal tract, another pitch, the same words."
    bins = torch.arange(power.shape[-1], device=power.device)
    return read_at(power, bins / factor[:, None])


def read_at(spectra, at):
    "spectra [B, T, bins] read at [B, bins], between two of them in a straight line; nothing beyond the last"
    last = spectra.shape[-1] - 1
    low = at.long().clamp(max=last - 1)
    mix = (at - low).clamp(0, 1)[:, None]
    take = lambda i: spectra.gather(2, i[:, None].expand(-1, spectra.shape[1], -1))
    return (take(low) * (1 - mix) + take(low + 1) * mix) * (at < last)[:, None]


@lru_cache
def lifter(device):
    "Keeps of a cepstrum what the vocal tract makes: all below 1.25 ms, less and less up to 2.5 ms."
    at = torch.arange(FFT, device=device)
    return 0.5 + 0.5 * torch.cos(torch.pi * ((torch.minimum(at, FFT - at) - 20) / 20).clamp(0, 1))


def disguise(power):
    """Power spectra [B, T, bins] of somebody -> of somebody else who says the same as loudly: all frequencies moved, for most also formants
    apart from each other and from the pitch, resonances sharper or blunter, the voice clearer or hoarser. Every fourth stays who they are."""
    batch, bins, device = len(power), power.shape[-1], power.device
    apart = some(batch, 0.6, device).float()
    about = lambda reach: torch.empty(batch, 1, device=device).uniform_(-reach, reach)
    logs = torch.log(power.clamp(min=FLOOR))
    cepstra = torch.fft.irfft(logs, FFT)
    tract, mean = torch.fft.rfft(cepstra * lifter(device)).real, cepstra[..., :1]
    cords = logs - tract
    size = about(0.23)
    bend = F.interpolate(0.05 * torch.randn(batch, 1, 6, device=device), bins, mode='linear', align_corners=True)[:, 0]
    at = torch.arange(bins, device=device)
    there = at * torch.exp(-size - bend * apart)
    tract = read_at(mean + (tract - mean) * (1 + apart * about(0.25))[..., None], there)
    cords = read_at(cords, at * torch.exp(-size - apart * about(0.35))) * (1 + apart * (about(0.45) - 0.15))[..., None]
    other = torch.exp(tract + cords) * (there < bins - 1)[:, None]
    other = other * (power.sum(2, keepdim=True) / other.sum(2, keepdim=True).clamp(min=FLOOR))
    return torch.where(some(batch, 0.25, device)[..., None], power, other)


def bursts(shape, share, device):
    "where something happens for 1, 3 or 9 hops at a time: each the given share [B, 1] of them, more or less"
    begins = lambda n: (torch.rand(shape, device=device) < share / n).float()[:, None]
    return sum(F.max_pool1d(begins(n), n, 1, n // 2)[:, 0] for n in (1, 3, 9)) > 0


def misheard(f0):
    """Pitch [B, hops] as a tracker has it where it is noisy. In `weather` the program's own misses 8 % of what is voiced and takes 2.5 % of
    the rest for voiced, mostly for one to six hops. Half of the crops are heard rightly."""
    batch, device = len(f0), f0.device
    share = 0.04 * torch.rand(batch, 1, device=device) * some(batch, 0.5, device)
    near = F.max_pool1d(f0[:, None], 17, 1, 8)[:, 0]
    near = torch.where(near > 0, near, f0.amax(1, keepdim=True))
    heard = torch.where((f0 == 0) & bursts(f0.shape, share / 2, device), near, f0)
    return torch.where((f0 > 0) & bursts(f0.shape, share, device), 0, heard)
