"""Mean and deviation of every latent channel, which is a sound's timbre and level: an embedder without weights, and a start."""

from __future__ import annotations

from dataclasses import dataclass

import torch
from torch import Tensor

STILL = 1e-3  # deviation under which a channel has none


@dataclass(frozen=True)
class Statistics:
    """`[B, C, T]` to `[B, 2 C]`, differentiable also where a channel stands still."""

    channels: int

    @property
    def dim(self) -> int:
        """Length of the embedding."""
        return 2 * self.channels

    def embed(self, x: Tensor) -> Tensor:
        """`[B, C, T]` to `[B, 2 C]`."""
        mean = x.mean(-1)
        deviation = ((x - mean[..., None]).square().mean(-1) + 1e-8).sqrt()
        return torch.cat([mean, deviation], dim=1)


def restyled(x: Tensor, style: Tensor, share: float) -> Tensor:
    """x `[B, C, T]` moved towards the mean and deviation that style `[B, C, T']` has in every channel, by a share of 0 to 1.

    What happens when stays that of x (AdaIN, Huang & Belongie 2017). A channel of x that stands still stays.
    """
    mean, deviation = x.mean(-1, keepdim=True), x.std(-1, keepdim=True)
    wanted = style.to(x)
    moves = deviation > STILL
    moved = (x - mean) / deviation.clamp_min(STILL) * wanted.std(-1, keepdim=True) + wanted.mean(-1, keepdim=True)
    return torch.where(moves, x + share * (moved - x), x)
