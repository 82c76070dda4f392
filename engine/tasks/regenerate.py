"""Regenerate (Table 2): as infill, but x_T = A^T y + (I - A^T A)(k z + (1 - k) x_bar)."""

from __future__ import annotations

from torch import Tensor

from segue.engine.distance import l1
from segue.engine.paper import K
from segue.engine.problem import Problem
from segue.engine.task import Parameter, Sources, Task

NOISE = Parameter("k", "", 0.0, 1.0, K, "share of noise in the start: 1 is new, 0 is what stands there")


def problem(sources: Sources, z: Tensor, k: float = K) -> Problem:
    """Both contexts are kept, the middle is varied."""
    A = sources.A_LR
    y = A(sources.x_bar)
    return Problem(A, y, l1, x_T=A.project(k * z + (1 - k) * sources.x_bar, y))


TASK = Task(
    "regenerate", "varies the middle, keeping its outline", problem, (NOISE,), frozenset({"left", "middle"}), frozenset({"right"})
)
