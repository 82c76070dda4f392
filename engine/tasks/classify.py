"""Classifier guidance (Table 2): A(x)_i = p(c_i | x), d = BCE(y, A(x)), y in [0, 1]^m, x_T = z.

With a left context the classes are a further loss of a continuation, judged on the new frames alone and weighted as in style.
"""

from __future__ import annotations

from dataclasses import replace

from torch import Tensor

from segue.engine.problem import Problem
from segue.engine.task import Sources, Task
from segue.engine.tasks import continuation
from segue.engine.tasks.style import RECONSTRUCTION, WEIGHT, class_terms


def problem(
    sources: Sources, z: Tensor, weight: float = WEIGHT.default, reconstruction: float = RECONSTRUCTION.default
) -> Problem:
    """What is new moves towards the classes. Raises ValueError without classes."""
    terms = class_terms(sources, weight * (z.shape[-1] - sources.left))
    return replace(continuation.problem(sources, z), terms=terms, weight=reconstruction)


TASK = Task(
    "classify",
    "continues towards classes of a classifier",
    problem,
    (WEIGHT, RECONSTRUCTION),
    frozenset({"classes"}),
    frozenset({"left"}),
)
