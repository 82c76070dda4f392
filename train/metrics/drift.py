"""Tempo over minutes, by the spectrum of the onsets: another road than the server's, which looks at their autocorrelation."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, TypeAlias

import numpy as np
from numpy.typing import NDArray

from segue.engine.measure import MEL_HOP
from segue.train.metrics.seams import BPM, LIKELY_BPM, OCTAVES, flux

Audio: TypeAlias = NDArray[Any]
Values: TypeAlias = NDArray[np.floating[Any]]

EVERY_S = 20.0  # of one estimate: in it 60 BPM beats 20 times
HARMONICS = (1, 2, 4)  # of a beat's frequency, at which the spectrum is read
EXPLAINED = 8  # harmonics that a beat may explain the onsets with
FINE = 2**17  # points of the spectrum
HELD_PERCENT = 4.0  # nearer than this to the first tempo counts as held
LEAST = 1e-12


@dataclass(frozen=True)
class Beat:
    """Tempo of a stretch, and the share of its onsets' variance that a beat of it explains, 0 to 1."""

    bpm: float
    share: float


@dataclass(frozen=True)
class Drift:
    """bpm: the first tempo, or the one that was given. departure_percent: the largest. held: share of stretches near the first.

    share: mean of how much a beat explains; where it is small the tempi say little.
    """

    bpm: float
    bpm_per_minute: float | None
    departure_percent: float
    held: float
    share: float
    stretches: int


def beat_of(onsets: Values, rate: float) -> Beat | None:
    """The beat of an onset envelope `[n]` at `rate` values a second, between BPM's ends; None without onsets.

    Magnitudes of the spectrum (Hann window) are summed at the harmonics of each tempo, with a mild preference for the usual.
    """
    centred = np.asarray(onsets, np.float64) - np.mean(onsets)
    if np.square(centred).sum() <= LEAST:
        return None
    spectrum = np.abs(np.fft.rfft(centred * np.hanning(len(centred)), FINE))
    tempi = np.geomspace(*BPM, 4000)
    bins = np.arange(len(spectrum))
    score = sum(np.interp(k * tempi / 60 / rate * FINE, bins, spectrum) for k in HARMONICS)
    prior = np.exp(-0.5 * (np.log2(tempi / LIKELY_BPM) / OCTAVES) ** 2)
    bpm = float(tempi[np.argmax(score * prior)])
    return Beat(bpm, explained(centred, bpm / 60 / rate))


def explained(centred: Values, frequency: float) -> float:
    """Share of the variance of `[n]` that a wave of a frequency in cycles a value and its harmonics explain, by least squares."""
    turn = 2 * np.pi * frequency * np.outer(np.arange(len(centred)), np.arange(1, EXPLAINED + 1))
    waves = np.concatenate([np.cos(turn), np.sin(turn)], axis=1)
    fitted = waves @ np.linalg.lstsq(waves, centred, rcond=None)[0]
    return float(np.square(fitted).sum() / max(float(np.square(centred).sum()), LEAST))


def drift(found: Sequence[Beat | None], every_s: float, bpm: float | None = None) -> Drift | None:
    """How tempi of consecutive stretches move away from the first, or from `bpm`; octaves are folded.

    None without a beat anywhere; one stretch has no slope.
    """
    minutes = np.array([i * every_s / 60 for i, beat in enumerate(found) if beat])
    known = [beat for beat in found if beat]
    if not known:
        return None
    first = bpm or known[0].bpm
    tempi = np.array([beat.bpm for beat in known])
    folded = tempi * 2.0 ** -np.round(np.log2(tempi / first))
    departure = 100 * np.abs(folded / first - 1)
    slope = float(np.polyfit(minutes, folded, 1)[0]) if len(known) > 1 else None
    held = float((departure <= HELD_PERCENT).mean())
    return Drift(first, slope, float(departure.max()), held, float(np.mean([beat.share for beat in known])), len(known))


def tempo_drift(audio: Audio, rate: int, every_s: float = EVERY_S, bpm: float | None = None) -> Drift | None:
    """`drift` of the whole stretches of `every_s` in audio `[channels, n]`."""
    size = round(every_s * rate)
    cut = [audio[:, i : i + size] for i in range(0, audio.shape[1] - size + 1, size)]
    return drift([beat_of(flux(part, rate), rate / MEL_HOP) for part in cut], every_s, bpm)
