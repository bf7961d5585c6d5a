"""Renders every sentence by four aligned speakers, each as lively as they please: a female and a male built-in voice around their own pitch,
two strangers at any.

    python3 synthesize.py KOKORO_ROOT SENTENCES.jsonl OUT_DIR --seconds 150 --workers 14 [--cuda]

Writes OUT_DIR/NNN.npz with, for utterance i: a{i} int16 [4, n] at 24 kHz, f{i} float32 [4, hops] Hz every 10 ms (0 = unvoiced),
t{i} [4] numbers of targets.TARGETS, -1 for strangers, l{i} the language. Stops after --seconds, so that it fits a lent GPU.
"""
import argparse
import json
import multiprocessing as mp
import os
import subprocess
import sys
import time
from pathlib import Path

import numpy as np
from scipy.signal import resample_poly

from targets import TARGETS, half

FEMALE, MALE = ([i for i, t in enumerate(TARGETS) if t.sex == sex] for sex in ('female', 'male'))


def pitch(audio):
    "The daemon's own tracker (follow/main.go): audio [n] at 24 kHz -> Hz every 10 ms, 0 = unvoiced"
    narrow = resample_poly(audio, 2, 3).astype('<f4')
    done = subprocess.run([os.environ.get('FOLLOW', './follow/follow')], input=narrow.tobytes(), stdout=subprocess.PIPE, check=True)
    return np.frombuffer(done.stdout, '<f4')


def stranger(kokoro, rng, count):
    "A decoder half that nobody has: a mixture of the packs, perturbed."
    halves = np.stack([kokoro.speaker(p, count) for p in kokoro.packs])
    weight = rng.dirichlet(np.full(len(halves), 0.5))
    return weight @ halves + rng.uniform(0.04, 0.15) * rng.standard_normal(128)


def home(target, rng):
    "A pitch around the target's own, up to about an octave away."
    return np.clip(target.median_hz * np.exp(0.25 * rng.standard_normal()), 60, 420)


def utterance(kokoro, rng, ipa):
    tokens = kokoro.tokens(ipa)
    count, speed = len(tokens), rng.uniform(0.75, 1.5)
    prosody = kokoro.prosody(str(rng.choice(list(kokoro.packs))), count)
    anyone = np.exp(rng.uniform(np.log(65), np.log(400), 2))
    first, curve = kokoro.render(tokens, stranger(kokoro, rng, count), prosody, 1.0, speed)
    median = np.median(curve[curve > 50]) if (curve > 50).any() else 200
    female, male = int(rng.choice(FEMALE)), int(rng.choice(MALE))
    speakers = [(half(kokoro, TARGETS[i], count), home(TARGETS[i], rng), 0.2) for i in (female, male)] + [(stranger(kokoro, rng, count), hz, 0.4) for hz in anyone]
    rows = []
    for who, hz, spread in speakers:
        liveliness = np.clip(np.exp(spread * rng.standard_normal()), 0.5, 2) - 1    # an actor's pitch moves twice as far, in octaves, or hardly
        rows.append(kokoro.render(tokens, who, prosody, hz / median, speed, liveliness, median)[0])
    n = min(map(len, rows)) // 240 * 240
    rows = np.stack([np.clip(r[:n], -1, 1) for r in rows])
    if not np.isfinite(rows).all() or np.abs(rows).max(1).min() < 0.05:
        return None
    f0 = np.stack([pitch(r)[:n // 240] for r in rows])
    return (rows * 32767).astype(np.int16), f0, np.array([female, male, -1, -1])


def work(args, number):
    os.environ['OMP_NUM_THREADS'] = '1'
    from kokoro import Kokoro
    kokoro = Kokoro(args.root, args.model, args.cuda)
    lines = [json.loads(x) for x in open(args.sentences)][number::args.workers]
    rng, end, kept = np.random.default_rng([args.seed, number]), time.time() + args.seconds, {}
    done = seconds = 0
    for line in lines:
        if time.time() > end:
            break
        made = utterance(kokoro, rng, line['ipa'])
        if made is None:
            continue
        for key, value in zip('aft', made):
            kept[f'{key}{done}'] = value
        kept[f'l{done}'] = line['lang'].split('-')[0]
        done, seconds = done + 1, seconds + made[0].shape[1] / 24000
    np.savez(Path(args.out) / f'{number:03d}.npz', count=done, **kept)
    print(f'worker {number}: {done} utterances, {seconds:.0f} s each rendering', flush=True)


def main():
    p = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    p.add_argument('root')
    p.add_argument('sentences')
    p.add_argument('out')
    p.add_argument('--model', default='kokoro.onnx')
    p.add_argument('--seconds', type=float, default=150)
    p.add_argument('--workers', type=int, default=1)
    p.add_argument('--seed', type=int, default=0)
    p.add_argument('--cuda', action='store_true')
    args = p.parse_args()
    Path(args.out).mkdir(parents=True, exist_ok=True)
    if not Path(args.model).exists():
        import onnx
        from kokoro import assemble, to_float
        model = assemble(args.root)
        onnx.save(to_float(model) if args.cuda else model, args.model)
    context = mp.get_context('spawn')
    workers = [context.Process(target=work, args=(args, i)) for i in range(args.workers)]
    for w in workers:
        w.start()
    for w in workers:
        w.join()
    return any(w.exitcode for w in workers)


if __name__ == '__main__':
    sys.exit(main())
