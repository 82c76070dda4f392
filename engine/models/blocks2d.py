"""Layers of the two-dimensional networks: residual blocks, attention over a whole image, and changes of size."""

from __future__ import annotations

from typing import TypeVar

import torch
from torch import Tensor, nn
from torch.nn import functional as F

L = TypeVar("L", nn.Conv1d, nn.Conv2d, nn.Linear)


def zeroed(layer: L) -> L:
    """A layer that answers 0 until it is trained."""
    for parameter in layer.parameters():
        nn.init.zeros_(parameter)
    return layer


class Residual2d(nn.Module):
    """Two 3x3 convolutions beside an identity; the level's code is added between them."""

    def __init__(self, inner: int, outer: int, code: int, groups: int) -> None:
        super().__init__()
        self.norm_in, self.norm_out = nn.GroupNorm(groups, inner), nn.GroupNorm(groups, outer)
        self.conv_in = nn.Conv2d(inner, outer, 3, padding=1)
        self.code = nn.Linear(code, outer)
        self.conv_out = zeroed(nn.Conv2d(outer, outer, 3, padding=1))
        self.beside = nn.Conv2d(inner, outer, 1) if inner != outer else nn.Identity()

    def forward(self, h: Tensor, c: Tensor) -> Tensor:
        """`[B, inner, H, W]` and a code `[B, code]` to `[B, outer, H, W]`."""
        inside = self.conv_in(F.silu(self.norm_in(h))) + self.code(c)[..., None, None]
        out: Tensor = self.beside(h) + self.conv_out(F.silu(self.norm_out(inside)))
        return out


class Attention2d(nn.Module):
    """Every place of an image sees every other."""

    def __init__(self, width: int, heads: int, groups: int) -> None:
        super().__init__()
        self.heads = heads
        self.norm = nn.GroupNorm(groups, width)
        self.qkv = nn.Linear(width, 3 * width)
        self.out = zeroed(nn.Linear(width, width))

    def forward(self, h: Tensor) -> Tensor:
        """`[B, width, H, W]` to the same."""
        places = self.norm(h).flatten(2).transpose(1, 2)
        q, k, value = self.qkv(places).unflatten(-1, (3, self.heads, -1)).permute(2, 0, 3, 1, 4)
        mixed = F.scaled_dot_product_attention(q, k, value).transpose(1, 2).flatten(2)
        out: Tensor = h + self.out(mixed).transpose(1, 2).unflatten(-1, h.shape[2:])
        return out


class Shrink2d(nn.Module):
    """Halves the last axis, and the one before it where `rows` says so."""

    def __init__(self, inner: int, outer: int, rows: bool = True) -> None:
        super().__init__()
        self.conv = nn.Conv2d(inner, outer, 3, stride=(2 if rows else 1, 2), padding=1)

    def forward(self, h: Tensor) -> Tensor:
        """`[B, inner, H, W]` to `[B, outer, H / 2 or H, W / 2]`."""
        out: Tensor = self.conv(h)
        return out


class Grow2d(nn.Module):
    """Doubles the last axis by repetition, and the one before it where `rows` says so, then smooths."""

    def __init__(self, inner: int, outer: int, rows: bool = True) -> None:
        super().__init__()
        self.rows = rows
        self.conv = nn.Conv2d(inner, outer, 3, padding=1)

    def forward(self, h: Tensor) -> Tensor:
        """`[B, inner, H, W]` to `[B, outer, 2 H or H, 2 W]`."""
        h = h.repeat_interleave(2, dim=-1)
        out: Tensor = self.conv(h.repeat_interleave(2, dim=-2) if self.rows else h)
        return out


def padded(h: Tensor, multiple: int) -> Tensor:
    """`[B, C, H, W]` with its last two axes continued at the end to multiples of a number, by their last value."""
    rows, columns = (-size % multiple for size in h.shape[-2:])
    if not rows and not columns:
        return h
    return F.pad(h, (0, columns, 0, rows), mode="replicate")


def images(x: Tensor, channels: int) -> Tensor:
    """Latents `[B, channels * rows, T]` as images `[B, channels, rows, T]`."""
    split: Tensor = x.unflatten(1, (channels, -1))
    return split


def folded(h: Tensor) -> Tensor:
    """Images `[B, channels, rows, T]` as latents `[B, channels * rows, T]`."""
    return torch.flatten(h, 1, 2)
