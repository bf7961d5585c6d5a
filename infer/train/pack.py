"""Reads packs back into the networks that export.py and speaker.py wrote them from: what ships is also what a training starts from."""
import json

import numpy as np
import onnx
import torch
import torch.nn as nn
from onnx import numpy_helper

from export import HOPS, joined
from speaker import Student
from voice import LOOKAHEAD_MS, Voice


def load(path):
    "-> the network, but for the head that only training has, and the pack's contract"
    model = onnx.load(path)
    notes = {p.key: p.value for p in model.metadata_props}
    about = json.loads(notes.get('autovoiced', '{}'))
    if about.get('lookahead_ms') != LOOKAHEAD_MS or 'autovoiced.network' not in notes:
        raise SystemExit(f'{path}: expected a voice pack that export.py of this version wrote, found kind {about.get("kind")}, look-ahead '
                         f'{about.get("lookahead_ms")} ms (not {LOOKAHEAD_MS}) and {"a" if "autovoiced.network" in notes else "no"} list of weights')
    where = json.loads(notes['autovoiced.network'])
    held = {t.name: t for n in HOPS[:2] for t in joined(model, n).graph.initializer}
    voice = Voice(**where['shape'])
    state = voice.state_dict()
    for name, (initializer, turned) in where['weights'].items():
        value = numpy_helper.to_array(held[initializer]).astype(np.float32)
        size = state[name].shape
        state[name] = torch.from_numpy(value.reshape(size[::-1]).T.copy() if turned else value.reshape(size).copy())
    voice.load_state_dict(state)
    return voice.eval(), about


def load_speaker(path):
    "-> the speaker encoder; its batch norms have gone into the convolutions before them, so its own do nothing"
    graph, student = onnx.load(path).graph, Student()
    held = {t.name: torch.from_numpy(numpy_helper.to_array(t).copy()) for t in graph.initializer}
    inside = [n.input[1:] for n in graph.node if n.op_type in ('Conv', 'Gemm')]
    layers = [m for m in student.modules() if isinstance(m, (nn.Conv1d, nn.Conv2d, nn.Linear))]
    for layer, (weight, bias) in zip(layers, inside, strict=True):
        layer.weight, layer.bias = nn.Parameter(held[weight]), nn.Parameter(held[bias])
    return student.eval().requires_grad_(False)
