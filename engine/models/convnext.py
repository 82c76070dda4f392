"""The ConvNeXt block over time, as the codecs here have it (Liu et al. 2022; C.1, Levy et al. 2023)."""

from __future__ import annotations

import math

import torch
from torch import Tensor, nn
from torch.nn import functional as F


class Block(nn.Module):
    """ConvNeXt block on `[B, T, C]`: depthwise convolution over time, normalisation and MLP over channels."""

    def __init__(self, width: int, expansion: int, kernel: int) -> None:
        super().__init__()
        self.kernel = kernel
        self.taps = nn.Parameter(torch.randn(kernel, width) / math.sqrt(kernel))
        self.norm = nn.LayerNorm(width)
        self.up = nn.Linear(width, expansion * width)
        self.down = nn.Linear(expansion * width, width)
        self.scale = nn.Parameter(torch.full((width,), 0.2))

    def forward(self, x: Tensor) -> Tensor:
        """`[B, T, C]` to the same; a sum of shifted copies is the fastest depthwise convolution in this layout."""
        length, reach = x.shape[1], self.kernel // 2
        padded = F.pad(x, (0, 0, reach, reach))
        h = padded[:, :length] * self.taps[0]
        for j in range(1, self.kernel):
            h = torch.addcmul(h, padded[:, j : j + length], self.taps[j])
        h = self.down(F.gelu(self.up(self.norm(h)), approximate="tanh"))
        return torch.addcmul(x, h, self.scale)
