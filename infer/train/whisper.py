"""The content teacher: Whisper base's encoder (MIT), read from the CTranslate2 file that the packages of
requirements-data.txt carry. Output: 512 values, 50 a second, for audio at 16 kHz.

    python3 whisper.py PART1 PART2 OUT.npz      # the two halves of model.bin -> the encoder's weights alone (41 MB)
"""
import struct
import sys
from pathlib import Path

import numpy as np
import torch
import torch.nn.functional as F

from voice import slaney_mel

TYPES = {0: np.float32, 1: np.int8, 2: np.int16, 3: np.int32, 4: np.float16}


def read_ctranslate2(data):
    "name -> array of a CTranslate2 model.bin, version 6: little-endian, names with a 16-bit length that counts a final zero."
    at = 0

    def take(form):
        nonlocal at
        value = struct.unpack_from('<' + form, data, at)[0]
        at += struct.calcsize('<' + form)
        return value

    def name():
        nonlocal at
        size = take('H')
        at += size
        return data[at - size:at - 1].decode()
    version = take('I')
    if version != 6:
        raise ValueError(f'model.bin: expected CTranslate2 format 6, found {version}')
    name(), take('I')
    tensors = {}
    for _ in range(take('I')):
        key = name()
        shape = [take('I') for _ in range(take('B'))]
        kind, size = take('B'), take('I')
        tensors[key] = np.frombuffer(data[at:at + size], TYPES[kind]).reshape(shape)
        at += size
    return tensors


class Teacher:
    def __init__(self, path, device='cpu'):
        self.w = {k: torch.from_numpy(v.astype(np.float32)).to(device) for k, v in np.load(path).items()}
        self.mel = torch.from_numpy(slaney_mel(16000, 400, 80)).to(device)
        self.window = torch.hann_window(400, device=device)
        self.norms = None
        self.layers = sum(k.endswith('self_attention/linear_0/weight') for k in self.w)

    @torch.no_grad()
    def fit(self, audio):
        "Learns each value's mean and spread from [B, n]; from then on all features come standardised."
        self.norms = [(x.mean((0, 1)), x.std((0, 1)) + 1e-3) for x in self.listen(audio)]

    def __call__(self, audio):
        "[B, n] at 16 kHz, at most 30 s -> what the middle layer and the last one hear, each [B, n/320, 512]"
        return [(x.float() - mean) / scale for x, (mean, scale) in zip(self.listen(audio), self.norms)]

    def mel_of(self, audio):
        with torch.autocast(audio.device.type, enabled=False):                  # powers and their logarithm want float32
            power = torch.stft(audio, 400, 160, window=self.window, return_complex=True)[..., :-1].abs().square()
            mel = torch.clamp(self.mel @ power, min=1e-10).log10()
        return (torch.maximum(mel, mel.amax((1, 2), keepdim=True) - 8.0) + 4.0) / 4.0

    def listen(self, audio, middle=3):
        w, mel = self.w, self.mel_of(audio)
        x = F.gelu(F.conv1d(mel, w['conv1/weight'], w['conv1/bias'], padding=1))
        x = F.gelu(F.conv1d(x, w['conv2/weight'], w['conv2/bias'], stride=2, padding=1)).transpose(1, 2)
        x = x + w['position_encodings/encodings'][:x.shape[1]]
        norm = lambda x, k: F.layer_norm(x, (512,), w[k + '/gamma'], w[k + '/beta'])
        line = lambda x, k: F.linear(x, w[k + '/weight'], w[k + '/bias'])
        for i in range(self.layers):
            if i == middle:
                half = x
            a = f'layer_{i}/self_attention'
            q, k, v = line(norm(x, a + '/layer_norm'), a + '/linear_0').unflatten(2, (3, 8, 64)).permute(2, 0, 3, 1, 4)
            y = F.scaled_dot_product_attention(q, k, v).transpose(1, 2).flatten(2)
            x = x + line(y, a + '/linear_1')
            f = f'layer_{i}/ffn'
            x = x + line(F.gelu(line(norm(x, f + '/layer_norm'), f + '/linear_0')), f + '/linear_1')
        return half, norm(x, 'layer_norm')


if __name__ == '__main__':
    tensors = read_ctranslate2(b''.join(Path(p).read_bytes() for p in sys.argv[1:3]))
    np.savez(sys.argv[3], **{k.removeprefix('encoder/'): v for k, v in tensors.items() if k.startswith('encoder/')})
