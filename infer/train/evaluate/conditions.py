"""What happens to a voice on its way to the program, made by code alone: the same clip and name give the same samples.

Each condition takes (audio, rng, clips) at 16 kHz and gives audio of the same length; clips: babble (recordings of other speakers) and
music (recordings). KEEPS_PITCH names those whose pitch is that of the clean clip.
"""
import zlib

import numpy as np
import pyworld
from scipy.signal import butter, fftconvolve, lfilter, sosfilt

from audio import RATE

KEEPS_PITCH = {'clean', 'noise', 'babble', 'room', 'microphone', 'music', 'shout'}


def mixed(audio, other, decibel):
    "audio and other, so many dB below it"
    return audio + other * np.sqrt(np.mean(audio ** 2) / (np.mean(other ** 2) + 1e-12)) * 10 ** (-decibel / 20)


def piece(recording, length, rng):
    at = int(rng.integers(0, max(1, len(recording) - length)))
    return np.resize(recording[at:at + length], length)


def noise(audio, rng, clips):
    spectrum = np.fft.rfft(rng.standard_normal(len(audio)))
    f = np.maximum(np.linspace(0, 1, len(spectrum)), 1 / 400)
    return mixed(audio, np.fft.irfft(spectrum * f ** -0.5, len(audio)), 10)


def babble(audio, rng, clips):
    chosen = rng.choice(len(clips['babble']), 5, replace=False)
    level = lambda x: x / np.sqrt(np.mean(x ** 2) + 1e-12)
    return mixed(audio, sum(level(np.roll(np.resize(clips['babble'][i], len(audio)), int(rng.integers(len(audio))))) for i in chosen), 10)


def room(audio, rng, clips):
    "0.6 s of reverberation, 3 dB below the direct sound"
    t = np.arange(int(0.7 * RATE)) / RATE
    tail = rng.standard_normal(len(t)) * np.exp(-6.9 * t / 0.6) * (t > 0.004)
    tail *= 10 ** (-3 / 20) / np.sqrt(np.sum(tail ** 2))
    tail[0] = 1
    return fftconvolve(audio, tail)[:len(audio)]


def microphone(audio, rng, clips):
    "300 to 3400 Hz, clipped 10 dB below the peak"
    narrow = sosfilt(butter(4, (300, 3400), 'bandpass', fs=RATE, output='sos'), audio)
    top = 0.316 * np.abs(narrow).max()
    return np.clip(narrow, -top, top) * 2


def music(audio, rng, clips):
    return mixed(audio, piece(clips['music'][int(rng.integers(len(clips['music'])))], len(audio), rng), 10)


def spoken_by(audio, pitch, formants, voiced=True):
    "WORLD: pitch and formants moved by factors; not voiced: a whisper"
    x = audio.astype(np.float64)
    f0, t = pyworld.harvest(x, RATE, f0_floor=60, f0_ceil=700)
    envelope, breath = pyworld.cheaptrick(x, f0, t, RATE), pyworld.d4c(x, f0, t, RATE)
    bins = np.arange(envelope.shape[1])
    warp = lambda a: np.array([np.interp(bins / formants, bins, row) for row in a])
    if not voiced:
        f0, breath = np.zeros_like(f0), np.ones_like(breath)
        envelope = envelope * np.clip(bins * RATE / 2 / bins[-1] / 1000, 0.01, 1) ** 2      # a whisper lacks the lows of the glottis
    return pyworld.synthesize(f0 * pitch, warp(envelope), warp(breath), RATE)[:len(audio)]


def child(audio, rng, clips):
    return spoken_by(audio, 1.3, 1.3)


def low(audio, rng, clips):
    return spoken_by(audio, 0.8, 0.8)


def whisper(audio, rng, clips):
    return spoken_by(audio, 1, 1, voiced=False)


def shout(audio, rng, clips):
    "Flatter in spectrum, and 10 dB over what the converter can take."
    bright = lfilter([1, -0.7], [1], audio)
    return np.clip(bright / np.abs(bright).max() * 3.16, -1, 1)


ALL = {f.__name__: f for f in (noise, babble, room, microphone, music, child, low, whisper, shout)}


def apply(name, clip, audio, clips):
    rng = np.random.default_rng(zlib.crc32(f'{clip} {name}'.encode()))
    made = np.asarray(ALL[name](audio.astype(np.float64), rng, clips))
    made = np.pad(made, (0, max(0, len(audio) - len(made))))
    return (made / max(1, np.abs(made).max() / 0.999 if name != 'shout' else 1)).astype(np.float32)
