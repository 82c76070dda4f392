"""Continuation (Table 2): A = A_L, d = ||y - A x||_1, y = A x_bar, x_T = A^T y + (I - A^T A) z."""

from __future__ import annotations

from torch import Tensor

from segue.engine.distance import l1
from segue.engine.problem import Problem
from segue.engine.task import Sources, Task


def problem(sources: Sources, z: Tensor) -> Problem:
    """The left context is kept, what follows is new."""
    A = sources.A_L
    y = A(sources.x_bar)
    return Problem(A, y, l1, x_T=A.project(z, y))


TASK = Task("continuation", "plays on from the left context", problem, needs=frozenset({"left"}))
