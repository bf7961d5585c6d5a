"""How well a network that is being trained does on voices and music that it never meets: a few clips made once."""
import torch

from loss import si_sdr
from mix import Mixer
from model import LATE

LENGTH = 6.0                                    # seconds of a clip
SETTINGS = {'music at 0 dB': (0, 'music'), 'noise at 5 dB': (5, 'noise')}


class Validation:
    def __init__(self, args, device, words=None):
        state = torch.get_rng_state()
        torch.manual_seed(20)
        mixer, self.words = Mixer(args.speech, args.sung, args.music, device, args.kept, unseen=True), words
        self.sets = {name: mixer.at(*how, args.clips, LENGTH) for name, how in SETTINGS.items()}
        torch.set_rng_state(state)

    @torch.no_grad()
    def __call__(self, sieve):
        """-> for music and noise: dB of SI-SDR better (gain), dB that the voice's level is off (level), and of what lies between Whisper's
        hearing of the mixture and of the voice, how much is left (words): below 1 is better than not separating"""
        found = {}
        for name, (mixture, voice) in self.sets.items():
            got, late = sieve(mixture)[:, LATE:], slice(0, mixture.shape[1] - LATE)
            mixture, voice = mixture[:, late], voice[:, late]
            row = {'gain': (si_sdr(got, voice) - si_sdr(mixture, voice)).mean(), 'level': 10 * torch.log10(got.square().mean(1) / voice.square().mean(1)).mean()}
            if self.words:
                row['words'] = self.words(got, voice) / self.words(mixture, voice)
            found[name] = {k: round(float(v), 3) for k, v in row.items()}
        return found
