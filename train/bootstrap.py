"""Paired bootstrap: the mean of per-clip differences, or the ratio of two means over the same clips, with its interval."""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray

DRAWS = 4000
COVERAGE = 0.95


def interval(differences: NDArray[np.floating[Any]], seed: int = 0) -> tuple[float, float]:
    """The percentile interval of the mean of `[n]` paired differences (Efron & Tibshirani 1993, chapter 13)."""
    return _between(differences[_picks(len(differences), seed)].mean(axis=1))


def ratio_interval(some: NDArray[np.floating[Any]], others: NDArray[np.floating[Any]], seed: int = 0) -> tuple[float, float]:
    """The same of mean(some) / mean(others), `[n]` each: a clip that is drawn counts in both means."""
    picks = _picks(len(some), seed)
    return _between(some[picks].mean(axis=1) / others[picks].mean(axis=1))


def _picks(n: int, seed: int) -> NDArray[np.int64]:
    return np.random.default_rng(seed).integers(0, n, (DRAWS, n))


def _between(drawn: NDArray[np.floating[Any]]) -> tuple[float, float]:
    tail = (1 - COVERAGE) / 2
    return float(np.quantile(drawn, tail)), float(np.quantile(drawn, 1 - tail))
