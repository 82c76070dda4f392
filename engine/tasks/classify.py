"""Classifier guidance (Table 2): A(x)_i = p(c_i | x), d = BCE(y, A(x)), y in [0, 1]^m, x_T = z.

With a left context the classes are a further loss of a continuation, and are judged on the new frames alone.
"""

from __future__ import annotations

from dataclasses import replace

from segue.engine.distance import bce
from segue.engine.problem import Problem, Term
from segue.engine.task import Sources, Task
from segue.engine.tasks import continuation
from segue.engine.tasks.style import WEIGHT
from torch import Tensor


def problem(sources: Sources, z: Tensor, weight: float = WEIGHT.default) -> Problem:
    """What is new moves towards the classes. Raises ValueError without a classifier and classes."""
    classifier = sources.classifier
    if classifier is None or sources.classes is None:
        raise ValueError("classify: got no classifier or no classes; give both, or use the task style")
    term = Term(lambda x: classifier(x[..., sources.left :]), sources.classes, bce, weight)
    return replace(continuation.problem(sources, z), terms=(term,))


TASK = Task("classify", "continues towards classes of a classifier", problem, (WEIGHT,), frozenset({"classes"}))
