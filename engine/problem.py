"""One guided sampling problem: a row of Table 2, Levy et al. 2023, as a value."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, replace
from typing import TypeAlias

import torch
from torch import Tensor

from segue.engine.paper import noised

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
        """x + A^T (A A^T)^-1 (y - A x) = A^T y + (I - A^T A) x: x with its measured frames replaced by y `[B, C, sum(mask)]`."""
        projected = x.clone()
        projected[..., self.mask] = y.to(x.dtype)
        return projected


# A measurement operator: linear row selection, or any differentiable map of a clean window.
Operator: TypeAlias = Rows | Callable[[Tensor], Tensor]


@dataclass(frozen=True)
class Term:
    """A loss: weight * d(y, A(x))."""

    A: Operator
    y: Tensor
    d: Distance
    weight: float = 1.0


@dataclass(frozen=True)
class Problem:
    """What a sampler solves: start at x_T, follow the model, stay near A(x) = y under d.

    A None measures nothing (unconditional). t_T < 1 starts part-way, 0 is x_T itself. `weight` is that of the main loss,
    `terms` adds weighted further ones.
    clean: `[T]` bool, the frames held at level 0 throughout (a context regime sets it); None: the whole window shares one level.
    """

    A: Operator | None
    y: Tensor | None
    d: Distance | None
    x_T: Tensor
    t_T: float = 1.0
    terms: tuple[Term, ...] = ()
    clean: Tensor | None = None
    weight: float = 1.0

    def from_level(self, level: float, x: Tensor, z: Tensor) -> Problem:
        """The same from x `[B, C, T]` noised by z up to a level (4.3); its measured frames stay as they are."""
        x_T = noised(x, z, torch.full((z.shape[0],), level, device=z.device))
        if isinstance(self.A, Rows) and self.y is not None:
            x_T = self.A.project(x_T, self.y)
        return replace(self, x_T=x_T, t_T=level)

    def at(self, level: float) -> Tensor:
        """The level of every item `[B]`, or of every frame `[B, T]` where some are clean."""
        t = torch.full((self.x_T.shape[0],), level, dtype=self.x_T.dtype, device=self.x_T.device)
        return t if self.clean is None else t[:, None] * (~self.clean)[None, :]

    def losses(self) -> tuple[Term, ...]:
        """The main loss and the further ones, without those that a clean context already meets exactly."""
        main = () if self.A is None or self.y is None or self.d is None else (Term(self.A, self.y, self.d, self.weight),)
        return tuple(term for term in (*main, *self.terms) if not self._met(term))

    def _met(self, term: Term) -> bool:
        return isinstance(term.A, Rows) and self.clean is not None and not bool((term.A.mask & ~self.clean).any())

    def to(self, device: torch.device | str) -> Problem:
        """The same problem with its tensors on another device (operators that are not rows stay as they are)."""

        def moved(A: Operator) -> Operator:
            return Rows(A.mask.to(device)) if isinstance(A, Rows) else A

        terms = tuple(replace(term, A=moved(term.A), y=term.y.to(device)) for term in self.terms)
        return replace(
            self,
            A=None if self.A is None else moved(self.A),
            y=None if self.y is None else self.y.to(device),
            x_T=self.x_T.to(device),
            terms=terms,
            clean=None if self.clean is None else self.clean.to(device),
        )
