"""Unconditional generation: nothing is measured, x_T = z."""

from __future__ import annotations

from torch import Tensor

from segue.engine.problem import Problem
from segue.engine.task import Sources, Task


def problem(sources: Sources, z: Tensor) -> Problem:
    """x_T = z."""
    return Problem(A=None, y=None, d=None, x_T=z)


TASK = Task("generate", "something new, from noise alone", problem)
