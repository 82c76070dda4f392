"""The three model interfaces that everything else is written against."""

from __future__ import annotations

from typing import Protocol, runtime_checkable

from torch import Tensor


@runtime_checkable
class Denoiser(Protocol):
    """A diffusion model in v-parameterisation: v = alpha_t eps - sigma_t x_0 (B.1, Levy et al. 2023).

    x_t is `[B, C, *S]` with time last. t is `[B]`, or `[B, T]` (one level a frame) where
    `per_frame_t` is true; t = 0 is clean, t = 1 is noise.
    """

    @property
    def per_frame_t(self) -> bool:
        """Whether t may differ from frame to frame."""

    @property
    def channels(self) -> int:
        """C, the number of latent channels."""

    def v(self, x_t: Tensor, t: Tensor, cond: Tensor | None = None) -> Tensor:
        """v_theta(x_t, t), of the shape of x_t."""

    def vjp(self, x_t: Tensor, t: Tensor, g: Tensor, cond: Tensor | None = None) -> tuple[Tensor, Tensor] | None:
        """(v, J_v^T g): the vector-Jacobian product d v / d x_t with g, or None where there is none."""


@runtime_checkable
class Codec(Protocol):
    """Audio to latents of unit variance and back; no normalisation over time anywhere inside."""

    @property
    def rate(self) -> int:
        """Sample rate in Hz."""

    @property
    def hop(self) -> int:
        """Samples a latent frame."""

    @property
    def audio_channels(self) -> int:
        """Channels of the audio, 2 for stereo."""

    @property
    def latent_dim(self) -> int:
        """Channels of a latent frame."""

    @property
    def receptive_frames(self) -> int:
        """Latent frames needed on each side for a windowed decode to equal the full one."""

    def encode(self, audio: Tensor) -> Tensor:
        """`[B, 2, T * hop]` samples to `[B, latent_dim, T]`, deterministic (the posterior's mean)."""

    def decode(self, z: Tensor, frame_offset: int = 0) -> Tensor:
        """`[B, latent_dim, T]` to `[B, 2, T * hop]` samples, deterministic; the first frame stands at absolute `frame_offset`."""


@runtime_checkable
class Embedder(Protocol):
    """A differentiable map from a window to one vector a window."""

    @property
    def dim(self) -> int:
        """Length of the embedding."""

    def embed(self, x: Tensor) -> Tensor:
        """`[B, C, T]` to `[B, dim]`."""
