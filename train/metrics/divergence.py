"""Kullback-Leibler divergence of class distributions: take by take, or of the means of two sets."""

from __future__ import annotations

from typing import Any, TypeAlias

import numpy as np
from numpy.typing import NDArray

Values: TypeAlias = NDArray[np.floating[Any]]


def kld(true: Values, made: Values) -> Values:
    """`[n]`: KL(true || made) of class distributions `[n, m]`, in nats."""
    divergence: Values = (true * np.log(true / made)).sum(axis=1)
    return divergence


def kld_of_sets(reference: Values, made: Values) -> float:
    """KL of the mean distributions of two sets `[n, m]`, in nats: what the sets hold, whichever take holds it."""
    return float(kld(reference.mean(axis=0)[None], made.mean(axis=0)[None])[0])
