"""Unconditional generation: nothing is measured, x_T = z.

The engine begins it part-way over a groove (`engine/groove.py`) where the model's sound is that of what a take is laid over.
"""

from __future__ import annotations

from torch import Tensor

from segue.engine.problem import Problem
from segue.engine.task import Sources, Task


def problem(sources: Sources, z: Tensor) -> Problem:
    """x_T = z."""
    return Problem(A=None, y=None, d=None, x_T=z)


TASK = Task("generate", "something new: a groove at the tempo that the model moves; with T 1 from noise alone", problem)
