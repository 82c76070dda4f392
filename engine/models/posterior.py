"""A codec whose latents are the means of a posterior, brought to unit variance a channel."""

from __future__ import annotations

import torch
from torch import Tensor, nn

from segue.engine.models.shaped import Shaped, check_audio

NARROW_POSTERIOR = -5.0  # log-variance at the start of training: a wide one would hide what the decoder must learn first


class PosteriorCodec(Shaped):
    """What such codecs share: `encoder`, from audio to mean and log-variance `[B, T, latent_dim]` each, and the scale."""

    encoder: nn.Module
    mean: Tensor
    std: Tensor

    def __init__(self, latent_dim: int) -> None:
        super().__init__()
        self.register_buffer("mean", torch.zeros(latent_dim))
        self.register_buffer("std", torch.ones(latent_dim))

    def encode(self, audio: Tensor) -> Tensor:
        """`[B, 2, T * hop]` samples to `[B, latent_dim, T]`: the posterior's mean, unit variance a channel.

        Raises `ValueError` for another number of channels or a length that is no multiple of `hop`.
        """
        check_audio(audio, self.hop)
        mean, _ = self.encoder(audio)
        z: Tensor = ((mean - self.mean) / self.std).transpose(1, 2)
        return z

    def raw(self, z: Tensor) -> Tensor:
        """`[B, latent_dim, T]` back to the encoder's own scale, `[B, T, latent_dim]`."""
        return z.transpose(1, 2) * self.std + self.mean
