"""Levels of bands that are evenly spaced in octaves, of windows of audio. Pure numpy."""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray

LOWEST = 30.0  # Hz
FLOOR_DB = -90.0


def edges(rate: int, bands: int) -> NDArray[np.float64]:
    """Where bands begin and end, in Hz, `[bands + 1]`."""
    return np.geomspace(LOWEST, rate / 2, bands + 1)


def levels(windows: NDArray[np.floating[Any]], rate: int, bands: int) -> NDArray[np.float64]:
    """The loudest of each band in dB, `[n, bands]`, of mono windows `[n, size]`. 0 dB is a sine of full scale.

    A band that is narrower than a bin of the transform has the level of the bin where it begins.
    """
    size = windows.shape[1]
    hann = 0.5 - 0.5 * np.cos(2 * np.pi * np.arange(size) / size)
    power = (np.abs(np.fft.rfft(windows * hann)) * 2 / hann.sum()) ** 2
    bins = np.clip(np.round(edges(rate, bands) / rate * size).astype(int), 0, size // 2)
    loudest = np.maximum.reduceat(power[:, : bins[-1] + 1], bins[:-1], axis=1)
    return np.maximum(10 * np.log10(loudest + 1e-20), FLOOR_DB)
