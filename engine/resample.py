"""Resamples differentiably and exactly: the spectrum of the whole span is cut off or filled up, and transformed back."""

from __future__ import annotations

import math

import torch
from torch import Tensor
from torch.nn import functional as F

EDGE_S = 0.05  # of silence on either side, so that the span's two ends do not meet


def resampled(audio: Tensor, source: int, target: int) -> Tensor:
    """`[..., n]` at `source` Hz to `[..., round(n * target / source)]` at `target` Hz; its gradient is the same, backwards.

    A span of n = m source / g samples, g their common divisor, has exactly m target / g samples at the other rate, whose
    spectrum is the same up to the lower of the two Nyquist frequencies.
    """
    if source == target:
        return audio
    step, out = source // math.gcd(source, target), target // math.gcd(source, target)
    length = audio.shape[-1]
    edge = step * math.ceil(EDGE_S * source / step)
    n = step * math.ceil((length + 2 * edge) / step)
    m = n // step * out
    spectrum = torch.fft.rfft(F.pad(audio, (edge, n - length - edge)))
    bins = min(n, m) // 2 + 1
    whole: Tensor = torch.fft.irfft(spectrum[..., :bins], n=m) * (m / n)
    first = edge // step * out
    return whole[..., first : first + round(length * target / source)]
