#!/usr/bin/env python3
"""Write tiny-speaker.onnx, a few kB with exactly the contract of a speaker encoder, and its broken twins.

It hears the shape of the mean spectrum, whatever its level: cepstral coefficients 1 to 8 of the time average, of unit
length. That tells a low voice from a high one, so that tests of speakers can fail. Its embedding fits tiny-voice.

    pip install onnx && python3 make.py

The broken twins, each wrong in one way that loading must name:

    wrong-input     mel has 40 bands             dynamic         mel has any number of frames
    wrong-kind      the kind is voice            not-unit        embeddings are twice as long
    wrong-hop       a hop of 20 ms               wrong-size      metadata says one value more
"""

import copy
import json
import pathlib

import numpy as np
from onnx import TensorProto, checker, helper, numpy_helper

HERE = pathlib.Path(__file__).resolve().parent
BANDS, FRAMES, SIZE = 80, 160, 8

CONTRACT = {
    "format": 1,
    "kind": "speaker",
    "name": "tiny-speaker",
    "sample_rate_in": 16000,
    "hop_in": 160,
    "frames": FRAMES,
    "embedding": SIZE,
    "mel": {
        "n_fft": 512, "window": 400, "hop": 160, "bands": BANDS,
        "fmin": 0, "fmax": 8000, "floor": 1e-10, "scale": "slaney",
    },
    "licence": "Apache-2.0",
    "made_by": "testdata/models/tiny-speaker/make.py",
    "sources": [],
}


def tiny_speaker(bands=BANDS, frames=FRAMES, length=1.0):
    k, b = np.arange(1, SIZE + 1)[:, None], np.arange(bands)[None]
    cosines = (np.cos(np.pi * k * (b + 0.5) / bands) * k**0.5).T  # higher ones are smaller
    nodes = [
        helper.make_node("ReduceMean", ["mel"], ["spectrum"], axes=[2], keepdims=0),
        helper.make_node("MatMul", ["spectrum", "cosines"], ["cepstrum"]),
        helper.make_node("LpNormalization", ["cepstrum"], ["unit"], axis=1, p=2),
        helper.make_node("Mul", ["unit", "length"], ["embedding"]),
    ]
    constants = [
        numpy_helper.from_array(cosines.astype(np.float32), "cosines"),
        numpy_helper.from_array(np.array(length, np.float32), "length"),
    ]
    graph = helper.make_graph(
        nodes, "tiny-speaker",
        [helper.make_tensor_value_info("mel", TensorProto.FLOAT, [1, bands, frames])],
        [helper.make_tensor_value_info("embedding", TensorProto.FLOAT, [1, SIZE])],
        constants,
    )
    return helper.make_model(graph, opset_imports=[helper.make_opsetid("", 17)], ir_version=8, producer_name="autovoiced")


def save(name, model, contract):
    entry = model.metadata_props.add()
    entry.key, entry.value = "autovoiced", json.dumps(contract)
    checker.check_model(model)
    (HERE / f"{name}.onnx").write_bytes(model.SerializeToString())


def changed(**entries):
    return {**copy.deepcopy(CONTRACT), **entries}


save("tiny-speaker", tiny_speaker(), CONTRACT)
save("wrong-input", tiny_speaker(bands=40), CONTRACT)
save("dynamic", tiny_speaker(frames="frames"), CONTRACT)
save("wrong-kind", tiny_speaker(), changed(kind="voice"))
save("not-unit", tiny_speaker(length=2.0), CONTRACT)
save("wrong-size", tiny_speaker(), changed(embedding=SIZE + 1))
save("wrong-hop", tiny_speaker(), changed(hop_in=320))
