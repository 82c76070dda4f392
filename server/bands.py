"""Levels of bands that are evenly spaced in octaves, of windows of audio. Pure numpy."""

from __future__ import annotations

from functools import lru_cache
from typing import Any

import numpy as np
from numpy.typing import NDArray

LOWEST = 30.0  # Hz
FLOOR_DB = -90.0


def edges(rate: int, bands: int) -> NDArray[np.float64]:
    """Where bands begin and end, in Hz, `[bands + 1]`."""
    made: NDArray[np.float64] = np.geomspace(LOWEST, rate / 2, bands + 1)
    return made


def levels(windows: NDArray[np.floating[Any]], rate: int, bands: int) -> NDArray[np.float64]:
    """The loudest of each band in dB, `[n, bands]`, of mono windows `[n, size]`. 0 dB is a sine of full scale.

    A band that is narrower than a bin of the transform has the level of the bin where it begins.
    """
    hann, bins = _plan(windows.shape[1], rate, bands)
    spectrum = np.fft.rfft(windows * hann)
    power = spectrum.real**2 + spectrum.imag**2
    loudest = np.maximum.reduceat(power[:, : bins[-1] + 1], bins[:-1], axis=1)
    decibels: NDArray[np.float64] = np.maximum(10 * np.log10(loudest + 1e-20), FLOOR_DB)
    return decibels


@lru_cache(maxsize=8)
def _plan(size: int, rate: int, bands: int) -> tuple[NDArray[np.float64], NDArray[np.int64]]:
    """A Hann window that gives a sine of full scale a power of 1, and the bins where bands begin, with the last one's end."""
    hann = 0.5 - 0.5 * np.cos(2 * np.pi * np.arange(size) / size)
    bins = np.clip(np.round(edges(rate, bands) / rate * size).astype(np.int64), 0, size // 2)
    return hann * 2 / hann.sum(), bins
