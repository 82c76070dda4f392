"""The family of the CQT baseline (section 4.1, Levy et al. 2023): samples cut into frames, and a constant-Q U-Net."""

from __future__ import annotations

from segue.engine.models.cqt_unet import CqtSpec, CqtUnet
from segue.engine.models.families import Family
from segue.engine.models.folding import Fold, FoldSpec
from segue.engine.models.spec import ModelSpec
from segue.engine.paper import XI_WAVEFORM

NAME = "cqt"
HOP = 256  # samples: how finely an infill's context is cut

# Frames that do not overlap are the waveform itself.
FRAMES = FoldSpec(frame=HOP, hop=HOP)
# The treble lifted; gain: one over the standard deviation of so lifted music at -18 LUFS.
LIFTED = FoldSpec(frame=HOP, hop=HOP, gain=43.0, emphasis=0.95)
SMALL = CqtSpec(HOP, widths=(16, 16, 32, 32, 32, 32, 48, 48), blocks=1, groups=8, code=128)
# A quarter of an octave by 16 ms is one place at the top, and three columns are left at the bottom of 6 s.
PATCHED = CqtSpec(HOP, bands=16, widths=(96,) * 8, blocks=1, code=128, patch=(4, 36), direct=True, gained=True)

FAMILY = Family(
    NAME,
    FoldSpec,
    CqtSpec,
    Fold,
    CqtUnet,
    {
        NAME: ModelSpec(NAME, FRAMES, CqtSpec(HOP), window_s=6.0, reference_lufs=-18.0, xi=XI_WAVEFORM, family=NAME),
        "cqt-small": ModelSpec("cqt-small", FRAMES, SMALL, window_s=3.0, reference_lufs=-18.0, xi=XI_WAVEFORM, family=NAME),
        "cqt-patched": ModelSpec("cqt-patched", LIFTED, PATCHED, window_s=6.0, reference_lufs=-18.0, xi=XI_WAVEFORM, family=NAME),
    },
)
