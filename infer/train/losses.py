"""What the voice is measured by while it learns."""
import torch
import torch.nn as nn
import torch.nn.functional as F

from voice import RATE_OUT
from whisper import END

NARROW = 6700                        # Hz that the slowest of real.py's recordings have


def spectrogram(audio, fft):
    window = torch.hann_window(fft, device=audio.device)
    return torch.stft(audio, fft, fft // 4, window=window, return_complex=True).abs()


def spectral_loss(made, target, narrow):
    """Multi-resolution distance of magnitudes: log and linear. narrow [B]: target has nothing above NARROW."""
    total = 0
    for fft in (2048, 1024, 512, 256, 128):
        a, b = spectrogram(made, fft), spectrogram(target, fft)
        f = torch.arange(a.shape[1], device=a.device) * RATE_OUT / fft
        keep = ((f[None] < NARROW) | ~narrow[:, None]).float()[..., None]
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


def words_loss(heard, said):
    "How far two lists of the teacher's features are apart, frame by frame; the first frames know too little to be asked."
    return sum(weight * (1 - F.cosine_similarity(a[:, 15:], b[:, 15:], dim=2)).mean() for weight, a, b in zip((0.5, 1.0), heard, said))


def reading_loss(reader, heard, said, language, count=16):
    """How far apart two sounds leave the teacher about every next word, in nats: it writes what it hears said, and is then asked word by word what
    it would have written having heard the other. What comes after the end, or when it has begun to repeat itself, does not count."""
    with torch.no_grad():
        tokens, choices = reader.write(reader.remember(said), language, count)
        truth = F.log_softmax(choices, 2)
        words = tokens[:, -count:]
        two = words[:, :-1] * (END + 1) + words[:, 1:]
        again = F.pad((two[:, :, None] == two[:, None]).tril(-1).any(2), (1, 0))
        over = F.pad(words[:, :-1] == END, (1, 0)) | again
        counts = (over.cumsum(1) == 0).float()
    guess = F.log_softmax(reader(tokens[:, :-1], reader.remember(heard), count), 2)
    apart = (truth.exp() * (truth - guess)).sum(2)
    return (apart * counts).sum() / counts.sum().clamp(min=1)


def level_loss(made, source):
    "Loudness every 20 ms, compared in nepers where there is speech."
    loud = lambda x: torch.log(F.avg_pool1d(x.square()[:, None], 960, 480)[:, 0] + 1e-6)
    a, b = loud(made), loud(source)
    return ((a - b).abs() * (b > b.amax(1, keepdim=True) - 7)).mean()
