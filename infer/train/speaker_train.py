"""Teaches the speaker encoder to say of any microphone's 1.6 s what GE2E says of the clean recording.

    python3 speaker_train.py --pairs build/pairs --real build/real.npz --ge2e build/ge2e.npz --out build/speaker --seconds 240 [--kept LIBRISPEECH]

Resumes from OUT/checkpoint.pt; OUT/student.pt holds the averaged weights. --kept: the folder that real.py read. Its last speakers, whom
real.py leaves out, are then measured: how near a window and a whole utterance come to the teacher's (cosine), through a
strange microphone too, and how often a window's nearest of them is its own speaker.
"""
import argparse
import json
import math
import time
from pathlib import Path

import numpy as np
import soundfile as sf
import torch
import torch.nn as nn
import torch.nn.functional as F
import torchaudio.functional as AF

from data import LEVEL, load_pairs, load_real, weather
from ge2e import GE2E
from speaker import FRAMES, Student
from voice import HOP_IN, HOP_OUT, log_mel

SPAN = FRAMES * HOP_IN               # samples at 16 kHz
SPEEDS = range(16, 26)               # twentieths: 0.8 to 1.25 times as fast, which makes pitch and formants another person's
GROUPS = 8                           # parts of a batch, each at one speed


class Crops:
    "Cuts from within utterances; utterances too short for the fastest speed are passed over."
    def __init__(self, material):
        self.rows, self.starts = material.rows, material.starts
        self.room = (material.ends - self.starts - math.ceil(self.length(SPEEDS[-1]) / HOP_OUT)).clamp(min=0).cumsum(0)

    def length(self, speed):
        return math.ceil((SPAN + 40) * 3 * speed / 40)

    def __call__(self, count, speed):
        "-> [count, SPAN] at 16 kHz"
        device = self.rows.device
        place = torch.randint(int(self.room[-1]), (count,), device=device)
        utterance = torch.searchsorted(self.room, place, right=True)
        hop = self.starts[utterance] + self.room[utterance] - 1 - place
        row = torch.randint(len(self.rows), (count, 1), device=device)
        wide = self.rows[row, hop[:, None] * HOP_OUT + torch.arange(self.length(speed), device=device)].float() / 32768
        return AF.resample(wide, 3 * speed, 40, lowpass_filter_width=16)[:, 20:20 + SPAN]


class Kept:
    "Speakers whom training never meets, heard in windows of 1.6 s side by side."
    def __init__(self, folder, teacher, device, speakers=15, windows=8):
        files = sorted(Path(folder).rglob('*.flac'), key=lambda f: int(f.name.split('-')[0]))
        names = sorted({f.name.split('-')[0] for f in files}, key=int)[-speakers:]
        parts, who = [], []
        for f in files:
            if (name := f.name.split('-')[0]) in names:
                audio = torch.from_numpy(sf.read(f, dtype='float32')[0]).to(device)
                parts += audio[:len(audio) // SPAN * SPAN].view(-1, SPAN)[:windows]
                who += [names.index(name)] * (len(parts) - len(who))
        self.audio, self.who = torch.stack(parts), torch.tensor(who, device=device)
        self.truth = teacher(self.audio)
        self.people = self.mean(self.truth)
        nobody = F.normalize(self.truth.mean(0), dim=0)
        print(json.dumps({'kept windows': len(who), 'nobody': round(float((self.truth @ nobody).mean()), 4), 'teacher named': self.named(self.truth)}), flush=True)

    def mean(self, said):
        return F.normalize(torch.stack([said[self.who == i].mean(0) for i in range(int(self.who.max()) + 1)]), dim=1)

    def named(self, said):
        "Nearest by the mean of the other windows, so that none is compared to itself."
        like = said @ self.people.T
        own = self.people[self.who] * torch.stack([self.truth[self.who == i].sum(0).norm() for i in self.who])[:, None] - self.truth
        like[torch.arange(len(said)), self.who] = (said * F.normalize(own, dim=1)).sum(1)
        return round(float((like.argmax(1) == self.who).float().mean()), 4)

    @torch.no_grad()
    def measure(self, student):
        said = student(log_mel(self.audio))
        with torch.random.fork_rng():
            torch.manual_seed(1)
            strange = student(log_mel(weather(self.audio)))
        near = lambda a, b: round(float((a * b).sum(1).mean()), 4)
        return {'window': near(said, self.truth), 'weathered': near(strange, self.truth), 'utterance': near(self.mean(said), self.people),
                'worst utterance': round(float((self.mean(said) * self.people).sum(1).min()), 4), 'named': self.named(said)}


class Trainer:
    def __init__(self, args):
        self.args, self.device = args, torch.device('cuda' if torch.cuda.is_available() else 'cpu')
        torch.backends.cuda.matmul.allow_tf32 = torch.backends.cudnn.allow_tf32 = True
        torch.backends.cudnn.benchmark = True
        self.teacher = GE2E(args.ge2e, self.device, level=LEVEL)
        self.crops = [(Crops(load_real(args.real, self.device)), args.share)]
        if args.pairs:
            self.crops.append((Crops(load_pairs(args.pairs, self.device)), 1 - args.share))
        self.student, self.mean = Student().to(self.device), Student().to(self.device).eval()
        self.start_from_nobody()
        self.mean.load_state_dict(self.student.state_dict())
        self.opt = torch.optim.AdamW(self.student.parameters(), lr=args.rate, betas=(0.9, 0.98), weight_decay=0.02)
        self.step, self.spent = 0, 0.0
        self.path = Path(args.out) / 'checkpoint.pt'
        if self.path.exists():
            c = torch.load(self.path, map_location=self.device)
            self.student.load_state_dict(c['student']), self.mean.load_state_dict(c['mean']), self.opt.load_state_dict(c['opt'])
            self.step, self.spent = c['step'], c['spent']
            print(f'resumed at step {self.step}', flush=True)
        self.kept = Kept(args.kept, self.teacher, self.device) if args.kept else None

    @torch.no_grad()
    def start_from_nobody(self):
        "The first answer is the average speaker's embedding, not a random one: 0.7 of cosine for nothing."
        self.student.leave.weight.mul_(0.1)
        self.student.leave.bias.copy_(16 * self.batch()[1].mean(0))

    def batch(self):
        each, clean = self.args.batch // GROUPS, []
        for g in range(GROUPS):
            crops = self.crops[0 if len(self.crops) == 1 or g < round(GROUPS * self.args.share) else 1][0]
            speed = int(np.random.choice(SPEEDS)) if g % 4 else 20
            clean.append(crops(each, speed))
        clean = torch.cat(clean)[torch.randperm(each * GROUPS, device=self.device)]   # weather() mixes neighbours
        return log_mel(weather(clean)), self.teacher(clean)

    def learn(self):
        with torch.no_grad():
            mel, truth = self.batch()
        said = self.student(mel)
        near = (said * truth).sum(1).mean()
        relation = (said @ said.T - truth @ truth.T).square().mean()
        self.opt.zero_grad(set_to_none=True)
        (1 - near + self.args.relation * relation).backward()
        if torch.isfinite(nn.utils.clip_grad_norm_(self.student.parameters(), 1.0)):
            self.opt.step()
        with torch.no_grad():
            decay, state = min(0.999, (self.step + 1) / (self.step + 20)), self.student.state_dict()
            for k, v in self.mean.state_dict().items():
                v.lerp_(state[k], 1 - decay) if v.is_floating_point() else v.copy_(state[k])
        return {'cosine': near, 'relation': relation}

    def run(self):
        a, begin, before = self.args, time.time(), self.spent
        log, sums = open(Path(a.out) / 'log.jsonl', 'a'), {}
        while time.time() - begin < a.seconds and self.spent < (a.total or math.inf) and self.step < a.steps:
            self.spent = before + time.time() - begin
            progress = min(1.0, max(self.spent / (a.total or a.seconds), self.step / a.steps))
            for g in self.opt.param_groups:
                g['lr'] = a.rate * min(1, (self.step + 1) / 100) * (0.02 + 0.98 * 0.5 * (1 + math.cos(math.pi * progress)))
            for k, v in self.learn().items():
                sums.setdefault(k, []).append(v.detach())
            self.step += 1
            if self.step % a.every == 0:
                self.tell(log, sums)
                sums = {}
        self.save()
        self.tell(log, {})

    def tell(self, log, sums):
        line = {'step': self.step, 'seconds': round(self.spent, 1), **{k: round(float(torch.stack(v).mean()), 4) for k, v in sums.items()},
                **(self.kept.measure(self.mean) if self.kept else {})}
        print(json.dumps(line), flush=True)
        log.write(json.dumps(line) + '\n')
        log.flush()
        self.save()

    def save(self):
        torch.save({'student': self.student.state_dict(), 'mean': self.mean.state_dict(), 'opt': self.opt.state_dict(), 'step': self.step,
                    'spent': self.spent}, self.path.with_suffix('.tmp'))
        self.path.with_suffix('.tmp').replace(self.path)
        torch.save(self.mean.state_dict(), self.path.with_name('student.pt'))


def main():
    p = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    for name in ('real', 'ge2e', 'out'):
        p.add_argument('--' + name, required=True)
    p.add_argument('--pairs', help='folder of synthesize.py; without it, real speech alone')
    p.add_argument('--kept', help='folder with the flacs that real.py read')
    p.add_argument('--seconds', type=float, default=240)
    p.add_argument('--total', type=float, help='seconds of all runs together, for the learning rate; else --seconds')
    p.add_argument('--steps', type=float, default=1e9)
    p.add_argument('--batch', type=int, default=256)
    p.add_argument('--share', type=float, default=0.625, help='of real speech')
    p.add_argument('--rate', type=float, default=2e-3)
    p.add_argument('--relation', type=float, default=2.0)
    p.add_argument('--every', type=int, default=500)
    args = p.parse_args()
    Path(args.out).mkdir(parents=True, exist_ok=True)
    Trainer(args).run()


if __name__ == '__main__':
    main()
