"""Where music repeats itself: the lags at which it does, made exact on its onsets, and the place in it that is like another."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

Audio = NDArray[np.float32]
Values = NDArray[np.floating]

LEAST_LAG_S = 0.4  # shorter repetitions are tone or a subdivision, not a beat
LAGS = 3  # of the best repetitions that are used
TRUSTED = 0.06  # of a beat by which the best lag may miss whole ones where the beat is known
ALIKE = 4  # frames that are compared at least
ONSET_HOP = 256
PLACED_S = 2.4  # of the context that is looked for in an earlier stretch
LEAST = 1e-9


@dataclass(frozen=True)
class Heard:
    """A stretch that was heard: latents `[C, L]`, of whose channels the first `compared` say what it sounds like, and sound."""

    latents: Values
    audio: Audio
    compared: int

    @property
    def x(self) -> Values:
        """The channels that are compared."""
        return self.latents[: self.compared]

    @property
    def backwards(self) -> Heard:
        """The same, backwards in time."""
        return Heard(self.latents[:, ::-1], self.audio[:, ::-1], self.compared)


def placed(context: Heard, memory: Heard, longest: int, hop: int, rate: int) -> int:
    """The sample of a memory at which the end of a context would lie: where PLACED_S before it sound and beat most alike."""
    x, y = context.x, memory.x
    size = min(x.shape[1], round(PLACED_S * rate / hop), y.shape[1] - longest - ALIKE)
    ends = np.arange(size, y.shape[1] + 1)
    apart = [float(np.square(x[:, -size:] - y[:, end - size : end]).mean()) for end in ends]
    end = int(ends[int(np.argmin(apart))])
    rises, known = _rises(context.audio[:, -size * hop :]), _rises(memory.audio)
    start, within = (end - size) * hop // ONSET_HOP, hop // ONSET_HOP
    near = np.arange(max(0, start - within), min(len(known) - len(rises), start + within) + 1)
    found = _peak(near, [float(rises @ known[n : n + len(rises)]) for n in near], start)
    return round(float(found) * ONSET_HOP) + int(size) * hop


def repetitions(x: Values, audio: Audio, hop: int, rate: int, beat_s: float | None = None) -> list[tuple[float, float]]:
    """(lag in samples, mean squared difference over twice the variance) of the LAGS best repetitions of latents `[C, L]`.

    beat_s: seconds of a beat, where somebody knows it. Then they are whole beats, if the best of them is one anyway: a tempo that
    is not this music's changes nothing.
    """
    length, least = x.shape[1], max(2, round(LEAST_LAG_S * rate / hop))
    spread = 2 * float(x.var(axis=1).mean()) + LEAST
    known = least + ALIKE  # of the longest lag as many frames are compared, and few frames agree by chance
    lags = np.arange(least - 1, length - known)
    there = np.arange(length) + np.arange(length)[:, None]  # [lag, frame]: the frame that lies so much later
    inside = there < length
    apart = differences(x)[np.arange(length), np.minimum(there, length - 1)] * inside
    compared = inside.sum(axis=1)
    mean = apart.sum(axis=1) / compared
    deviation = np.sqrt(np.maximum(np.square(apart).sum(axis=1) / compared - np.square(mean), 0))
    worth = (mean + deviation / np.sqrt(compared)) / spread
    best = [int(lag) for lag in lags[1:-1] if worth[lag] <= min(worth[lag - 1], worth[lag + 1])]
    best = sorted(best, key=lambda lag: float(worth[lag]))[:LAGS] or [length // 2]
    rises = _rises(audio)
    found = [(_exact(rises, lag * hop, hop), float(min(worth[lag], 1.0))) for lag in best]
    beats = found[0][0] / (beat_s * rate) if beat_s else 0.0
    if len(lags) < 3 or round(beats) < 1 or abs(beats - round(beats)) > TRUSTED:
        return found
    return _whole(worth[: lags[-2] + 1], lags[1], found[0][0] / round(beats) / hop, hop) or found


def _whole(worth: Values, least: int, beat: float, hop: int) -> list[tuple[float, float]]:
    """(lag in samples, worth) of the LAGS best whole numbers of beats, of `least` frames or more; a beat is so many."""
    whole = np.arange(np.ceil(least / beat), (len(worth) - 1) // beat + 1) * beat
    costs = np.minimum(worth[np.floor(whole).astype(int)], worth[np.ceil(whole).astype(int)])
    return [(float(whole[n]) * hop, float(min(costs[n], 1.0))) for n in np.argsort(costs, kind="stable")[:LAGS]]


def differences(x: Values) -> Values:
    """`[L, L]` mean squared difference of every two frames of `[C, L]`: |a|^2 + |b|^2 - 2 a b, whatever it is asked for."""
    exact = x.astype(np.float64)
    product = exact.T @ exact
    energy = product.diagonal()
    squared: Values = np.maximum(energy[:, None] + energy - 2 * product, 0) / len(x)
    return squared


def _rises(audio: Audio) -> Values:
    """How much louder, in nepers, each ONSET_HOP of `[2, n]` is than the one before; 0 where quieter."""
    bent = np.diff(audio.mean(axis=0), prepend=0.0)  # onsets are bright
    size = len(bent) // ONSET_HOP
    level = np.log(np.square(bent[: size * ONSET_HOP].reshape(size, ONSET_HOP)).mean(axis=1) + 1e-8) / 2
    rises: Values = np.maximum(0, np.diff(level, prepend=level[:1]))
    return rises


def _exact(rises: Values, lag: int, hop: int) -> float:
    """The lag in samples within a frame of `lag` at which onsets fall on onsets, between ONSET_HOPs by a parabola."""
    near = np.arange(max(1, (lag - hop) // ONSET_HOP), min(len(rises) - 1, (lag + hop) // ONSET_HOP) + 1)
    alike = [float(rises[n:] @ rises[: len(rises) - n]) / (len(rises) - n) for n in near]
    return float(_peak(near, alike, lag / ONSET_HOP)) * ONSET_HOP


def _peak(places: NDArray[np.int64], values: Sequence[float], otherwise: float) -> float:
    """Where the values have their peak, by a parabola through three of them; `otherwise` where that is at an end, or nowhere."""
    top = int(np.argmax(values)) if values else 0
    if not 0 < top < len(values) - 1 or values[top] <= LEAST:
        return otherwise
    before, here, after = values[top - 1 : top + 2]
    return float(places[top] + 0.5 * (before - after) / (before - 2 * here + after))
