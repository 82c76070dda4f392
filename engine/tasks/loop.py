"""Loop: infill across the wrap-around, so that a phrase's end leads to its own beginning.

The window holds the phrase rolled by half: its end on the left, its beginning on the right, the seam in the middle.
"""

from __future__ import annotations

from torch import Tensor

from segue.engine.problem import Problem
from segue.engine.task import Sources, Task
from segue.engine.tasks import infill


def problem(sources: Sources, z: Tensor) -> Problem:
    """The phrase is kept but for the frames around its seam, which are new."""
    return infill.problem(sources, z)


TASK = Task("loop", "closes a phrase into a loop", problem, needs=frozenset({"middle"}), wraps=True)
