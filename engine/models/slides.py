"""The slides' model families: a 2-D U-Net of 113 M over mel images, conditional or not, and over their latents."""

from __future__ import annotations

import math
from dataclasses import replace

from segue.engine.models.families import Family
from segue.engine.models.mel_vae import MelVae, MelVaeSpec
from segue.engine.models.melspec import MelCodec, MelSpec
from segue.engine.models.spec import ModelSpec
from segue.engine.models.unet2d import Unet2d, Unet2dSpec

MEL, LATENT = "slides-mel", "slides-latent"
LUFS = -18.0
# Columns and bands of the slides' table ("Speed Comparison"): 512 samples a column at 44.1 kHz, as long as their 256 at 22 kHz.
RESOLUTIONS = ((64, 64), (256, 256), (512, 32), (512, 64), (512, 128), (1024, 128))
# Values of a condition. The slides' text embedding has 512; so have the statistics of 256 bands, which need no other network.
CONDITION = 512
SMALL = Unet2dSpec(width=32, multipliers=(1, 2, 2, 4), blocks=1, attention=(3,), head=32, groups=8)


def seconds(frames: int, hop: int, rate: int) -> float:
    """Length of a window of so many frames, to the next tenth of a millisecond, so that it holds them all."""
    return math.ceil(frames * hop / rate * 1e4) / 1e4


def mel_model(name: str, frames: int, bands: int, unet: Unet2dSpec | None = None) -> ModelSpec:
    """A model of mel images of so many columns and bands."""
    codec = MelSpec(bands=bands)
    denoiser = replace(unet or Unet2dSpec(), channels=codec.latent_dim, images=codec.sides)
    return ModelSpec(
        name, codec, denoiser, window_s=seconds(frames, codec.latent_hop, codec.rate), reference_lufs=LUFS, family=MEL
    )


def latent_model(name: str, frames: int, codec: MelVaeSpec, unet: Unet2dSpec | None = None) -> ModelSpec:
    """A model of latents of mel images of so many columns."""
    denoiser = replace(unet or Unet2dSpec(), channels=codec.latent_dim, images=codec.latents)
    window_s = seconds(frames // codec.stride, codec.latent_hop, codec.rate)
    return ModelSpec(name, codec, denoiser, window_s=window_s, reference_lufs=LUFS, family=LATENT)


def _named(*specs: ModelSpec) -> dict[str, ModelSpec]:
    return {spec.name: spec for spec in specs}


FAMILY = Family(
    MEL,
    MelSpec,
    Unet2dSpec,
    MelCodec,
    Unet2d,
    _named(
        *(mel_model(f"slides-mel-{frames}x{bands}", frames, bands) for frames, bands in RESOLUTIONS),
        mel_model("slides-conditional-256x256", 256, 256, Unet2dSpec(cond_dim=CONDITION)),
        mel_model("slides-mel-small", 256, 64, SMALL),
        mel_model("slides-conditional-small", 256, 64, replace(SMALL, cond_dim=2 * 64)),
    ),
)

LATENT_FAMILY = Family(
    LATENT,
    MelVaeSpec,
    Unet2dSpec,
    MelVae,
    Unet2d,
    _named(
        latent_model("slides-latent-256x256", 256, MelVaeSpec()),
        latent_model("slides-latent-small", 256, MelVaeSpec(MelSpec(bands=64), 4, (16, 32, 32, 32), 1), SMALL),
    ),
)
