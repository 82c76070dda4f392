"""The samplers, by name, all of one signature; and, to be compared with them, the same with a choice of the paper taken back."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from functools import partial
from typing import Any, Protocol, TypeAlias

import torch
from torch import Tensor

from segue.engine.guidance import Consistency, Guidance, leave, on_x_t
from segue.engine.problem import Problem
from segue.engine.protocols import Denoiser

# on_step(i, x_0_hat): step i of 1..N is done
OnStep: TypeAlias = Callable[[int, Tensor], None]

NAMES = ("ddim", "ddpm")  # that take any problem
ROLLING = "rolling"  # that goes on for as long as there are frames, after a clean context
# What a name may be marked with: NAME+x_t takes the gradient on A(x_t), not on A(x_0_hat); NAME+free takes no consistency step
MARKS: Mapping[str, Mapping[str, Any]] = {"x_t": {"guidance": on_x_t}, "free": {"consistency": leave}}


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
    """The sampler of that name, or of that name with MARKS. Raises ValueError for another."""
    from segue.engine.samplers.ddim import ddim
    from segue.engine.samplers.ddpm import ddpm
    from segue.engine.samplers.rolling import rolling

    table: dict[str, Sampler] = {"ddim": ddim, "ddpm": ddpm, ROLLING: rolling}
    base, *marks = name.split("+")
    if base not in table or len(set(marks)) != len(marks) or not set(marks) <= MARKS.keys():
        raise ValueError(f"sampler: got {name!r}; one of {', '.join(table)}")
    options = {key: value for mark in marks for key, value in MARKS[mark].items()}
    return partial(table[base], **options) if options else table[base]
