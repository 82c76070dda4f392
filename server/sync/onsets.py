"""An onset envelope: how much louder, band by band, the sound becomes from one short window to the next. Pure.

Spectral flux of log-compressed bands (S. Dixon, "Onset detection revisited", 2006), less its own average of the last while.
"""

from __future__ import annotations

from functools import lru_cache
from typing import Literal

import numpy as np
from numpy.typing import NDArray

Floats = NDArray[np.float64]

RATE = 44_100  # what the lengths below are meant for; at others they are as many frames
WINDOW, HOP = 1024, 256
BANDS = 28
LOW_HZ, HIGH_HZ = 40.0, 14_000.0
COMPRESSION = 1000.0  # of magnitudes before the logarithm: -60 dB is as loud as nothing
AVERAGE_S = 1.0
# An onset at frame i * HOP + ONSET lifts value i most: measured on clicks and on bass drums, within 2 ms.
ONSET = 885


@lru_cache(maxsize=4)
def _bands(rate: int) -> Floats:
    """[BANDS, bins]: triangles of equal steps on a logarithmic axis, each with the sum 1."""
    bins = np.fft.rfftfreq(WINDOW, 1.0 / rate)
    edges = np.geomspace(LOW_HZ, min(HIGH_HZ, 0.45 * rate), BANDS + 2)
    low, middle, high = edges[:-2, None], edges[1:-1, None], edges[2:, None]
    weight = np.clip(np.minimum((bins - low) / (middle - low), (high - bins) / (high - middle)), 0.0, None)
    weight[np.arange(BANDS), np.abs(bins - middle).argmin(axis=1)] += 1e-9  # a band narrower than a bin takes the nearest
    return np.asarray(weight / weight.sum(axis=1, keepdims=True))


def envelope(audio: NDArray[np.float32], rate: int) -> Floats:
    """The flux of `[channels, n]`, one value a HOP; value i tells of an onset at about frame i * HOP + ONSET."""
    mono = audio.mean(axis=0, dtype=np.float64)
    if mono.size < WINDOW + HOP:
        return np.zeros(0)
    frames = np.lib.stride_tricks.sliding_window_view(mono, WINDOW)[::HOP]
    spectrum = np.abs(np.fft.rfft(frames * np.hanning(WINDOW), axis=1)) * (2.0 / WINDOW)
    levels = np.log1p(COMPRESSION * (spectrum @ _bands(rate).T))
    return np.asarray(np.maximum(0.0, np.diff(levels, axis=0)).sum(axis=1))


def flattened(flux: Floats, rate: int) -> Floats:
    """The flux less its running average, never below zero."""
    n = min(flux.size, max(1, round(AVERAGE_S * rate / HOP)) | 1)
    if flux.size < 3:
        return flux
    mode: Literal["reflect", "edge"] = "reflect" if flux.size > n // 2 + 1 else "edge"
    padded = np.pad(flux, (n // 2, n - 1 - n // 2), mode=mode)
    average = np.convolve(padded, np.full(n, 1.0 / n), mode="valid")
    return np.asarray(np.maximum(0.0, flux - average))
