"""The VAE as printed: 1-D ConvNeXt on samples, 8 layers a side, 2x down or up after all but the first (C.1, Levy et al. 2023).

Latents are 128 times shorter than the audio. Every operation is local: convolutions of a few positions, and normalisation
over channels at one position, never over time; so a windowed decode equals the full one beyond `receptive_frames`.
"""

from __future__ import annotations

import math
from dataclasses import dataclass

from torch import Tensor, nn

from segue.engine.models.convnext import Block
from segue.engine.models.folding import UNIT_GAIN
from segue.engine.models.posterior import NARROW_POSTERIOR, PosteriorCodec
from segue.engine.models.shaped import check_latents

LAYERS = 8
STRIDE = 1 << (LAYERS - 1)
OPENING = 7  # samples of the convolutions between audio and the first and last features


@dataclass(frozen=True)
class PaperVaeSpec:
    """Sizes of a PaperVae; the paper gives none but the layers and the stride.

    width: channels at the full rate, doubled with every halving of the rate up to `widest`. kernel: positions of a layer's
    depthwise convolution. expansion: of its MLP. gain: from audio to the network, which would otherwise hear its own biases:
    latents begin all alike, and the decoder learns to make noise of the posterior's noise.
    """

    rate: int = 44_100
    latent_dim: int = 32
    width: int = 64
    widest: int = 512
    kernel: int = 7
    expansion: int = 4
    gain: float = UNIT_GAIN

    @property
    def latent_hop(self) -> int:
        """Samples a latent frame."""
        return STRIDE

    def width_at(self, halvings: int) -> int:
        """Channels where the rate was halved so often."""
        return min(self.widest, self.width << halvings)


class PaperEncoder(nn.Module):
    """Samples to the mean and log-variance of the posterior."""

    def __init__(self, spec: PaperVaeSpec) -> None:
        super().__init__()
        self.gain = spec.gain
        self.opening = nn.Conv1d(2, spec.width, OPENING, padding=OPENING // 2)
        self.layers = nn.ModuleList(_block(spec, max(0, i - 1)) for i in range(LAYERS))
        self.downs = nn.ModuleList(Down(spec.width_at(i), spec.width_at(i + 1)) for i in range(LAYERS - 1))
        self.norm = nn.LayerNorm(spec.width_at(LAYERS - 1))
        self.outward = nn.Linear(spec.width_at(LAYERS - 1), 2 * spec.latent_dim)
        nn.init.constant_(self.outward.bias[spec.latent_dim :], NARROW_POSTERIOR)

    def forward(self, audio: Tensor) -> tuple[Tensor, Tensor]:
        """`[B, 2, T * 128]` to mean and log-variance, `[B, T, latent_dim]` each, not yet normalised."""
        h = self.layers[0](self.opening(self.gain * audio).transpose(1, 2))
        for layer, down in zip(self.layers[1:], self.downs, strict=True):
            h = down(layer(h))
        mean, log_variance = self.outward(self.norm(h)).chunk(2, dim=-1)
        return mean, log_variance.clamp(-12, 4)


class PaperDecoder(nn.Module):
    """Raw latents to samples."""

    def __init__(self, spec: PaperVaeSpec) -> None:
        super().__init__()
        self.gain = spec.gain
        deepest = LAYERS - 1
        self.inward = nn.Linear(spec.latent_dim, spec.width_at(deepest))
        self.layers = nn.ModuleList(_block(spec, min(deepest, LAYERS - i)) for i in range(LAYERS))
        self.ups = nn.ModuleList(Up(spec.width_at(i + 1), spec.width_at(i)) for i in reversed(range(deepest)))
        self.norm = nn.LayerNorm(spec.width)
        self.closing = nn.Conv1d(spec.width, 2, OPENING, padding=OPENING // 2)

    def forward(self, z: Tensor) -> Tensor:
        """`[B, T, latent_dim]` to `[B, 2, T * 128]`."""
        h = self.layers[0](self.inward(z))
        for layer, up in zip(self.layers[1:], self.ups, strict=True):
            h = up(layer(h))
        audio: Tensor = self.closing(self.norm(h).transpose(1, 2)) / self.gain
        return audio

    def tone(self, z: Tensor) -> Tensor:
        """The same: this decoder has no branch for noise."""
        audio: Tensor = self(z)
        return audio


class Down(nn.Module):
    """Half the rate: pairs of positions `[B, 2 T, C]` to `[B, T, D]`, normalised over channels first, as ConvNeXt does."""

    def __init__(self, inner: int, outer: int) -> None:
        super().__init__()
        self.norm = nn.LayerNorm(inner)
        self.map = nn.Linear(2 * inner, outer)

    def forward(self, h: Tensor) -> Tensor:
        """`[B, 2 T, C]` to `[B, T, D]`."""
        out: Tensor = self.map(self.norm(h).unflatten(1, (-1, 2)).flatten(2))
        return out


class Up(nn.Module):
    """Twice the rate: each position `[B, T, D]` to a pair, `[B, 2 T, C]`."""

    def __init__(self, inner: int, outer: int) -> None:
        super().__init__()
        self.norm = nn.LayerNorm(inner)
        self.map = nn.Linear(inner, 2 * outer)

    def forward(self, h: Tensor) -> Tensor:
        """`[B, T, D]` to `[B, 2 T, C]`."""
        out: Tensor = self.map(self.norm(h)).unflatten(-1, (2, -1)).flatten(1, 2)
        return out


def _block(spec: PaperVaeSpec, halvings: int) -> Block:
    return Block(spec.width_at(halvings), spec.expansion, spec.kernel)


class PaperVae(PosteriorCodec):
    """The paper's VAE (implements `Codec`)."""

    spec: PaperVaeSpec
    encoder: PaperEncoder

    def __init__(self, spec: PaperVaeSpec) -> None:
        super().__init__(spec.latent_dim)
        self.spec = spec
        self.encoder, self.decoder = PaperEncoder(spec), PaperDecoder(spec)

    @property
    def receptive_frames(self) -> int:
        """Latent frames on each side that a decoded sample depends on.

        Layer 1 and 2 reach kernel // 2 latent frames, each further one half as far; one more where a pair straddles.
        """
        reach = self.spec.kernel // 2
        samples = reach * STRIDE + sum(reach << i for i in range(1, LAYERS)) + OPENING // 2
        return 1 + math.ceil(samples / STRIDE)

    @property
    def encoder_receptive_frames(self) -> int:
        """Latent frames of audio on each side that a latent frame depends on."""
        reach = self.spec.kernel // 2
        samples = OPENING // 2 + reach + sum(reach << i for i in range(LAYERS - 1))
        return 1 + math.ceil(samples / STRIDE)

    def decode(self, z: Tensor, frame_offset: int = 0) -> Tensor:
        """`[B, latent_dim, T]` to `[B, 2, T * 128]` samples, wherever the first frame stands."""
        check_latents(z, self.latent_dim)
        audio: Tensor = self.decoder(self.raw(z))
        return audio
