"""The family of the paper's waveform model (C.1, Levy et al. 2023): folded stereo, a U-Net of 436 M, a small one, the slides'."""

from __future__ import annotations

from segue.engine.models.families import Family
from segue.engine.models.folding import Fold, FoldSpec
from segue.engine.models.spec import ModelSpec
from segue.engine.models.unet1d import Unet1d, UnetSpec
from segue.engine.paper import XI_WAVEFORM

NAME = "paper-waveform"
SLIDES = "slides-waveform-65536x1"

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
        # The slides' table has [1, 65536], 64 M, 259 MB and 2.96 s of mono at 22 kHz; as many positions hold stereo at 44.1 kHz.
        SLIDES: ModelSpec(
            SLIDES,
            FoldSpec(frame=2, hop=2),
            UnetSpec(channels=4, width=128, multipliers=(1, 1, 1, 2, 2, 2, 4, 4)),
            window_s=2.97217,  # 65536.3 frames
            reference_lufs=-18.0,
            xi=XI_WAVEFORM,
            family=NAME,
        ),
    },
)
