"""Spectral distances that YAMNet is deaf to: band by band up to the top, mid and side apart, and over time."""

from __future__ import annotations

from itertools import pairwise
from typing import Any, TypeAlias

import numpy as np
from numpy.typing import NDArray
from scipy import signal

from segue.engine.measure import log_mel, long_term_spectrum

Audio: TypeAlias = NDArray[Any]
Values: TypeAlias = NDArray[np.floating[Any]]

BANDS_HZ = (0, 250, 1000, 4000, 8000, 16_000)  # the last reaches where YAMNet hears nothing
WINDOW, HOP = 2048, 1024
FLOOR_DB = -100.0
LEAST = 0.1  # nepers of rise under which a curve counts as flat
RESOLUTIONS = (512, 1024, 2048, 4096)  # windows of the multi-resolution distance, hop a quarter
LEAST_MAGNITUDE = 1e-5  # that counts: -100 dB of full scale


def band_levels(audio: Audio, rate: int) -> Values:
    """`[2, bands, frames]` dB of mid and side in each of BANDS_HZ over time, a full-scale sine near -3, FLOOR_DB at least."""
    left, right = (np.asarray(audio[i], np.float64) for i in (0, -1))
    sides = np.stack([(left + right) / 2, (left - right) / 2])
    _, _, stft = signal.stft(sides, rate, nperseg=WINDOW, noverlap=WINDOW - HOP, boundary=None, padded=True, axis=-1)
    frequency = np.fft.rfftfreq(WINDOW, 1 / rate)
    power = np.square(np.abs(stft))
    bands = [power[:, (frequency >= low) & (frequency < high)].sum(axis=1) for low, high in pairwise(BANDS_HZ)]
    levels: Values = np.maximum(FLOOR_DB, 10 * np.log10(np.stack(bands, axis=1) + 1e-12))
    return levels


def band_distances(a: Audio, b: Audio, rate: int) -> dict[str, float]:
    """Mean size of the level differences in dB, by `mid 0-250` to `side 8000-16000`."""
    x, y = band_levels(a, rate), band_levels(b, rate)
    frames = min(x.shape[-1], y.shape[-1])
    apart = np.abs(x[..., :frames] - y[..., :frames]).mean(axis=-1)
    names = [f"{low}-{high}" for low, high in pairwise(BANDS_HZ)]
    return {f"{side} {name}": float(apart[i, j]) for i, side in enumerate(("mid", "side")) for j, name in enumerate(names)}


def over_time(take: Audio, track: Audio, rate: int, points: int = 20) -> Values:
    """`[points]`: log-mel distance of a take from a track, evenly over its duration (Fig. 1, Levy et al. 2023)."""
    x, y = log_mel(take, rate), log_mel(track, rate)
    frames = min(x.shape[1], y.shape[1])
    distance = np.abs(x[:, :frames] - y[:, :frames]).mean(axis=0)
    parts = np.array_split(distance, min(points, frames))
    return np.array([part.mean() for part in parts])


def roughness(curve: Values) -> float:
    """How far a curve over time strays from the straight line between its ends, over its rise: 0 is the linear one of Fig. 1.

    Size of the residual's mean over the difference of the ends (at least LEAST nepers).
    """
    straight = np.linspace(curve[0], curve[-1], len(curve))
    return float(np.abs(curve - straight).mean() / max(abs(curve[-1] - curve[0]), LEAST))


def flatness(audio: Audio) -> float:
    """Spectral flatness of the mono sum, 0 for tones to about 1 for white noise: geometric over arithmetic mean of the power."""
    power = long_term_spectrum(np.asarray(audio, np.float64).mean(axis=0, keepdims=True))[0] + 1e-15
    return float(np.exp(np.log(power).mean()) / power.mean())


def multi_resolution(x: Audio, y: Audio) -> float:
    """Distance of y from x `[channels, n]`: spectral convergence plus L1 of log magnitudes, in nepers, over RESOLUTIONS (Yamamoto
    et al. 2020), mean over channels."""
    found = []
    for window in RESOLUTIONS:
        a, b = (
            np.abs(signal.stft(np.asarray(audio, np.float64), nperseg=window, noverlap=window * 3 // 4)[2]) for audio in (x, y)
        )
        convergence = np.linalg.norm(a - b) / max(float(np.linalg.norm(a)), 1e-12)
        found.append(float(convergence) + float(np.abs(np.log(a + LEAST_MAGNITUDE) - np.log(b + LEAST_MAGNITUDE)).mean()))
    return float(np.mean(found))
