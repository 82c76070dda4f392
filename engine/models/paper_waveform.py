"""The family of the paper's waveform model (C.1, Levy et al. 2023): folded stereo and a U-Net of 436 M, and a small one."""

from __future__ import annotations

from segue.engine.models.families import Family
from segue.engine.models.folding import Fold, FoldSpec
from segue.engine.models.spec import ModelSpec
from segue.engine.models.unet1d import Unet1d, UnetSpec
from segue.engine.paper import XI_WAVEFORM

NAME = "paper-waveform"

FAMILY = Family(
    NAME,
    FoldSpec,
    UnetSpec,
    Fold,
    Unet1d,
    {
        NAME: ModelSpec(NAME, FoldSpec(), UnetSpec(), window_s=11.9, reference_lufs=-18.0, xi=XI_WAVEFORM, family=NAME),
        "paper-waveform-small": ModelSpec(
            "paper-waveform-small",
            FoldSpec(),
            UnetSpec(width=96, multipliers=(1, 1, 2, 2), blocks=1, attention=1, heads=4),
            window_s=1.5,
            reference_lufs=-18.0,
            xi=XI_WAVEFORM,
            family=NAME,
        ),
    },
)
