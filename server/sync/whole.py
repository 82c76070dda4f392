"""The beats of a whole recording: a tempo that most of its onset envelope agrees on, then the best chain of beats. Pure.

The chain is the one of D. Ellis, "Beat tracking by dynamic programming" (2007): each beat earns the envelope where it lies, and
pays for the square of the logarithm by which its distance from the last differs from the period.
"""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from segue.server.sync.comb import find
from segue.server.sync.onsets import HOP, ONSET, WINDOW, envelope, flattened
from segue.server.sync.tracker import SAME, SURE

Floats = NDArray[np.float64]

WINDOW_S, EVERY_S = 16.0, 8.0  # stretches whose tempi are compared
SHARE = 0.4  # of them that have to agree
TIGHT = 100.0  # what a beat pays, in deviations of the envelope; Ellis's
FEWEST = 4  # beats
DRIFT, FINE = 0.01, 0.02  # how far the period of even beats is looked for, as a share, and how finely, in beats over the whole
EVEN = 0.75  # of what lies on the chain's beats has to lie on even ones


class Onsets:
    """The onset envelope of a recording that comes in pieces, the same as that of the whole."""

    def __init__(self, rate: int) -> None:
        """rate: Hz."""
        self._rate = rate
        self._rest = np.zeros((2, 0), np.float32)
        self._parts: list[Floats] = []

    def push(self, audio: NDArray[np.float32]) -> None:
        """The next `[2, n]`."""
        whole = np.concatenate([self._rest, audio], axis=1)
        hops = (whole.shape[1] - WINDOW) // HOP
        if hops < 1:
            self._rest = whole
            return
        self._parts.append(envelope(whole[:, : WINDOW + hops * HOP], self._rate))
        self._rest = whole[:, hops * HOP :]

    @property
    def flux(self) -> Floats:
        """All of it so far, less its running average."""
        return flattened(np.concatenate([np.zeros(0), *self._parts]), self._rate)


def tempo_of(flux: Floats, rate: float) -> float | None:
    """The period, in values, that most stretches of an envelope of `rate` values a second agree on; None where too few do."""
    size = round(WINDOW_S * rate)
    starts = range(0, max(1, flux.size - size // 2), round(EVERY_S * rate))
    found = [find(flux[start : start + size], rate) for start in starts]
    periods = np.array([one.period for one in found if one is not None and one.sure >= SURE])
    if not periods.size:
        return None
    alike = np.abs(periods[:, None] / periods[None, :] - 1.0) <= SAME
    best = int(alike.sum(axis=1).argmax())
    if alike[best].sum() < max(1.0, SHARE * len(found)):
        return None
    return float(np.median(periods[alike[best]]))


def chain(flux: Floats, period: float) -> Floats:
    """Places of the beats, fractional, in values of the envelope."""
    smooth = _smooth(flux)
    strength = smooth / max(1e-12, float(smooth.std()))
    far, near = round(2.0 * period), max(1, round(0.5 * period))
    back = np.arange(far, near - 1, -1)
    price = -TIGHT * np.square(np.log(back / period))
    total, before = strength.copy(), np.full(flux.size, -1)
    for i in range(near, flux.size):
        places = i - back
        first = int(np.searchsorted(places, 0))
        if first < places.size:
            gains = total[places[first:]] + price[first:]
            best = int(gains.argmax())
            if gains[best] > 0.0:
                total[i] += gains[best]
                before[i] = places[first + best]
    i = max(0, flux.size - far) + int(total[-far:].argmax())
    found = [i]
    while before[i] >= 0:
        i = int(before[i])
        found.append(i)
    return np.array([_peak(smooth, place) for place in reversed(found)])


def _smooth(flux: Floats) -> Floats:
    return np.convolve(flux, np.hanning(9) / np.hanning(9).sum(), mode="same")


def _peak(smooth: Floats, place: int) -> float:
    """A place made exact by the parabola through it and its neighbours."""
    if not 0 < place < smooth.size - 1:
        return float(place)
    a, b, c = smooth[place - 1 : place + 2]
    bend = a - 2.0 * b + c
    return place + float(np.clip(0.5 * (a - c) / bend, -0.5, 0.5)) if bend < 0 else float(place)


def beats_of(onsets: Onsets, rate: int) -> tuple[Floats, float]:
    """Frames of the beats and the tempo in BPM; none and 0 for what has no beat that is sure."""
    flux = onsets.flux
    period = tempo_of(flux, rate / HOP) if flux.size else None
    if period is None:
        return np.zeros(0), 0.0
    found = chain(flux, period)
    if found.size < FEWEST:
        return np.zeros(0), 0.0
    places = even(flux, found, period) * HOP + ONSET
    return places, 60.0 * rate / _usual(places, period * HOP)


def even(flux: Floats, found: Floats, period: float) -> Floats:
    """The beats of a machine instead of a chain, where they lie on as much of the envelope: a chain follows syncopes astray.

    The period is the one at which the chain's beats agree most on a phase, the phase the one with most of the envelope on it.
    """
    near = period * (1.0 + np.arange(-DRIFT, DRIFT, FINE / found.size))
    turns = np.exp(2j * np.pi * found[None, :] / near[:, None])
    best = float(near[np.abs(turns.sum(axis=1)).argmax()])
    smooth = _smooth(flux)
    starts = np.arange(0.0, best, 0.25)
    lines = starts[:, None] + best * np.arange(int((flux.size - 1 - best) // best))[None, :]
    strength = np.interp(lines, np.arange(flux.size), smooth).mean(axis=1)
    straight = lines[strength.argmax()]
    of_chain = float(np.interp(found, np.arange(flux.size), smooth).mean())
    return straight if float(strength.max()) >= EVEN * of_chain else found


def _usual(places: Floats, period: float) -> float:
    """Frames a beat on the average of those that follow each other as they should."""
    steps = np.diff(places)
    near = steps[np.abs(steps / period - 1.0) < 0.1]
    return float(near.mean()) if near.size else period
