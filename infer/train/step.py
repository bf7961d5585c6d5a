"""The voice hop by hop: what `Voice.forward` does to a whole clip, N hops a run, with all state explicit.

    Step(voice, N)(mel [1, MELS, N], f0 [1, N], noise [1, N*HOP_OUT], speaker [1, SPEAKER], state [1, M])
        -> audio [1, N*HOP_OUT], state [1, M]

N is fixed when it is built, and so in each exported graph. However a signal is cut into runs, the same comes out:
only the order in which products are summed differs. `python3 check.py` holds all of it together.

The arithmetic is that of `Voice`, put so that a run costs little: one matrix draws both curves of a filter, a
Fourier transform in two short products its taps, and one product for each source and hop filters it.
"""
import numpy as np
import torch
import torch.nn as nn
import torch.nn.functional as F

from voice import BANDS, FILTER_FFT, HOP_OUT, LOW, MELS, SILENT, STEPS, TAPS, pulses

ROWS, COLUMNS = 17, 32                      # bin k of a filter's spectrum = COLUMNS * row + column
BINS = FILTER_FFT // 2 + 1
BLOCK = 16                                  # samples that one row of the filtering product gives
REACH = TAPS + BLOCK                        # samples that they hear


class Step(nn.Module):
    """The state is rows as wide as the voice: the frames that the blocks will see again, then everything else."""
    def __init__(self, voice, hops):
        super().__init__()
        self.voice, self.hops = voice, hops
        self.blocks = [*voice.encoder, *voice.decoder]
        self.rows, self.total = places(self.blocks), sum(b.history for b in self.blocks)
        rest = [2 * TAPS, 2 * TAPS, 2, 1, 1, 1]                                 # floats: source, taps, gains, level, pitch, phase
        self.sizes = [*rest, -sum(rest) % voice.width]
        self.curves = torch.cat([F.pad(m, (0, ROWS * COLUMNS - BINS)) for m in (voice.hat, voice.phase)], 1)
        self.below = torch.where(torch.arange(2 * BANDS) < LOW, 0.0, -1e9)     # the lowest bands of the pulse filter; nothing else
        self.share, self.inner, self.outer = fourier()
        fade = voice.fade.view(-1, BLOCK)
        self.fades = torch.stack([fade, 1 - fade], 1)                           # rows of a hop; now, old

    def first_state(self):
        return torch.zeros(1, self.total * self.voice.width + sum(self.sizes))

    def forward(self, mel, f0, noise, speaker, state):
        v, hops = self.voice, self.hops
        memory = state.view(-1, v.width)
        past, old, last, late, before, phase, spare = torch.split(state[:, self.total * v.width:], self.sizes, 1)
        frames, f0 = mel.view(MELS, hops).transpose(0, 1), f0.view(hops, 1)
        heard, fed = self.recall(memory), []
        level = v.level(frames)
        x = self.through(v.encoder, v.read(v.look(frames, level)), heard, fed)
        late = self.after(late + SILENT, level, 0)
        x = self.through(v.decoder, v.condition(v.squeeze(x), speaker, f0, late), heard, fed)
        taps, gains = self.filters(x, late, f0)                                   # 2, N, TAPS and 2, N, STEPS
        wave, turn, gain = v.glide(self.after(before, f0, 0), f0)
        begin, phase = self.turns(phase, turn[:, -1:])
        source = torch.stack([pulses(begin + turn, wave) * gain, noise.view(hops, HOP_OUT)])
        ends = gains[:, :, -1:]
        source = source * (torch.cat([self.after(last.view(2, 1, 1), ends, 1), gains], 2) @ v.lines)
        source = torch.cat([past.view(2, TAPS), source.view(2, -1)], 1)
        audio = self.filter(source, taps, self.after(old.view(2, 1, TAPS), taps, 1))
        rest = [source[:, -TAPS:], self.newest(taps, 1), self.newest(ends, 1), self.newest(level, 0) - SILENT, self.newest(f0, 0), phase, torch.zeros_like(spare)]
        return audio, torch.cat([*self.remember(memory, fed), *(r.reshape(1, -1) for r in rest)], 1)

    def after(self, first, x, axis):
        "each hop's predecessor: x a hop later, after the one before the run"
        return first if self.hops == 1 else torch.cat([first, x.narrow(axis, 0, self.hops - 1)], axis)

    def newest(self, x, axis):
        return x if self.hops == 1 else x.narrow(axis, self.hops - 1, 1)

    # ---- the blocks' memory

    def recall(self, memory):
        """What each block remembers; for single hops, what its convolution makes of that, for all blocks in one go."""
        if self.hops > 1:
            return [memory.index_select(0, torch.tensor([row[age] for age in range(b.history, 0, -1)])) for b, row in zip(self.blocks, self.rows)]
        rows = [row[b.history - k * b.dilation] for b, row in zip(self.blocks, self.rows) for k in range(b.kernel - 1)]
        taps = torch.stack([b.taps.T[:-1] for b in self.blocks])
        heard = (memory.index_select(0, torch.tensor(rows)).view(taps.shape) * taps).sum(1) + torch.stack([b.bias for b in self.blocks])
        return heard.split(1)

    def through(self, blocks, x, heard, fed):
        for b in blocks:
            before = heard[len(fed)]
            fed.append(x)
            x = b.mix(x, before + x * b.taps[:, -1] if self.hops == 1 else self.convolve(b, torch.cat([before, x])))
        return x

    def convolve(self, b, frames):
        at = (torch.arange(b.kernel)[:, None] * b.dilation + torch.arange(self.hops)).flatten()
        return (frames.index_select(0, at).view(b.kernel, self.hops, -1) * b.taps.T[:, None]).sum(0) + b.bias

    def remember(self, memory, fed):
        """The newest frames of each block: all age by a run, and those that it was fed are the youngest."""
        keep, hops = {}, self.hops
        for i, (b, row) in enumerate(zip(self.blocks, self.rows)):
            for age in range(1, b.history + 1):
                keep[row[age]] = row[age - hops] if age > hops else len(memory) + (i + 1) * hops - age
        keep = [keep[row] for row in range(self.total)]
        if hops > 1:
            return [torch.cat([memory, *fed]).index_select(0, torch.tensor(keep)).view(1, -1)]
        return [memory.index_select(0, torch.tensor(keep[:-len(fed)])).view(1, -1), *fed]     # the youngest are the last rows

    # ---- sources and filters

    def turns(self, phase, turn):
        """The phase at the beginning of each hop, and after the last. Hop after hop, so that it rounds the same in runs of any length."""
        begin = []
        for t in turn.split(1):
            begin.append(phase)
            end = phase + t
            phase = end - torch.floor(end)
        return torch.cat(begin), phase

    def filters(self, x, level, f0):
        """N, C -> taps 2, N, TAPS, the last first, and gains 2, N, STEPS"""
        bands, gains = torch.split(self.voice.leave(x), [2 * BANDS, 2 * STEPS], -1)
        bands = bands + (level - 2.0)
        bands = torch.maximum(bands, self.voice.floor(bands, f0) + self.below).view(-1, BANDS)
        size, angle = torch.split(bands @ self.curves, ROWS * COLUMNS, 1)
        size = torch.exp(torch.clamp(size, -14.0, 6.0)) * self.share
        spectrum = torch.cat([size * torch.cos(angle), size * torch.sin(angle)], 1).view(-1, 2 * ROWS, COLUMNS)
        part = (self.inner @ spectrum).view(-1, COLUMNS, 2 * COLUMNS).transpose(0, 1)
        taps = (part @ self.outer).view(COLUMNS, -1, 2, TAPS // COLUMNS).permute(2, 1, 3, 0).reshape(2, -1, TAPS)
        gains = 1 + torch.tanh(gains).view(-1, 2, STEPS)
        return taps, self.aside(gains)

    def aside(self, gains):
        "N, 2, STEPS -> 2, N, STEPS"
        return gains.view(2, 1, STEPS) if self.hops == 1 else gains.transpose(0, 1)

    def filter(self, source, taps, old):
        """Each hop of the two sources through its filters, fading from the last hop's to its own; source 2, TAPS + N*HOP_OUT.
        A block of samples times a matrix whose rows are the same taps, each row one sample further on."""
        hops, blocks = self.hops, HOP_OUT // BLOCK
        at = torch.arange(hops * blocks)[:, None] + torch.arange(REACH // BLOCK)
        heard = source.view(2, -1, BLOCK).index_select(1, at.flatten()).view(2, hops, blocks, REACH)
        # Rows of REACH cut from repeats that are one longer: so each begins one later than the row before.
        both = torch.stack([taps, old], 2)
        both = torch.cat([torch.zeros(2, hops, 2, 1), both, torch.zeros(2, hops, 2, BLOCK)], 3)
        rows = both.unsqueeze(3).expand(2, hops, 2, BLOCK, REACH + 1).reshape(2, hops, 2, -1)
        rows = rows[..., :BLOCK * REACH].reshape(2, hops, 2 * BLOCK, REACH)
        sound = (heard @ rows.transpose(2, 3)).sum(0).view(hops, blocks, 2, BLOCK)
        return (sound * self.fades).sum(2).view(1, -1)


class Together(Step):
    """One hop of each of B sessions a run: mel [B, MELS, 1], f0 [B, 1], noise [B, HOP_OUT], speaker [B, SPEAKER], state [B, M].
    What is a row for each hop in `Step` is one for each session here. Nothing in it says what B is."""
    def __init__(self, voice):
        super().__init__(voice, 1)

    def forward(self, mel, f0, noise, speaker, state):
        v, width = self.voice, self.total * self.voice.width
        memory = state[:, :width].reshape(-1, self.total, v.width)
        past, old, last, late, before, phase, spare = torch.split(state[:, width:], self.sizes, 1)
        frames, pair = mel.reshape(-1, MELS), lambda x, n: x.reshape(-1, 2, n).transpose(0, 1)
        heard, fed = self.recall(memory), []
        level = v.level(frames)
        x = self.through(v.encoder, v.read(v.look(frames, level)), heard, fed)
        late = late + SILENT
        x = self.through(v.decoder, v.condition(v.squeeze(x), speaker, f0, late), heard, fed)
        taps, gains = self.filters(x, late, f0)                                   # 2, B, TAPS and 2, B, STEPS
        wave, turn, gain = v.glide(before, f0)
        ends, end = gains[:, :, -1:], phase + turn[:, -1:]
        source = torch.stack([pulses(phase + turn, wave) * gain, noise])
        source = torch.cat([pair(past, TAPS), source * (torch.cat([pair(last, 1), gains], 2) @ v.lines)], 2)
        audio = self.filter(source, taps, pair(old, TAPS))
        row = lambda x, n: x.transpose(0, 1).reshape(-1, 2 * n)
        rest = [row(source[:, :, -TAPS:], TAPS), row(taps, TAPS), row(ends, 1), level - SILENT, f0, end - torch.floor(end), spare]
        return audio, torch.cat([*self.remember(memory, fed), *rest], 1)

    def recall(self, memory):
        rows = [row[b.history - k * b.dilation] for b, row in zip(self.blocks, self.rows) for k in range(b.kernel - 1)]
        taps = torch.stack([b.taps.T[:-1] for b in self.blocks])
        heard = (memory.index_select(1, torch.tensor(rows)).reshape(-1, *taps.shape) * taps).sum(2) + torch.stack([b.bias for b in self.blocks])
        return [x.reshape(-1, self.voice.width) for x in heard.split(1, 1)]

    def remember(self, memory, fed):
        keep = {row[age]: row[age - 1] for row in self.rows for age in row if age > 1}
        keep = [keep[row] for row in range(self.total - len(fed))]
        return [memory.index_select(1, torch.tensor(keep)).reshape(-1, len(keep) * self.voice.width), *fed]

    def aside(self, gains):
        return gains.transpose(0, 1)

    def filter(self, source, taps, old):
        blocks = HOP_OUT // BLOCK
        at = torch.arange(blocks)[:, None] + torch.arange(REACH // BLOCK)
        heard = source.reshape(2, -1, (TAPS + HOP_OUT) // BLOCK, BLOCK).index_select(2, at.flatten()).reshape(2, -1, blocks, REACH)
        rows = F.pad(torch.stack([taps, old], 2), (1, BLOCK)).repeat(1, 1, 1, BLOCK)
        rows = rows[..., :BLOCK * REACH].reshape(2, -1, 2 * BLOCK, REACH)
        sound = (heard @ rows.transpose(2, 3)).sum(0).reshape(-1, blocks, 2, BLOCK)
        return (sound * self.fades).sum(2).reshape(-1, HOP_OUT)


def places(blocks):
    """For each block, age -> row of the frame it was fed that many hops ago. The youngest of all blocks are the last rows."""
    rows, row = [{} for _ in blocks], 0
    for b, of in zip(blocks, rows):
        for age in range(b.history, 1, -1):
            of[age], row = row, row + 1
    for of in rows:
        of[1], row = row, row + 1
    return rows


def fourier():
    """Matrices that turn a spectrum X into taps, the last tap first: tap 32 c + m is the sum over the bins k = 32 a + b of
    Re X[k] e^(2 pi i k (32 c + m) / 1024), whose exponent falls apart into a m / 32 (inner, over a) and
    b m / 1024 + b c / 32 (outer, over b; the fade of the last taps included)."""
    share = np.zeros(ROWS * COLUMNS)                                            # of a bin in the real signal
    share[:BINS] = 2 / FILTER_FFT
    share[[0, BINS - 1]] = 1 / FILTER_FFT
    a, b, c, m = np.arange(ROWS), np.arange(COLUMNS), np.arange(TAPS // COLUMNS)[::-1], np.arange(COLUMNS)[::-1]
    wave = np.exp(2j * np.pi * np.outer(m, a) / COLUMNS)
    inner = np.stack([np.hstack([wave.real, -wave.imag]), np.hstack([wave.imag, wave.real])], 1).reshape(2 * COLUMNS, 2 * ROWS)
    wave = np.exp(2j * np.pi * (np.outer(m, b)[:, :, None] / FILTER_FFT + np.outer(b, c) / COLUMNS))
    fade = np.ones(TAPS)
    fade[-128:] = 0.5 + 0.5 * np.cos(np.pi * (np.arange(128) + 0.5) / 128)
    outer = np.concatenate([wave.real, -wave.imag], 1) * fade[COLUMNS * c + m[:, None]][:, None]
    return [torch.from_numpy(x.astype(np.float32)) for x in (share, inner, outer)]
