"""The fine structure of real audio under the envelopes that a model made.

A codec whose latents hold envelopes and hardly any phases cannot say which tones lie in a band. Where real audio stands (a
collage of the context, two tracks' crossfade, the phrase that is varied), its spectrum is kept and only its bands are moved,
by as much as the decoder says that the latents have moved: what has not changed comes back to the sample. What is wanted beyond
the bounds comes from the decoder itself, but for the bass where something is heard: two kicks would blur the rhythm.
"""

from __future__ import annotations

from functools import lru_cache

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor
from torch.nn import functional as F

from segue.engine.models.spectrum import band_matrix, complex_istft, complex_stft

Audio = NDArray[np.float32]

WINDOW, HOP = 2048, 512
BANDS = 40
SMOOTH = 5  # hops over which the power of a band is averaged
BOUND_DB = (-9.0, 4.0)  # of what a band is moved by: a hit must neither vanish nor become an accent
KICKS_DB = -1.5  # the lower bound below BASS_HZ where two tracks are crossfaded, which has weakened their kicks already
EMPTY = 1.5e-5  # power a bin of white noise of -80 dB: below it nothing is heard
BASS_HZ = 600.0  # below, the decoder's own sound has pitch and hits; above it is noise
LEAST = 1e-9  # power of a band that is as good as none
REACH = WINDOW + SMOOTH * HOP  # samples on either side that a sample depends on


@lru_cache(maxsize=4)
def _tools(rate: int) -> tuple[Tensor, Tensor, Tensor, Tensor]:
    """The window, the bands `[BANDS, bins]`, the weights `[1, 1, SMOOTH]` of the average over time, and `[BANDS]` the power from
    which on something is heard in the bass, infinite above it."""
    weights = torch.hann_window(SMOOTH + 1)[1:]
    bands = band_matrix(WINDOW // 2 + 1, BANDS, rate)
    centres = bands @ torch.fft.rfftfreq(WINDOW, 1 / rate) / bands.sum(dim=1)
    heard = torch.where(centres < BASS_HZ, EMPTY * bands.sum(dim=1), torch.inf)
    return torch.hann_window(WINDOW), bands, (weights / weights.sum())[None, None], heard


@torch.no_grad()
def moved(texture: Audio, made: Tensor, there: Tensor, rate: int, bass_db: float = BOUND_DB[0]) -> Audio:
    """Texture `[2, n]` with every band moved by what decoded latents `made` have over decoded latents `there`, `[2, n]` each.

    there: what the decoder makes of the latents that stand where the texture does; n is a multiple of HOP. bass_db: the lower
    bound below BASS_HZ.
    """
    window, bands, weights, heard = _tools(rate)
    given = torch.stack([torch.from_numpy(np.ascontiguousarray(texture)), made.float(), there.float()])
    spectra = complex_stft(given, window, HOP)  # [3, 2, F, bins]
    squares = torch.view_as_real(spectra[1:]).square()
    both = squares[:, 0] + squares[:, 1]  # both sides move as one, so the image stays
    power = (both[..., 0] + both[..., 1]) @ bands.T  # [2, F, BANDS]
    padded = F.pad(power.transpose(1, 2).flatten(0, 1)[:, None], (SMOOTH // 2, SMOOTH // 2), mode="replicate")
    new, old = F.conv1d(padded, weights).unflatten(0, (2, BANDS)).squeeze(2).transpose(1, 2) + LEAST
    low, high = (10 ** (decibels / 10) for decibels in BOUND_DB)
    ratio = new / old
    least = torch.where(heard.isfinite(), 10 ** (bass_db / 10), low)
    gain = (ratio.clamp(max=high).maximum(least).log() / 2 @ bands).exp()
    missing = ((old < heard) * (1 - high / ratio)).clamp(min=0).sqrt() @ bands
    out: Audio = complex_istft((spectra[0] * gain + spectra[1] * missing)[None], window, HOP)[0].numpy()
    return out
