"""Regeneration as section 4.3 words it: the middle is noised by the forward process up to a level T, where sampling starts."""

from __future__ import annotations

import torch
from torch import Tensor

from segue.engine.distance import l1
from segue.engine.paper import K, noised, share_of_level
from segue.engine.problem import Problem
from segue.engine.task import Parameter, Sources, Task

START = Parameter("T", "", 0.0, 1.0, 0.7, "level to start from: 1 is new, 0 keeps what stands there; the slides' T / 1000")


def problem(sources: Sources, z: Tensor, T: float = START.default) -> Problem:
    """x_T = alpha_T x_bar + sigma_T z outside the context; Table 2's mix k z + (1 - k) x_bar has another standard deviation."""
    A = sources.A_LR
    y = A(sources.x_bar)
    level = torch.full((z.shape[0],), T, device=z.device)
    return Problem(A, y, l1, x_T=A.project(noised(sources.x_bar, z, level), y), t_T=T)


def kept(T: float = START.default) -> float:
    """All that stands there up to the share of noise that keeps its outline (C.3), then evenly less: nothing of what is new."""
    return min(1.0, (1 - share_of_level(T)) / (1 - K))


TASK = Task(
    "renoise",
    "varies the middle from a part-way start (4.3)",
    problem,
    (START,),
    frozenset({"left", "middle"}),
    frozenset({"right"}),
    kept=kept,
)
