"""Trains the voice.

    python3 train.py --pairs DIR --real REAL.npz --teacher WHISPER.npz --out DIR --seconds 500 [--gan-from 0.6]

Resumes from OUT/checkpoint.pt; stops after --seconds of wall time or at --steps. --total is the planned length of the whole
training in seconds over all resumed calls: the learning rate and the adversarial phase follow it.
"""
import argparse
import json
import math
import time
from pathlib import Path

import torch
import torch.nn as nn
import torch.nn.functional as F

from data import down, load_pairs, load_real, weather
from voice import HOP_OUT, RATE_OUT, Voice, log_mel
from whisper import Teacher

WARM = 30                            # hops at the start of a crop that no loss sees: the encoder is still filling


def spectrogram(audio, fft):
    window = torch.hann_window(fft, device=audio.device)
    return torch.stft(audio, fft, fft // 4, window=window, return_complex=True).abs()


def spectral_loss(made, target, narrow):
    """Multi-resolution distance of magnitudes: log and linear. narrow [B]: target has nothing above 7.6 kHz."""
    total = 0
    for fft in (2048, 1024, 512, 256, 128):
        a, b = spectrogram(made, fft), spectrogram(target, fft)
        f = torch.arange(a.shape[1], device=a.device) * RATE_OUT / fft
        keep = ((f[None] < 7600) | ~narrow[:, None]).float()[..., None]
        floor = fft ** 0.5 * 1e-3
        logs = (torch.log(a + floor) - torch.log(b + floor)).abs() * keep
        linear = ((a - b) * keep).square().sum((1, 2)).sqrt() / ((b * keep).square().sum((1, 2)).sqrt() + floor * 10)
        total = total + logs.mean() + 0.5 * linear.mean()
    return total / 5


class Critic(nn.Module):
    "Looks at log spectrograms of one resolution and says, patch by patch, how real they are."
    def __init__(self, fft):
        super().__init__()
        self.fft = fft
        w = nn.utils.parametrizations.weight_norm
        self.layers = nn.ModuleList([w(nn.Conv2d(1, 32, (9, 3), (2, 1), (4, 1))), w(nn.Conv2d(32, 48, (9, 3), (2, 2), (4, 1))),
                                     w(nn.Conv2d(48, 64, (7, 3), (2, 2), (3, 1))), w(nn.Conv2d(64, 64, (5, 3), (2, 1), (2, 1)))])
        self.last = w(nn.Conv2d(64, 1, 3, padding=1))

    def forward(self, audio):
        x, seen = torch.log(spectrogram(audio, self.fft) + 1e-2)[:, None] * 0.5, []
        for layer in self.layers:
            x = F.leaky_relu(layer(x), 0.1)
            seen.append(x)
        return self.last(x), seen


class Trainer:
    def __init__(self, args):
        self.args, self.device = args, torch.device('cuda' if torch.cuda.is_available() else 'cpu')
        torch.backends.cuda.matmul.allow_tf32 = torch.backends.cudnn.allow_tf32 = True
        torch.backends.cudnn.benchmark = True
        teacher = Teacher(args.teacher, self.device)
        self.pairs, self.real = load_pairs(args.pairs, self.device), load_real(args.real, self.device)
        for m in (self.pairs, self.real):
            m.teach(teacher)
        print(f'pairs {self.pairs.hops / 6000:.1f} min x {len(self.pairs.rows)}, real {self.real.hops / 6000:.1f} min', flush=True)
        self.voice = Voice().to(self.device)
        self.critics = nn.ModuleList(Critic(n) for n in (2048, 1024, 512)).to(self.device)
        self.opt = torch.optim.AdamW(self.voice.parameters(), lr=args.rate, betas=(0.9, 0.98), weight_decay=0.01)
        self.judge = torch.optim.AdamW(self.critics.parameters(), lr=2e-4, betas=(0.8, 0.99))
        self.mean = {k: v.detach().clone() for k, v in self.voice.state_dict().items()}
        self.step, self.spent = 0, 0.0
        self.path = Path(args.out) / 'checkpoint.pt'
        if self.path.exists():
            c = torch.load(self.path, map_location=self.device)
            self.voice.load_state_dict(c['voice']), self.critics.load_state_dict(c['critics'])
            self.opt.load_state_dict(c['opt']), self.judge.load_state_dict(c['judge'])
            self.mean, self.step, self.spent = c['mean'], c['step'], c['spent']
            print(f'resumed at step {self.step}', flush=True)

    def batch(self):
        a = self.args
        parts = [m.cut(n, a.hops) for m, n in ((self.pairs, a.batch * 3 // 4), (self.real, a.batch - a.batch * 3 // 4))]
        source, target, f0, who, content = (torch.cat(x) for x in zip(*parts))
        narrow = torch.arange(len(who), device=self.device) >= a.batch * 3 // 4
        gain = 10 ** (torch.empty(len(who), 1, device=self.device).uniform_(-30, 6) / 20)
        warp = torch.exp(torch.empty(len(who), device=self.device).uniform_(-0.2, 0.2))
        warp = torch.where(torch.rand_like(warp) < 0.25, torch.ones_like(warp), warp)
        mel = log_mel(weather(down(source)) * gain, warp)
        wobble = torch.exp(0.004 * torch.randn(len(who), 1, device=self.device))
        return mel, f0 * wobble, who, content, target, gain, narrow

    def learn(self, progress):
        a = self.args
        mel, f0, who, content, target, gain, narrow = self.batch()
        noise, start = torch.randn(len(who), a.hops * HOP_OUT, device=self.device), torch.rand(len(who), device=self.device, dtype=torch.float64)
        made, read = self.voice(mel, f0, self.voice.speakers(who), noise, start)
        made, target = (made / gain)[:, WARM * HOP_OUT:], target[:, WARM * HOP_OUT:]
        taught = self.voice.teacher(read)
        losses = {'spectral': spectral_loss(made, target, narrow), 'content': (1 - F.cosine_similarity(taught, content, dim=2))[:, WARM:].mean()}
        loss = losses['spectral'] + a.content * losses['content']
        if progress >= a.gan_from:
            clean = ~narrow                                                     # the critics learn wide-band, clean speech
            real, fake = target[clean], made[clean]
            cost = 0
            for c in self.critics:
                cost = cost + (c(real)[0] - 1).square().mean() + c(fake.detach())[0].square().mean()
            self.judge.zero_grad(set_to_none=True)
            cost.backward()
            self.judge.step()
            like = match = 0
            for c in self.critics:
                (score, seen), (_, truth) = c(fake), c(real)
                like = like + (score - 1).square().mean()
                match = match + sum((s - t.detach()).abs().mean() for s, t in zip(seen, truth))
            losses |= {'critics': cost, 'like': like, 'match': match}
            loss = loss + a.adversary * min(1.0, (progress - a.gan_from) * 20) * (like + 2 * match)
        self.opt.zero_grad(set_to_none=True)
        loss.backward()
        norm = nn.utils.clip_grad_norm_(self.voice.parameters(), 2.0)
        if torch.isfinite(norm):
            self.opt.step()
        with torch.no_grad():
            decay = min(0.999, (self.step + 1) / (self.step + 20))
            state = self.voice.state_dict()
            torch._foreach_lerp_([v for k, v in self.mean.items()], [state[k] for k in self.mean], 1 - decay)
        return losses

    def run(self):
        a, begin = self.args, time.time()
        log, sums = open(Path(a.out) / 'log.jsonl', 'a'), {}
        before = self.spent
        while time.time() - begin < a.seconds and self.step < a.steps:
            self.spent = before + time.time() - begin
            progress = max(self.spent / a.total, self.step / a.steps if a.steps < 1e9 else 0)
            for g in self.opt.param_groups:
                g['lr'] = a.rate * min(1, (self.step + 1) / 300) * (0.05 + 0.95 * 0.5 * (1 + math.cos(math.pi * min(1, progress))))
            for k, v in self.learn(progress).items():
                sums.setdefault(k, []).append(v.detach())
            self.step += 1
            if self.step % a.every == 0:
                line = {'step': self.step, 'seconds': round(self.spent, 1), **{k: round(float(torch.stack(v).mean()), 4) for k, v in sums.items()}}
                print(json.dumps(line), flush=True)
                log.write(json.dumps(line) + '\n')
                log.flush()
                sums = {}
            if self.step % (a.every * 10) == 0:
                self.save()
        self.save()

    def save(self):
        torch.save({'voice': self.voice.state_dict(), 'critics': self.critics.state_dict(), 'opt': self.opt.state_dict(), 'judge': self.judge.state_dict(),
                    'mean': self.mean, 'step': self.step, 'spent': self.spent}, self.path.with_suffix('.tmp'))
        self.path.with_suffix('.tmp').replace(self.path)
        torch.save({k: v.half() for k, v in self.mean.items()}, self.path.with_name('voice.pt'))


def main():
    p = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    for name in ('pairs', 'real', 'teacher', 'out'):
        p.add_argument('--' + name, required=True)
    p.add_argument('--seconds', type=float, default=500)
    p.add_argument('--total', type=float, default=500)
    p.add_argument('--steps', type=float, default=1e9)
    p.add_argument('--batch', type=int, default=64)
    p.add_argument('--hops', type=int, default=180)
    p.add_argument('--rate', type=float, default=1e-3)
    p.add_argument('--content', type=float, default=1.0)
    p.add_argument('--adversary', type=float, default=0.05)
    p.add_argument('--gan-from', type=float, default=0.5)
    p.add_argument('--every', type=int, default=100)
    args = p.parse_args()
    Path(args.out).mkdir(parents=True, exist_ok=True)
    Trainer(args).run()


if __name__ == '__main__':
    main()
