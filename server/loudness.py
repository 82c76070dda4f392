"""Integrated loudness and true peak of a recording that comes in pieces, and the gain that brings it to a reference.

Loudness is that of ITU-R BS.1770-5: K-weighted power in blocks of 400 ms, a new one every 100 ms, gated at -70 LUFS and then at
10 LU under the mean of what is left. True peaks are those of the signal oversampled four times (annex 2).
"""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray
from scipy import signal

from segue.engine.limiter import CEILING_DBTP, true_peaks
from segue.engine.measure import k_weighting

STEP_S, STEPS = 0.1, 4  # a block is four steps long
GATE_LUFS, RELATIVE_LU = -70.0, -10.0
OFFSET = -0.691  # of BS.1770: a sine of 997 Hz at full scale on one channel is -3.01 LUFS
BOUND_DB = 12.0  # the most that a recording is turned up or down by itself
EDGE = 64  # samples on each side that the interpolation looks at
LIKELY = 0.5  # what lies between samples is looked for where a sample reaches this share of the peak so far
SILENT_DB = -120.0


class Meter:
    """Measures `[2, n]` pieces."""

    def __init__(self, rate: int) -> None:
        """rate: Hz."""
        self._sections = k_weighting(rate)
        self._state = np.zeros((len(self._sections), 2, 2))
        self._step = round(STEP_S * rate)
        self._rest = np.zeros(0)
        self._powers: list[NDArray[np.float64]] = []
        self._tail = np.zeros((2, 0), np.float32)
        self._peak = 0.0

    def push(self, audio: NDArray[np.float32]) -> None:
        """The next piece."""
        weighted, self._state = signal.sosfilt(self._sections, audio.astype(np.float64), axis=-1, zi=self._state)
        power = np.concatenate([self._rest, np.square(weighted).sum(axis=0)])
        whole = power.size // self._step * self._step
        self._powers.append(power[:whole].reshape(-1, self._step).mean(axis=1))
        self._rest = power[whole:]
        joined = np.concatenate([self._tail, audio], axis=1)
        level = float(np.abs(joined).max(initial=0.0))
        if joined.shape[1] > 2 * EDGE and level >= LIKELY * self._peak:  # the interpolation knows nothing beyond its ends
            self._peak = max(self._peak, level, float(true_peaks(joined)[EDGE:-EDGE].max()))
        self._tail = joined[:, -2 * EDGE :]

    @property
    def lufs(self) -> float | None:
        """Integrated loudness; None where nothing is loud enough, or it is shorter than a block."""
        steps = np.concatenate([np.zeros(0), *self._powers])
        if steps.size < STEPS:
            return None
        blocks = np.convolve(steps, np.full(STEPS, 1.0 / STEPS), mode="valid")
        loud = blocks[blocks > _power(GATE_LUFS)]
        if not loud.size:
            return None
        return _level(float(loud[loud > _power(_level(float(loud.mean())) + RELATIVE_LU)].mean()))

    @property
    def peak_db(self) -> float:
        """True peak, dBTP; SILENT_DB for silence."""
        return max(SILENT_DB, 20.0 * float(np.log10(max(self._peak, 1e-12))))


def _level(power: float) -> float:
    return OFFSET + 10.0 * float(np.log10(power))


def _power(lufs: float) -> float:
    return float(10.0 ** ((lufs - OFFSET) / 10.0))


def gain_db(lufs: float | None, peak_db: float, reference_lufs: float) -> float:
    """What brings a recording to the reference, within BOUND_DB, and its true peak not over the ceiling by turning it up."""
    if lufs is None:
        return 0.0
    wanted = float(np.clip(reference_lufs - lufs, -BOUND_DB, BOUND_DB))
    return min(wanted, max(0.0, CEILING_DBTP - peak_db)) if wanted > 0.0 else wanted
