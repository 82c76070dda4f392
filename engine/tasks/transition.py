"""Transition (Table 2): as regenerate, with x_bar = [A_L x_L; F_out x_L + F_in x_R; A_R x_R], two tracks and their crossfade.

The crossfade is made on the audio (`shapes.crossfade`) before it is encoded: latents of two tracks do not add.
"""

from __future__ import annotations

from torch import Tensor

from segue.engine.paper import K
from segue.engine.problem import Problem
from segue.engine.task import Sources, Task
from segue.engine.tasks import regenerate


def problem(sources: Sources, z: Tensor, k: float = K) -> Problem:
    """Track one is kept on the left, track two on the right; their crossfade is varied."""
    return regenerate.problem(sources, z, k=k)


TASK = Task(
    "transition",
    "bridges from one track into another",
    problem,
    (regenerate.NOISE,),
    frozenset({"left", "middle", "middle_right", "right"}),
)
