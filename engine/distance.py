"""The distances d(y, A(x)) of Table 2, Levy et al. 2023: `[B]`, summed over the elements of an item, never averaged."""

from __future__ import annotations

import torch
from torch import Tensor

LEAST = 1e-12  # probability that a logarithm is taken of: a class that is all but excluded still has a gradient


def l1(y: Tensor, Ax: Tensor) -> Tensor:
    """||y - A x||_1, the linear tasks."""
    return (Ax - y).abs().flatten(1).sum(1)


def l2(y: Tensor, Ax: Tensor) -> Tensor:
    """||y - A(x)||_2, embedder guidance: the norm, not its square; its gradient at distance 0 is 0, not NaN."""
    distance: Tensor = torch.linalg.vector_norm((Ax - y).flatten(1), dim=1)
    return distance


def bce(y: Tensor, p: Tensor) -> Tensor:
    """Binary cross-entropy of probabilities p with targets y, both in [0, 1], classifier guidance."""
    return -(y * p.clamp_min(LEAST).log() + (1 - y) * (1 - p).clamp_min(LEAST).log()).flatten(1).sum(1)
