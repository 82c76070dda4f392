"""Tempo and beats of an onset envelope: a comb over its autocorrelation, then a comb over itself. Pure."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

Floats = NDArray[np.float64]

SLOWEST, FASTEST = 70.0, 180.0  # BPM that are considered; others are taken by the octave
STEP = 0.005  # between two tempi tried, as a share
# Where music in twos and fours repeats, in beats, and what that counts: halves and quarters of beats, beats, and bars.
TEETH = ((0.25, 0.5), (0.5, 0.5), (1.0, 1.0), (2.0, 1.0), (4.0, 1.0), (8.0, 1.0))
LIKELY, SPREAD = 120.0, 0.7  # the tempo that is likelier than others, and by how many octaves it may well be off
CLEARLY = 1.15  # so many times as much on beats makes another period the better one
SHORTEST_S = 4.0


@dataclass(frozen=True)
class Found:
    """period: in values of the envelope. beat: where the last beat fell, from its beginning. sure: 0 to 1."""

    period: float
    beat: float
    sure: float


def autocorrelation(flux: Floats) -> Floats:
    """Of lags 0 to half the length, each the mean of its products, 1 at lag 0."""
    centred = flux - flux.mean()
    n = centred.size
    spectrum = np.fft.rfft(centred, 2 * n)
    sums = np.fft.irfft(spectrum * spectrum.conj())[: n // 2 + 1]
    means = sums / (n - np.arange(sums.size))
    return np.asarray(means / max(1e-12, means[0]))


def find(flux: Floats, rate: float) -> Found | None:
    """rate: values a second. None for what has no beat, or is shorter than SHORTEST_S."""
    if flux.size < SHORTEST_S * rate or flux.max(initial=0.0) <= 1e-9:
        return None
    even = np.sqrt(flux)  # one loud stroke is not more of a beat than a quieter one
    known = autocorrelation(even)
    periods = rate * 60.0 / np.exp(np.arange(np.log(SLOWEST), np.log(FASTEST), STEP))
    lags = np.arange(known.size)
    score = sum((weight * np.interp(periods * tooth, lags, known, right=0.0) for tooth, weight in TEETH), np.zeros(periods.size))
    prior = np.exp(-0.5 * (np.log2(rate * 60.0 / periods / LIKELY) / SPREAD) ** 2)
    period = float(periods[np.argmax(score * prior)])
    period = _refined(known, _straight(flux, period, rate))
    beat, sure = _beats(even, period)
    return Found(period, beat, sure)


def _straight(flux: Floats, period: float, rate: float) -> float:
    """The period, or one of three halves or two thirds of it, where surely more of the flux lies on beats.

    An even pattern repeats at all of these alike; its strokes do not weigh alike.
    """
    best, most = period, CLEARLY * float(_strengths(flux, period)[1].max())
    for other in (period * 2.0 / 3.0, period * 1.5):
        if SLOWEST <= rate * 60.0 / other <= FASTEST and (strength := float(_strengths(flux, other)[1].max())) > most:
            best, most = other, strength
    return best


def _strengths(flux: Floats, period: float) -> tuple[Floats, Floats]:
    """Places where the last beat may have fallen, and how much of the flux lies on beats if it did."""
    smooth = np.convolve(flux, np.hanning(7) / np.hanning(7).sum(), mode="same")
    count = int((flux.size - 1) // period)
    ends = flux.size - 1 - np.arange(0.0, period, 0.25)
    places = ends[:, None] - np.arange(count)[None, :] * period
    return ends, np.asarray(np.interp(places, np.arange(flux.size), smooth).mean(axis=1))


def _refined(known: Floats, period: float) -> float:
    """A period made exact by its far multiples, each looked for where the nearer ones point."""
    lags = np.arange(known.size)
    for tooth in (4, 8, 16):
        if period * tooth * 1.02 >= known.size - 1:
            break
        near = np.linspace(period * tooth - 0.2 * period, period * tooth + 0.2 * period, 81)
        height = np.interp(near, lags, known)
        peak = int(np.argmax(height))
        if 0 < peak < near.size - 1 and height[peak] > 0.05:
            a, b, c = height[peak - 1 : peak + 2]
            bend = a - 2.0 * b + c
            period = float(near[peak] + (0.5 * (a - c) / bend if bend < 0 else 0.0) * (near[1] - near[0])) / tooth
    return period


def _beats(flux: Floats, period: float) -> tuple[float, float]:
    """Where the last beat fell, and how much more of the flux lies on beats than there would by chance."""
    ends, strength = _strengths(flux, period)
    best = int(np.argmax(strength))
    around = strength[[best - 1, best, (best + 1) % strength.size]]
    bend = around[0] - 2.0 * around[1] + around[2]
    shift = 0.5 * (around[0] - around[2]) / bend if bend < 0 else 0.0
    return float(ends[best] - shift * 0.25), float(1.0 - strength.mean() / max(1e-12, strength[best]))
