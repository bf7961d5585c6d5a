"""The baseline that needs no training: WORLD moves pitch, formants and the mean spectrum of a clip to those of the target.

The pitch ratio is that of the medians; formants move by its power of 0.3, which is how they go together between men and women.
"""
from functools import lru_cache

import numpy as np
import pyworld

from audio import RATE, read

SMOOTH = 40                          # cepstral values that the mean spectrum is described by


def analyse(audio):
    x = audio.astype(np.float64)
    f0, t = pyworld.harvest(x, RATE, f0_floor=60, f0_ceil=700)
    return f0, pyworld.cheaptrick(x, f0, t, RATE), pyworld.d4c(x, f0, t, RATE)


@lru_cache
def target_of(path):
    "-> the median pitch of a recording and its mean spectrum"
    f0, envelope, _ = analyse(read(path)[0])
    return np.median(f0[f0 > 0]), mean_spectrum(envelope, f0 > 0)


def mean_spectrum(envelope, voiced):
    "Smoothed mean of the log envelope over voiced frames."
    log = np.log(envelope[voiced] + 1e-12).mean(0)
    cepstrum = np.fft.irfft(log)
    cepstrum[SMOOTH:-SMOOTH + 1] = 0
    return np.fft.rfft(cepstrum).real


def convert(source, target):
    "-> source as target's speaker, at RATE; both are paths"
    audio = read(source)[0]
    f0, envelope, breath = analyse(audio)
    to_f0, to_spectrum = target_of(target)
    if not (f0 > 0).any():
        return audio
    ratio = to_f0 / np.median(f0[f0 > 0])
    bins = np.arange(envelope.shape[1])
    warp = np.clip(ratio ** 0.3, 0.8, 1.25)
    envelope, breath = (np.array([np.interp(bins / warp, bins, row) for row in a]) for a in (envelope, breath))
    envelope *= np.exp(to_spectrum - mean_spectrum(envelope, f0 > 0))
    made = pyworld.synthesize(f0 * ratio, envelope, breath, RATE)[:len(audio)]
    return (made * min(np.sqrt(np.mean(audio ** 2) / (np.mean(made ** 2) + 1e-12)), 0.99 / np.abs(made).max())).astype(np.float32)
