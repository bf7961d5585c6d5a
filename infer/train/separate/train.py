"""Trains the live separator on mixtures made as it goes.

    python3 train.py --speech DIR --sung DIR --music DIR --out DIR --seconds 3600 [--total 3600] [--width 128 ...]

Stops after --seconds; called again it resumes from OUT/checkpoint.pt. The rate falls to nothing at --total seconds of training.
OUT/sieve.pt holds the averaged weights, rounded to half precision, which is how they ship; OUT/log.jsonl the losses.
"""
import argparse
import json
import math
import time
from pathlib import Path

import torch
import torch.nn.functional as F

from mix import Mixer
from model import LATE, Sieve


def compressed(x, size, hop):
    spectrum = torch.stft(x, size, hop, window=torch.hann_window(size, device=x.device), return_complex=True)
    power = torch.view_as_real(spectrum).square().sum(-1) + 1e-8
    magnitude = power ** 0.15
    return magnitude, spectrum * (magnitude / power.sqrt())


def losses(got, voice, mixture):
    "how far the voice is off: in spectra, loudness compressed, of three sizes; and in dB of what is wrong"
    spectral = 0
    for size, hop in ((320, 80), (640, 160), (1600, 400)):
        (a, x), (b, y) = compressed(got, size, hop), compressed(voice, size, hop)
        spectral = spectral + (0.7 * (a - b).square().mean() + 0.3 * torch.view_as_real(x - y).square().sum(-1).mean()) / 3
    wrong = (got - voice).square().mean(1)
    of = voice.square().mean(1) + 0.003 * mixture.square().mean(1) + 1e-9
    decibel = 10 * torch.log10((wrong + 0.001 * of) / of).mean()                # at -30 dB it is good enough
    return {'spectral': spectral, 'decibel': decibel}


def si_sdr(got, want):
    want = want - want.mean(1, keepdim=True)
    scale = (got * want).sum(1, keepdim=True) / want.square().sum(1, keepdim=True).clamp(min=1e-9)
    return 10 * torch.log10((scale * want).square().sum(1) / (got - scale * want).square().sum(1).clamp(min=1e-12))


def main():
    p = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    for name in ('speech', 'sung', 'music', 'out'):
        p.add_argument(f'--{name}', type=Path, required=True)
    p.add_argument('--seconds', type=float, default=3600)
    p.add_argument('--total', type=float, default=0, help='all seconds of the training, --seconds when 0')
    p.add_argument('--steps', type=int, default=0, help='stop at this step, for a try')
    p.add_argument('--batch', type=int, default=12)
    p.add_argument('--crop', type=float, default=3.0, help='seconds')
    p.add_argument('--rate', type=float, default=2e-3)
    p.add_argument('--width', type=int, default=128)
    p.add_argument('--channels', type=int, default=16)
    p.add_argument('--dilations', type=int, nargs='+', default=[1, 2, 4, 8, 16, 32])
    p.add_argument('--kept', type=int, default=15, help='speakers that are left out, to measure with')
    p.add_argument('--every', type=int, default=20, help='steps between lines of the log')
    p.add_argument('--save', type=float, default=120, help='seconds between checkpoints')
    args = p.parse_args()
    args.out.mkdir(parents=True, exist_ok=True)
    device = 'cuda' if torch.cuda.is_available() else 'cpu'
    total = args.total or args.seconds
    torch.set_float32_matmul_precision('high')

    began = time.time()
    mixer = Mixer(args.speech, args.sung, args.music, device, args.kept)
    print(f'{mixer}; loaded in {time.time() - began:.0f} s on {device}', flush=True)
    sieve = Sieve(args.width, args.channels, args.dilations).to(device)
    decayed = [q for q in sieve.parameters() if q.dim() > 1]
    optimiser = torch.optim.AdamW([{'params': decayed, 'weight_decay': 0.02}, {'params': [q for q in sieve.parameters() if q.dim() == 1], 'weight_decay': 0}],
                                  lr=args.rate, betas=(0.9, 0.98), fused=device == 'cuda')
    mean = {k: v.detach().clone() for k, v in sieve.state_dict().items()}
    step, spent = 0, 0.0
    checkpoint = args.out / 'checkpoint.pt'
    if checkpoint.exists():
        kept = torch.load(checkpoint, map_location=device)
        sieve.load_state_dict(kept['sieve'])
        optimiser.load_state_dict(kept['optimiser'])
        mean, step, spent = kept['mean'], kept['step'], kept['spent']
        print(f'resumed at step {step}, {spent:.0f} s', flush=True)
    torch.manual_seed(1000 + step)

    def save():
        partial = checkpoint.with_suffix('.new')
        torch.save({'sieve': sieve.state_dict(), 'optimiser': optimiser.state_dict(), 'mean': mean, 'step': step, 'spent': now}, partial)
        partial.rename(checkpoint)
        partial = args.out / 'sieve.new'
        torch.save({'shape': sieve.shape, 'sieve': {k: v.half().float() for k, v in mean.items()}}, partial)
        partial.rename(args.out / 'sieve.pt')

    begin, saved, sums, seen = time.time(), time.time(), {}, 0
    log = open(args.out / 'log.jsonl', 'a')
    while True:
        now = spent + time.time() - begin
        if now >= total or now - spent >= args.seconds or args.steps and step >= args.steps:
            break
        done = now / total
        for group in optimiser.param_groups:
            group['lr'] = args.rate * min(1, (step + 1) / 60) * (0.5 + 0.5 * math.cos(math.pi * min(1, done))) + 1e-6
        mixture, voice = mixer.batch(args.batch, args.crop)
        ahead, late = sieve(mixture)[:, LATE:], slice(0, mixture.shape[1] - LATE)
        parts = losses(ahead, voice[:, late], mixture[:, late])
        loss = 10 * parts['spectral'] + 0.1 * parts['decibel']
        if not torch.isfinite(loss):
            raise SystemExit(f'step {step}: the loss is not a number: {parts}')
        optimiser.zero_grad(set_to_none=True)
        loss.backward()
        torch.nn.utils.clip_grad_norm_(sieve.parameters(), 3.0)
        optimiser.step()
        step += 1
        keep = min(0.999, step / (step + 20))
        with torch.no_grad():
            for k, v in sieve.state_dict().items():
                mean[k].lerp_(v, 1 - keep)
            there = voice[:, late].square().mean(1) > 1e-8
            gain = (si_sdr(ahead, voice[:, late]) - si_sdr(mixture[:, late], voice[:, late]))[there & ((mixture - voice).square().mean(1) > 1e-8)]
        for k, v in {**parts, 'gain': gain.mean()}.items():
            sums[k] = sums.get(k, 0) + v.detach()
        seen += 1
        if step % args.every == 0:
            line = {'step': step, 'seconds': round(now, 1), **{k: round(float(v) / seen, 4) for k, v in sums.items()}}
            log.write(json.dumps(line) + '\n')
            log.flush()
            print(line, flush=True)
            sums, seen = {}, 0
        if time.time() - saved > args.save:
            save()
            saved = time.time()
    now = spent + time.time() - begin
    save()
    print(f'{step} steps in {now:.0f} s, {step * args.batch * args.crop / 3600:.1f} h of mixtures', flush=True)


if __name__ == '__main__':
    main()
