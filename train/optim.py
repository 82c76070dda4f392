"""The optimiser as C.2 of Levy et al. 2023 states it: AdamW without weight decay, warm-up, then a cosine."""

from __future__ import annotations

import math
from collections.abc import Iterable
from typing import Any

import torch
from torch import Tensor, nn

from segue.train import parallel, precision

BETAS = (0.9, 0.999)
WEIGHT_DECAY = 0.0
WARM_UP_STEPS = 5_000
FINAL_SHARE = 0.02  # of the peak rate, at the end
GRADIENT_NORM = 1.0  # the paper names none


def adamw(parameters: Iterable[nn.Parameter], rate: float) -> torch.optim.AdamW:
    """AdamW over what is trained."""
    return torch.optim.AdamW([p for p in parameters if p.requires_grad], rate, BETAS, weight_decay=WEIGHT_DECAY, fused=True)


def rate_at(step: int, progress: float, peak: float, warm_up: int = WARM_UP_STEPS) -> float:
    """Learning rate: linear over `warm_up` steps, and a cosine over the whole of `progress` (0 to 1)."""
    warm = min(1.0, (step + 1) / max(1, warm_up))
    fall = 0.5 + 0.5 * math.cos(math.pi * min(1.0, progress))
    return peak * warm * (FINAL_SHARE + (1 - FINAL_SHARE) * fall)


def set_rate(optimiser: torch.optim.Optimizer, rate: float) -> None:
    """Give every parameter group this learning rate."""
    for group in optimiser.param_groups:
        group["lr"] = rate


class Stepper:
    """Takes a loss to the weights: backwards, mean over the processes, clipped, one step of AdamW."""

    def __init__(self, module: nn.Module, rate: float, device: torch.device, kind: str) -> None:
        """kind: one of precision.PRECISIONS. Only parameters that require a gradient are trained."""
        precision.check(kind)
        self.module = module
        self.parameters = [p for p in module.parameters() if p.requires_grad]
        self.optimiser = adamw(self.parameters, rate)
        self.scale = precision.loss_scale(device, kind)

    def __call__(self, loss: Tensor, rate: float) -> float:
        """The norm of the gradient; where it is not finite the weights stay as they are."""
        self.optimiser.zero_grad(set_to_none=True)
        self.scale.scale(loss).backward()
        parallel.average_gradients(self.parameters)
        self.scale.unscale_(self.optimiser)
        reached = [p for p in self.parameters if p.grad is not None]
        norm = parallel.whole(torch.nn.utils.clip_grad_norm_(reached, GRADIENT_NORM))
        set_rate(self.optimiser, rate)
        if torch.isfinite(norm):
            self.scale.step(self.optimiser)
        self.scale.update()
        return float(norm)

    def state(self) -> dict[str, Any]:
        """Moments by the names of the weights, and the loss scale. All processes call it."""
        # to ask an optimiser that has not begun would begin it
        moments = parallel.gathered_optimiser(self.module, self.optimiser) if self.optimiser.state else None
        return {"moments": moments, "scale": self.scale.state_dict()}

    def restore(self, state: dict[str, Any]) -> None:
        """The inverse of `state`."""
        if state["moments"] is not None:
            parallel.scattered_optimiser(self.module, self.optimiser, state["moments"])
        self.scale.load_state_dict(state["scale"])
