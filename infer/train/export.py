"""Writes the voice pack: one ONNX graph that runs one hop, with its contract in the metadata.

    python3 export.py VOICE.pt OUT.onnx         # then holds ONNX Runtime's output against PyTorch's
"""
import json
import math
import sys
from pathlib import Path

import numpy as np
import onnx
import onnxruntime as ort
import torch

from targets import TARGETS
from voice import F0_DELAY_MS, FFT, FLOOR, HOP_IN, HOP_OUT, LOOKAHEAD_MS, MELS, RATE_IN, RATE_OUT, WINDOW, Voice

SOURCES = ['Kokoro-82M, Apache-2.0: synthesised aligned speech, targets and sources',
           'LibriSpeech train-clean-100 (236 speakers, one utterance each), CC BY 4.0: real speech',
           'Whisper base, MIT: teacher of content; not part of the pack',
           'texts: Debian fortune files, only as sequences of sounds']


class Step(torch.nn.Module):
    def __init__(self, voice):
        super().__init__()
        self.voice = voice

    def forward(self, mel, f0, noise, speaker, state):
        return self.voice.step(mel, f0, noise, speaker, state)


def load(path):
    "-> the network, and name -> embedding of the built-in voices"
    kept = torch.load(path, map_location='cpu')
    voice = Voice(**kept.get('shape', {}))
    voice.load_state_dict({k: v.float() for k, v in kept['voice'].items()})
    return voice.eval(), kept['speakers']


def contract(voice, speakers, name):
    return {'format': 1, 'kind': 'voice', 'name': name, 'sample_rate_in': RATE_IN, 'sample_rate_out': RATE_OUT, 'hop_in': HOP_IN, 'hop_out': HOP_OUT,
            'lookahead_ms': LOOKAHEAD_MS, 'f0_delay_ms': F0_DELAY_MS, 'noise': 'normal', 'state': int(voice.first_state().numel()),
            'mel': {'n_fft': FFT, 'window': WINDOW, 'hop': HOP_IN, 'bands': MELS, 'fmin': 0, 'fmax': RATE_IN / 2, 'floor': FLOOR, 'scale': 'slaney'},
            'voices': [{'name': t.name, 'sex': t.sex, 'median_hz': t.median_hz, 'embedding': [round(float(x), 6) for x in speakers[t.name]],
                        'reference': f'{t.name}.flac', 'description': t.description, 'licence': 'Apache-2.0'} for t in TARGETS if t.name in speakers],
            'licence': 'Apache-2.0', 'made_by': 'infer/train', 'sources': SOURCES}


def main(weights, out):
    voice, speakers = load(weights)
    about = contract(voice, speakers, Path(out).stem)
    speaker = torch.tensor([about['voices'][0]['embedding']])
    inputs = {'mel': torch.randn(1, MELS, 1) - 8, 'f0': torch.full((1, 1), 140.0), 'noise': torch.randn(1, HOP_OUT), 'speaker': speaker, 'state': voice.first_state()}
    torch.onnx.export(Step(voice), tuple(inputs.values()), out, input_names=list(inputs), output_names=['audio', 'state_out'], opset_version=17, dynamo=False)
    model = onnx.load(out)
    model.producer_name, model.producer_version = 'autovoiced', '1'
    entry = model.metadata_props.add()
    entry.key, entry.value = 'autovoiced', json.dumps(about, ensure_ascii=False)
    onnx.checker.check_model(model)
    onnx.save(model, out)

    session = ort.InferenceSession(out, providers=['CPUExecutionProvider'])
    state, far = {'torch': voice.first_state(), 'onnx': voice.first_state().numpy()}, 0.0
    with torch.no_grad():
        for t in range(40):
            frame = {'mel': torch.randn(1, MELS, 1) * 2 - 8, 'f0': torch.full((1, 1), 140.0 if t % 10 < 7 else 0.0), 'noise': torch.randn(1, HOP_OUT), 'speaker': speaker}
            want, state['torch'] = voice.step(*frame.values(), state['torch'])
            got, state['onnx'] = session.run(None, {**{k: v.numpy() for k, v in frame.items()}, 'state': state['onnx']})
            far = max(far, float(np.abs(got - want.numpy()).max() / (want.abs().max() + 1e-9)))
    print(f'{out}: {len(model.graph.node)} nodes, {model.ByteSize() / 1e6:.1f} MB, largest difference to PyTorch {20 * math.log10(far + 1e-12):.0f} dB')
    return far > 1e-3


if __name__ == '__main__':
    sys.exit(main(*sys.argv[1:3]))
