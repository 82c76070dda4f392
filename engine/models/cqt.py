"""An invertible constant-Q transform: a painless Gabor frame on the FFT's bins, octave by octave (Velasco et al. 2011).

Bands lie on a warped axis u(f): even in log f over `octaves` octaves below the Nyquist frequency, and even in f below
those, which makes one group more of as many bands. Band k weights the bins by g(u(f) - k). With g(u)^2 + g(u - 1)^2 = 1 on
[0, 1] the squares of all weights sum to 1 at every bin, so the frame is tight: the inverse is the adjoint, and energy is kept.
A band of at most M bins is known from M samples of it, so each group has the rate that its widest band needs; an octave's
is half the one above. The signal is taken as periodic.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from functools import lru_cache

import torch
from torch import Tensor

LEAST = 4  # coefficients a band in time has at least, however short the signal


@dataclass(frozen=True)
class Layout:
    """Where the bands of one signal length lie; group 0 is the highest octave, the last the one below all octaves.

    places: `[bands, M]` FFT bins of each group's coefficients, those of no weight at 0. weights: `[bands, M]` g.
    """

    places: tuple[Tensor, ...]
    weights: tuple[Tensor, ...]

    @property
    def rates(self) -> tuple[int, ...]:
        """M of each group."""
        return tuple(place.shape[1] for place in self.places)


def warped(frequency: Tensor, bands: int, octaves: int) -> Tensor:
    """u of frequencies given as shares of the Nyquist frequency: the band k that is centred there, k = 0 at 0 Hz."""
    corner = 2.0**-octaves
    even = bands * frequency / corner
    octave = bands * (1 + torch.log2(frequency.clamp_min(corner) / corner))
    # the highest band has no upper neighbour: it stays at full weight up to the Nyquist frequency
    return torch.where(frequency < corner, even, octave).clamp_max(bands * (octaves + 1) - 1)


def bump(u: Tensor) -> Tensor:
    """g(u) of |u| < 1, smooth, with g(u)^2 + g(1 - u)^2 = 1: sin(pi/2 cos^2(pi u / 2)), as Vorbis has it."""
    return torch.sin(math.pi / 2 * torch.cos(math.pi / 2 * u.abs().clamp_max(1)).square())


@lru_cache(maxsize=16)
def layout(samples: int, bands: int, octaves: int, device: str = "cpu", multiple: int = 1) -> Layout:
    """The bands of a signal of so many samples, all rates multiples of a number. Raises ValueError for one too short for bins."""
    if samples < 2 or bands < 2 or octaves < 1:
        got = f"got {samples} samples, {bands} bands, {octaves} octaves"
        raise ValueError(f"constant-Q transform: {got}; at least 2 samples, 2 bands an octave, 1 octave")
    bins = samples // 2 + 1
    u = warped(torch.arange(bins, dtype=torch.float64) / (samples / 2), bands, octaves)
    band = torch.arange(bands * (octaves + 1), dtype=torch.float64)
    # u rises, so the bins with |u - k| < 1 are those from the first above k - 1 to the last below k + 1
    first = torch.searchsorted(u, band - 1, right=True)
    last = torch.searchsorted(u, band + 1)
    groups = [slice(bands * o, bands * (o + 1)) for o in range(octaves, -1, -1)]
    widest = [int((last - first)[group].max()) for group in groups]
    lowest = max(LEAST, widest[-1], *(-(-wide // 2 ** (octaves - 1 - o)) for o, wide in enumerate(widest[:-1])))
    lowest += -lowest % multiple
    rates = [lowest * 2 ** (octaves - 1 - o) for o in range(octaves)] + [lowest]
    places, weights = [], []
    for group, rate in zip(groups, rates, strict=True):
        # coefficient j of the spectrum of a band holds the bin j steps above its centre, modulo M
        centre = ((first + last) // 2)[group, None]
        place = centre + (torch.arange(rate) + rate // 2) % rate - rate // 2
        inside = (place >= first[group, None]) & (place < last[group, None])
        weight = bump(u[place.clamp(0, bins - 1)] - band[group, None]) * inside
        places.append((place * inside).to(device))
        weights.append(weight.to(device, torch.float32))
    return Layout(tuple(places), tuple(weights))


def analysed(x: Tensor, bands: int, octaves: int, multiple: int = 1) -> list[Tensor]:
    """`[..., N]` to complex coefficients `[..., bands, M]` of each group; their energy is that of the bins 0 to N / 2."""
    where = layout(x.shape[-1], bands, octaves, str(x.device), multiple)
    X = torch.fft.rfft(x, norm="ortho")
    return [
        torch.fft.ifft(X[..., place] * weight.to(x.dtype), norm="ortho")
        for place, weight in zip(where.places, where.weights, strict=True)
    ]


def synthesised(groups: list[Tensor], samples: int, bands: int, octaves: int, multiple: int = 1) -> Tensor:
    """The inverse of `analysed`, `[..., N]`; of coefficients that no signal has, the nearest signal's."""
    where = layout(samples, bands, octaves, str(groups[0].device), multiple)
    lead = groups[0].shape[:-2]
    X = groups[0].new_zeros(*lead, samples // 2 + 1)
    for c, place, weight in zip(groups, where.places, where.weights, strict=True):
        part = torch.fft.fft(c, norm="ortho") * weight.to(c.real.dtype)
        X = X.index_add(-1, place.flatten(), part.flatten(-2))
    x: Tensor = torch.fft.irfft(X, n=samples, norm="ortho")
    return x
