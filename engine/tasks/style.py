"""Embedder guidance (Table 2): d = ||y - A(x)||_2, A an embedder, y = A(x_bar) of the wanted style, x_T = z.

Table 1's column "Cl. Guidance" is this row too: section 4.3 takes the L2 loss on the classifier's embedding.
With a left context the style is a further loss of a continuation, and is measured on the new frames alone. An embedding
averages over frames; so the loss is weighted with their number, and pushes a frame as far as a loss of its own would.
"""

from __future__ import annotations

from dataclasses import replace

from torch import Tensor

from segue.engine.distance import l2
from segue.engine.problem import Problem, Term
from segue.engine.task import Parameter, Sources, Task
from segue.engine.tasks import continuation

WEIGHT = Parameter("weight", "", 0.0, 100.0, 1.0, "push of the style on each new frame, beside that of the context")


def problem(sources: Sources, z: Tensor, weight: float = WEIGHT.default) -> Problem:
    """What is new moves towards the style's embedding. Raises ValueError without an embedder and a style."""
    embedder = sources.embedder
    if embedder is None or sources.style is None:
        raise ValueError("style: got no embedder or no style; give both, or use the task classify")
    y, new = embedder.embed(sources.style), z.shape[-1] - sources.left
    term = Term(lambda x: embedder.embed(x[..., sources.left :]), y, l2, weight * new)
    return replace(continuation.problem(sources, z), terms=(term,))


TASK = Task("style", "continues in the style of other audio", problem, (WEIGHT,), frozenset({"style"}), frozenset({"left"}))
