#!/usr/bin/env python3
"""Write tiny-voice.onnx, a few kB with exactly the contract of a neural voice, and its broken twins.

It is no voice, but it uses every input, so that tests of state, determinism, cut independence and
speaker switching can fail: four harmonics of f0, weighted by the speaker, with the phase carried in
the state; noise where f0 is 0; loudness from the mel frame, smoothed through the state.

    pip install onnx && python3 make.py

The broken twins, each wrong in one way that loading must name:

    wrong-shape     audio is [1,200]             wrong-type      f0 is int64
    missing-input   there is no noise            extra-input     an input nobody fills
    dynamic-shape   mel has a named dimension    state-mismatch  metadata says one state value more
    no-metadata     no metadata at all           bad-metadata    metadata that is not JSON
    future-format   format 99                    wrong-rate      a hop of 10 ms in, of 20 ms out
and three that are well-formed: nan-above-900 gives NaN, state included, while f0 is over 900 Hz,
fails-above-900 fails to run then, and nan-always gives NaN for silence as well.

tiny-hops.onnx has graphs for 3 and for 8 hops as well: the one hop, over and over. Its twin
nan-in-hops is to nan-above-900 what it is to tiny-voice.
"""

import base64
import copy
import gzip
import json
import pathlib

import numpy as np
from onnx import TensorProto, checker, helper, numpy_helper

HERE = pathlib.Path(__file__).resolve().parent
RATE, HOP, BANDS, EMBEDDING, STATE, HARMONICS = 24000, 240, 80, 8, 4, 4

CONTRACT = {
    "format": 1,
    "kind": "voice",
    "name": "tiny-voice",
    "sample_rate_in": 16000,
    "sample_rate_out": RATE,
    "hop_in": 160,
    "hop_out": HOP,
    "lookahead_ms": 10,
    "mel": {
        "n_fft": 512, "window": 400, "hop": 160, "bands": BANDS,
        "fmin": 0, "fmax": 8000, "floor": 1e-10, "scale": "slaney",
    },
    "noise": "normal",
    "f0_delay_ms": 20,
    "state": STATE,
    "voices": [
        {
            "name": "tiny-low", "sex": "male", "median_hz": 110,
            "embedding": [1, 0, 0.5, 0, 0, 0, 0, 0],
            "description": "a low buzz", "licence": "Apache-2.0",
        },
        {
            "name": "tiny-high", "sex": "female", "median_hz": 220,
            "embedding": [0, 1, 0, 0.5, 0, 0, 0, 0],
            "description": "a high buzz", "licence": "Apache-2.0",
        },
    ],
    "licence": "Apache-2.0",
    "made_by": "testdata/models/tiny-voice/make.py",
    "sources": [],
}


class Graph:
    """Nodes and constants in the order they are written."""

    def __init__(self):
        self.nodes, self.constants = [], []

    def const(self, name, value, dtype=np.float32):
        self.constants.append(numpy_helper.from_array(np.array(value, dtype=dtype), name))
        return name

    def op(self, kind, inputs, output, **attributes):
        self.nodes.append(helper.make_node(kind, inputs, [output], name=output, **attributes))
        return output


def tiny_voice(noise=True, nan_above=None, fails_above=None):
    g = Graph()
    for i, name in enumerate(["phase", "gain", "voicing", "mean"]):
        g.op("Slice", ["state", g.const(f"{name}_from", [i], np.int64), g.const(f"{name}_to", [i + 1], np.int64),
                       g.const(f"{name}_axis", [1], np.int64)], f"{name}_before")

    # Phase in turns, carried over hops: cutting the signal elsewhere must not be heard.
    turns_a_hop = g.op("Mul", ["f0", g.const("hop_seconds", [[HOP / RATE]])], "turns_a_hop")
    ramp = g.const("ramp", [[(i + 1) / HOP for i in range(HOP)]])
    g.op("Add", ["phase_before", g.op("Mul", [turns_a_hop, ramp], "turns")], "phase")
    g.op("Add", ["phase_before", turns_a_hop], "phase_end")
    g.op("Sub", ["phase_end", g.op("Floor", ["phase_end"], "phase_whole")], "phase_after")

    # The speaker weighs the harmonics.
    weights = np.random.default_rng(1).normal(size=(EMBEDDING, HARMONICS))
    g.op("Softmax", [g.op("MatMul", ["speaker", g.const("speaker_weights", weights)], "logits")], "harmonics", axis=1)
    g.op("Unsqueeze", ["phase", g.const("axis_1", [1], np.int64)], "phase_column")  # [1,1,HOP]
    k = g.const("two_pi_k", [[[2 * np.pi * (i + 1)] for i in range(HARMONICS)]])  # [1,H,1]
    g.op("Sin", [g.op("Mul", ["phase_column", k], "angles")], "partials")  # [1,H,HOP]
    g.op("Unsqueeze", ["harmonics", g.const("axis_1b", [1], np.int64)], "harmonics_row")  # [1,1,H]
    g.op("MatMul", ["harmonics_row", "partials"], "tone_column")  # [1,1,HOP]
    g.op("Squeeze", ["tone_column", g.const("axis_1c", [1], np.int64)], "tone")

    # Loudness from the mel frame, smoothed by the state and interpolated inside the hop.
    g.op("ReduceMean", ["mel"], "loudness_column", axes=[2], keepdims=0)  # [1,BANDS]
    g.op("MatMul", ["loudness_column", g.const("band_weights", np.full((BANDS, 1), 1 / BANDS))], "loudness")
    g.op("Sigmoid", [g.op("Add", ["loudness", g.const("bias", [[8.0]])], "biased")], "gain_now")
    half = g.const("half", [[0.5]])
    g.op("Mul", [g.op("Add", ["gain_before", "gain_now"], "gain_sum"), half], "gain_after")
    g.op("Sub", ["gain_after", "gain_before"], "gain_step")
    g.op("Add", ["gain_before", g.op("Mul", ["gain_step", ramp], "gain_ramp")], "gain")

    # Tone where voiced, noise where not.
    g.op("Min", ["f0", g.const("one", [[1.0]])], "voiced")
    g.op("Sub", ["one", "voiced"], "unvoiced")
    g.op("Mul", ["tone", "voiced"], "voiced_part")
    mixed = "voiced_part"
    if noise:
        g.op("Mul", ["noise", g.const("breath", [[0.05]])], "soft_noise")
        g.op("Mul", ["soft_noise", "unvoiced"], "unvoiced_part")
        mixed = g.op("Add", ["voiced_part", "unvoiced_part"], "mixed")
    g.op("Mul", [mixed, g.const("level", [[0.4]])], "levelled")
    loud = g.op("Mul", ["levelled", "gain"], "loud")

    # The fourth value remembers the output itself, so that a lost state is heard.
    g.op("ReduceMean", [loud], "mean_now", axes=[1], keepdims=1)
    g.op("Mul", [g.op("Add", ["mean_before", "mean_now"], "mean_sum"), half], "mean_after")
    g.op("Mul", [g.op("Add", ["voicing_before", "voiced"], "voicing_sum"), half], "voicing_after")
    g.op("Mul", ["mean_after", g.const("trace", [[0.01]])], "memory")
    g.op("Mul", ["voicing_after", g.const("swell", [[0.1]])], "swelling")
    g.op("Add", [loud, g.op("Mul", [loud, "swelling"], "swollen")], "swelled")
    out = g.op("Add", ["swelled", "memory"], "remembered")
    state = g.op("Concat", ["phase_after", "gain_after", "voicing_after", "mean_after"], "state_next", axis=1)
    if nan_above is not None:
        g.op("Sub", [g.const("limit", [[float(nan_above)]]), "f0"], "room")
        g.op("Sub", [g.op("Sqrt", ["room"], "root"), "root"], "poison")  # 0, or NaN above the limit
        out = g.op("Add", [out, "poison"], "poisoned_audio")
        state = g.op("Add", [state, "poison"], "poisoned_state")
    if fails_above is not None:
        g.op("Cast", ["f0"], "index", to=TensorProto.INT64)
        g.op("Gather", [g.const("zeros", np.zeros(fails_above)), "index"], "zero", axis=0)  # out of bounds above
        out = g.op("Add", [out, "zero"], "guarded_audio")
    g.op("Identity", [out], "audio")
    g.op("Identity", [state], "state_out")

    tensors = [("mel", [1, BANDS, 1]), ("f0", [1, 1])]
    if noise:
        tensors.append(("noise", [1, HOP]))
    tensors += [("speaker", [1, EMBEDDING]), ("state", [1, STATE])]
    floats = lambda pairs: [helper.make_tensor_value_info(n, TensorProto.FLOAT, s) for n, s in pairs]
    graph = helper.make_graph(g.nodes, "tiny-voice", floats(tensors),
                              floats([("audio", [1, HOP]), ("state_out", [1, STATE])]), g.constants)
    model = helper.make_model(graph, opset_imports=[helper.make_opsetid("", 17)], ir_version=9,
                              producer_name="autovoiced")
    return model


def unrolled(model, hops):
    """The graph of a model, so many times in a row: state goes from one to the next."""
    one, g, parts = model.graph, Graph(), []
    for h in range(hops):
        rename = {t: f"{t}.{h}" for node in one.node for t in node.output}
        for name, axis, size in [("mel", 2, 1), ("f0", 1, 1), ("noise", 1, HOP)]:
            at = [g.const(f"{name}_{k}.{h}", [v], np.int64) for k, v in [("from", h * size), ("to", (h + 1) * size), ("axis", axis)]]
            rename[name] = g.op("Slice", [name, *at], f"{name}.{h}")
        rename["state"] = f"state_out.{h - 1}" if h else "state"
        rename["state_out"] = f"state_out.{h}" if h < hops - 1 else "state_out"
        for node in one.node:
            copied = copy.deepcopy(node)
            copied.name = ""
            copied.input[:] = [rename.get(t, t) for t in node.input]
            copied.output[:] = [rename.get(t, t) for t in node.output]
            g.nodes.append(copied)
        parts.append(f"audio.{h}")
    g.op("Concat", parts, "audio", axis=1)
    sizes = {"mel": [1, BANDS, hops], "f0": [1, hops], "noise": [1, hops * HOP], "audio": [1, hops * HOP]}
    resized = lambda values: [helper.make_tensor_value_info(v.name, TensorProto.FLOAT, sizes[v.name]) if v.name in sizes else v for v in values]
    return helper.make_graph(g.nodes, f"hops{hops}", resized(one.input), resized(one.output), g.constants)


def write_hops(name, model):
    graphs = {n: unrolled(model, n) for n in (3, 8)}
    for graph in graphs.values():
        whole = copy.deepcopy(model)
        whole.graph.CopyFrom(graph)
        whole.graph.initializer.extend(model.graph.initializer)
        checker.check_model(whole, full_check=True)
    packed = {f"autovoiced.graph.{n}": base64.b64encode(gzip.compress(g.SerializeToString(deterministic=True), mtime=0)).decode() for n, g in graphs.items()}
    write(name, model, {**CONTRACT, "hops": [1, *graphs]}, more=packed)


def write_batch(name, model):
    """The graph for many sessions is the same nodes with as many rows as there are sessions."""
    graph = helper.make_graph(model.graph.node, "batch", model.graph.input, model.graph.output)
    for v in [*graph.input, *graph.output]:
        v.type.tensor_type.shape.dim[0].dim_param = "sessions"
    packed = base64.b64encode(gzip.compress(graph.SerializeToString(deterministic=True), mtime=0)).decode()
    write(name, model, {**CONTRACT, "batch": True}, more={"autovoiced.graph.batch": packed})


def write(name, model, contract=CONTRACT, raw=None, check=True, more=()):
    props = dict(more)
    if raw is not None:
        props["autovoiced"] = raw
    elif contract is not None:
        props["autovoiced"] = json.dumps({**contract, "name": name}, indent=1)
    helper.set_model_props(model, props)
    if check:
        checker.check_model(model, full_check=True)
    (HERE / f"{name}.onnx").write_bytes(model.SerializeToString(deterministic=True))


def signature(model, name):
    return next(v for v in [*model.graph.input, *model.graph.output] if v.name == name)


def broken():
    model = tiny_voice()
    slice_end = [numpy_helper.from_array(np.array([v], np.int64), n) for n, v in [("cut_from", 0), ("cut_to", 200), ("cut_axis", 1)]]
    model.graph.initializer.extend(slice_end)
    last = next(n for n in model.graph.node if n.output[0] == "audio")
    last.CopyFrom(helper.make_node("Slice", [last.input[0], "cut_from", "cut_to", "cut_axis"], ["audio"], name="audio"))
    signature(model, "audio").type.tensor_type.shape.dim[1].dim_value = 200
    write("wrong-shape", model)

    model = tiny_voice()
    for node in model.graph.node:
        node.input[:] = ["f0_float" if i == "f0" else i for i in node.input]
    model.graph.node.insert(0, helper.make_node("Cast", ["f0"], ["f0_float"], name="f0_float", to=TensorProto.FLOAT))
    signature(model, "f0").type.tensor_type.elem_type = TensorProto.INT64
    write("wrong-type", model)

    write("missing-input", tiny_voice(noise=False))

    model = tiny_voice()
    model.graph.input.append(helper.make_tensor_value_info("energy", TensorProto.FLOAT, [1, 1]))
    write("extra-input", model)

    model = tiny_voice()
    signature(model, "mel").type.tensor_type.shape.dim[2].dim_param = "frames"
    write("dynamic-shape", model)

    write("state-mismatch", tiny_voice(), {**CONTRACT, "state": STATE + 1})
    write("no-metadata", tiny_voice(), None)
    write("bad-metadata", tiny_voice(), raw="rate = 16000")
    write("future-format", tiny_voice(), {**CONTRACT, "format": 99})
    write("wrong-rate", tiny_voice(), {**copy.deepcopy(CONTRACT), "sample_rate_out": 12000})
    write("nan-above-900", tiny_voice(nan_above=900))
    write("nan-always", tiny_voice(nan_above=-1))
    write("fails-above-900", tiny_voice(fails_above=900))


if __name__ == "__main__":
    write("tiny-voice", tiny_voice())
    write_hops("tiny-hops", tiny_voice())
    write_hops("nan-in-hops", tiny_voice(nan_above=900))
    write_batch("tiny-batch", tiny_voice())
    write_batch("nan-in-batch", tiny_voice(nan_above=900))
    write_batch("fails-in-batch", tiny_voice(fails_above=900))
    broken()
