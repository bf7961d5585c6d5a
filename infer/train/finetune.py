"""Teaches the voice to speak as one person, from a minute or more of that person's recordings.

    FOLLOW=build/follow python3 finetune.py RECORDINGS NAME OUT_DIR [--seconds 900] [--material build/train]

Starts from the pack that ships and writes OUT_DIR/NAME.onnx, a pack with one voice. What listens to the words is left as
it is; what speaks them learns to say the person's own speech, heard through strange microphones and vocal tracts, as the
person says it; and other people's speech so that the speaker encoder hears the person, and the voice itself the same words.
The other people are those of --material, where there are some, else those of the bundled samples.
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
from data import Material, down, join, load_real, warped, weather
from losses import spectral_loss
from recordings import Ear, gather, read
from speaker import FRAMES
from synthesize import pitch
from targets import TARGETS
from voice import HOP_OUT, RATE_OUT, log_mel

HERE = Path(__file__).parent
SAMPLES = HERE / '../../testdata/audio'
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
        self.others, self.ear = self.strangers(), Ear(args.speaker, self.device)
        self.speaker = self.ear(torch.from_numpy(learnt.audio).to(self.device))
        print(f'{everything.seconds:.0f} s of speech, {kept.seconds:.0f} s of it kept out; pitch around {self.home:.0f} Hz', flush=True)

        self.voice, self.about = pack.load(args.start)
        self.voice.to(self.device)
        self.before, self.best = copy.deepcopy(self.voice), copy.deepcopy(self.voice)
        self.mean, self.step = copy.deepcopy(self.voice), 0
        for name, p in self.voice.named_parameters():
            p.requires_grad_(not name.startswith(LISTENS))
        self.opt = torch.optim.AdamW([p for p in self.voice.parameters() if p.requires_grad], lr=args.rate, betas=(0.9, 0.98), weight_decay=0)

    def strangers(self):
        real = Path(self.args.material) / 'real.npz'
        if real.exists():
            others = load_real(real, self.device)
        else:
            samples = [read(p)[0] for p in sorted(SAMPLES.rglob('*.flac')) + sorted((HERE / '../voices/references').glob('*.flac'))]
            samples = [a[:len(a) // HOP_OUT * HOP_OUT] for a in samples]
            f0 = [pitch(a)[None, :len(a) // HOP_OUT] for a in samples]
            others = join([(a * 32767).astype(np.int16)[None] for a in samples], f0, np.full((1, len(f0)), -1), self.device)
        others.content, others.speaker = torch.zeros(2, 512, device=self.device), torch.zeros(*others.who.shape, 256, device=self.device)
        return others

    def hear(self, source, warp):
        gain = 10 ** (torch.empty(len(source), 1, device=self.device).uniform_(-25, 6) / 20)
        return log_mel(weather(down(source)) * gain, lambda power: warped(power, warp)), gain

    def speak(self, voice, mel, f0):
        noise = torch.randn(len(f0), f0.shape[1] * HOP_OUT, device=self.device)
        made, _ = voice(mel, f0, self.speaker.expand(len(f0), -1), noise, torch.rand(len(f0), device=self.device, dtype=torch.float64))
        return made

    def say(self, crops, voice, warp):
        "The person's own words, whoever they sound like to the voice: how far from the recording it says them"
        mel, gain = self.hear(crops.source, warp)
        made = (self.speak(voice, mel, crops.f0) / gain)[:, WARM * HOP_OUT:]
        return spectral_loss(made, crops.target[:, WARM * HOP_OUT:], torch.full((len(made),), self.narrow, device=self.device))

    def convert(self, voice, crops, warp):
        "Other people's words: how far from the person the speaker encoder hears them, and from the words the voice itself does"
        mel, gain = self.hear(crops.source, warp)
        f0 = crops.f0 * (self.home / crops.home.clamp(min=50))[:, None]
        made = log_mel(down(self.speak(voice, mel, f0.clamp(max=700)) / gain))
        likeness = (self.ear.student(made[..., -FRAMES:]) * self.speaker).sum(1).mean()
        with torch.no_grad():
            said, _ = self.before.encode(log_mel(down(crops.source)))
        heard, _ = self.before.encode(made)
        return 1 - likeness, (1 - F.cosine_similarity(heard[:, WARM + 2:], said[:, WARM:-2], dim=2)).mean()    # it comes two hops later

    def warps(self, count):
        return torch.exp(torch.empty(count, device=self.device).uniform_(-0.25, 0.25))

    def learn(self):
        a = self.args
        few = max(1, a.batch // 2)
        unlike, unsaid = self.convert(self.voice, self.others.cut(few, WARM + FRAMES + 5, same=True), self.warps(few))
        loss = self.say(self.learnt.cut(a.batch, a.hops), self.voice, self.warps(a.batch)) + a.likeness * unlike + a.words * unsaid
        self.opt.zero_grad(set_to_none=True)
        loss.backward()
        nn.utils.clip_grad_norm_(self.voice.parameters(), 1.0, error_if_nonfinite=True)
        self.opt.step()
        with torch.no_grad():
            decay = min(0.98, (self.step + 1) / (self.step + 10))
            torch._foreach_lerp_(list(self.mean.parameters()), list(self.voice.parameters()), 1 - decay)

    @torch.no_grad()
    def measure(self, voice):
        "-> how far from the recordings kept out, and from the person and the words when others speak; the same crops each time"
        with torch.random.fork_rng():
            torch.manual_seed(7)
            said = self.say(self.kept.cut(8, self.args.hops), voice, self.warps(8))
            unlike, unsaid = self.convert(voice, self.others.cut(8, WARM + FRAMES + 5, same=True), torch.ones(8, device=self.device))
        return np.array([float(said), float(unlike), float(unsaid)])

    def run(self):
        a, begin, weights = self.args, time.time(), np.array([1, self.args.likeness, self.args.words])
        first = best = self.measure(self.before)
        self.tell(begin, first)
        idle, over = 0, False
        while not over and idle < PATIENCE:
            for g in self.opt.param_groups:
                g['lr'] = a.rate * min(1, (self.step + 1) / 20)
            self.learn()
            self.step += 1
            over = self.step >= a.steps or time.time() - begin > a.seconds
            if self.step % a.every and not over:
                continue
            now = self.measure(self.mean)
            idle = 0 if now @ weights < best @ weights - 1e-3 else idle + 1
            if now @ weights < best @ weights:
                best = now
                self.best.load_state_dict(self.mean.state_dict())
            self.tell(begin, now)
        print(f'kept: {best @ weights:.3f} in all, at first {first @ weights:.3f}', flush=True)
        self.write()

    def tell(self, begin, measured):
        said, unlike, unsaid = measured
        print(f'step {self.step}, {time.time() - begin:.0f} of at most {self.args.seconds:.0f} s: distance to the recordings kept out {said:.3f}; '
              f'when others speak, likeness {1 - unlike:.3f}, words {1 - unsaid:.3f}', flush=True)

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
    p.add_argument('--from', dest='start', default=HERE / '../voices/first.onnx', help='the pack to start from')
    p.add_argument('--speaker', default=HERE / '../voices/speaker.onnx', help='the speaker encoder')
    p.add_argument('--material', default='build/train', help='where real.npz may be')
    p.add_argument('--seconds', type=float, default=900)
    p.add_argument('--steps', type=int, default=1500)
    p.add_argument('--batch', type=int, default=6)
    p.add_argument('--hops', type=int, default=150)
    p.add_argument('--rate', type=float, default=2e-4)
    p.add_argument('--likeness', type=float, default=1.0, help='weight of sounding like the person')
    p.add_argument('--words', type=float, default=1.0, help='weight of saying the same')
    p.add_argument('--every', type=int, default=25)
    args = p.parse_args()
    if not re.fullmatch(r'[a-z0-9][a-z0-9_-]{0,31}', args.name) or args.name in [t.name for t in TARGETS]:
        raise SystemExit(f'name {args.name!r}: expected up to 32 of a to z, 0 to 9, - and _, and not the name of a bundled voice')
    warnings.simplefilter('ignore', torch.jit.TracerWarning)                    # what they warn of is meant
    Tuner(args).run()


if __name__ == '__main__':
    main()
