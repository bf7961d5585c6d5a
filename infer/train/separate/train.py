"""Trains the live separator on mixtures made as it goes.

    python3 train.py --speech DIR --sung DIR --music DIR --out DIR --seconds 600 [--teacher whisper.npz] [--total 600] [--width 192 ...]

Stops when it has run for --seconds, which do not count while it is itself stopped (SIGSTOP); called again it resumes from
OUT/checkpoint.pt. The rate falls to nothing at --total seconds of training, which is the end of this call when it is 0.
OUT/sieve.pt holds the averaged weights, rounded to half precision, which is how they ship; OUT/log.jsonl the losses and, once in
a while, what validate.py finds.
"""
import time

BEGAN = time.time()

import argparse  # noqa: E402
import copy  # noqa: E402
import json  # noqa: E402
import math  # noqa: E402
from functools import partial  # noqa: E402
from pathlib import Path  # noqa: E402

import torch  # noqa: E402

from loss import WEIGHTS, Words, losses, si_sdr  # noqa: E402
from mix import Mixer  # noqa: E402
from model import LATE, Sieve  # noqa: E402
from replay import Replay  # noqa: E402
from validate import Validation  # noqa: E402

LAST = 4                                        # seconds kept for the last validation and for writing
STOPPED = 20                                    # no step takes so many seconds: the process was stopped


def arguments():
    p = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    for name in ('speech', 'sung', 'music', 'out'):
        p.add_argument(f'--{name}', type=Path, required=True)
    p.add_argument('--more', type=Path, help='what ../synthesize.py left: further speech')
    p.add_argument('--teacher', type=Path, help="Whisper's encoder, as ../whisper.py writes it: words then count")
    p.add_argument('--seconds', type=float, default=600)
    p.add_argument('--total', type=float, default=0, help='all seconds of the training; 0: until this call ends')
    p.add_argument('--steps', type=int, default=0, help='stop at this step, for a try')
    p.add_argument('--batch', type=int, default=8)
    p.add_argument('--crop', type=float, default=3.0, help='seconds')
    p.add_argument('--rate', type=float, default=2e-3)
    p.add_argument('--width', type=int, default=192)
    p.add_argument('--channels', type=int, default=24)
    p.add_argument('--dilations', type=int, nargs='+', default=[1, 2, 4, 8, 16, 32, 1, 4])
    p.add_argument('--kept', type=int, default=15, help='speakers that are left out, to measure with')
    p.add_argument('--precise', action='store_true', help='no bfloat16 on a GPU')
    p.add_argument('--graph', action='store_true', help='on a GPU, replay the making of mixtures as one graph')
    p.add_argument('--clips', type=int, default=24, help='to validate with, of music and of noise')
    p.add_argument('--every', type=float, default=10, help='seconds between lines of the log')
    p.add_argument('--save', type=float, default=60, help='seconds between validations, each with a checkpoint')
    return p.parse_args()


class Training:
    "A network, its optimiser, and the mean of its weights, which is what ships."
    def __init__(self, args, device):
        self.args, self.device = args, device
        self.sieve = Sieve(args.width, args.channels, args.dilations).to(device)
        self.mean = copy.deepcopy(self.sieve).eval().requires_grad_(False)
        flat = [q for q in self.sieve.parameters() if q.dim() == 1]
        self.optimiser = torch.optim.AdamW([{'params': [q for q in self.sieve.parameters() if q.dim() > 1], 'weight_decay': 0.02}, {'params': flat, 'weight_decay': 0}],
                                           lr=args.rate, betas=(0.9, 0.98), fused=device == 'cuda')
        self.step, self.spent = 0, 0.0          # spent: seconds of earlier calls
        self.checkpoint = args.out / 'checkpoint.pt'

    def resume(self):
        kept = torch.load(self.checkpoint, map_location=self.device)
        self.sieve.load_state_dict(kept['sieve'])
        self.mean.load_state_dict(kept['mean'])
        self.optimiser.load_state_dict(kept['optimiser'])
        self.step, self.spent = kept['step'], kept['spent']
        print(f'resumed at step {self.step}, {self.spent:.0f} s', flush=True)

    def save(self, now):
        write(self.checkpoint, {'sieve': self.sieve.state_dict(), 'optimiser': self.optimiser.state_dict(), 'mean': self.mean.state_dict(), 'step': self.step, 'spent': now})
        write(self.args.out / 'sieve.pt', {'shape': self.sieve.shape, 'step': self.step, 'more': bool(self.args.more), 'sieve': {k: v.half().float() for k, v in self.mean.state_dict().items()}})

    def rate(self, done):
        "full for a fifth of the time, then down to nothing, so that it ends settled whatever time it has"
        return self.args.rate * min(1, (self.step + 1) / 100) * (0.5 + 0.5 * math.cos(math.pi * min(1, max(0, (done - 0.2) / 0.8)))) + 1e-7

    def learn(self, mixture, voice, words, done):
        "one step -> its losses, on the device"
        for group in self.optimiser.param_groups:
            group['lr'] = self.rate(done)
        late = slice(0, mixture.shape[1] - LATE)
        with torch.autocast(self.device, torch.bfloat16, enabled=self.device == 'cuda' and not self.args.precise):
            got = self.sieve(mixture)[:, LATE:]
        voice, mixture = voice[:, late], mixture[:, late]
        parts = losses(got, voice, mixture)
        if words:
            parts['words'] = words(got[::2], voice[::2])                        # half of the batch tells enough
        self.optimiser.zero_grad(set_to_none=True)
        sum(WEIGHTS[k] * v for k, v in parts.items()).backward()
        torch.nn.utils.clip_grad_norm_(self.sieve.parameters(), 2.0)
        self.optimiser.step()
        self.step += 1
        with torch.no_grad():
            torch._foreach_lerp_(list(self.mean.parameters()), list(self.sieve.parameters()), 1 - min(0.999, self.step / (self.step + 20)))
            there = ((voice.square().mean(1) > 1e-8) & ((mixture - voice).square().mean(1) > 1e-9)).float()
            gain = torch.where(there > 0, si_sdr(got, voice) - si_sdr(mixture, voice), 0.0)
        return {**{k: v.detach() for k, v in parts.items()}, 'gain': gain.sum() / there.sum().clamp(min=1)}


class Clock:
    "Seconds that this process has run: a gap in which it must have been stopped is left out."
    def __init__(self, since):
        self.ran, self.last = time.time() - since, time.time()

    def __call__(self):
        now = time.time()
        if now - self.last < STOPPED:
            self.ran += now - self.last
        self.last = now
        return self.ran


def graphed(make):
    "the same, recorded once and replayed; random numbers go on from call to call"
    again = Replay(make)
    first, second = (again()[0].clone() for _ in range(2))
    if not (torch.isfinite(first).all() and torch.isfinite(second).all()) or torch.equal(first, second):
        raise SystemExit('expected the graph to make new mixtures each time')
    return again


def write(path, what):
    new = path.with_suffix('.new')
    torch.save(what, new)
    new.rename(path)


def main():
    args = arguments()
    args.out.mkdir(parents=True, exist_ok=True)
    device = 'cuda' if torch.cuda.is_available() else 'cpu'
    torch.set_float32_matmul_precision('high')
    torch.backends.cudnn.allow_tf32 = torch.backends.cudnn.benchmark = True

    mixer = Mixer(args.speech, args.sung, args.music, device, args.kept, more=args.more)
    torch.manual_seed(0)
    words = Words(args.teacher, mixer.crops(mixer.speech, 32, 4 * 16000), device) if args.teacher else None
    validation = Validation(args, device, words)
    training = Training(args, device)
    if training.checkpoint.exists():
        training.resume()
    print(f'{mixer}; ready after {time.time() - BEGAN:.0f} s on {device}, {sum(q.numel() for q in training.sieve.parameters())} weights', flush=True)
    torch.manual_seed(1000 + training.step)

    log = open(args.out / 'log.jsonl', 'a')

    def tell(line):
        log.write(json.dumps(line) + '\n')
        log.flush()
        print(line, flush=True)

    mixtures = partial(mixer.batch, args.batch, args.crop)
    if args.graph and device == 'cuda':
        mixtures = graphed(mixtures)
    clock = Clock(BEGAN)
    begin, end = clock.ran, args.seconds - LAST
    total = args.total or training.spent + end - begin
    told, saved, sums, first = begin, begin, {}, training.step
    while True:
        now = clock()
        spent = training.spent + now - begin
        if now >= end or spent >= total or args.steps and training.step >= args.steps:
            break
        for k, v in training.learn(*mixtures(), words, spent / total).items():
            sums[k] = sums.get(k, 0) + v
        if now - told > args.every:
            seen, taken = training.step - first, now - told
            line = {'step': training.step, 'seconds': round(spent, 1), **{k: round(float(v) / seen, 4) for k, v in sums.items()}, 'per_second': round(seen / taken, 2)}
            tell(line)
            if not all(map(math.isfinite, line.values())):
                raise SystemExit(f'step {training.step}: a loss is not a number; the checkpoint before it is kept')
            told, sums, first = now, {}, training.step
            if told - saved > args.save:
                training.save(spent)
                tell({'step': training.step, **validation(training.mean)})
                told = saved = clock()
    training.save(spent)
    tell({'step': training.step, **validation(training.mean)})
    print(f'{training.step} steps in {spent:.0f} s, {training.step * args.batch * args.crop / 3600:.1f} h of mixtures', flush=True)


if __name__ == '__main__':
    main()
