"""Restoration: A = what a recording kept (engine/damage.py) of decoded audio, d = ||y - A(x)||_2, x_T = x_bar noised up to T.

Frames that are known, those before and those that nothing happened to, are held as a context is (A_known, as in infill). The
loss on the rest is of what is heard: companded magnitudes, since a codec may keep no phases. T < 1 starts part-way, from the
damaged recording itself.
"""

from __future__ import annotations

import torch
from torch import Tensor

from segue.engine.distance import l1, l2
from segue.engine.paper import noised
from segue.engine.problem import Problem, Rows, Term
from segue.engine.task import Parameter, Sources, Task

START = Parameter("T", "", 0.0, 1.0, 0.7, "level to start from: 1 is from noise, small keeps what is left")
WEIGHT = Parameter("weight", "", 0.0, 1000.0, 1.0, "pull of what is left of the recording on each frame")


def problem(sources: Sources, z: Tensor, T: float = START.default, weight: float = WEIGHT.default) -> Problem:
    """What was lost is made anew, in agreement with what is left. Raises ValueError without a measurement."""
    measured = sources.measured
    if measured is None:
        raise ValueError("restore: got no measurement; use `segue restore`, which works on whole recordings")
    A = Rows(measured.known)
    y, level = A(sources.x_bar), torch.full((z.shape[0],), T, device=z.device)
    lost = int((~measured.known).sum())
    terms = () if measured.A is None or measured.y is None else (Term(measured.A, measured.y, l2, weight * lost),)
    return Problem(A, y, l1, x_T=A.project(noised(sources.x_bar, z, level), y), t_T=T, terms=terms)


TASK = Task("restore", "makes anew what a recording has lost", problem, (START, WEIGHT), frozenset({"measured"}))
