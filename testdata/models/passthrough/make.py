#!/usr/bin/env python3
"""Write passthrough.onnx: a real graph that changes nothing.

One Identity node at 48 kHz, 480 samples a hop. It stands for the daemon's own cost: everything
that a neural voice goes through, without the network. The same bytes go into infer/voices, where
the daemon embeds them (an embed cannot climb out of its package); a test holds the two equal.

    pip install onnx && python3 make.py
"""

import json
import pathlib

from onnx import TensorProto, checker, helper

HERE = pathlib.Path(__file__).resolve().parent
EMBEDDED = HERE.parents[2] / "infer" / "voices" / "passthrough.onnx"
HOP = 480

CONTRACT = {
    "format": 1,
    "kind": "passthrough",
    "name": "passthrough",
    "sample_rate_in": 48000,
    "sample_rate_out": 48000,
    "hop_in": HOP,
    "hop_out": HOP,
    "lookahead_ms": 0,
    "state": 0,
    "voices": [
        {
            "name": "passthrough",
            "description": "the voice that goes in, bit for bit",
            "licence": "Apache-2.0",
        }
    ],
    "licence": "Apache-2.0",
    "made_by": "testdata/models/passthrough/make.py",
    "sources": [],
}


def main():
    audio_in = helper.make_tensor_value_info("audio_in", TensorProto.FLOAT, [1, HOP])
    audio = helper.make_tensor_value_info("audio", TensorProto.FLOAT, [1, HOP])
    node = helper.make_node("Identity", ["audio_in"], ["audio"], name="pass")
    graph = helper.make_graph([node], "passthrough", [audio_in], [audio])
    model = helper.make_model(
        graph,
        opset_imports=[helper.make_opsetid("", 17)],
        ir_version=9,
        producer_name="autovoiced",
    )
    helper.set_model_props(model, {"autovoiced": json.dumps(CONTRACT, indent=1)})
    checker.check_model(model)
    data = model.SerializeToString(deterministic=True)
    (HERE / "passthrough.onnx").write_bytes(data)
    EMBEDDED.write_bytes(data)


if __name__ == "__main__":
    main()
