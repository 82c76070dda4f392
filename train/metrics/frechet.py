"""The Frechet distance of two sets of embeddings (Kilgour et al. 2019), its floor, its bias and its excess over the floor."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, TypeAlias

import numpy as np
from numpy.typing import NDArray

from segue.train.bootstrap import COVERAGE

Values: TypeAlias = NDArray[np.floating[Any]]

DIMS = 32  # principal axes that are kept against small-sample bias: it grows with dimensions over count
SIZES = 8  # sample sizes that the extrapolation to infinite count looks at
DRAWS = 500


def frechet(x: Values, y: Values) -> float:
    """|m_x - m_y|^2 + tr(S_x + S_y - 2 (S_x S_y)^1/2) of `[n, dim]` and `[m, dim]`, Gaussians fitted to each.

    With S_x = a^T a and S_y = b^T b the eigenvalues of S_x S_y are the squared singular values of a b^T, so that no root of
    a product of nearly singular matrices is taken. Raises ValueError for fewer than two embeddings.
    """
    a, b = _root(x), _root(y)
    between = np.square(x.mean(axis=0, dtype=np.float64) - y.mean(axis=0, dtype=np.float64)).sum()
    cross = np.linalg.svd(a @ b.T, compute_uv=False).sum()
    return float(max(0.0, between + np.square(a).sum() + np.square(b).sum() - 2 * cross))


def _root(x: Values) -> NDArray[np.float64]:
    """a `[min(n, dim), dim]` with a^T a the covariance."""
    if len(x) < 2:
        raise ValueError(f"FAD: got {len(x)} embeddings, a covariance needs 2 or more; score more clips")
    centred = np.asarray(x, np.float64) - x.mean(axis=0, dtype=np.float64)
    r: NDArray[np.float64] = np.linalg.qr(centred, mode="r") / np.sqrt(len(x) - 1)
    return r


def principal(reference: Values, dims: int = DIMS) -> Callable[[Values], Values]:
    """The map of embeddings `[..., dim]` onto the reference's first principal axes `[..., dims]`."""
    mean = reference.mean(axis=0, dtype=np.float64)
    _, _, axes = np.linalg.svd(np.asarray(reference, np.float64) - mean, full_matrices=False)
    basis = axes[:dims].T

    def project(e: Values) -> Values:
        projected: Values = (e - mean) @ basis
        return projected

    return project


def halves(x: Values, draws: int = 5, seed: int = 0) -> float:
    """The noise floor of a set `[n, P, dim]` of takes: mean distance of its random halves, split by take."""
    rng, found = np.random.default_rng(seed), []
    for _ in range(draws):
        order, middle = rng.permutation(len(x)), len(x) // 2
        one, other = (x[part].reshape(-1, x.shape[-1]) for part in (order[:middle], order[middle : 2 * middle]))
        found.append(frechet(one, other))
    return float(np.mean(found))


def at_infinity(reference: Values, x: Values, seed: int = 0) -> float:
    """FAD-infinity (Chong & Forsyth 2020; Gui et al. 2024): the intercept of FAD over 1 / n, of n takes out of `[n, P, dim]`."""
    rng, count = np.random.default_rng(seed), min(len(reference), len(x))
    sizes = np.unique(np.linspace(max(2, count // 4), count, SIZES).astype(int))
    found = []
    for size in sizes:
        one, other = (part[rng.permutation(len(part))[:size]].reshape(-1, part.shape[-1]) for part in (reference, x))
        found.append(frechet(one, other))
    if len(sizes) < 2:
        return found[0]
    _, intercept = np.polyfit(1 / sizes, found, 1)
    return float(intercept)


def excess(reference: Values, truth: Values, codec: Values, made: Values, seed: int = 0) -> tuple[float, float, float]:
    """((FAD - floor) / (codec's FAD - floor), low, high): 0 is true audio, 1 the codec's reconstruction of it.

    Takes `[n, P, dim]`, the three last paired: one index of the bootstrap draws the same clips of each. Distances are taken
    in the reference's first principal axes, the floor is the true audio's distance. NaN where the codec is at the floor.
    """
    project, count = principal(reference.reshape(-1, reference.shape[-1])), len(made)
    fixed = project(reference.reshape(-1, reference.shape[-1]))
    drawn = np.random.default_rng(seed).multinomial(count, np.full(count, 1 / count), DRAWS)
    times = np.concatenate([np.ones((1, count)), drawn])  # the first row is the sample itself
    floor, upper, found = (_weighted(fixed, project(part), times) for part in (truth, codec, made))
    ratio = np.where(upper > floor, (found - floor) / np.where(upper > floor, upper - floor, 1), np.nan)
    known = ratio[1:][np.isfinite(ratio[1:])]
    if len(known) < DRAWS // 2:
        return float("nan"), float("nan"), float("nan")
    low, high = np.quantile(known, [(1 - COVERAGE) / 2, (1 + COVERAGE) / 2])
    return float(ratio[0]), float(low), float(high)


def difference(reference: Values, before: Values, after: Values, seed: int = 0) -> tuple[float, float, float]:
    """(distance of `after` from the reference less that of `before`, low, high) of paired takes `[n, P, dim]`.

    The interval is a paired bootstrap over takes; the reference `[m, P, dim]` stays.
    """
    fixed, count = reference.reshape(-1, reference.shape[-1]), len(after)
    drawn = np.random.default_rng(seed).multinomial(count, np.full(count, 1 / count), DRAWS)
    times = np.concatenate([np.ones((1, count)), drawn])  # the first row is the sample itself
    less = _weighted(fixed, after, times) - _weighted(fixed, before, times)
    low, high = np.quantile(less[1:], [(1 - COVERAGE) / 2, (1 + COVERAGE) / 2])
    return float(less[0]), float(low), float(high)


def _weighted(fixed: Values, made: Values, times: Values) -> Values:
    """`[draws]` distances of a set `[m, dims]` from takes `[n, P, dims]` taken as often as times `[draws, n]` says.

    Sums of every take and of its outer products are formed once; with a^T a the fixed covariance the roots of the eigenvalues
    of a S a^T are the singular values that `frechet` sums.
    """
    total = times.sum(axis=1) * made.shape[1]
    mean = times @ made.sum(axis=1) / total[:, None]
    products = np.einsum("npi,npj->nij", made, made)
    square = np.tensordot(times, products, axes=1) / total[:, None, None]
    covariance = (square - mean[:, :, None] * mean[:, None, :]) * (total / (total - 1))[:, None, None]
    a = _root(fixed)
    roots = np.sqrt(np.maximum(0, np.linalg.eigvalsh(a @ covariance @ a.T)))
    between = np.square(mean - fixed.mean(axis=0)).sum(axis=1)
    distance: Values = between + np.square(a).sum() + np.trace(covariance, axis1=1, axis2=2) - 2 * roots.sum(axis=1)
    return distance
