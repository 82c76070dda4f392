"""Classifier guidance (Table 2): A(x)_i = p(c_i | x), d = BCE(y, A(x)), y in [0, 1]^m, x_T = z.

With a left context the classes are a further loss of a continuation, judged on the new frames alone and weighted as in style.
"""

from __future__ import annotations

from dataclasses import replace

from torch import Tensor

from segue.engine.distance import bce
from segue.engine.problem import Problem, Term
from segue.engine.task import Sources, Task
from segue.engine.tasks import continuation
from segue.engine.tasks.style import WEIGHT


def problem(sources: Sources, z: Tensor, weight: float = WEIGHT.default) -> Problem:
    """What is new moves towards the classes. Raises ValueError without a classifier and classes."""
    classifier = sources.classifier
    if classifier is None or sources.classes is None:
        raise ValueError("classify: got no classifier or no classes; give both, or use the task style")
    new = z.shape[-1] - sources.left
    term = Term(lambda x: classifier(x[..., sources.left :]), sources.classes, bce, weight * new)
    return replace(continuation.problem(sources, z), terms=(term,))


TASK = Task(
    "classify", "continues towards classes of a classifier", problem, (WEIGHT,), frozenset({"classes"}), frozenset({"left"})
)
