"""AdamW and its learning-rate schedule."""

from __future__ import annotations

import math
from collections.abc import Iterable

import torch
from torch import nn

WARM_UP_STEPS = 100
FINAL_SHARE = 0.02  # of the peak rate, at the end


def adamw(parameters: Iterable[nn.Parameter], rate: float, decay: float = 0.01) -> torch.optim.AdamW:
    """AdamW with beta2 0.99; matrices decay, gains and biases do not."""
    chosen = [p for p in parameters if p.requires_grad]
    groups = [
        {"params": [p for p in chosen if p.ndim > 1], "weight_decay": decay},
        {"params": [p for p in chosen if p.ndim <= 1], "weight_decay": 0.0},
    ]
    return torch.optim.AdamW(groups, lr=rate, betas=(0.9, 0.99), fused=True)


def rate_at(step: int, progress: float, peak: float, warm_up: int = WARM_UP_STEPS) -> float:
    """Learning rate: linear over `warm_up` steps, then flat, then a cosine over the second half of `progress` (0 to 1)."""
    warm = min(1.0, (step + 1) / warm_up)
    late = min(1.0, max(0.0, 2 * progress - 1))
    return peak * warm * (FINAL_SHARE + (1 - FINAL_SHARE) * 0.5 * (1 + math.cos(math.pi * late)))


def set_rate(optimiser: torch.optim.Optimizer, rate: float) -> None:
    """Give every parameter group this learning rate."""
    for group in optimiser.param_groups:
        group["lr"] = rate
