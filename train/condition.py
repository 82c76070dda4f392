"""What a conditional generator is told while it trains: the class or the statistics of each window, left out for some."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import torch
from torch import Tensor
from torch.nn import functional as F

from segue.engine import noise
from segue.engine.statistics import Statistics
from segue.train import parallel

STATISTICS, CLASSES = CONDITIONS = ("statistics", "classes")
LEFT_OUT = 0.1  # of the windows: the same network then knows life without a condition (Ho & Salimans 2022)
STREAM = 1  # of random numbers, beside the one that draws a step's batch
NO_CLASS = -1


def one_hot(places: Tensor, count: int) -> Tensor:
    """`[B]` numbers of classes to `[B, count]`; NO_CLASS is zeros, as is no condition."""
    hot: Tensor = F.one_hot(places.clamp_min(0), count).float() * (places != NO_CLASS)[:, None]
    return hot


def statistics(length: int, x_0: Tensor) -> Tensor:
    """`[B, length]` of windows x_0 `[B, C, T]`. Raises ValueError for a condition of another length than they have."""
    known = Statistics(x_0.shape[1])
    if known.dim != length:
        raise ValueError(
            f"cond_dim: got {length}; a window has {known.dim} statistics: set it to that, or `condition: classes` in the recipe"
        )
    return known.embed(x_0)


def numbers(songs: Sequence[str], labels: Mapping[str, str], classes: Sequence[str]) -> Tensor:
    """`[B]`: the place of each song's label among the classes, or NO_CLASS."""
    place = {name: number for number, name in enumerate(classes)}
    return torch.tensor([place.get(labels.get(song, ""), NO_CLASS) for song in songs])


def told(condition: str, length: int, x_0: Tensor, places: Tensor) -> Tensor | None:
    """The condition `[B, length]` of windows x_0 of the classes `places`, None for a generator without one (length 0).

    Raises as `statistics` does.
    """
    if not length:
        return None
    return one_hot(places.to(x_0.device), length) if condition == CLASSES else statistics(length, x_0)


def left_out(condition: Tensor, batch: int, seed: int, step: int) -> Tensor:
    """The condition `[B, length]` of this process's share of `batch`, zeros where it is left out."""
    mine = parallel.share(batch)
    kept = torch.rand(batch, generator=noise.generator(seed, step, batch, STREAM))[mine.start : mine.stop] >= LEFT_OUT
    return condition * kept[:, None].to(condition)
