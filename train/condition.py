"""What a conditional generator is told while it trains: the embedding of each window, left out for some."""

from __future__ import annotations

import torch
from torch import Tensor

from segue.engine import noise
from segue.engine.statistics import Statistics
from segue.train import parallel

LEFT_OUT = 0.1  # of the windows: the same network then knows life without a condition (Ho & Salimans 2022)
STREAM = 1  # of random numbers, beside the one that draws a step's batch


def condition(length: int, x_0: Tensor, batch: int, seed: int, step: int) -> Tensor | None:
    """`[B, length]` for windows x_0 `[B, C, T]`, this process's share of `batch`, or None for a generator without a condition.

    Raises ValueError for a condition of another length than the statistics have.
    """
    if not length:
        return None
    told = Statistics(x_0.shape[1])
    if told.dim != length:
        raise ValueError(
            f"cond_dim: got {length}; the trainer tells a window's statistics, {told.dim} values: set it to that"
        )
    mine = parallel.share(batch)
    kept = torch.rand(batch, generator=noise.generator(seed, step, batch, STREAM))[mine.start : mine.stop] >= LEFT_OUT
    return told.embed(x_0) * kept[:, None].to(x_0)
