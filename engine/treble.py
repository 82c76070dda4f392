"""How loud generated treble may be: what was measured below the cut-off says it, by the moment and by the slope of its spectrum.

A generator that heard a dull recording may be wrong about its level by tens of dB, in the measured band as in the one above. So
both are compared where both are known, just below the cut-off, and the generated sound is moved by what is missing there. Its
phases are not known, so that all of it counts as noise beside the truth: of a share s of the right power P the error is
(1 + s) P where silence has P. It is therefore never louder than the line that the measured spectrum falls along.
"""

from __future__ import annotations

from itertools import pairwise

import torch
from torch import Tensor
from torch.nn import functional as F

EDGES = (2**-1.5, 2**-1.0, 2**-0.5, 0.94)  # of the cut-off: bands that the line goes through; the last of them is compared
SURE = 0.35  # gain of a treble of the right kind whose phases are not known; on music that is trained on, LSD hardly gains above
QUICK = 3  # frames of a moment
LOUDER = 8.0  # gain at most
LEAST_SLOPE_DB = 5.0  # an octave, by which the line falls
SMOOTH = 33  # bins over which the generated spectrum is compared with the line
TINY = 1e-8  # power


def gains(measured: Tensor, generated: Tensor, place: Tensor) -> Tensor:
    """Gain of the generated spectrum, of the shape of both, `[channels, bins, frames]`; SURE where a band of EDGES has no bins.

    place: `[bins]`, frequency over the cut-off.
    """
    bands = [(place >= low) & (place < high) for low, high in pairwise(EDGES)]
    if not all(bool(band.any()) for band in bands):
        return torch.full_like(place, SURE)[:, None]
    beside = [_smooth(spectrum[:, bands[-1]].abs().square().mean(dim=1), QUICK) for spectrum in (measured, generated)]
    moment = ((beside[0] + TINY) / (beside[1] + TINY)).sqrt().clamp(max=LOUDER)[:, None]
    power = measured.abs().square().mean(dim=-1)
    levels = torch.stack([_db(power[:, band].mean(dim=1)) for band in bands], dim=1)
    middles = torch.tensor([(low * high) ** 0.5 for low, high in pairwise(EDGES)]).log2()
    away = middles - middles.mean()
    slope = ((levels * away).sum(dim=1) / away.square().sum()).clamp(max=-LEAST_SLOPE_DB)
    line = levels[:, -1:] + slope[:, None] * (place.clamp_min(1e-3).log2() - middles[-1])
    over = _db(_smooth((generated * moment).abs().square().mean(dim=-1), SMOOTH)) - line
    return SURE * moment * 10 ** (-over.clamp_min(0) / 20)[..., None]


def _smooth(power: Tensor, n: int) -> Tensor:
    """Mean over n neighbours in the last of two dimensions, fewer at its ends."""
    n = (min(n, power.shape[-1]) - 1) // 2 * 2 + 1
    return F.avg_pool1d(power[:, None], n, 1, n // 2, count_include_pad=False)[:, 0]


def _db(power: Tensor) -> Tensor:
    return 10 * (power + TINY).log10()
