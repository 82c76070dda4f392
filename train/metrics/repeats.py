"""Windows of a long recording that had sounded before: how much each is like any earlier place, at any lag."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import Any, TypeAlias

import numpy as np
from numpy.typing import NDArray
from scipy import fft

Audio: TypeAlias = NDArray[Any]
Values: TypeAlias = NDArray[np.floating[Any]]

WINDOW_S = 1.0
ALIKE = 0.9  # correlation from which a window counts as heard before
COARSE_RATE = 4000  # Hz at which places are looked for; what is found there is looked at again at the full rate
COARSE = 0.75  # a copy at the full rate is nearly one below 2 kHz too
SLACK_S = 0.002  # around a coarse place
BLOCK = 2**16  # coarse samples of the past that are compared at once
QUIET = 1e-4  # RMS under which a window is silence and repeats nothing
LEAST = 1e-12


@dataclass(frozen=True)
class Repeat:
    """A window that begins at at_s, and the earlier place that it is most like; both in seconds."""

    at_s: float
    earlier_s: float
    correlation: float


def repeats(read: Callable[[int, int], Audio], length: int, rate: int, window_s: float = WINDOW_S) -> list[Repeat]:
    """For every window of a recording, end to end, the earlier place most like it that ended before it began.

    read(first, count): `[channels, count]` of it at `rate`; length: samples in all. Mono sums, sign ignored. The first window
    has no past, and silent ones are left out. Takes memory for the recording at COARSE_RATE, and time that grows with its square.
    """
    mono = np.concatenate([*_coarse(read, length, rate)]).astype(np.float32)
    n = round(window_s * COARSE_RATE)
    energy = np.concatenate([[0.0], np.cumsum(np.square(mono, dtype=np.float64))])
    spectra: list[NDArray[np.complexfloating[Any, Any]]] = []
    step, found = BLOCK - n, list[Repeat]()
    for start in range(n, len(mono) - n + 1, n):
        while (len(spectra) + 1) * step + n <= start:
            first = len(spectra) * step
            spectra.append(fft.rfft(mono[first : first + BLOCK]))
        part = mono[start : start + n]
        own = float(energy[start + n] - energy[start])
        if own < n * QUIET**2:
            continue
        best, place = _best(mono[:start], part, own, energy, spectra, step)
        if best > COARSE:
            best, place = _exact(read, rate, round(start / COARSE_RATE * rate), place / COARSE_RATE, window_s)
        else:
            place = place / COARSE_RATE
        found.append(Repeat(start / COARSE_RATE, place, best))
    return found


def _coarse(read: Callable[[int, int], Audio], length: int, rate: int) -> Iterator[Values]:
    """The mono sum at COARSE_RATE, minute by minute."""
    import soxr

    stream, size = soxr.ResampleStream(rate, COARSE_RATE, 1, dtype="float32"), 60 * rate
    for first in range(0, length, size):
        count = min(size, length - first)
        mono = np.ascontiguousarray(read(first, count).mean(axis=0), np.float32)
        yield stream.resample_chunk(mono, last=first + count >= length)


def _best(past: Values, part: Values, own: float, energy: Values, spectra: list[Any], step: int) -> tuple[float, float]:
    """(largest correlation, its place) of a window in its past: finished blocks by their spectra, the rest anew."""
    n, wanted = len(part), np.conj(fft.rfft(part, BLOCK))
    best, place = 0.0, 0.0
    rest = len(spectra) * step
    for number, spectrum in enumerate([*spectra, fft.rfft(past[rest : rest + BLOCK], BLOCK)]):
        first = number * step
        count = min(BLOCK, len(past) - first) - n + 1
        if count <= 0:
            continue
        product = np.abs(fft.irfft(spectrum * wanted, BLOCK)[:count])
        there = energy[first + n : first + n + count] - energy[first : first + count]
        alike = product / np.sqrt(own * np.maximum(there, n * QUIET**2))
        top = int(np.argmax(alike))
        if alike[top] > best:
            best, place = float(alike[top]), float(first + top)
    return min(1.0, best), place


def _exact(read: Callable[[int, int], Audio], rate: int, start: int, place_s: float, window_s: float) -> tuple[float, float]:
    """(correlation, place in seconds) of the window at `start` near a coarse place, at the full rate."""
    n, slack = round(window_s * rate), round(SLACK_S * rate)
    first = max(0, round(place_s * rate) - slack)
    past = np.asarray(read(first, min(n + 2 * slack, start - first)), np.float64).mean(axis=0)
    part = np.asarray(read(start, n), np.float64).mean(axis=0)
    places = len(past) - n + 1
    if places < 1:
        return 0.0, place_s
    windows = np.lib.stride_tricks.sliding_window_view(past, n)
    norms = np.sqrt(np.square(windows).sum(axis=1) * np.square(part).sum())
    alike = np.abs(windows @ part) / np.maximum(norms, LEAST)
    top = int(np.argmax(alike))
    return float(min(1.0, alike[top])), (first + top) / rate
