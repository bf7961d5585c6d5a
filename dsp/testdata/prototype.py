"""Finds the resampler's prototype low-pass (../sincfilter.go) by linear programming.

Time is in samples of the lower rate, frequency in cycles a sample. The prototype of half-width W is
    h(t) = c[0] + c[1] cos(pi t / W) + ... + c[K] cos(pi K t / W)   for |t| < W, h(W) = 0,
so its spectrum is linear in c. Given the pass band (0 to 0.45, within 0.04 dB, so that two resamplers
in a row keep 0.1), the program makes the largest value from 0.5 on as small as it can. W = 39 is the
first whole one below -91 dB: 90, and room for float32 and for the interpolation between phases.

    pip install numpy scipy && python prototype.py
"""
import numpy as np
from scipy.optimize import linprog

W, K = 39, 42


def spectrum(f):
    fk = np.arange(K + 1) / (2 * W)
    return W * (np.sinc(2 * W * (f[:, None] - fk)) + np.sinc(2 * W * (f[:, None] + fk)))


def design(ripple_db=0.04, fmax=13):
    fine = 1 / (2 * W) / 8
    p = spectrum(np.r_[np.arange(0, 0.45, fine), 0.45])
    s = spectrum(np.r_[np.arange(0.5, 3, fine), np.arange(3, fmax, 4 * fine)]) * 1e3
    zero, one = (lambda a: np.c_[a, np.zeros(len(a))]), (lambda a: np.c_[a, -np.ones(len(a))])
    up, down = 10 ** (ripple_db / 20), 10 ** (-ripple_db / 20)
    result = linprog(
        np.r_[np.zeros(K + 1), 1],
        A_ub=np.vstack([zero(p), zero(-p), one(s), one(-s)]),
        b_ub=np.r_[np.full(len(p), up), np.full(len(p), -down), np.zeros(2 * len(s))],
        A_eq=np.r_[(-1.0) ** np.arange(K + 1), 0][None, :], b_eq=[0],
        bounds=[(None, None)] * (K + 1) + [(0, None)], method="highs")
    assert result.status == 0, result.message
    return result.x[:-1]


if __name__ == "__main__":
    c = design()
    dense = spectrum(np.arange(0.5, 26, 1 / (2 * W) / 40)) @ c
    passed = spectrum(np.arange(0, 0.45001, 1 / (2 * W) / 40)) @ c
    print("stop band %.2f dB, pass band %.4f to %.4f dB" % (
        20 * np.log10(abs(dense).max()), 20 * np.log10(passed.min()), 20 * np.log10(passed.max())))
    print(",\n".join(", ".join("%.12g" % v for v in c[i:i + 6]) for i in range(0, K + 1, 6)))
