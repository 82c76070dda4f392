"""The family of the live model: a spectral codec at 43 Hz and a transformer with a level per frame."""

from __future__ import annotations

from segue.engine.models.dit import Dit, DitSpec
from segue.engine.models.families import Family
from segue.engine.models.spec import FAMILY as NAME
from segue.engine.models.spec import ModelSpec
from segue.engine.models.vae import CodecSpec, LiveCodec

# "live" ships with weights; the other is a configuration only.
FAMILY = Family(
    NAME,
    CodecSpec,
    DitSpec,
    LiveCodec,
    Dit,
    {
        "live": ModelSpec("live"),
        "live-300m": ModelSpec("live-300m", denoiser=DitSpec(width=1024, layers=24, heads=16, rank=128, patch=1)),
    },
)
