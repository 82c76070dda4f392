"""What lay in a gap, as both its sides predict it: autoregressive interpolation by least squares (Janssen et al. 1986).

s_t + a_1 s_{t-1} + ... + a_p s_{t-p} = e_t. The coefficients are those of both sides together (Burg's method), the missing
samples those that leave the least sum of e_t^2. It works on the low band, thinned out: a filter of so many coefficients then
remembers long enough for a bass, and higher tones lose their phase within a few milliseconds anyway.
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray
from scipy import linalg, signal

from segue.engine.seam import carried_on

Audio = NDArray[np.float32]
Samples = NDArray[np.float64]

BAND_HZ = 2200.0  # up to which a gap is interpolated
THINNED_HZ = 5500.0  # rate that the band is brought to, about
ORDER = 400  # coefficients: 73 ms at that rate
LEAST = 8  # coefficients under which nothing is known
HISTORY_S = 1.0  # of either side
TAPS = 10  # half the length of the low-pass, in samples of the thinned band
EDGE = 40  # of these known on either side where the band is brought back


def interpolated(y: Audio, first: int, last: int, rate: int) -> Audio | None:
    """`[channels, last - first]`: the low band of what y `[channels, n]` lacks from `first` to `last`.

    None where one side is too short to tell: less than about 5 ms.
    """
    span = round(HISTORY_S * rate)
    before, after = y[:, max(0, first - span) : max(0, first)], y[:, last : last + span]
    thin = max(1, round(rate / THINNED_HZ))
    if min(before.shape[1], after.shape[1]) < 3 * (LEAST + 1) * thin:
        return None
    return np.stack([_filled(a, b, last - first, thin) for a, b in zip(before, after, strict=True)]).astype(np.float32)


def _filled(before: Audio, after: Audio, n: int, thin: int) -> Samples:
    steps = -(-(n + 1) // thin)  # from the last sample before the gap to the first of the same grid after it
    left = _thinned(before[::-1], thin, 0)[::-1]
    right = _thinned(after, thin, steps * thin - 1 - n)
    order = min(ORDER, len(left) // 3, len(right) // 3)
    missing = _missing(left, right, steps - 1, order) if steps > 1 else np.zeros(0)
    edge = min(EDGE, len(left), len(right))
    whole: Samples = signal.resample_poly(np.concatenate([left[-edge:], missing, right[:edge]]), thin, 1)
    start = (edge - 1) * thin + 1
    return whole[start : start + n]


def _thinned(side: Audio, thin: int, offset: int) -> Samples:
    """Every `thin`-th sample of the low band of one side `[n]`, from the gap outwards; beyond the gap's edge it is carried on."""
    taps = signal.firwin(2 * TAPS * thin + 1, min(0.9, 2 * BAND_HZ / (THINNED_HZ * thin)))
    beyond = carried_on(side[None, ::-1], TAPS * thin)[0]
    low: Samples = np.convolve(np.concatenate([beyond[::-1], side]).astype(np.float64), taps, "same")
    return low[len(beyond) + offset :: thin]


def _missing(left: Samples, right: Samples, n: int, order: int) -> Samples:
    """The n samples between two sides. With B the Toeplitz matrix of the coefficients, B^T B x = -B^T r, r the error of 0."""
    a = burg((left, right), order)
    r = np.convolve(np.concatenate([left[-order:], np.zeros(n), right[:order]]), a)[order : order + n + order]
    products = np.correlate(a, a, "full")[order:]
    band = np.zeros((min(order + 1, n), n))
    for k in range(len(band)):
        band[k, : n - k] = products[k]
    found: Samples = linalg.solveh_banded(band, -np.correlate(r, a, "valid")[:n], lower=True)
    return found


def burg(parts: Sequence[Samples], order: int) -> Samples:
    """`[order + 1]` coefficients, the first 1, of the least error forwards and backwards over all parts; stable."""
    forward, backward = [part[1:] for part in parts], [part[:-1] for part in parts]
    a = np.ones(1)
    for _ in range(order):
        cross = sum(float(f @ b) for f, b in zip(forward, backward, strict=True))
        power = sum(float(f @ f + b @ b) for f, b in zip(forward, backward, strict=True))
        k = -2 * cross / power if power > 0 else 0.0
        a = np.append(a, 0.0)
        a = a + k * a[::-1]
        pairs = list(zip(forward, backward, strict=True))
        forward, backward = [(f + k * b)[1:] for f, b in pairs], [(b + k * f)[:-1] for f, b in pairs]
    return a
