"""A multi-scale spectral discriminator: one small network over the companded complex spectrum at each of five windows.

Hinge loss and matched features after Defossez et al. 2022, "High Fidelity Neural Audio Compression".
"""

from __future__ import annotations

from collections.abc import Sequence

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from segue.train.losses import spectrum

WINDOWS = (2048, 1024, 512, 256, 128)
SLOPE = 0.2
COMPANDING = 0.4  # sizes are judged to this power, as the live codec hears them: music's treble lies 60 dB below its bass
DILATIONS = (1, 2, 4)  # over time, one a layer; each layer halves the frequencies
Verdicts = list[list[Tensor]]  # of each scale: the features of its layers, then its verdict


class Scale(nn.Module):
    """Judges stereo spectra at one window."""

    def __init__(self, window: int, width: int) -> None:
        super().__init__()
        self.window = window
        weight = nn.utils.parametrizations.weight_norm
        sizes = [4, *[width] * len(DILATIONS)]
        self.layers = nn.ModuleList(
            weight(nn.Conv2d(a, b, (9, 3), (2, 1), (4, d), (1, d))) for a, b, d in zip(sizes, sizes[1:], DILATIONS, strict=False)
        )
        self.last = weight(nn.Conv2d(width, 1, (3, 3), 1, 1))

    def forward(self, audio: Tensor) -> list[Tensor]:
        """`[B, 2, N]` to the features of each layer and the verdict, `[B, C, bins, frames]` each."""
        X = torch.view_as_real(spectrum(audio, self.window))
        size = X.square().sum(-1, keepdim=True) + 1e-7
        X = (X * size ** ((COMPANDING - 1) / 2)).permute(0, 3, 1, 2)
        h = X.reshape(audio.shape[0], -1, *X.shape[-2:])
        found = []
        for layer in self.layers:
            h = F.leaky_relu(layer(h), SLOPE)
            found.append(h)
        return [*found, self.last(h)]


class Discriminator(nn.Module):
    """All scales."""

    def __init__(self, width: int = 16) -> None:
        super().__init__()
        self.scales = nn.ModuleList(Scale(window, width) for window in WINDOWS)

    def forward(self, audio: Tensor, scales: Sequence[int] | None = None) -> Verdicts:
        """`[B, 2, N]` to what each scale found, or those of `scales`, numbers of WINDOWS."""
        return [self.scales[i](audio) for i in (range(len(self.scales)) if scales is None else scales)]


def judging_loss(real: Verdicts, made: Verdicts) -> Tensor:
    """What the discriminator minimises: verdicts above 1 on real audio, below -1 on what was made."""
    parts = [F.relu(1 - r[-1]).mean() + F.relu(1 + m[-1]).mean() for r, m in zip(real, made, strict=True)]
    return torch.stack(parts).mean()


def deceiving_loss(made: Verdicts) -> Tensor:
    """What the decoder minimises: minus the verdict."""
    return torch.stack([-m[-1].mean() for m in made]).mean()


def feature_loss(real: Verdicts, made: Verdicts) -> Tensor:
    """L1 between the features of both, over the mean size of the real ones."""
    parts = [
        F.l1_loss(m, r.detach()) / r.detach().abs().mean().clamp(min=1e-6)
        for a, b in zip(real, made, strict=True)
        for r, m in zip(a[:-1], b[:-1], strict=True)
    ]
    return torch.stack(parts).mean()
