"""Paired bootstrap: the mean of per-clip differences, with its interval."""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray

DRAWS = 4000
COVERAGE = 0.95


def interval(differences: NDArray[np.floating[Any]], seed: int = 0) -> tuple[float, float]:
    """The percentile interval of the mean of `[n]` paired differences (Efron & Tibshirani 1993, chapter 13)."""
    rng = np.random.default_rng(seed)
    picks = rng.integers(0, len(differences), (DRAWS, len(differences)))
    means = differences[picks].mean(axis=1)
    tail = (1 - COVERAGE) / 2
    return float(np.quantile(means, tail)), float(np.quantile(means, 1 - tail))
