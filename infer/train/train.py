"""Trains the voice.

    python3 train.py --pairs DIR --real REAL.npz --teacher WHISPER.npz --ge2e GE2E.npz --out DIR --seconds 500

Resumes from OUT/checkpoint.pt; stops --seconds after its own start or at --steps. --total is the planned length of the whole
training in seconds over all resumed calls, 0: until this call ends. The learning rate and the adversarial phase follow it.
`torchrun --nproc-per-node N train.py …` uses N GPUs, --batch and the like on each.

--from begins with a pack that was trained before. What the pack lacks, the head that is compared with the teacher and the critics,
then learns alone for the first --settle of the training, lest it teach the rest nonsense; the rest follows at half the rate, and is
criticised and crosses over all the time.
"""
import time

BEGAN = time.time()

import argparse  # noqa: E402
import json  # noqa: E402
import math  # noqa: E402
import os  # noqa: E402
from dataclasses import dataclass  # noqa: E402
from pathlib import Path  # noqa: E402

import torch  # noqa: E402
import torch.nn as nn  # noqa: E402
import torch.nn.functional as F  # noqa: E402

import together  # noqa: E402
from data import LEVEL, centroids, disguise, down, load_pairs, load_real, misheard, weather  # noqa: E402
from ge2e import GE2E, HOP, PARTIAL  # noqa: E402
from losses import Critic, level_loss, reading_loss, spectral_loss, words_loss  # noqa: E402
from pack import load  # noqa: E402
from replay import Replay  # noqa: E402
from targets import TARGETS  # noqa: E402
from voice import HOP_OUT, RATE_IN, RATE_OUT, Voice, log_mel  # noqa: E402
from whisper import Reader, Teacher  # noqa: E402

SAVE = 30                            # seconds between checkpoints
WARM = 30                            # hops at the start of a crop that no loss sees: the encoder is still filling
LOOK = 10                            # steps between looks at the clock


@dataclass(frozen=True)
class Phase:
    settling: bool      # only what --from lacks learns
    crossing: bool      # with crops whose target is unknown
    criticised: bool


class Gradients:
    "Those of some parameters, as parts of one vector."
    def __init__(self, parameters):
        self.parameters = list(parameters)
        sizes = [p.numel() for p in self.parameters]
        self.all = torch.zeros(sum(sizes), device=self.parameters[0].device)
        for p, part in zip(self.parameters, self.all.split(sizes)):
            p.grad = part.view_as(p)

    def find(self, loss, **more):
        torch._foreach_copy_([p.grad for p in self.parameters], torch.autograd.grad(loss, self.parameters, materialize_grads=True, **more))

    def tame(self, most=math.inf):
        "Nothing that is not finite is learnt from, and no step is longer than most."
        together.mean(self.all)
        norm = self.all.norm()
        self.all.nan_to_num_(0, 0, 0).mul_(torch.where(norm.isfinite(), (most / norm).clamp(max=1), 0))


class Trainer:
    def __init__(self, args):
        self.args, self.device = args, together.join()
        torch.backends.cuda.matmul.allow_tf32 = torch.backends.cudnn.allow_tf32 = True
        torch.backends.cudnn.benchmark = True
        self.teacher, self.reader, self.ge2e = Teacher(args.teacher, self.device), Reader(args.teacher, self.device), GE2E(args.ge2e, self.device, LEVEL)
        self.pairs, self.real = load_pairs(args.pairs, self.device), load_real(args.real, self.device)
        piece = min(8 * RATE_OUT, self.pairs.hops * HOP_OUT)
        sample = self.pairs.rows[0, :self.pairs.hops * HOP_OUT // piece * piece][:30 * piece].float() / 32768
        self.teacher.fit(down(sample.view(-1, piece)))
        for m in (self.pairs, self.real):
            m.teach(self.teacher)
            m.listen(self.ge2e)
        torch.manual_seed(1)
        self.targets = centroids(self.pairs, len(TARGETS))
        self.homes = torch.tensor([t.median_hz for t in TARGETS], device=self.device)
        speaking = [(m.speaker[heard], m.home[heard]) for m in (self.pairs, self.real) for heard in [(m.home > 0) & (m.who < 0)]]
        self.people, self.people_homes = (torch.cat(x) for x in zip(*speaking))
        self.built_in, self.anybody = (torch.tensor(odds, device=self.device) for odds in ([0.34, 0.34, 0.16, 0.16], [0.1, 0.1, 0.4, 0.4]))
        self.say(f'pairs {self.pairs.hops / 6000:.1f} min x {len(self.pairs.rows)}, real {self.real.hops / 6000:.1f} min')
        self.shape = {'encoder': args.encoder}
        self.voice = Voice(**self.shape).to(self.device)
        self.critics = nn.ModuleList(Critic(n) for n in (2048, 1024, 512)).to(self.device)
        fused = self.device.type == 'cuda'
        self.opt = torch.optim.AdamW(self.voice.parameters(), lr=args.rate, betas=(0.9, 0.98), weight_decay=0.01, fused=fused)
        self.judge = torch.optim.AdamW(self.critics.parameters(), lr=2e-4, betas=(0.8, 0.99), fused=fused)
        self.doubts, self.ramp = Gradients(self.critics.parameters()), torch.zeros((), device=self.device)
        self.state = self.voice.state_dict()                                    # the weights themselves: they stay where they are
        self.mean = {k: v.detach().clone() for k, v in self.state.items()}
        self.step, self.spent, self.phase = 0, 0.0, None
        self.path = Path(args.out) / 'checkpoint.pt'
        if self.path.exists():
            self.resume()
        elif args.start:
            self.start(args.start)
        torch.manual_seed(1 + together.RANK + together.COUNT * self.step)       # everybody sees other crops, and others after a pause

    def say(self, line):
        if together.RANK == 0:
            print(line, flush=True)

    def resume(self):
        c = torch.load(self.path, map_location=self.device)
        self.voice.load_state_dict(c['voice']), self.critics.load_state_dict(c['critics'])
        self.opt.load_state_dict(c['opt']), self.judge.load_state_dict(c['judge'])
        self.mean, self.step, self.spent = c['mean'], c['step'], c['spent']
        self.say(f'resumed at step {self.step}')

    def start(self, pack):
        "From a pack that was trained before: all but the head that only training has."
        known = {k: v.to(self.device) for k, v in load(pack)[0].state_dict().items() if not k.startswith('teacher.')}
        self.voice.load_state_dict(known, strict=False)
        self.mean |= {k: v.clone() for k, v in known.items()}
        self.say(f'started from {pack}')

    def hear(self, source):
        "-> log-mel of what a stranger's microphone makes of it, and the gain it was given"
        gain = 10 ** (torch.empty(len(source), 1, device=self.device).uniform_(-30, 6) / 20)
        return log_mel(weather(down(source)) * gain, disguise), gain

    def speak(self, mel, f0, speaker, gain):
        count = len(f0)
        noise, start = torch.randn(count, f0.shape[1] * HOP_OUT, device=self.device), torch.rand(count, device=self.device, dtype=torch.float64)
        speaker = F.normalize(speaker + 0.015 * torch.randn_like(speaker), dim=1)
        wobble = torch.exp(0.004 * torch.randn(count, 1, device=self.device))
        made, content = self.voice(mel, misheard(f0) * wobble, speaker, noise, start)
        return made / gain, content

    def others(self, count):
        """Speakers to convert to: embeddings and median pitches. A third of them are built in, the others anyone of the
        material; of those, one in three is nobody, half way between two."""
        pick = torch.randint(len(self.targets), (count,), device=self.device)
        anyone = torch.rand(count, device=self.device) < 0.65
        speaker, home = self.anyone(count)
        second, other = self.anyone(count)
        between = torch.rand(count, device=self.device) < 1 / 3
        speaker = torch.where(between[:, None], F.normalize(speaker + second, dim=1), speaker)
        home = torch.where(between, (home * other).sqrt(), home)
        return torch.where(anyone[:, None], speaker, self.targets[pick]), torch.where(anyone, home, self.homes[pick])

    def anyone(self, count):
        pick = torch.randint(len(self.people), (count,), device=self.device)
        return self.people[pick], self.people_homes[pick]

    def copy(self):
        """The target is known: aligned pairs, and real speakers as their own targets."""
        a = self.args
        real = a.batch // 4
        crops = self.pairs.cut(a.batch - real, a.hops, rows=self.built_in), self.real.cut(real, a.hops)
        source, target, f0, speaker, content = (torch.cat([getattr(c, k) for c in crops]) for k in ('source', 'target', 'f0', 'speaker', 'content'))
        narrow = torch.arange(a.batch, device=self.device) >= a.batch - real
        mel, gain = self.hear(source)
        made, read = self.speak(mel, f0, speaker, gain)
        made, target = made[:, WARM * HOP_OUT:], target[:, WARM * HOP_OUT:]
        taught = self.voice.teacher(read)
        return made, target, {'spectral': spectral_loss(made, target, narrow),
                              'content': (1 - F.cosine_similarity(taught, content, dim=2))[:, WARM:].mean()}

    def cross(self):
        """The target is unknown: a real or made-up person speaks as somebody else. The words must be the source's, the
        speaker the other, the loudness the source's."""
        a = self.args
        real = a.cross * 2 // 3
        crops = self.real.cut(real, a.cross_hops, same=True), self.pairs.cut(a.cross - real, a.cross_hops, rows=self.anybody, same=True)
        source, clean, f0, home, language = (torch.cat([getattr(c, k) for c in crops]) for k in ('source', 'target', 'f0', 'home', 'language'))
        speaker, pitch = self.others(a.cross)
        move = torch.exp(0.12 * torch.randn_like(pitch)) * pitch / home.clamp(min=50)
        mel, gain = self.hear(source)
        made, _ = self.speak(mel, (f0 * move[:, None]).clamp(max=700), speaker, gain)
        made, clean = made[:, WARM * HOP_OUT:], clean[:, WARM * HOP_OUT:]
        hear = down(made)
        hear = hear + torch.randn_like(hear) * hear.detach().square().mean(1, keepdim=True).sqrt() * 10 ** (-1 - torch.rand(a.cross, 1, device=self.device))
        return made, {**self.understand(hear, down(clean), language), 'speaker': (1 - (self.ge2e(hear[:, -PARTIAL * HOP:]) * speaker).sum(1)).mean(),
                      'level': level_loss(made, clean)}

    def understand(self, hear, clean, language):
        "What the teacher makes of the words: what it hears of them, and what it would write. A pause after them tells it that they are over."
        frames = hear.shape[1] // 320
        pause = RATE_IN - hear.shape[1] % 320
        with self.half():
            with torch.no_grad():
                said = self.teacher.listen(F.pad(clean, (0, pause)))
            heard = self.teacher.listen(F.pad(hear, (0, pause)))
            near = lambda sound: [x[:, :frames] for x in self.teacher.standard(sound)]
            return {'words': words_loss(near(heard), near(said)), 'reading': reading_loss(self.reader, heard[1], said[1], language)}

    def half(self):
        return torch.autocast(self.device.type, torch.bfloat16, enabled=self.device.type == 'cuda')

    def criticise(self, real, fake, foreign):
        """real, fake: the same words; foreign: conversions without a known target, which must sound as real."""
        many, cost, like, match = len(real), 0, 0, 0
        with self.half():
            for c in self.critics:
                score, seen = c(torch.cat([real, fake, foreign]))
                score = score.float()
                cost = cost + (score[:many] - 1).square().mean() + score[many:].square().mean()
                like = like + (score[many:] - 1).square().mean()
                match = match + sum((s[many:2 * many] - s[:many].detach()).abs().float().mean() for s in seen)
        return {'critics': cost, 'like': like, 'match': match}

    def some(self, count, few):
        return torch.rand(count, device=self.device).argsort()[:few]

    def measure(self):
        "-> all losses of new crops; the gradients lie where the optimisers look for them"
        a = self.args
        weights = {'spectral': 1.0, 'content': a.content, 'words': a.words, 'reading': a.reading, 'speaker': a.speaker, 'level': 0.05,
                   'like': self.ramp, 'match': 2 * self.ramp}
        made, target, losses = self.copy()
        if self.phase.crossing:
            foreign, more = self.cross()
            losses |= more
        if self.phase.criticised:
            few = self.some(a.batch - a.batch // 4, a.critic)                   # the critics learn wide-band, clean speech
            losses |= self.criticise(target[few], made[few], foreign[self.some(a.cross, a.critic), :made.shape[1]])
            self.doubts.find(losses['critics'], retain_graph=True)
        self.gradients.find(sum(w * losses[k] for k, w in weights.items() if k in losses))
        return {k: v.detach() for k, v in losses.items()}

    def enter(self, phase):
        self.phase, self.play = phase, Replay(self.measure)
        for p in self.voice.parameters():
            p.grad = None
        self.gradients = Gradients((self.voice.teacher if phase.settling else self.voice).parameters())

    def learn(self, progress):
        a = self.args
        phase = Phase(progress < a.settle, progress >= a.cross_from, progress >= a.gan_from)
        if phase != self.phase:
            self.enter(phase)
        self.ramp.fill_(a.adversary * min(1.0, max(0.0, progress - max(a.gan_from, a.settle)) * 20))
        losses = self.play()
        self.gradients.tame(2.0)
        self.opt.step()
        if phase.criticised:
            self.doubts.tame()
            self.judge.step()
        with torch.no_grad():
            decay = min(0.999, (self.step + 1) / (self.step + 20))
            torch._foreach_lerp_(list(self.mean.values()), list(self.state.values()), 1 - decay)
        return losses

    def rate(self, progress):
        "up over 300 steps, then slowly down; what settles first learns four times as fast, and the rest rises over a twentieth of the training after it"
        a = self.args
        if progress < a.settle:
            return 4 * a.rate * min(1, (self.step + 1) / 30)
        rise = (progress - a.settle) * 20 if a.settle else (self.step + 1) / 300
        return a.rate * min(1, rise) * (0.05 + 0.95 * 0.5 * (1 + math.cos(math.pi * min(1, progress))))

    def run(self):
        a, begin = self.args, time.time()
        log, sums, saved = open(Path(a.out) / 'log.jsonl' if together.RANK == 0 else os.devnull, 'a'), {}, begin
        before, end = self.spent, BEGAN + a.seconds
        total, = together.follow([a.total or before + end - begin], self.device)
        while self.step < a.steps:
            if self.step % LOOK == 0:
                self.spent, over = together.follow([before + time.time() - begin, float(time.time() > end)], self.device)
                if over or self.spent >= total:
                    break
            progress = max(self.spent / total, self.step / a.steps if a.steps < 1e9 else 0)
            for g in self.opt.param_groups:
                g['lr'] = self.rate(progress)
            for k, v in self.learn(progress).items():
                sums[k] = sums.get(k, 0) + v
            self.step += 1
            if self.step % a.every == 0:
                line = json.dumps({'step': self.step, 'seconds': round(self.spent, 1), **{k: round(float(v) / a.every, 4) for k, v in sums.items()}})
                self.say(line)
                log.write(line + '\n')
                log.flush()
                sums = {}
            if time.time() - saved > SAVE:
                self.save()
                saved = time.time()
        self.save()
        together.leave()

    def save(self):
        if together.RANK > 0:
            return
        torch.save({'voice': self.voice.state_dict(), 'critics': self.critics.state_dict(), 'opt': self.opt.state_dict(), 'judge': self.judge.state_dict(),
                    'mean': self.mean, 'step': self.step, 'spent': self.spent}, self.path.with_suffix('.tmp'))
        self.path.with_suffix('.tmp').replace(self.path)
        speakers = {t.name: self.targets[i].cpu() for i, t in enumerate(TARGETS)}
        torch.save({'voice': {k: v.half() for k, v in self.mean.items()}, 'shape': self.shape, 'speakers': speakers}, self.path.with_name('voice.pt'))


def main():
    p = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    for name in ('pairs', 'real', 'teacher', 'ge2e', 'out'):
        p.add_argument('--' + name, required=True)
    p.add_argument('--seconds', type=float, default=500)
    p.add_argument('--total', type=float, default=0)
    p.add_argument('--steps', type=float, default=1e9)
    p.add_argument('--batch', type=int, default=128, help='crops whose target is known')
    p.add_argument('--cross', type=int, default=72, help='crops whose target is unknown')
    p.add_argument('--critic', type=int, default=32, help='of each, shown to the critics')
    p.add_argument('--hops', type=int, default=195, help='of a crop')
    p.add_argument('--cross-hops', type=int, default=295, help='of a crop whose target is unknown: enough for a few words')
    p.add_argument('--encoder', type=int, nargs='+', default=[1, 2, 4, 8, 1, 2, 4, 8], help='dilations')
    p.add_argument('--from', dest='start', help='a pack to start from')
    p.add_argument('--rate', type=float, help='1e-3, or half of it with --from')
    p.add_argument('--settle', type=float, help='share of the training in which only what --from lacks learns (0.05)')
    p.add_argument('--content', type=float, default=1.0)
    p.add_argument('--words', type=float, default=1.0)
    p.add_argument('--reading', type=float, default=0.2)
    p.add_argument('--speaker', type=float, default=0.8)
    p.add_argument('--cross-from', type=float, help='share of the training after which crossings begin (0.1, or 0 with --from)')
    p.add_argument('--adversary', type=float, default=0.05)
    p.add_argument('--gan-from', type=float, help='share of the training after which critics join (0.4, or 0 with --from)')
    p.add_argument('--every', type=int, default=100)
    args = p.parse_args()
    usual = {'rate': 5e-4, 'settle': 0.05, 'cross_from': 0, 'gan_from': 0} if args.start else {'rate': 1e-3, 'settle': 0, 'cross_from': 0.1, 'gan_from': 0.4}
    for name, value in usual.items():
        if getattr(args, name) is None:
            setattr(args, name, value)
    Path(args.out).mkdir(parents=True, exist_ok=True)
    Trainer(args).run()


if __name__ == '__main__':
    main()
