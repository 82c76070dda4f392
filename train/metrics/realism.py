"""The k-nearest-neighbour measures of Kynkaanniemi et al. 2019: precision, recall, and the realism of a single take."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, TypeAlias

import numpy as np
from numpy.typing import NDArray

Values: TypeAlias = NDArray[np.floating[Any]]

K = 3  # neighbours that make a radius (their section 3)
LEAST = 1e-9


@dataclass(frozen=True)
class Manifold:
    """Balls around the points `[n, dim]` of a set, each as wide as its K-th neighbour is far."""

    points: Values
    radii: Values

    def holds(self, x: Values) -> NDArray[np.bool_]:
        """`[m]`: which of the points x `[m, dim]` lie in any ball."""
        return np.asarray((distances(x, self.points) <= self.radii).any(axis=1))

    def realism(self, x: Values) -> Values:
        """`[m]`: max over the balls of radius / distance (their equation 3); 1 is the rim of the manifold.

        Only the balls of at most median radius count, as they advise: a lonely point has a ball that swallows anything.
        """
        small = self.radii <= np.median(self.radii)
        ratio = self.radii[small] / np.maximum(distances(x, self.points[small]), LEAST)
        best: Values = ratio.max(axis=1)
        return best


def manifold(points: Values, k: int = K) -> Manifold:
    """The balls of a set. Raises ValueError for fewer than k + 1 points."""
    if len(points) <= k:
        raise ValueError(f"realism: got {len(points)} reference takes, needs more than {k}; score more clips")
    return Manifold(points, np.sort(distances(points, points), axis=1)[:, k])  # column 0 is the point itself


def precision(reference: Values, made: Values) -> float:
    """Share of what was made that lies in the reference's manifold."""
    return float(manifold(reference).holds(made).mean())


def recall(reference: Values, made: Values) -> float:
    """Share of the reference that lies in the manifold of what was made."""
    return precision(made, reference)


def distances(x: Values, y: Values) -> Values:
    """`[n, m]` Euclidean distances of `[n, dim]` and `[m, dim]`."""
    x, y = np.asarray(x, np.float64), np.asarray(y, np.float64)
    squared = np.square(x).sum(1)[:, None] + np.square(y).sum(1) - 2 * x @ y.T
    root: Values = np.sqrt(np.maximum(squared, 0))
    return root
