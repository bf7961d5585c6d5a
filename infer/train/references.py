"""Records the target speakers' own speech, to compare conversions with: OUT_DIR/NAME.flac, 24 kHz, each at least 8 s.

    python3 references.py KOKORO_ROOT OUT_DIR       # needs espeak-ng
"""
import subprocess
import sys
from pathlib import Path

import numpy as np
import onnx
import soundfile as sf

from export import VOICES
from kokoro import RATE, Kokoro, assemble
from synthesize import TARGETS

TEXT = ['The rainbow is a division of white light into many beautiful colours.',
        'Please call Stella, and ask her to bring these things with her from the store.',
        'When the sunlight strikes raindrops in the air, they act as a prism and form a rainbow.']


def main(root, out):
    model = Path(out) / 'kokoro.tmp.onnx'
    onnx.save(assemble(root), model)
    kokoro = Kokoro(root, model)
    model.unlink()
    for row, name, *_ in VOICES:
        parts = []
        for line in TEXT:
            ipa = subprocess.run(['espeak-ng', '-q', '--ipa', '-v', 'en-us', line], capture_output=True, text=True, check=True).stdout
            tokens = kokoro.tokens(' '.join(ipa.split()))
            who = TARGETS[row]
            audio, f0 = kokoro.render(tokens, kokoro.speaker(who, len(tokens)), kokoro.prosody(who, len(tokens)))
            parts += [audio, np.zeros(RATE // 8, np.float32)]
        audio = np.concatenate(parts)
        audio *= 0.7 / np.abs(audio).max()
        sf.write(Path(out) / f'{name}.flac', audio, RATE, subtype='PCM_16')
        print(f'{name}: {len(audio) / RATE:.1f} s, pitch around {np.median(f0[f0 > 50]):.0f} Hz')


if __name__ == '__main__':
    main(*sys.argv[1:3])
