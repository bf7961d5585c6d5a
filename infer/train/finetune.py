"""Teaches the voice to speak as one person, from a minute or more of that person's recordings.

    FOLLOW=build/follow python3 finetune.py RECORDINGS NAME OUT_DIR [--seconds 900] [--material build/train]

Starts from the pack that ships and writes OUT_DIR/NAME.onnx, a pack with one voice. What listens to the words is left as
it is; what speaks them learns to say the person's own speech, heard through strange microphones and vocal tracts, as the
person says it. Other people's speech keeps it from forgetting what it does not hear in the recordings: that of --material,
where there is some, else the bundled sample.
"""
import argparse
import copy
import re
import time
import warnings
from pathlib import Path

import numpy as np
import onnx
import soundfile as sf
import torch
import torch.nn as nn
import torch.nn.functional as F

import export
import pack
from data import Material, down, load_real, weather
from losses import spectral_loss, spectrogram
from recordings import Ear, gather, read
from synthesize import pitch
from targets import TARGETS
from voice import HOP_OUT, RATE_OUT, log_mel

HERE = Path(__file__).parent
WARM = 30                            # hops at the start of a crop that no loss sees: the encoder is still filling
LISTENS = ('read.', 'encoder.', 'narrow.', 'teacher.')
PATIENCE = 5                         # measurements without progress after which to stop


def material(recordings, device):
    "one row, whose content nobody asks for"
    rows = (recordings.audio * 32767).astype(np.int16)[None]
    m = Material(rows, recordings.f0[None].astype(np.float32), np.full((1, 1), -1), np.zeros(1, np.int64), device)
    m.speaker, m.content = torch.zeros(1, 1, 256, device=device), torch.zeros(2, 512, device=device)
    return m


class Tuner:
    def __init__(self, args):
        self.args, self.device = args, torch.device('cuda' if torch.cuda.is_available() else 'cpu')
        torch.manual_seed(1)
        everything = gather(args.recordings)
        learnt, kept = everything.split()
        self.home, self.seconds, self.narrow = everything.home, everything.seconds, everything.narrow
        self.learnt, self.kept, self.sample = material(learnt, self.device), material(kept, self.device), kept.audio
        self.others, self.stranger = self.strangers()
        self.ear = Ear(args.speaker)
        self.speaker = torch.from_numpy(self.ear(learnt.audio)).to(self.device)
        print(f'{everything.seconds:.0f} s of speech, {kept.seconds:.0f} s of it kept out; pitch around {self.home:.0f} Hz', flush=True)

        self.voice, self.about = pack.load(args.start)
        self.voice.to(self.device)
        self.before, self.best = copy.deepcopy(self.voice), copy.deepcopy(self.voice)
        self.mean, self.step = copy.deepcopy(self.voice), 0
        for name, p in self.voice.named_parameters():
            p.requires_grad_(not name.startswith(LISTENS))
        self.opt = torch.optim.AdamW([p for p in self.voice.parameters() if p.requires_grad], lr=args.rate, betas=(0.9, 0.98), weight_decay=0)

    def strangers(self):
        "-> other people's speech as material, and one whose conversion is measured"
        audio, _ = read(HERE / '../../testdata/audio/sample.flac')
        audio = audio[:len(audio) // HOP_OUT * HOP_OUT]
        f0 = pitch(audio)[:len(audio) // HOP_OUT]
        real = Path(self.args.material) / 'real.npz'
        if not real.exists():
            rows = (audio * 32767).astype(np.int16)[None]
            others = Material(rows, f0[None].astype(np.float32), np.full((1, 1), -1), np.zeros(1, np.int64), self.device)
        else:
            others = load_real(real, self.device)
        others.content, others.speaker = torch.zeros(2, 512, device=self.device), torch.zeros(*others.who.shape, 256, device=self.device)
        return others, (audio, f0)

    def hear(self, source, warp):
        gain = 10 ** (torch.empty(len(source), 1, device=self.device).uniform_(-25, 6) / 20)
        return log_mel(weather(down(source)) * gain, warp), gain

    def speak(self, voice, mel, f0):
        noise = torch.randn(len(f0), f0.shape[1] * HOP_OUT, device=self.device)
        made, _ = voice(mel, f0, self.speaker.expand(len(f0), -1), noise, torch.rand(len(f0), device=self.device, dtype=torch.float64))
        return made

    def say(self, crops, voice, warp):
        "The person's own words, whoever they sound like to the voice: how far from the recording it says them"
        mel, gain = self.hear(crops.source, warp)
        made = (self.speak(voice, mel, crops.f0) / gain)[:, WARM * HOP_OUT:]
        return spectral_loss(made, crops.target[:, WARM * HOP_OUT:], torch.full((len(made),), self.narrow, device=self.device))

    def keep(self, count):
        "Other people's words: how far from how they were said before"
        crops = self.others.cut(count, self.args.hops, same=True)
        mel, gain = self.hear(crops.source, torch.ones(count, device=self.device))
        move = self.home / crops.home.clamp(min=50)
        f0 = (crops.f0 * move[:, None]).clamp(max=700)
        state = torch.random.get_rng_state()
        with torch.no_grad():
            old = self.speak(self.before, mel, f0)
        torch.random.set_rng_state(state)
        new = self.speak(self.voice, mel, f0)
        new, old = (torch.log(spectrogram((x / gain)[:, WARM * HOP_OUT:], 512) + 0.02) for x in (new, old))
        return (new - old).abs().mean()

    def warps(self, count):
        return torch.exp(torch.empty(count, device=self.device).uniform_(-0.25, 0.25))

    def learn(self):
        a = self.args
        loss = self.say(self.learnt.cut(a.batch, a.hops), self.voice, self.warps(a.batch)) + a.keep * self.keep(max(1, a.batch // 3))
        self.opt.zero_grad(set_to_none=True)
        loss.backward()
        nn.utils.clip_grad_norm_(self.voice.parameters(), 1.0, error_if_nonfinite=True)
        self.opt.step()
        with torch.no_grad():
            decay = min(0.98, (self.step + 1) / (self.step + 10))
            torch._foreach_lerp_(list(self.mean.parameters()), list(self.voice.parameters()), 1 - decay)

    @torch.no_grad()
    def measure(self, voice):
        "The same crops of what was kept out, each time"
        with torch.random.fork_rng():
            torch.manual_seed(7)
            return float(self.say(self.kept.cut(12, self.args.hops), voice, self.warps(12)))

    @torch.no_grad()
    def likeness(self, voice):
        "How like the person a stranger sounds, to the speaker encoder"
        audio, f0 = (torch.from_numpy(x[None].astype(np.float32)).to(self.device) for x in self.stranger)
        move = self.home / float(f0[f0 > 0].median())
        with torch.random.fork_rng():
            torch.manual_seed(7)
            made = self.speak(voice, log_mel(down(audio)), f0 * move)
        return float(self.ear(made[0].cpu().numpy()) @ self.speaker.cpu().numpy())

    def run(self):
        a, begin = self.args, time.time()
        first = best = self.measure(self.before)
        idle = 0
        while self.step < a.steps and idle < PATIENCE and time.time() - begin < a.seconds:
            for g in self.opt.param_groups:
                g['lr'] = a.rate * min(1, (self.step + 1) / 20)
            self.learn()
            self.step += 1
            if self.step % a.every and self.step < a.steps:
                continue
            now = self.measure(self.mean)
            idle = 0 if now < best - 5e-4 else idle + 1
            if now < best:
                best = now
                self.best.load_state_dict(self.mean.state_dict())
            print(f'step {self.step}, {time.time() - begin:.0f} of at most {a.seconds:.0f} s: distance from the recordings kept out {now:.4f}, at first {first:.4f}', flush=True)
        print(f'a stranger sounds like {a.name} to {self.likeness(self.best):.3f}, before {self.likeness(self.before):.3f}; '
              f'{a.name} to {float(torch.from_numpy(self.ear(self.sample)) @ self.speaker.cpu()):.3f}', flush=True)
        self.write()

    def write(self):
        a, out = self.args, Path(self.args.out)
        voice = {'name': a.name, 'sex': '', 'median_hz': round(self.home, 1), 'embedding': [round(float(x), 6) for x in self.speaker],
                 'reference': f'{a.name}.flac', 'description': f'taught by {self.seconds:.0f} s of recordings', 'licence': 'as the speaker allows'}
        about = {**self.about, 'name': a.name, 'voices': [voice], 'licence': 'as the speaker allows',
                 'sources': [*self.about['sources'], f'{self.seconds:.0f} s of recordings of {a.name}']}
        best = self.best.cpu()
        with torch.no_grad():
            for p in best.parameters():
                p.copy_(p.half().float())
        model = export.pack(best, about)
        far = max(export.compare(best, model, n, self.speaker[None].cpu()) for n in export.HOPS)
        (out / 'references').mkdir(parents=True, exist_ok=True)
        sf.write(out / 'references' / f'{a.name}.flac', self.sample, RATE_OUT)
        onnx.save(model, out / f'{a.name}.onnx')
        print(f'{out / a.name}.onnx: {model.ByteSize() / 1e6:.1f} MB, largest difference to PyTorch {far:.0f} dB')
        if far > -60:
            raise SystemExit('the pack does not say what the network says')


def main():
    p = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    p.add_argument('recordings')
    p.add_argument('name')
    p.add_argument('out')
    p.add_argument('--start', default=HERE / '../voices/first.onnx', help='the pack to start from')
    p.add_argument('--speaker', default=HERE / '../voices/speaker.onnx', help='the speaker encoder')
    p.add_argument('--material', default='build/train', help='where real.npz may be')
    p.add_argument('--seconds', type=float, default=900)
    p.add_argument('--steps', type=int, default=1500)
    p.add_argument('--batch', type=int, default=6)
    p.add_argument('--hops', type=int, default=150)
    p.add_argument('--rate', type=float, default=2e-4)
    p.add_argument('--keep', type=float, default=0.2, help='weight of what other people say')
    p.add_argument('--every', type=int, default=25)
    args = p.parse_args()
    if not re.fullmatch(r'[a-z0-9][a-z0-9_-]{0,31}', args.name) or args.name in [t.name for t in TARGETS]:
        raise SystemExit(f'name {args.name!r}: expected up to 32 of a to z, 0 to 9, - and _, and not the name of a bundled voice')
    warnings.simplefilter('ignore', torch.jit.TracerWarning)                    # what they warn of is meant
    Tuner(args).run()


if __name__ == '__main__':
    main()
