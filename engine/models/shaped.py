"""What every codec here says of itself in the same way, read from its spec."""

from __future__ import annotations

from typing import Protocol

from torch import nn


class Shape(Protocol):
    """The part of a codec's spec that says what goes in and what comes out."""

    @property
    def rate(self) -> int:
        """Sample rate in Hz."""

    @property
    def latent_hop(self) -> int:
        """Samples a latent frame."""

    @property
    def latent_dim(self) -> int:
        """Channels of a latent frame."""


class Shaped(nn.Module):
    """A module with a `spec`: the plain half of the `Codec` contract."""

    spec: Shape

    @property
    def rate(self) -> int:
        """Sample rate in Hz."""
        return self.spec.rate

    @property
    def hop(self) -> int:
        """Samples a latent frame."""
        return self.spec.latent_hop

    @property
    def audio_channels(self) -> int:
        """Left and right."""
        return 2

    @property
    def latent_dim(self) -> int:
        """Channels of a latent frame."""
        return self.spec.latent_dim
