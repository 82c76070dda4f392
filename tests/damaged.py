"""Recordings that are lost in part, and where they are whole."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from segue.engine import damage as damages
from segue.engine.damage import Gaps

Audio = NDArray[np.float32]
RATE = 44_100


def tones(seconds: float, rate: int = RATE, seed: int = 0) -> Audio:
    """Five tones of random pitch and phase up to 9 kHz, stereo."""
    rng = np.random.default_rng(seed)
    time = np.arange(round(seconds * rate)) / rate
    pitches, phases = rng.uniform(100, 9000 * rate / RATE, 5), rng.uniform(0, 2 * np.pi, (2, 5))
    return np.stack([0.1 * np.sin(2 * np.pi * pitches * time[:, None] + p).sum(1) for p in phases]).astype(np.float32)


def away(A: Gaps, n: int) -> NDArray[np.bool_]:
    """Samples that no gap nor its fade reaches."""
    near = np.convolve(~A.kept(n), np.ones(2 * damages.GAP_FADE + 1))[damages.GAP_FADE : damages.GAP_FADE + n]
    whole: NDArray[np.bool_] = near == 0
    return whole
