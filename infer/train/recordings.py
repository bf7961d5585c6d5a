"""A person's own recordings, made ready to learn from: one level, short pauses, 24 kHz, with their pitch."""
from dataclasses import dataclass
from math import gcd
from pathlib import Path

import numpy as np
import soundfile as sf
import torch
import torch.nn.functional as F
from scipy.signal import resample_poly

import pack
from data import LEVEL, down
from speaker import FRAMES
from synthesize import pitch
from voice import HOP_OUT, RATE_OUT, log_mel

SUFFIXES = ('.wav', '.flac', '.mp3', '.ogg')
LEAST, WANTED = 10, 60               # seconds of speech
RANGE, FLOOR = 30, -60               # dB below the loud hops, and dBFS, at which a hop is no speech any more
QUIET = 20                           # hops that stay of a pause, on either side of the speech


@dataclass
class Recordings:
    audio: np.ndarray    # at RATE_OUT, whole hops
    f0: np.ndarray       # Hz each hop, 0 = unvoiced
    narrow: bool         # some of it was recorded at less than RATE_OUT

    @property
    def seconds(self):
        return len(self.audio) / RATE_OUT

    @property
    def home(self):
        return float(np.median(self.f0[self.f0 > 0]))

    def split(self):
        "-> what is learnt from, and what is kept out: every seventh piece"
        hops = len(self.f0)
        piece = 400 if hops >= 6000 else 200
        out = np.arange(hops) // piece % 7 == 3
        pick = lambda hop: Recordings(self.audio.reshape(hops, HOP_OUT)[hop].ravel(), self.f0[hop], self.narrow)
        return pick(~out), pick(out)


def gather(folder):
    "Everything in the folder and below it; leaves with an error that says what is wrong with it."
    paths = sorted(p for p in Path(folder).rglob('*') if p.suffix.lower() in SUFFIXES)
    if not paths:
        raise SystemExit(f'{folder}: no recordings in it, expected {", ".join(SUFFIXES)} files of one person who speaks for a minute or more')
    parts = [read(p) for p in paths]
    audio, rates = np.concatenate([a for a, _ in parts]), [r for _, r in parts]
    seconds = len(audio) / RATE_OUT
    if seconds < LEAST:
        raise SystemExit(f'{folder}: {seconds:.1f} s of speech in {len(paths)} files, expected {WANTED} s or more, and {LEAST} at least')
    if seconds < WANTED:
        print(f'{seconds:.0f} s of speech is little: {WANTED} s or more give a better voice', flush=True)
    f0 = pitch(audio)[:len(audio) // HOP_OUT]
    if (f0 > 0).mean() < 0.1:
        raise SystemExit(f'{folder}: a pitch in {(f0 > 0).mean():.0%} of it only, expected somebody speaking (whispering, noise and music do not do)')
    return Recordings(audio, f0, min(rates) < RATE_OUT)


def read(path):
    "-> the speech in a file, at RATE_OUT, and the rate it had"
    try:
        audio, rate = sf.read(path, dtype='float32', always_2d=True)
    except (sf.LibsndfileError, RuntimeError) as e:
        raise SystemExit(f'{path}: cannot be read as a recording: {e}') from e
    audio = audio.mean(1)
    if rate < 8000 or not np.isfinite(audio).all():
        raise SystemExit(f'{path}: expected numbers at 8000 Hz or more, found {rate} Hz and {np.count_nonzero(~np.isfinite(audio))} samples that are none')
    shared = gcd(rate, RATE_OUT)
    audio = resample_poly(audio, RATE_OUT // shared, rate // shared).astype(np.float32)
    hops = audio[:len(audio) // HOP_OUT * HOP_OUT].reshape(-1, HOP_OUT)
    speech = spoken(hops)
    if not speech.any():
        return np.zeros(0, np.float32), rate
    near = np.convolve(speech, np.ones(2 * QUIET + 1), 'same') > 0
    audio = hops[near].ravel() * (LEVEL / np.sqrt(np.mean(hops[speech] ** 2)))
    return np.clip(audio, -1, 1), rate


def spoken(hops):
    "which hops somebody speaks in, as the daemon sees it"
    level = 10 * np.log10(np.mean(hops ** 2, 1) + 1e-12)
    return level >= max(np.sort(level)[len(level) * 95 // 100] - RANGE, FLOOR) if len(level) else np.zeros(0, bool)


class Ear:
    "Hears who speaks, with the speaker encoder that ships."
    def __init__(self, path, device):
        self.student = pack.load_speaker(path).to(device)

    def __call__(self, audio):
        "audio [n] at RATE_OUT -> [256], the mean of windows with speech in them, of unit length"
        mel = log_mel(down(audio[None]))[0]
        speech = torch.from_numpy(spoken(audio[:len(audio) // HOP_OUT * HOP_OUT].view(-1, HOP_OUT).cpu().numpy()))
        total = torch.zeros(256, device=audio.device)
        for at in range(0, max(1, mel.shape[1] - FRAMES), FRAMES // 2):
            share = float(speech[at:at + FRAMES].float().mean())
            if share >= 0.25:
                wrapped = mel[:, torch.arange(at, at + FRAMES, device=mel.device) % mel.shape[1]]
                total += share * self.student(wrapped[None])[0]
        return F.normalize(total, dim=0)
