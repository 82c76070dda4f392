"""The reference back-end: the model's own modules in PyTorch, as they are, on a device."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, replace

import torch
from torch import Tensor, nn

from segue.engine.models.spec import Model
from segue.engine.protocols import Codec, Denoiser


@dataclass(frozen=True)
class EagerDenoiser:
    """A denoiser on a device, with a pullback: one forward pass for v and its transposed Jacobian."""

    inner: Denoiser
    device: str

    @property
    def per_frame_t(self) -> bool:
        """Whether t may differ from frame to frame."""
        return self.inner.per_frame_t

    @property
    def channels(self) -> int:
        """C, the number of latent channels."""
        return self.inner.channels

    def v(self, x_t: Tensor, t: Tensor, cond: Tensor | None = None) -> Tensor:
        """v_theta(x_t, t)."""
        return self.inner.v(x_t, t, cond)

    def vjp(self, x_t: Tensor, t: Tensor, g: Tensor, cond: Tensor | None = None) -> tuple[Tensor, Tensor] | None:
        """(v, J_v^T g), by the inner denoiser."""
        return self.inner.vjp(x_t, t, g, cond)

    def pullback(self, x_t: Tensor, t: Tensor) -> tuple[Tensor, Callable[[Tensor], Tensor]]:
        """(v, g -> J_v^T g), once, by automatic differentiation."""
        with torch.enable_grad():
            x = x_t.detach().requires_grad_()
            v = self.inner.v(x, t)
        return v.detach(), lambda g: torch.autograd.grad(v, x, g)[0]


@dataclass(frozen=True)
class EagerCodec:
    """A codec on a device; takes and gives tensors on the CPU."""

    inner: Codec
    device: str

    @property
    def rate(self) -> int:
        """Sample rate in Hz."""
        return self.inner.rate

    @property
    def hop(self) -> int:
        """Samples a latent frame."""
        return self.inner.hop

    @property
    def audio_channels(self) -> int:
        """Channels of the audio."""
        return self.inner.audio_channels

    @property
    def latent_dim(self) -> int:
        """Channels of a latent frame."""
        return self.inner.latent_dim

    @property
    def receptive_frames(self) -> int:
        """Latent frames on each side for a windowed decode to equal the full one."""
        return self.inner.receptive_frames

    @property
    def encoder_receptive_frames(self) -> int:
        """Latent frames of audio on each side that a latent frame depends on."""
        return int(getattr(self.inner, "encoder_receptive_frames", self.inner.receptive_frames))

    @property
    def envelopes(self) -> int:
        """How many of the first channels hold no phases, 0 where the codec says nothing of it."""
        return int(getattr(self.inner, "envelopes", 0))

    def encode(self, audio: Tensor) -> Tensor:
        """`[B, 2, T * hop]` samples to `[B, latent_dim, T]`."""
        return self.inner.encode(audio.to(self.device)).cpu()

    def decode(self, z: Tensor, frame_offset: int = 0) -> Tensor:
        """`[B, latent_dim, T]` to `[B, 2, T * hop]` samples."""
        return self.inner.decode(z.to(self.device), frame_offset).cpu()


def eager(model: Model, device: str = "cpu", site: object = None) -> Model:
    """The model on a device. Raises ValueError where that device is not there.

    A process that runs takes calls torch.set_flush_denormal(True) once: it is a switch of the whole process, so not done here.
    """
    if device.startswith("cuda") and not torch.cuda.is_available():
        raise ValueError(f"device: got {device!r}, this PyTorch finds no GPU; use cpu, or install a CUDA build")
    for part in (model.codec, model.denoiser):
        if isinstance(part, nn.Module):
            part.to(device).eval().requires_grad_(False)
    return replace(model, codec=EagerCodec(model.codec, device), denoiser=EagerDenoiser(model.denoiser, device))
