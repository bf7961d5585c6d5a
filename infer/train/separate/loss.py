"""What the live separator is taught by: spectra and dB, what it takes of the voice, and what Whisper hears in it."""
import sys
from pathlib import Path

import torch

sys.path.insert(0, str(Path(__file__).parent.parent))
from losses import words_loss  # noqa: E402
from whisper import Teacher  # noqa: E402

WEIGHTS = {'spectral': 10.0, 'taken': 10.0, 'decibel': 0.1, 'words': 1.0}


def compressed(x, size, hop):
    spectrum = torch.stft(x, size, hop, window=torch.hann_window(size, device=x.device), return_complex=True)
    power = torch.view_as_real(spectrum).square().sum(-1) + 1e-8
    magnitude = power ** 0.15
    return magnitude, spectrum * (magnitude / power.sqrt())


def losses(got, voice, mixture):
    """How far the voice is off: in spectra, loudness compressed, of three sizes; in dB of what is wrong. `taken` counts once more
    what is too quiet: a separator that doubts had better let noise through than take a consonant away."""
    spectral = taken = 0
    for size, hop in ((320, 80), (640, 160), (1600, 400)):
        (a, x), (b, y) = compressed(got, size, hop), compressed(voice, size, hop)
        spectral = spectral + (0.7 * (a - b).square().mean() + 0.3 * torch.view_as_real(x - y).square().sum(-1).mean()) / 3
        taken = taken + (b - a).clamp(min=0).square().mean() / 3
    wrong = (got - voice).square().mean(1)
    of = voice.square().mean(1) + 0.003 * mixture.square().mean(1) + 1e-9
    decibel = 10 * torch.log10((wrong + 0.001 * of) / of).mean()                # at -30 dB it is good enough
    return {'spectral': spectral, 'taken': taken, 'decibel': decibel}


class Words:
    "How far what Whisper's encoder hears in the voice got is from what it hears in the voice alone."
    def __init__(self, path, speech, device):
        self.autocast = lambda: torch.autocast(device, torch.bfloat16, enabled=device == 'cuda')
        self.teacher = Teacher(path, device)
        with self.autocast():
            self.teacher.fit(speech)

    def __call__(self, got, voice):
        there = voice.square().mean(1, keepdim=True) > 1e-9                     # where nobody speaks there is nothing to understand
        got, voice = (torch.where(there, x / (voice.square().mean(1, keepdim=True).sqrt() * 20 + 1e-6), voice) for x in (got, voice))
        with self.autocast():
            with torch.no_grad():
                said = self.teacher(voice)
            return words_loss(self.teacher(got), said)


def si_sdr(got, want):
    want = want - want.mean(1, keepdim=True)
    scale = (got * want).sum(1, keepdim=True) / want.square().sum(1, keepdim=True).clamp(min=1e-9)
    return 10 * torch.log10((scale * want).square().sum(1) / (got - scale * want).square().sum(1).clamp(min=1e-12))
