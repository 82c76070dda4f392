"""What every codec here says of itself in the same way, read from its spec."""

from __future__ import annotations

from typing import Protocol

from torch import Tensor, nn


class CodecShape(Protocol):
    """What every family's codec spec, a frozen dataclass of plain values, says of itself."""

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

    spec: CodecShape

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


def check_audio(audio: Tensor, hop: int) -> None:
    """Raises `ValueError` unless audio is `[B, 2, T * hop]`."""
    if audio.ndim != 3 or audio.shape[1] != 2 or audio.shape[-1] % hop or not audio.shape[-1]:
        raise ValueError(f"audio of shape {tuple(audio.shape)}, allowed [B, 2, T * {hop}]: cut it to whole frames")


def check_latents(z: Tensor, latent_dim: int) -> None:
    """Raises `ValueError` unless z is `[B, latent_dim, T]`."""
    if z.ndim != 3 or z.shape[1] != latent_dim or not z.shape[-1]:
        raise ValueError(f"latents of shape {tuple(z.shape)}, allowed [B, {latent_dim}, T]: give T > 0 frames")
