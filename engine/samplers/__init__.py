"""The samplers, by name, all of one signature."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Protocol, TypeAlias

import torch
from torch import Tensor

from segue.engine.guidance import Consistency, Guidance
from segue.engine.problem import Problem
from segue.engine.protocols import Denoiser

# on_step(i, x_0_hat): step i of 1..N is done
OnStep: TypeAlias = Callable[[int, Tensor], None]

NAMES = ("ddim", "ddpm")


class Sampler(Protocol):
    """Solves a Problem: x_T over falling levels to x_0."""

    def __call__(
        self,
        denoiser: Denoiser,
        problem: Problem,
        levels: Sequence[float],
        *,
        xi: float,
        generator: torch.Generator,
        guidance: Guidance = ...,
        consistency: Consistency = ...,
        on_step: OnStep | None = None,
    ) -> Tensor:
        """x_0 `[B, C, T]`."""


def sampler(name: str) -> Sampler:
    """The sampler of that name. Raises ValueError for another."""
    from segue.engine.samplers.ddim import ddim
    from segue.engine.samplers.ddpm import ddpm

    table: dict[str, Sampler] = {"ddim": ddim, "ddpm": ddpm}
    if name not in table:
        raise ValueError(f"sampler: got {name!r}; one of {', '.join(NAMES)}")
    return table[name]
