"""Who speaks: Resemblyzer's pretrained encoder (Apache-2.0; a GE2E loss taught it), written anew so that gradients reach the audio.

    python3 ge2e.py PRETRAINED.pt OUT.npz       # the package's resemblyzer/pretrained.pt -> the encoder's weights alone (5.7 MB)
"""
import sys

import numpy as np
import torch
import torch.nn as nn
import torch.nn.functional as F

from voice import slaney_mel

RATE, FFT, HOP, MELS = 16000, 400, 160, 40
PARTIAL = 160                        # frames that one embedding hears: 1.6 s
LEAST = 10 ** (-30 / 20)             # quieter speech is raised to this root mean square; louder speech is left alone


class GE2E(nn.Module):
    """Frozen, and the same in train and eval mode. It hears level as identity (10 dB move an embedding by 0.05 to 0.14 of
    cosine), so level, when given, is the root mean square that every input is brought to, up or down."""
    def __init__(self, path, device='cpu', level=None):
        super().__init__()
        self.fixed = level
        self.lstm, self.linear = nn.LSTM(MELS, 256, 3, batch_first=True), nn.Linear(256, 256)
        self.load_state_dict({k: torch.from_numpy(v) for k, v in np.load(path).items()})
        self.register_buffer('bank', torch.from_numpy(slaney_mel(RATE, FFT, MELS)), persistent=False)
        self.register_buffer('window', torch.hann_window(FFT), persistent=False)
        self.requires_grad_(False).to(device)

    def train(self, mode=True):
        return super().train(True)                                              # cuDNN runs no LSTM backwards in eval mode

    def level(self, audio):
        "One gain for a whole row."
        rms = audio.square().mean(-1, keepdim=True).clamp(min=1e-12).sqrt()
        return audio * (self.fixed / rms if self.fixed else (LEAST / rms).clamp(min=1.0))

    def mel(self, audio):
        "[B, n] -> [B, n/HOP + 1, MELS] of power, not of its logarithm; frame t is centred at HOP t"
        with torch.autocast(audio.device.type, enabled=False):                  # powers want float32
            spectrum = torch.stft(audio.float(), FFT, HOP, window=self.window, pad_mode='constant', return_complex=True)
            return torch.view_as_real(spectrum).square().sum(-1).transpose(1, 2) @ self.bank.T

    def read(self, mel):
        "[B, frames, MELS] -> [B, 256], of unit length and nowhere negative"
        return F.normalize(F.relu(self.linear(self.lstm(mel)[0][:, -1])), dim=1)

    def forward(self, audio):
        "[B, n] at 16 kHz, n at least PARTIAL HOP, heard as one partial -> [B, 256]"
        return self.read(self.mel(self.level(audio))[:, :audio.shape[1] // HOP])

    def embed(self, audio, stride=PARTIAL // 2):
        """[B, n] at 16 kHz, any n -> [B, 256]: the mean of overlapping partials. The last one counts if three quarters of it
        are there. Resemblyzer also cuts long silences out; here the caller does."""
        n, span = audio.shape[1], PARTIAL * HOP
        count = max(1, 1 + (n - span * 3 // 4) // (stride * HOP))
        frames = (count - 1) * stride + PARTIAL
        mel = self.mel(F.pad(self.level(audio), (0, max(0, frames * HOP - n))))[:, :frames]
        parts = mel.unfold(1, PARTIAL, stride).transpose(2, 3)                  # B, count, PARTIAL, MELS
        return F.normalize(self.read(parts.flatten(0, 1)).unflatten(0, (len(audio), count)).mean(1), dim=1)


if __name__ == '__main__':
    tensors = torch.load(sys.argv[1], map_location='cpu', weights_only=False)['model_state']
    np.savez(sys.argv[2], **{k: v.float().numpy() for k, v in tensors.items() if k.startswith(('lstm.', 'linear.'))})
