"""Writes the voice pack: ONNX graphs that run 1, 2, 4 and many hops, and a hop of many sessions, with their contract in the metadata.

    python3 export.py VOICE.pt OUT.onnx         # then holds ONNX Runtime's output against PyTorch's
    python3 export.py PACK.onnx OUT.onnx        # the same of a pack, as this version writes it

OUT.onnx is a model of one hop that any tool opens. The graphs for more hops work on the same weights and are held once
beside it, without them: metadata `autovoiced.graph.N` is base64 of gzip of a GraphProto that lacks only initializers of
the main graph. `joined` below makes a model of it. So is `autovoiced.graph.batch`, which runs one hop of as many sessions as
its inputs have rows. The weights are stored as half-precision numbers, which they are.
Metadata `autovoiced.network` says which initializer is which weight, so that a training can start from a pack (pack.py).
"""
import base64
import copy
import gzip
import hashlib
import json
import math
import sys
import tempfile
from pathlib import Path

import numpy as np
import onnx
import onnxruntime as ort
import torch
from onnx import numpy_helper

from step import Step, Together
from targets import TARGETS
from voice import F0_DELAY_MS, HOP_IN, HOP_OUT, LOOKAHEAD_MS, MEL, MELS, RATE_IN, RATE_OUT, Voice

HOPS = (1, 2, 4, 32)
SMALL = 4096                                # values; what is smaller is not worth a cast
OPSET = 17
SOURCES = ['Kokoro-82M, Apache-2.0: synthesised aligned speech, targets and sources',
           'LibriSpeech train-clean-100 (236 speakers, one utterance each), CC BY 4.0: real speech',
           'Whisper base, MIT: teacher of content; not part of the pack',
           'texts: Debian fortune files, only as sequences of sounds']


def load(path):
    "-> the network, and name -> embedding of the built-in voices"
    kept = torch.load(path, map_location='cpu')
    voice = Voice(**kept.get('shape', {}))
    voice.load_state_dict({k: v.float() for k, v in kept['voice'].items()})
    return voice.eval(), kept['speakers']


def contract(voice, speakers, name):
    return {'format': 1, 'kind': 'voice', 'name': name, 'sample_rate_in': RATE_IN, 'sample_rate_out': RATE_OUT, 'hop_in': HOP_IN, 'hop_out': HOP_OUT,
            'hops': list(HOPS), 'batch': True, 'lookahead_ms': LOOKAHEAD_MS, 'f0_delay_ms': F0_DELAY_MS, 'noise': 'normal', 'state': Step(voice, 1).first_state().numel(),
            'mel': MEL,
            'voices': [{'name': t.name, 'sex': t.sex, 'median_hz': t.median_hz, 'embedding': [round(float(x), 6) for x in speakers[t.name]],
                        'reference': f'{t.name}.flac', 'description': t.description, 'licence': 'Apache-2.0'} for t in TARGETS if t.name in speakers],
            'licence': 'Apache-2.0', 'made_by': 'infer/train', 'sources': SOURCES}


def feed(hops, speaker, f0):
    "what N hops are given, but for the state"
    return {'mel': torch.randn(1, MELS, hops) * 2 - 8, 'f0': f0, 'noise': torch.randn(1, hops * HOP_OUT), 'speaker': speaker}


def trace(step, speaker, sessions=None):
    "-> a GraphProto without detours: traced, constants folded by ONNX Runtime (nothing is left there that is not plain ONNX), cleaned"
    inputs = {**feed(step.hops, speaker, torch.full((1, step.hops), 140.0)), 'state': step.first_state()}
    names, name, free = [*inputs, 'audio', 'state_out'], f'voice{step.hops}', None
    if sessions:
        inputs = {k: v.repeat(sessions, *[1] * (v.dim() - 1)) for k, v in inputs.items()}
        name, free = 'voices', {n: {0: 'sessions'} for n in names}
    with tempfile.TemporaryDirectory() as d:
        torch.onnx.export(step, tuple(inputs.values()), f'{d}/traced.onnx', input_names=list(inputs), output_names=names[-2:], opset_version=OPSET, dynamo=False, dynamic_axes=free)
        options = ort.SessionOptions()
        options.graph_optimization_level, options.optimized_model_filepath = ort.GraphOptimizationLevel.ORT_ENABLE_BASIC, f'{d}/folded.onnx'
        ort.InferenceSession(f'{d}/traced.onnx', options, providers=['CPUExecutionProvider'])
        graph = clean(onnx.load(f'{d}/folded.onnx').graph, name)
    if sessions and {n.op_type for n in graph.node} & {'Shape', 'ConstantOfShape', 'Range'}:
        raise ValueError('the graph for many sessions asks how many they are')
    return graph


def clean(graph, name):
    """Initializers are named after what they hold, so that those of two graphs are the same when their names are; large
    ones that lose nothing by it become half precision, with a cast that is folded at load."""
    names, kept, casts = {}, {}, []
    for t in graph.initializer:
        value = numpy_helper.to_array(t)
        new = names[t.name] = 'c' + hashlib.sha256(repr((value.dtype, value.shape)).encode() + value.tobytes()).hexdigest()[:12]
        if new in kept or new + 'h' in kept:
            continue
        if value.dtype == np.float32 and value.size >= SMALL and np.array_equal(value, value.astype(np.float16).astype(np.float32)):
            kept[new + 'h'] = value.astype(np.float16)
            casts.append(onnx.helper.make_node('Cast', [new + 'h'], [new], to=onnx.TensorProto.FLOAT))
        else:
            kept[new] = value
    ends = {v.name for v in [*graph.input, *graph.output]}
    for node in graph.node:
        if node.domain not in ('', 'ai.onnx'):
            raise ValueError(f'{node.op_type} of {node.domain} is not plain ONNX')
        node.name = ''
        for tensors in (node.input, node.output):
            for i, old in enumerate(tensors):
                if old and old not in ends:
                    tensors[i] = names.setdefault(old, f't{len(names)}')
    return onnx.helper.make_graph([*casts, *graph.node], name, graph.input, graph.output, [numpy_helper.from_array(v, n) for n, v in kept.items()])


def without(graph, main):
    "the graph less the initializers that main has"
    known = {t.name for t in main.initializer}
    rest = [t for t in graph.initializer if t.name not in known]
    return onnx.helper.make_graph(graph.node, graph.name, graph.input, graph.output, rest)


def joined(model, hops):
    "the model of a pack for so many hops, or for a 'batch' of sessions"
    if hops == 1:
        return model
    text = {e.key: e.value for e in model.metadata_props}[f'autovoiced.graph.{hops}']
    graph = onnx.GraphProto.FromString(gzip.decompress(base64.b64decode(text)))
    wanted = {name for node in graph.node for name in node.input}
    graph.initializer.extend(t for t in model.graph.initializer if t.name in wanted)
    whole = copy.deepcopy(model)
    whole.ClearField('metadata_props')
    whole.graph.CopyFrom(graph)
    return whole


def network(voice, graphs):
    "where a pack holds the network: its shape, and of each weight the initializer, turned or not"
    held = {numpy_helper.to_array(t).astype(np.float32).tobytes(): t.name for g in graphs for t in g.initializer if t.data_type != onnx.TensorProto.INT64}
    weights = {}
    for name, p in voice.named_parameters():
        if not name.startswith('teacher.'):
            same, turned = (x.detach().contiguous().numpy().tobytes() for x in (p, p.t()))
            weights[name] = [held[same], False] if same in held else [held[turned], True]
    shape = {'width': voice.width, 'content': voice.content, 'encoder': [b.dilation for b in voice.encoder],
             'decoder': [b.dilation for b in voice.decoder], 'kernel': voice.encoder[0].kernel}
    return {'shape': shape, 'weights': weights}


def pack(voice, about):
    speaker = torch.tensor([about['voices'][0]['embedding']])
    graphs = [*(trace(Step(voice, n), speaker) for n in HOPS), trace(Together(voice), speaker, 3)]
    model = onnx.helper.make_model(graphs[0], opset_imports=[onnx.helper.make_opsetid('', OPSET)], ir_version=8, producer_name='autovoiced', producer_version='2')
    notes = {'autovoiced': json.dumps(about, ensure_ascii=False), 'autovoiced.network': json.dumps(network(voice, graphs))}
    for n, g in zip([*HOPS[1:], 'batch'], graphs[1:]):
        notes[f'autovoiced.graph.{n}'] = base64.b64encode(gzip.compress(without(g, graphs[0]).SerializeToString(deterministic=True), mtime=0)).decode()
    onnx.helper.set_model_props(model, notes)
    return model


def compare(voice, model, hops, speaker):
    "-> how far ONNX Runtime is from PyTorch, dB of the largest sample"
    session = ort.InferenceSession(joined(model, hops).SerializeToString(), providers=['CPUExecutionProvider'])
    step, far, loudest = Step(voice, hops), 0.0, 1e-9
    state = {'torch': step.first_state(), 'onnx': step.first_state().numpy()}
    with torch.no_grad():
        for t in range(0, 64, hops):
            frame = feed(hops, speaker, torch.tensor([[140.0 if k % 10 < 7 else 0.0 for k in range(t, t + hops)]]))
            want, state['torch'] = step(*frame.values(), state['torch'])
            got, state['onnx'] = session.run(None, {**{k: v.numpy() for k, v in frame.items()}, 'state': state['onnx']})
            far, loudest = max(far, float(np.abs(got - want.numpy()).max())), max(loudest, float(want.abs().max()))
    return 20 * math.log10(far / loudest + 1e-12)


def compare_batch(voice, model, speaker, sessions=5):
    "-> how far a batch of sessions is from single runs of the main graph, dB of the largest sample"
    one, many = (ort.InferenceSession(joined(model, n).SerializeToString(), providers=['CPUExecutionProvider']) for n in (1, 'batch'))
    state, far, loudest = Step(voice, 1).first_state().repeat(sessions, 1).numpy(), 0.0, 1e-9
    single = state.copy()
    for t in range(64):
        rows = [feed(1, speaker.roll(s), torch.tensor([[100.0 + 20 * s if (t + s) % 10 < 7 else 0.0]])) for s in range(sessions)]
        rows = {k: np.concatenate([r[k].numpy() for r in rows]) for k in rows[0]}
        want = [one.run(None, {**{k: v[s:s + 1] for k, v in rows.items()}, 'state': single[s:s + 1]}) for s in range(sessions)]
        got, state = many.run(None, {**rows, 'state': state})
        want, single = (np.concatenate(x) for x in zip(*want))
        far, loudest = max(far, np.abs(np.nan_to_num(got - want, nan=np.inf)).max()), max(loudest, np.abs(want).max())
    return 20 * math.log10(far / loudest + 1e-12)


def main(weights, out):
    if weights.endswith('.onnx'):
        from pack import load as unpack
        voice, about = unpack(weights)
        about = {**about, 'hops': list(HOPS), 'batch': True}
    else:
        voice, speakers = load(weights)
        about = contract(voice, speakers, Path(out).stem)
    model = pack(voice, about)
    worst = -math.inf
    for n in HOPS:
        whole = joined(model, n)
        onnx.checker.check_model(whole, full_check=True)
        difference = compare(voice, model, n, torch.tensor([about['voices'][0]['embedding']]))
        worst = max(worst, difference)
        print(f'{n:3d} hops: {len(whole.graph.node)} nodes, {sum(x.op_type == "Cast" for x in whole.graph.node)} of them casts; largest difference to PyTorch {difference:.0f} dB')
    whole = joined(model, 'batch')
    onnx.checker.check_model(whole, full_check=True)
    apart = compare_batch(voice, model, torch.tensor([about['voices'][0]['embedding']]))
    print(f'batches: {len(whole.graph.node)} nodes; largest difference to single runs {apart:.0f} dB')
    onnx.save(model, out)
    print(f'{out}: {model.ByteSize() / 1e6:.1f} MB, graphs for more hops {sum(len(e.value) for e in model.metadata_props if "graph" in e.key) / 1e6:.2f} MB of it')
    return worst > -60 or apart > -100


if __name__ == '__main__':
    sys.exit(main(*sys.argv[1:3]))
