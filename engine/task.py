"""What a task is: a row of Table 2 with a name, declared parameters, and the problem it makes of its sources."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass

import torch
from torch import Tensor

from segue.engine.problem import Problem, Rows
from segue.engine.protocols import Embedder


@dataclass(frozen=True)
class Parameter:
    """A number that a task takes; low and high are inclusive."""

    name: str
    unit: str
    low: float
    high: float
    default: float
    doc: str


@dataclass(frozen=True)
class Measured:
    """What is left of a recording.

    known: `[T]` bool, frames whose latents in x_bar are right. A, y: a measurement of the window and its outcome, or None.
    """

    known: Tensor
    A: Callable[[Tensor], Tensor] | None = None
    y: Tensor | None = None


@dataclass(frozen=True)
class Sources:
    """The latents that a task is made from.

    x_bar: `[B, C, T]`, the window as it stands: left context, middle (a transition's crossfade), right context.
    left, right: C_L and C_R, frames of context at either end; left + right < T.
    embedder, style: guidance by an embedding: the map, and the latents `[B, C, T']` whose embedding is wanted.
    classifier, classes: guidance by a classifier: A(x)_i = p(c_i | x) `[B, m]`, and the wanted y `[B, m]` in [0, 1], NaN for
    classes that do not matter. measured: for restoration.
    """

    x_bar: Tensor
    left: int = 0
    right: int = 0
    embedder: Embedder | None = None
    style: Tensor | None = None
    classifier: Callable[[Tensor], Tensor] | None = None
    classes: Tensor | None = None
    measured: Measured | None = None

    def __post_init__(self) -> None:
        frames = self.x_bar.shape[-1]
        if min(self.left, self.right) < 0 or self.left + self.right >= frames:
            raise ValueError(
                f"context: got {self.left} + {self.right} frames of {frames}; less than the window, so that some are new"
            )

    @property
    def A_L(self) -> Rows:
        """[I_{C_L}, 0]: the left context."""
        return Rows(self._frames < self.left)

    @property
    def A_LR(self) -> Rows:
        """[A_L; A_R]: both contexts."""
        return Rows((self._frames < self.left) | (self._frames >= len(self._frames) - self.right))

    @property
    def _frames(self) -> Tensor:
        return torch.arange(self.x_bar.shape[-1], device=self.x_bar.device)


def all_of_it(**parameters: float) -> float:
    """Of a task whose middle's own sound stands under the take whatever its parameters are."""
    return 1.0


@dataclass(frozen=True)
class Task:
    """One row of Table 2.

    make(sources, z, **parameters) is the row itself. needs: which of left, middle, middle_right, right, style, classes,
    measured it must have; also: which it takes where they are there. wraps: the new part leads back to the beginning of its
    phrase. kept(**parameters): of the middle's own sound the share that stands under the take, 1 to 0; the rest is a collage.
    """

    name: str
    doc: str
    make: Callable[..., Problem]
    parameters: tuple[Parameter, ...] = ()
    needs: frozenset[str] = frozenset()
    also: frozenset[str] = frozenset()
    wraps: bool = False
    kept: Callable[..., float] = all_of_it

    def problem(self, sources: Sources, z: Tensor, **parameters: float) -> Problem:
        """The problem for noise z `[B, C, T]`. Raises ValueError for a parameter that is unknown or out of its range."""
        return self.make(sources, z, **self.check(parameters))

    def check(self, parameters: Mapping[str, float]) -> dict[str, float]:
        """Every declared parameter with its value or default. Raises ValueError with a sentence."""
        known = {p.name: p for p in self.parameters}
        for name in parameters:
            if name not in known:
                raise ValueError(f"{self.name}: no parameter {name!r}; it takes {', '.join(known) or 'none'}")
        values = {name: float(parameters.get(name, p.default)) for name, p in known.items()}
        for name, value in values.items():
            low, high = known[name].low, known[name].high
            if not low <= value <= high:
                raise ValueError(f"{self.name}: {name} lies between {low:g} and {high:g}{_unit(known[name])}, got {value:g}")
        return values


def _unit(parameter: Parameter) -> str:
    return f" {parameter.unit}" if parameter.unit else ""
