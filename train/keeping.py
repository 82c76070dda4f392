"""The average, optimiser and clock of a run: one step of them, and what is kept of them so that it goes on exactly."""

from __future__ import annotations

import math
from typing import Any, Protocol

from torch import Tensor, nn

from segue.train import parallel
from segue.train.ema import Ema
from segue.train.optim import Stepper


class Kept(Protocol):
    """What a run has beside its model."""

    ema: Ema[Any]
    stepper: Stepper
    step: int
    seconds: float


def stepped(run: Kept, module: nn.Module, loss: Tensor, rate: float) -> float:
    """One step of the optimiser, and of the average where it was a step; returns the norm of the gradient."""
    norm = run.stepper(loss, rate)
    if math.isfinite(norm):
        run.ema.update(module)
    return norm


def kept(run: Kept) -> dict[str, Any]:
    """Average, optimiser and clock as plain tensors and values. All processes call it."""
    return {
        "ema": parallel.gathered(run.ema.module),
        "ema_steps": run.ema.steps,
        "optimiser": run.stepper.state(),
        "step": run.step,
        "seconds": run.seconds,
    }


def taken_up(run: Kept, state: dict[str, Any]) -> None:
    """The inverse of `kept`. What was brought back from another machine has no optimiser; it begins anew."""
    parallel.scattered(run.ema.module, state["ema"])
    run.ema.steps = state["ema_steps"]
    if "optimiser" in state:
        run.stepper.restore(state["optimiser"])
    run.step, run.seconds = state["step"], state["seconds"]
