"""Exponential moving average of a module's weights."""

from __future__ import annotations

import copy
from typing import Generic, TypeVar

import torch
from torch import nn

from segue.train import parallel

M = TypeVar("M", bound=nn.Module)


class Ema(Generic[M]):
    """A shadow of `module` whose floating-point state follows with `decay`, faster in the first steps."""

    def __init__(self, module: M, decay: float = 0.999) -> None:
        self.decay, self.steps = decay, 0
        self.module = copy.deepcopy(module)
        self.module.eval().requires_grad_(False)

    @torch.no_grad()
    def update(self, module: M) -> None:
        """Move towards `module` by 1 - min(decay, (1 + n) / (10 + n)) after n steps; buffers are copied."""
        self.steps += 1
        decay = min(self.decay, (1 + self.steps) / (10 + self.steps))
        shadow = parallel.local(self.module.parameters())
        live = parallel.local(p.detach() for p in module.parameters())
        torch._foreach_lerp_(shadow, live, 1 - decay)
        for mine, theirs in zip(self.module.buffers(), module.buffers(), strict=True):
            mine.copy_(theirs)
