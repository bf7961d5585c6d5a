"""Sound files and what is measured without a network: level, clipping, delay, holes. Audio is mono float32, full scale ±1."""
import math

import numpy as np
import soundfile as sf
from scipy.signal import lfilter, resample_poly

RATE = 16000                         # Hz, of everything that is measured unless said otherwise


def resample(audio, rate, to):
    if rate == to:
        return audio
    common = math.gcd(rate, to)
    return resample_poly(audio, to // common, rate // common).astype(np.float32)


def read(path, rate=RATE):
    "-> mono audio at the rate, or (rate None) at its own, and that rate"
    audio, own = sf.read(str(path), dtype='float32', always_2d=True)
    audio = audio.mean(1)
    return (audio, own) if rate is None else (resample(audio, own, rate), rate)


def levels(audio, window, hop):
    "dBFS of frames, at least -120"
    n = max(1, 1 + (len(audio) - window) // hop)
    total = np.concatenate([[0.0], np.cumsum(audio.astype(np.float64) ** 2)])
    at = np.arange(n) * hop
    power = (total[np.minimum(at + window, len(audio))] - total[np.minimum(at, len(audio))]) / window
    return 10 * np.log10(np.maximum(power, 1e-12))


def loudness(audio, rate):
    "Integrated loudness in LUFS (ITU-R BS.1770), -99 for silence."
    def weighting(f0, gain, q, shelf):
        k = math.tan(math.pi * f0 / rate)
        a0 = 1 + k / q + k * k
        poles = [1, 2 * (k * k - 1) / a0, (1 - k / q + k * k) / a0]
        if not shelf:
            return [1, -2, 1], poles
        high = 10 ** (gain / 20)
        band = high ** 0.4996667741545416
        return [(high + band * k / q + k * k) / a0, 2 * (k * k - high) / a0, (high - band * k / q + k * k) / a0], poles
    y = lfilter(*weighting(1681.974450955533, 3.999843853973347, 0.7071752369554196, True), audio)
    y = lfilter(*weighting(38.13547087602444, 0, 0.5003270373238773, False), y)
    window, hop = int(0.4 * rate), int(0.1 * rate)
    y = np.pad(y, (0, max(0, window - len(y))))
    power = np.array([np.mean(y[i:i + window] ** 2) for i in range(0, len(y) - window + 1, hop)])
    level = -0.691 + 10 * np.log10(np.maximum(power, 1e-12))
    loud = level > -70
    if not loud.any():
        return -99.0
    gate = -10.691 + 10 * math.log10(power[loud].mean())
    return -0.691 + 10 * math.log10(power[loud & (level > gate)].mean())


def clipped(audio):
    "-> samples at full scale, and runs of three or more of them"
    full = np.concatenate([[0], np.abs(audio) >= 0.9995, [0]]).astype(np.int8)
    edges = np.diff(full)
    runs = np.where(edges == -1)[0] - np.where(edges == 1)[0]
    return int(full.sum()), int((runs >= 3).sum())


def delay(source, converted, limit=1500):
    "By how many ms converted is behind source: where their envelopes agree best."
    def envelope(audio):
        d = levels(audio, 320, 16)
        floor = np.percentile(d, 95) - 40
        d = np.maximum(d, floor) - floor
        return d - d.mean()
    a, b = envelope(source), envelope(converted)
    size = 1 << math.ceil(math.log2(len(a) + len(b) + 1))
    agreement = np.fft.irfft(np.fft.rfft(b, size) * np.conj(np.fft.rfft(a, size)), size)
    lags = np.arange(-limit, limit + 1)
    lags = lags[(lags > -len(a)) & (lags < len(b))]
    return int(lags[agreement[lags].argmax()])


def align(converted, ms, length):
    "converted, moved back by a delay and cut or filled to a length in samples"
    k = ms * RATE // 1000
    moved = converted[k:] if k > 0 else np.pad(converted, (-k, 0))
    return np.pad(moved, (0, max(0, length - len(moved))))[:length]


def longest_hole(source, aligned):
    "ms of the longest stretch where the source speaks and the conversion is all but silent; 0 under 14 ms"
    a, b = levels(source, 160, 32), levels(aligned, 160, 32)
    n = min(len(a), len(b))
    active = lambda x: np.percentile(levels(x, 320, 160), 95)
    hole = (a[:n] > active(source) - 22) & (b[:n] < max(active(aligned) - 38, -100))
    edges = np.diff(np.concatenate([[0], hole.astype(np.int8), [0]]))
    runs = np.where(edges == -1)[0] - np.where(edges == 1)[0]
    longest = (int(runs.max(initial=0)) - 1) * 2 + 10
    return longest if longest >= 14 else 0
