"""Infill (Table 2): A = [A_L; A_R], d = ||y - A x||_1, y = A x_bar, x_T = A^T y + (I - A^T A) z."""

from __future__ import annotations

from torch import Tensor

from segue.engine.distance import l1
from segue.engine.problem import Problem
from segue.engine.task import Sources, Task


def problem(sources: Sources, z: Tensor) -> Problem:
    """Both contexts are kept, the middle is new."""
    A = sources.A_LR
    y = A(sources.x_bar)
    return Problem(A, y, l1, x_T=A.project(z, y))


TASK = Task("infill", "fills the middle between two contexts", problem, needs=frozenset({"left", "right"}))
