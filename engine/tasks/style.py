"""Embedder guidance (Table 2): d = ||y - A(x)||_2, A an embedder, y = A(x_bar) of the wanted style, x_T = z.

Table 1's column "Cl. Guidance" is this row too: section 4.3 takes the L2 loss on the classifier's embedding.
With a left context the style is a further loss of a continuation, and is measured on the new frames alone. An embedding
averages over frames; so the loss is weighted with their number, and pushes a frame as far as a loss of its own would.
Where the take starts from a collage, that is moved to the style's statistics first (`statistics.restyled`): from a push alone
hardly any takes move (docs/LOG.md).
Where classes are given too, their loss (the row of classify) stands beside it: reconstruction of the context, style and
classes, each with its weight.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace

from torch import Tensor

from segue.engine.distance import bce, l2
from segue.engine.problem import Problem, Term
from segue.engine.statistics import restyled
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
        terms += class_terms(sources, class_weight * new)
    return replace(continuation.problem(sources, z), terms=tuple(terms), weight=reconstruction)


def class_terms(sources: Sources, weight: float) -> tuple[Term, ...]:
    """Table 2's BCE row on the new frames: the classes that matter, those of y that are not NaN. Raises ValueError without.

    No term where there is no classifier: a denoiser that is told the classes needs no gradient towards them.
    """
    classifier, y = sources.classifier, sources.classes
    if y is None:
        raise ValueError("classify: got no classifier or no classes; give both, or use the task style")
    if classifier is None:
        return ()
    asked = ~y.isnan().any(0)
    return (Term(lambda x: classifier(x[..., sources.left :])[:, asked.to(x.device)], y[:, asked], bce, weight),)


def styled(x_bar: Tensor, new: slice, style: Tensor | None, task: Task, parameters: Mapping[str, float]) -> Tensor:
    """What a take starts from, its new frames moved to the style in a task that has one: all the way from weight 1 on."""
    if style is None or "style" not in task.needs:
        return x_bar
    moved = x_bar.clone()
    moved[..., new] = restyled(x_bar[..., new], style, min(1.0, task.check(parameters)[WEIGHT.name]))
    return moved


def class_weight(task: Task, parameters: Mapping[str, float]) -> float:
    """How far a denoiser that is told classes goes along them in a task that takes classes: `class_weight`, else `weight`."""
    values = task.check(parameters)
    return values.get(CLASS_WEIGHT.name, values.get(WEIGHT.name, WEIGHT.default))


TASK = Task(
    "style",
    "continues in the style of other audio",
    problem,
    (WEIGHT, CLASS_WEIGHT, RECONSTRUCTION),
    frozenset({"style"}),
    frozenset({"left", "classes"}),
)
