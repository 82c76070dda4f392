"""Distances between audio signals that the codec is trained on, and the energy distance over two noise draws."""

from __future__ import annotations

import math
from collections.abc import Callable
from functools import lru_cache

import torch
from torch import Tensor
from torch.nn import functional as F

RESOLUTIONS = ((2048, 96), (512, 48), (128, 16))  # STFT window in samples, mel bands; hop is half of it
LOG_MEL, ROOT, COMPLEX = 1.0, 5.0, 3.0  # spectral
WAVEFORM, SQUARED = 8.0, 8.0  # L1 and L2 (C.1)
FLOOR = 1e-3  # magnitude below which log-mel bands count as silent, of a spectrum with unit gain for white noise

Distance = Callable[[Tensor, Tensor], Tensor]


@lru_cache(maxsize=8)
def mel_matrix(window: int, bands: int, rate: int) -> Tensor:
    """`[bins, bands]` triangles, each summing to 1, evenly spaced on the HTK mel scale up to rate / 2.

    Where bins are wider than bands, each band still weighs its nearest bin.
    """
    bins = window // 2 + 1
    top = 2595 * math.log10(1 + rate / 2 / 700)
    edges = 700 * (10 ** (torch.linspace(0, top, bands + 2) / 2595) - 1)
    frequency = torch.linspace(0, rate / 2, bins)[:, None]
    rise = (frequency - edges[:-2]) / (edges[1:-1] - edges[:-2])
    fall = (edges[2:] - frequency) / (edges[2:] - edges[1:-1])
    matrix = torch.minimum(rise, fall).clamp(min=0)
    nearest = (frequency - edges[1:-1]).abs().argmin(dim=0)
    matrix[nearest, torch.arange(bands)] += 1e-3
    return matrix / matrix.sum(dim=0)


def spectrum(audio: Tensor, window: int) -> Tensor:
    """`[..., N]` to complex `[rows, bins, frames]` with hop window / 2, scaled so that white noise keeps its variance."""
    shape = torch.hann_window(window, device=audio.device)
    flat = audio.reshape(-1, audio.shape[-1])
    return torch.stft(flat, window, window // 2, window=shape / shape.square().sum().sqrt(), return_complex=True)


def views(audio: Tensor, mid_side: bool) -> Tensor:
    """`[B, 2, N]` as left and right, or as mid and side."""
    if not mid_side:
        return audio
    left, right = audio.unbind(dim=1)
    return torch.stack((left + right, left - right), dim=1) * math.sqrt(0.5)


def spectral_distance(window: int, bands: int, mid_side: bool, rate: int, shift: int = 0) -> Distance:
    """d(y, x) on `[B, 2, N]`: spectral (log-mel, root magnitude, complex), L1 and L2, at one resolution in one view pair.

    `shift` samples are left out at the start: drawn anew each step, it lets half-overlapping windows see every sample alike.
    """

    def parts(audio: Tensor) -> tuple[Tensor, Tensor, Tensor]:
        X = torch.view_as_real(spectrum(views(audio[..., shift:], mid_side), window))
        power = X.square().sum(dim=-1)
        magnitude = (power + 1e-8).sqrt()
        mel = magnitude.transpose(1, 2) @ mel_matrix(window, bands, rate).to(audio.device)
        return X, magnitude.sqrt(), (mel + FLOOR).log()

    memo: dict[int, tuple[Tensor, tuple[Tensor, Tensor, Tensor]]] = {}

    def once(audio: Tensor) -> tuple[Tensor, Tensor, Tensor]:
        if id(audio) not in memo:
            memo[id(audio)] = (audio, parts(audio))
        return memo[id(audio)][1]

    def distance(y: Tensor, x: Tensor) -> Tensor:
        (Y, root_y, log_y), (X, root_x, log_x) = once(y), once(x)
        return (
            LOG_MEL * F.l1_loss(log_y, log_x)
            + ROOT * F.l1_loss(root_y, root_x)
            + COMPLEX * F.l1_loss(Y, X)
            + WAVEFORM * F.l1_loss(y, x)
            + SQUARED * F.mse_loss(y, x)
        )

    return distance


def energy_distance(d: Distance, x: Tensor, y: Tensor, other: Tensor) -> Tensor:
    """(d(y, x) + d(y', x) - d(y, y')) / 2 for two draws y, y' of one input: least when draws are spread as the data are.

    The last term rewards spread, so noise stays where the data are noise (Gritsenko et al. 2020).
    """
    return 0.5 * (d(y, x) + d(other, x) - d(y, other))


def kl(mean: Tensor, log_variance: Tensor) -> Tensor:
    """KL divergence from a standard normal, `[B, T, C]` each: its mean in nats a value."""
    return 0.5 * (mean.square() + log_variance.exp() - 1 - log_variance).mean()
