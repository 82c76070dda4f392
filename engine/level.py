"""Brings new audio to the level of what it joins: at most 6 dB, evenly in dB, so that it is not heard as a fade."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from segue.engine.measure import SILENCE_LUFS, loudness

BOUND_DB = 6.0
QUIET_LUFS = -70.0  # the absolute gate of BS.1770: nothing is matched to or from what lies under it


@dataclass(frozen=True)
class Level:
    """A gain that goes from start_db to end_db over a piece."""

    start_db: float = 0.0
    end_db: float = 0.0

    def apply(self, audio: NDArray[np.float32]) -> NDArray[np.float32]:
        """The audio `[2, n]` with that gain."""
        decibels = np.linspace(self.start_db, self.end_db, audio.shape[1])
        return audio * (10 ** (decibels / 20)).astype(np.float32)


def level_step_db(wanted: NDArray[np.float32], got: NDArray[np.float32], rate: int) -> float:
    """The gain in dB that brings one stretch of audio to the loudness of another, within BOUND_DB; 0 where either is quiet."""
    there, here = loudness(wanted, rate), loudness(got, rate)
    if min(there, here) <= max(QUIET_LUFS, SILENCE_LUFS):
        return 0.0
    return float(np.clip(there - here, -BOUND_DB, BOUND_DB))
