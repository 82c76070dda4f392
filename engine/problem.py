"""One guided sampling problem: a row of Table 2, Levy et al. 2023, as a value."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import TypeAlias

from torch import Tensor

# d(y, A(x)): the distance of two measurements, `[B]`: summed over the elements of an item, never averaged.
Distance: TypeAlias = Callable[[Tensor, Tensor], Tensor]


@dataclass(frozen=True)
class Rows:
    """A linear measurement that selects latent frames: A x = x[..., mask], so that A A^T = I.

    mask: `[T]` bool, true where the frame is measured (the context).
    """

    mask: Tensor

    def __call__(self, x: Tensor) -> Tensor:
        """A x: the measured frames of `[B, C, T]`."""
        return x[..., self.mask]

    def project(self, x: Tensor, y: Tensor) -> Tensor:
        """x + A^T (A A^T)^-1 (y - A x): x with its measured frames replaced by y `[B, C, sum(mask)]`."""
        projected = x.clone()
        projected[..., self.mask] = y.to(x.dtype)
        return projected


# A measurement operator: linear row selection, or any differentiable map of a clean window.
Operator: TypeAlias = Rows | Callable[[Tensor], Tensor]


@dataclass(frozen=True)
class Term:
    """A further loss beside the main one: weight * d(y, A(x))."""

    A: Operator
    y: Tensor
    d: Distance
    weight: float = 1.0


@dataclass(frozen=True)
class Problem:
    """What a sampler solves: start at x_T, follow the model, stay near A(x) = y under d.

    A None measures nothing (unconditional). t_T < 1 starts part-way. `terms` adds weighted further losses.
    """

    A: Operator | None
    y: Tensor | None
    d: Distance | None
    x_T: Tensor
    t_T: float = 1.0
    terms: tuple[Term, ...] = ()
