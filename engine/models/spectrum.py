"""Spectra of audio and back: the short-time Fourier transform, mid and side, and bands even in ERB rate."""

from __future__ import annotations

import math
from dataclasses import dataclass

import torch
from torch import Tensor
from torch.nn import functional as F

SQRT_HALF = math.sqrt(0.5)


@dataclass(frozen=True)
class Fourier:
    """The Fourier transform of real frames as two matrices, for graphs that are exported: few runtimes know its operator.

    forward: `[size, 2 bins]`, cosines then negative sines. inverse: `[2 bins, size]`.
    """

    forward: Tensor
    inverse: Tensor

    @classmethod
    def of(cls, size: int) -> Fourier:
        """The matrices of frames of so many samples, an even number."""
        bins = size // 2 + 1
        # k n modulo the size keeps the angle small, and with it its rounding
        turns = torch.arange(size)[:, None] * torch.arange(bins) % size
        angle = turns.double() * (2 * math.pi / size)
        forward = torch.cat((angle.cos(), -angle.sin()), dim=1)
        twice = torch.full((bins,), 2.0, dtype=torch.float64)
        twice[[0, -1]] = 1.0
        return cls(forward.float(), (forward * torch.cat((twice, twice)) / size).T.contiguous().float())


def stft(audio: Tensor, window: Tensor, hop: int, fourier: Fourier | None = None) -> Tensor:
    """`[B, C, F * hop]` to `[B, C, F, 2, bins]` (real, imaginary); frame f is centred at (f + 1/2) hop."""
    size = window.shape[0]
    if fourier is not None:
        hops = _padded(audio, size, hop).unflatten(-1, (-1, hop))
        count, overlap = hops.shape[-2] - size // hop + 1, size // hop
        frames = torch.cat([hops[..., j : j + count, :] for j in range(overlap)], dim=-1)
        written: Tensor = ((frames * window) @ fourier.forward).unflatten(-1, (2, -1))
        return written
    return torch.view_as_real(complex_stft(audio, window, hop)).transpose(-1, -2).contiguous()


def complex_stft(audio: Tensor, window: Tensor, hop: int) -> Tensor:
    """`stft` as complex `[B, C, F, bins]`."""
    size = window.shape[0]
    spectrum: Tensor = torch.fft.rfft(_padded(audio, size, hop).unfold(-1, size, hop) * window)
    return spectrum


def istft(spectrum: Tensor, window: Tensor, hop: int, fourier: Fourier | None = None) -> Tensor:
    """`[B, C, F, 2, bins]` to `[B, C, F * hop]`: the inverse of `stft` for a periodic Hann window, edges fading."""
    if fourier is None:
        return complex_istft(torch.complex(spectrum[..., 0, :], spectrum[..., 1, :]), window, hop)
    slices = (spectrum.flatten(-2) @ fourier.inverse * _synthesis(window, hop)).unflatten(-1, (-1, hop))
    overlap = slices.shape[-2]
    padded = sum(F.pad(slices[..., j, :], (0, 0, j, overlap - 1 - j)) for j in range(overlap))
    assert isinstance(padded, Tensor)
    return _cut(padded, window, hop)


def complex_istft(spectrum: Tensor, window: Tensor, hop: int) -> Tensor:
    """`istft` of complex `[B, C, F, bins]`.

    Overlap-add as hop-wide slices: with r = size / hop, segment f of the output sums slice j of frame f - j.
    """
    slices = torch.fft.irfft(spectrum, n=window.shape[0]).unflatten(-1, (-1, hop))
    shape, count, overlap = _synthesis(window, hop).unflatten(0, (-1, hop)), slices.shape[-3], slices.shape[-2]
    out = slices.new_zeros(*slices.shape[:-3], count + overlap - 1, hop)
    for j in range(overlap):
        out[..., j : j + count, :].addcmul_(slices[..., j, :], shape[j])
    return _cut(out, window, hop)


def _padded(audio: Tensor, size: int, hop: int) -> Tensor:
    return F.pad(audio, ((size - hop) // 2, (size - hop) // 2))


def _synthesis(window: Tensor, hop: int) -> Tensor:
    """The window of the inverse: the squared Hann window sums to 3 r / 8 for r = size / hop >= 3."""
    return window * (8 * hop / (3 * window.shape[0]))


def _cut(segments: Tensor, window: Tensor, hop: int) -> Tensor:
    """Segments `[..., S, hop]` as samples, without what `_padded` added."""
    edge = (window.shape[0] - hop) // 2
    return segments.flatten(-2)[..., edge : segments.shape[-2] * hop - edge]


def mid_side(audio: Tensor) -> Tensor:
    """`[B, 2, ...]` left, right to mid, side; orthonormal, so its own inverse."""
    left, right = audio[:, 0], audio[:, 1]
    return torch.stack(((left + right) * SQRT_HALF, (left - right) * SQRT_HALF), dim=1)


def band_matrix(bins: int, bands: int, rate: int) -> Tensor:
    """`[bands, bins]` triangles with centres even in ERB rate, each column summing to 1 (Glasberg & Moore 1990)."""
    top = rate / 2
    scale = torch.linspace(0, 21.4 * math.log10(1 + 0.00437 * top), bands)
    centres = (10 ** (scale / 21.4) - 1) / 0.00437
    frequency = torch.linspace(0, top, bins)
    upper = torch.searchsorted(centres, frequency.clamp(max=top * 0.999999), right=True).clamp(1, bands - 1)
    share = ((frequency - centres[upper - 1]) / (centres[upper] - centres[upper - 1])).clamp(0, 1)
    matrix = torch.zeros(bands, bins)
    matrix[upper, torch.arange(bins)] = share
    matrix[upper - 1, torch.arange(bins)] = 1 - share
    return matrix
