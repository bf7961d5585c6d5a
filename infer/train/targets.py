"""The built-in target voices: speakers that nobody is, made of Kokoro's packs.

A voice is a mixture of the decoder halves of packs plus a seeded Gaussian step away from them (kokoro.py tells what the
halves are). Together with a prosody half, anybody's, and a pitch near home it speaks any sentence.
"""
from dataclasses import dataclass

import numpy as np


@dataclass(frozen=True)
class Target:
    name: str
    sex: str
    weights: dict           # pack -> share of its decoder half; shares sum to 1
    seed: int               # of the perturbation
    spread: float           # its standard deviation; the halves' own is about 0.19
    median_hz: float        # home pitch: median of the scaled curve (what a tracker finds in the sound lies 1 to 7 % above)
    prosody: str            # pack whose prosody half the reference recording borrows, scaled to the home pitch
    description: str


TARGETS = (
    Target('alma', 'female', {'jf_alpha': 1}, 0, 0, 236, 'jf_alpha', 'clear and bright'),
    Target('nara', 'female', {'jf_gongitsune': 1}, 0, 0, 212, 'jf_gongitsune', 'soft and even'),
    Target('greta', 'female', {'jf_nezumi': 0.6, 'jf_tebukuro': 0.4}, 2501, 0.17, 165, 'jf_alpha', 'low and calm'),
    Target('livia', 'female', {'jf_alpha': 0.7, 'jm_kumo': 0.3}, 5007, 0.18, 205, 'jf_alpha', 'light and open'),
    Target('bruno', 'male', {'jm_kumo': 1}, 0, 0, 115, 'jm_kumo', 'warm'),
    Target('otto', 'male', {'jm_kumo': 0.55, 'jf_tebukuro': 0.25, 'jf_alpha': 0.2}, 2002, 0.14, 88, 'jm_kumo', 'deep and gentle'),
    Target('felix', 'male', {'jm_kumo': 1.4, 'jf_gongitsune': -0.4}, 1503, 0.23, 158, 'jf_alpha', 'young and clear'),
)


def half(kokoro, target, count):
    "target's decoder half [128] for a sentence of count tokens"
    mixed = sum(share * kokoro.speaker(pack, count) for pack, share in target.weights.items())
    return (mixed + target.spread * np.random.default_rng(target.seed).standard_normal(128)).astype(np.float32)
