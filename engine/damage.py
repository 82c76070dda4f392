"""What an old recording may have lost, as an operator A on audio, and how what it kept is put back afterwards.

Each operator takes `[..., n]` samples, is differentiable, and has A(A(x)) = A(x): what is left of a recording is all that a
second loss of the same kind would leave. `mend` is the data consistency step on samples: x + A^+ (y - A x).
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Protocol

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor
from torch.nn import functional as F

from segue.engine.interpolation import BAND_HZ, interpolated
from segue.engine.treble import gains

Audio = NDArray[np.float32]

KINDS = ("lowpass", "declip", "gaps")
SLOPE = 0.06  # of the cut-off: half the width of the low-pass's slope, a quarter of a cosine on either side
RING_S = 0.05  # beyond either end, reflected, for the filter's ringing
UNCLIPPED = 0.999  # of the level, under which a sample counts as whole
GAP_FADE = 64  # samples on either side of a gap over which the new joins the old
LONGEST_S = 1.0  # of a gap that its sides still say something about
LOW = 0.5  # of the generated level, below BAND_HZ, up to which a predicted gap is filled
ROUNDS = 40  # of the search for a sparse signal that has the measured samples
LOUDEST_DB, SOFTEST_DB = -10.0, -60.0  # threshold of the first round and of the last, under each frame's peak
GENERATED = 0.3  # weight of the generated magnitudes, in dB, beside the signal's own where bins are chosen
WINDOW, HOP = 1024, 256  # samples of its short-time spectra
HEARD = 0.4  # exponent that makes magnitudes loudness-like, as in the live codec


class Damage(Protocol):
    """A loss: A(x) is what it leaves of x."""

    def __call__(self, x: Tensor) -> Tensor:
        """A x, of the shape of x."""

    def mend(self, y: Audio, x: Audio) -> Audio:
        """x `[2, n]` with everything that y measured, from x where y has lost it."""


@dataclass(frozen=True)
class LowPass:
    """Nothing is left above `cutoff` Hz."""

    cutoff: float
    rate: int

    def __call__(self, x: Tensor) -> Tensor:
        """The band below, by one transform of the whole span."""
        edge = min(round(RING_S * self.rate), x.shape[-1] - 1)
        spectrum = torch.fft.rfft(F.pad(x, (edge, edge), mode="reflect"))
        passed = spectrum * self._response(spectrum.shape[-1]).to(x)
        band: Tensor = torch.fft.irfft(passed, n=x.shape[-1] + 2 * edge)
        return band[..., edge : edge + x.shape[-1]]

    def _response(self, bins: int) -> Tensor:
        place = torch.linspace(0, self.rate / 2, bins) / self.cutoff
        return 0.5 + 0.5 * torch.cos(((place - 1 + SLOPE) / (2 * SLOPE)).clamp(0, 1) * torch.pi)

    def mend(self, y: Audio, x: Audio) -> Audio:
        """The band of y, and of x what lies above it, as loud as the band of y next to it says (engine/treble.py).

        A^+ is A here, but for the slope.
        """
        measured, generated = (_spectrum(torch.from_numpy(part)) for part in (y, x))
        place = torch.linspace(0, self.rate / 2, measured.shape[-2]) / self.cutoff
        x = _signal(generated * gains(measured, generated, place), y.shape[-1]).numpy()
        above: Audio = x - self(torch.from_numpy(x)).numpy()
        return y + above


@dataclass(frozen=True)
class Clip:
    """Nothing is left beyond +-`level`."""

    level: float

    def __call__(self, x: Tensor) -> Tensor:
        """The samples, held at the level where they exceed it."""
        return x.clamp(-self.level, self.level)

    def mend(self, y: Audio, x: Audio) -> Audio:
        """Whole samples are y's; clipped ones lie at the level or beyond, where a sparse spectrum puts them.

        x says how loud every moment and band is, but a codec keeps no phases: so the signal is sought by turns among those
        with few bins and those with y's samples, ever more bins being let in (consistent iterative hard thresholding, Kitic
        et al. 2013), and x has a say in which bins come first.
        """
        generated, mended = _spectrum(torch.from_numpy(x)).abs() ** GENERATED, torch.from_numpy(self._held(y, y))
        for threshold in np.linspace(LOUDEST_DB, SOFTEST_DB, ROUNDS):
            found = _spectrum(mended)
            size = found.abs()
            least = 10 ** (threshold / 20) * size.amax(dim=1, keepdim=True).clamp_min(1e-6)
            chosen = size ** (1 - GENERATED) * generated > least
            mended = torch.from_numpy(self._held(y, _signal(found * chosen, y.shape[-1]).numpy()))
        return mended.numpy()

    def _held(self, y: Audio, x: Audio) -> Audio:
        beyond = np.sign(y) * np.maximum(np.abs(y), np.sign(y) * x)
        held: Audio = np.where(np.abs(y) < UNCLIPPED * self.level, y, beyond).astype(np.float32)
        return held


@dataclass(frozen=True)
class Gaps:
    """Nothing is left between the samples of each (first, last + 1), at `rate` Hz."""

    spans: tuple[tuple[int, int], ...]
    rate: int

    def kept(self, n: int) -> NDArray[np.bool_]:
        """`[n]`, false inside the gaps."""
        return ~_within(self.spans, n)

    def __call__(self, x: Tensor) -> Tensor:
        """The samples outside, and 0 inside."""
        return x * torch.from_numpy(self.kept(x.shape[-1])).to(x)

    def mend(self, y: Audio, x: Audio) -> Audio:
        """y outside and a short fade beside each gap; inside what both sides predict, and x where that lacks energy.

        Long gaps, and those whose one side is not seen, are x alone.
        """
        n, base, told = y.shape[-1], y.copy(), []
        for first, last in self.spans:
            short = 0 <= first < last <= n and last - first <= LONGEST_S * self.rate
            predicted = interpolated(y, first, last, self.rate) if short else None
            if predicted is not None:
                base[:, first:last] = predicted
                told.append((first, last))
        inside = np.where(_within(told, n), _completed(base, x, self.rate), x) if told else x
        near = np.convolve(~self.kept(n), np.ones(2 * GAP_FADE + 1) / (GAP_FADE + 1))[GAP_FADE : GAP_FADE + n]
        share = np.clip(near, 0, 1).astype(np.float32)
        mended: Audio = ((1 - share) * y + share * inside).astype(np.float32)
        return mended


def _within(spans: Sequence[tuple[int, int]], n: int) -> NDArray[np.bool_]:
    """`[n]`, true inside the spans."""
    inside = np.zeros(n, np.bool_)
    for first, last in spans:
        inside[max(0, first) : max(0, last)] = True
    return inside


def _completed(base: Audio, x: Audio, rate: int) -> Audio:
    """The base, and in every bin as much of x as the base lacks: |x|^2 - |base|^2, with the phase of x.

    Low bins count LOW of x's: there a prediction that fades is nearer to the truth than any sound of the right level.
    """
    predicted, generated = (_spectrum(torch.from_numpy(part)) for part in (base, x))
    low = torch.arange(generated.shape[-2]) * rate / WINDOW < BAND_HZ
    wanted = generated.abs() * torch.where(low, LOW, 1.0)[:, None]
    lacks = (wanted.square() - predicted.abs().square()).clamp_min(0).sqrt()
    completed: Audio = _signal(predicted + torch.polar(lacks, generated.angle()), base.shape[-1]).numpy()
    return completed


def heard(audio: Tensor) -> Tensor:
    """`[B, 2, n]` to companded magnitudes `[B, 2, bins, frames]`: what can be compared where a codec keeps no phases."""
    power = _spectrum(audio.flatten(0, 1)).abs().square()
    magnitudes: Tensor = ((power + 1e-4) ** (HEARD / 2)).unflatten(0, audio.shape[:2])
    return magnitudes


def _spectrum(audio: Tensor) -> Tensor:
    window = torch.hann_window(WINDOW, dtype=audio.dtype, device=audio.device)
    return torch.stft(audio, WINDOW, HOP, window=window, return_complex=True, pad_mode="constant")


def _signal(spectrum: Tensor, n: int) -> Tensor:
    window = torch.hann_window(WINDOW, device=spectrum.device)
    return torch.istft(spectrum, WINDOW, HOP, window=window, length=n)
