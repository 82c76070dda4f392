"""Embedder guidance (Table 2): d = ||y - A(x)||_2, A an embedder, y = A(x_bar) of the wanted style, x_T = z.

Table 1's column "Cl. Guidance" is this row too: section 4.3 takes the L2 loss on the classifier's embedding.
With a left context the style is a further loss of a continuation, and is measured on the new frames alone. An embedding
averages over frames; so the loss is weighted with their number, and pushes a frame as far as a loss of its own would.
Where classes are given too, their loss (the row of classify) stands beside it: reconstruction of the context, style and
classes, each with its weight.
"""

from __future__ import annotations

from dataclasses import replace

from torch import Tensor

from segue.engine.distance import bce, l2
from segue.engine.problem import Problem, Term
from segue.engine.task import Parameter, Sources, Task
from segue.engine.tasks import continuation

WEIGHT = Parameter("weight", "", 0.0, 1000.0, 1.0, "push of the style, or of the classes without one, on each new frame")
CLASS_WEIGHT = Parameter("class_weight", "", 0.0, 1000.0, 1.0, "push of the classes beside that of a style")
RECONSTRUCTION = Parameter("reconstruction", "", 0.0, 100.0, 1.0, "pull of the context, in the regimes guided and tail")


def problem(
    sources: Sources,
    z: Tensor,
    weight: float = WEIGHT.default,
    class_weight: float = CLASS_WEIGHT.default,
    reconstruction: float = RECONSTRUCTION.default,
) -> Problem:
    """What is new moves towards the style's embedding. Raises ValueError without an embedder and a style."""
    embedder = sources.embedder
    if embedder is None or sources.style is None:
        raise ValueError("style: got no embedder or no style; give both, or use the task classify")
    y, new = embedder.embed(sources.style), z.shape[-1] - sources.left
    terms = [Term(lambda x: embedder.embed(x[..., sources.left :]), y, l2, weight * new)]
    if sources.classes is not None:
        terms.append(class_term(sources, class_weight * new))
    return replace(continuation.problem(sources, z), terms=tuple(terms), weight=reconstruction)


def class_term(sources: Sources, weight: float) -> Term:
    """Table 2's BCE row on the new frames: the classes that matter, those of y that are not NaN. Raises ValueError without."""
    classifier, y = sources.classifier, sources.classes
    if classifier is None or y is None:
        raise ValueError("classify: got no classifier or no classes; give both, or use the task style")
    asked = ~y.isnan().any(0)
    return Term(lambda x: classifier(x[..., sources.left :])[:, asked.to(x.device)], y[:, asked], bce, weight)


TASK = Task(
    "style",
    "continues in the style of other audio",
    problem,
    (WEIGHT, CLASS_WEIGHT, RECONSTRUCTION),
    frozenset({"style"}),
    frozenset({"left", "classes"}),
)
