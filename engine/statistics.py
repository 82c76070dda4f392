"""An embedder without weights: mean and deviation of every latent channel over the window, which is its timbre and level."""

from __future__ import annotations

from dataclasses import dataclass

import torch
from torch import Tensor


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
