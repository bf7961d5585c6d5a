"""Records the target speakers' own speech, to compare conversions with: OUT_DIR/NAME.flac, 24 kHz, each at least 8 s.

    python3 references.py KOKORO_ROOT OUT_DIR       # needs espeak-ng; leaves alone what is there already
"""
import subprocess
import sys
import tempfile
from pathlib import Path

import numpy as np
import onnx
import soundfile as sf

from kokoro import RATE, Kokoro, assemble
from targets import TARGETS, half

TEXT = ['The rainbow is a division of white light into many beautiful colours.',
        'Please call Stella, and ask her to bring these things with her from the store.',
        'When the sunlight strikes raindrops in the air, they act as a prism and form a rainbow.']


def say(kokoro, target, line):
    "-> audio of the target at its home pitch, and the curve of its pitch"
    ipa = subprocess.run(['espeak-ng', '-q', '--ipa', '-v', 'en-us', line], capture_output=True, text=True, check=True).stdout
    tokens = kokoro.tokens(' '.join(ipa.split()))
    style = half(kokoro, target, len(tokens)), kokoro.prosody(target.prosody, len(tokens))
    _, curve = kokoro.render(tokens, *style)
    return kokoro.render(tokens, *style, target.median_hz / np.median(curve[curve > 60]))


def main(root, out):
    missing = [t for t in TARGETS if not (Path(out) / f'{t.name}.flac').exists()]
    if not missing:
        return
    with tempfile.TemporaryDirectory() as folder:
        onnx.save(assemble(root), f'{folder}/kokoro.onnx')
        kokoro = Kokoro(root, f'{folder}/kokoro.onnx')
    for target in missing:
        parts = []
        for line in TEXT:
            audio, f0 = say(kokoro, target, line)
            parts += [audio, np.zeros(RATE // 8, np.float32)]
        audio = np.concatenate(parts)
        audio *= 0.7 / np.abs(audio).max()
        sf.write(Path(out) / f'{target.name}.flac', audio, RATE, subtype='PCM_16')
        print(f'{target.name}: {len(audio) / RATE:.1f} s, pitch around {np.median(f0[f0 > 50]):.0f} Hz', flush=True)


if __name__ == '__main__':
    main(*sys.argv[1:3])
