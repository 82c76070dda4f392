"""The slides' latent space: a small convolutional VAE over mel images, an eighth of the size each way.

It normalises over channels only, at each place for itself, and attends to nothing, so that a windowed decode equals the
full one beyond `receptive_frames`.
"""

from __future__ import annotations

import math
from dataclasses import dataclass, field
from itertools import pairwise

from torch import Tensor, nn
from torch.nn import functional as F

from segue.engine.models.blocks2d import Grow2d, Shrink2d, folded, images
from segue.engine.models.melspec import MelImage, MelSpec
from segue.engine.models.posterior import NARROW_POSTERIOR, PosteriorCodec
from segue.engine.models.shaped import check_latents

MIDDLE = 2  # blocks more at the lowest rate, of each way


@dataclass(frozen=True)
class MelVaeSpec:
    """Sizes of a MelVae over the images of `mel`.

    latents: channels of a place of the latent image. widths: channels, one a level; each level but the last halves both axes.
    blocks: residual blocks a level on the way down, one more on the way up.
    """

    mel: MelSpec = field(default_factory=MelSpec)
    latents: int = 1
    widths: tuple[int, ...] = (128, 256, 512, 512)
    blocks: int = 2

    def __post_init__(self) -> None:
        object.__setattr__(self, "widths", tuple(self.widths))  # JSON knows lists only
        if isinstance(self.mel, dict):
            object.__setattr__(self, "mel", MelSpec(**self.mel))
        if self.mel.bands % self.stride:
            raise ValueError(f"MelVaeSpec: got {self.mel.bands} bands at stride {self.stride}; choose a multiple of it")

    @property
    def stride(self) -> int:
        """Columns of the image, and rows, that a latent place stands for."""
        return int(2 ** (len(self.widths) - 1))

    @property
    def rate(self) -> int:
        """Sample rate in Hz."""
        return self.mel.rate

    @property
    def latent_hop(self) -> int:
        """Samples a latent frame."""
        return self.mel.hop * self.stride

    @property
    def latent_dim(self) -> int:
        """Values of a latent frame: its places times their channels."""
        return self.latents * self.mel.bands // self.stride


class Block(nn.Module):
    """Two convolutions beside an identity."""

    def __init__(self, width: int) -> None:
        super().__init__()
        self.norm_in, self.norm_out = ChannelNorm(width), ChannelNorm(width)
        self.conv_in = nn.Conv2d(width, width, 3, padding=1)
        self.conv_out = nn.Conv2d(width, width, 3, padding=1)

    def forward(self, h: Tensor) -> Tensor:
        """`[B, width, H, W]` to the same."""
        inside = self.conv_in(F.silu(self.norm_in(h)))
        out: Tensor = h + self.conv_out(F.silu(self.norm_out(inside)))
        return out


class ChannelNorm(nn.Module):
    """Layer normalisation over the channels of each place of `[B, C, H, W]`."""

    def __init__(self, width: int) -> None:
        super().__init__()
        self.norm = nn.LayerNorm(width)

    def forward(self, h: Tensor) -> Tensor:
        """The same shape."""
        out: Tensor = self.norm(h.movedim(1, -1)).movedim(-1, 1)
        return out


class Encoder(nn.Module):
    """Audio, by its mel image, to the mean and log-variance of the posterior."""

    def __init__(self, spec: MelVaeSpec) -> None:
        super().__init__()
        self.image = MelImage(spec.mel)
        layers: list[nn.Module] = [nn.Conv2d(spec.mel.sides, spec.widths[0], 3, padding=1)]
        for width, following in pairwise((*spec.widths, 0)):
            layers += [Block(width) for _ in range(spec.blocks)]
            layers += [Shrink2d(width, following)] if following else [Block(width) for _ in range(MIDDLE)]
        self.layers = nn.Sequential(*layers, ChannelNorm(spec.widths[-1]))
        self.last = nn.Conv2d(spec.widths[-1], 2 * spec.latents, 3, padding=1)
        assert self.last.bias is not None
        nn.init.constant_(self.last.bias[spec.latents :], NARROW_POSTERIOR)

    def forward(self, audio: Tensor) -> tuple[Tensor, Tensor]:
        """`[B, 2, T * hop]` to mean and log-variance, `[B, T, latent_dim]` each, not yet normalised."""
        mean, log_variance = self.last(self.layers(self.image(audio))).chunk(2, dim=1)
        return folded(mean).mT, folded(log_variance).mT.clamp(-12, 4)


class Decoder(nn.Module):
    """Raw latents to mel images, and on to audio."""

    def __init__(self, spec: MelVaeSpec) -> None:
        super().__init__()
        self.spec = spec
        self.image = MelImage(spec.mel)
        layers: list[nn.Module] = [nn.Conv2d(spec.latents, spec.widths[-1], 3, padding=1)]
        layers += [Block(spec.widths[-1]) for _ in range(MIDDLE)]
        for width, following in pairwise((*spec.widths[::-1], 0)):
            layers += [Block(width) for _ in range(spec.blocks + 1)]
            layers += [Grow2d(width, following)] if following else []
        self.layers = nn.Sequential(*layers, ChannelNorm(spec.widths[0]))
        self.last = nn.Conv2d(spec.widths[0], spec.mel.sides, 3, padding=1)

    def pictured(self, z: Tensor) -> Tensor:
        """`[B, T, latent_dim]` to images `[B, sides, bands, T * stride]`: what the training compares."""
        image: Tensor = self.last(self.layers(images(z.mT, self.spec.latents)))
        return image

    def tone(self, z: Tensor, frame_offset: int = 0) -> Tensor:
        """`[B, T, latent_dim]` to `[B, 2, T * hop]` samples; the first frame stands at absolute `frame_offset`."""
        return self.image.inverted(self.pictured(z), frame_offset * self.spec.stride)


class MelVae(PosteriorCodec):
    """The latent mel model's `Codec`: image, posterior's mean, and back by the inversion."""

    spec: MelVaeSpec
    encoder: Encoder

    def __init__(self, spec: MelVaeSpec) -> None:
        super().__init__(spec.latent_dim)
        self.spec = spec
        self.encoder, self.decoder = Encoder(spec), Decoder(spec)

    @property
    def _columns(self) -> int:
        """Columns of the image on each side that one way of the network reaches: two a block and two more, at each rate."""
        blocks = [self.spec.blocks + 1] * (len(self.spec.widths) - 1) + [self.spec.blocks + 1 + MIDDLE]
        return sum((2 * count + 2) * 2**level for level, count in enumerate(blocks))

    @property
    def receptive_frames(self) -> int:
        """Latent frames on each side that a decoded sample depends on."""
        return math.ceil((self._columns + self.decoder.image.reach) / self.spec.stride)

    @property
    def encoder_receptive_frames(self) -> int:
        """Latent frames of audio on each side that a latent frame depends on."""
        return math.ceil((self._columns + self.spec.mel.window // self.spec.mel.hop // 2) / self.spec.stride)

    def image(self, audio: Tensor) -> Tensor:
        """`[B, 2, T * hop]` samples to the mel images `[B, sides, bands, T * stride]` that are encoded."""
        return self.encoder.image(audio)  # type: ignore[no-any-return]

    def pictured(self, z: Tensor) -> Tensor:
        """`[B, latent_dim, T]` to mel images `[B, sides, bands, T * stride]`."""
        return self.decoder.pictured(self.raw(z))

    def decode(self, z: Tensor, frame_offset: int = 0) -> Tensor:
        """`[B, latent_dim, T]` to `[B, 2, T * hop]` samples; the first frame stands at absolute `frame_offset`."""
        check_latents(z, self.latent_dim)
        return self.decoder.tone(self.raw(z), frame_offset)
