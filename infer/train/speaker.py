"""The speaker encoder: who speaks in 1.6 s of log-mel, as a point among voices. A small student of ge2e.py.

    python3 speaker.py STUDENT.pt OUT.onnx      # writes the pack, then holds ONNX Runtime's output against PyTorch's

mel [1, MELS, FRAMES], the voice's own log-mel at any level -> embedding [1, EMBEDDING] of unit length, nowhere negative. One window's
answer wavers with what is said; the mean of several, normalised, is the speaker.
"""
import json
import math
import sys

import numpy as np
import torch
import torch.nn as nn
import torch.nn.functional as F

from voice import HOP_IN, MEL, MELS, RATE_IN

FRAMES, EMBEDDING = 160, 256
QUIET = 10.0                         # nats below the mean power at which a band counts as silent
SOURCES = ['Resemblyzer (GE2E), Apache-2.0: teacher; not part of the pack',
           'LibriSpeech train-clean-100 (236 speakers, one utterance each), CC BY 4.0: real speech',
           'Kokoro-82M, Apache-2.0: synthesised speech']


class Block(nn.Module):
    "Depthwise convolution over time, then a two-layer perceptron, with a skip around both. Batch norms fold away in the export."
    def __init__(self, width, kernel, dilation):
        super().__init__()
        self.mix = nn.Sequential(
            nn.Conv1d(width, width, kernel, padding=dilation * (kernel // 2), dilation=dilation, groups=width, bias=False), nn.BatchNorm1d(width),
            nn.Conv1d(width, 2 * width, 1, bias=False), nn.BatchNorm1d(2 * width), nn.ReLU(),
            nn.Conv1d(2 * width, width, 1, bias=False), nn.BatchNorm1d(width))

    def forward(self, x):
        return x + self.mix(x)


class Student(nn.Module):
    def __init__(self, width=160, channels=24, dilations=(1, 2, 4, 1, 2), attention=48):
        super().__init__()
        self.rows = channels * MELS // 4
        self.stem = nn.Sequential(                                              # halves time, quarters frequency
            nn.Conv2d(1, channels, 3, stride=2, padding=1, bias=False), nn.BatchNorm2d(channels), nn.ReLU(),
            nn.Conv2d(channels, channels, 3, stride=(2, 1), padding=1, bias=False), nn.BatchNorm2d(channels), nn.ReLU())
        self.enter = nn.Sequential(nn.Conv1d(self.rows, width, 1, bias=False), nn.BatchNorm1d(width))
        self.blocks = nn.Sequential(*(Block(width, 5, d) for d in dilations))
        self.attend = nn.Sequential(nn.Conv1d(width, attention, 1), nn.Tanh(), nn.Conv1d(attention, width, 1))
        self.leave = nn.Linear(2 * width, EMBEDDING)

    def forward(self, mel):
        "[B, MELS, FRAMES] -> [B, EMBEDDING]"
        mel = mel - mel.exp().mean((1, 2), keepdim=True).log()
        x = torch.clamp(mel, min=-QUIET) * 0.25 + 1.0
        x = self.stem(x[:, None])
        x = self.blocks(self.enter(x.reshape(-1, self.rows, FRAMES // 2)))
        share = torch.softmax(self.attend(x), 2)
        mean = (share * x).sum(2)
        spread = torch.sqrt(torch.clamp((share * x * x).sum(2) - mean * mean, min=1e-4))
        x = F.relu(self.leave(torch.cat([mean, spread], 1)))
        return x / torch.sqrt((x * x).sum(1, keepdim=True) + 1e-8)


def load(path):
    student = Student()
    student.load_state_dict({k: v.float() if v.is_floating_point() else v for k, v in torch.load(path, map_location='cpu').items()})
    return student.eval()


def contract():
    return {'format': 1, 'kind': 'speaker', 'name': 'speaker', 'sample_rate_in': RATE_IN, 'hop_in': HOP_IN, 'frames': FRAMES, 'embedding': EMBEDDING,
            'mel': MEL,
            'licence': 'Apache-2.0', 'made_by': 'infer/train', 'sources': SOURCES}


def main(weights, out):
    import onnx
    import onnxruntime as ort
    student = load(weights)
    torch.onnx.export(student, torch.randn(1, MELS, FRAMES) - 8, out, input_names=['mel'], output_names=['embedding'], opset_version=17, dynamo=False)
    model = onnx.load(out)
    model.producer_name, model.producer_version = 'autovoiced', '1'
    entry = model.metadata_props.add()
    entry.key, entry.value = 'autovoiced', json.dumps(contract(), ensure_ascii=False)
    onnx.checker.check_model(model)
    onnx.save(model, out)

    session, far = ort.InferenceSession(out, providers=['CPUExecutionProvider']), 0.0
    with torch.no_grad():
        for loud in (-12.0, -8.0, -4.0):
            mel = torch.randn(1, MELS, FRAMES) * 2 + loud
            far = max(far, float(np.abs(session.run(None, {'mel': mel.numpy()})[0] - student(mel).numpy()).max()))
    print(f'{out}: {len(model.graph.node)} nodes, {model.ByteSize() / 1e6:.2f} MB, largest difference to PyTorch {20 * math.log10(far + 1e-12):.0f} dB')
    return far > 1e-4


if __name__ == '__main__':
    sys.exit(main(*sys.argv[1:3]))
