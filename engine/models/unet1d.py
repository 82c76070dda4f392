"""The waveform denoiser: a 1-D U-Net after Rombach et al. 2022 (C.1, Levy et al. 2023), one level for the whole window.

Residual blocks at falling rates on the way down and again on the way up, each level joined to its opposite, with
attention at the lowest rates. It normalises over groups of channels and the whole window, which a denoiser may.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from segue.engine.models.blocks2d import zeroed
from segue.engine.models.differentiable import Differentiable, whole_window
from segue.engine.models.dit import TimeEmbedding


@dataclass(frozen=True)
class UnetSpec:
    """Sizes of a Unet1d.

    channels: C of the latents. width: channels at the full rate; more than C, since all of the noise must pass.
    multipliers: of width, one a level; each level but the last halves the rate. blocks: residual blocks a level on the way
    down, one more on the way up. attention: how many of the lowest levels have it, in so many heads. groups: of the
    normalisation. kernel: positions of a convolution. direct: x_t itself is added to v, by a gain that follows the level: then
    width need not exceed C.
    """

    channels: int = 64
    width: int = 256
    multipliers: tuple[int, ...] = (1, 2, 4, 4, 5, 5)
    blocks: int = 2
    attention: int = 2
    heads: int = 8
    groups: int = 32
    kernel: int = 3
    direct: bool = False

    def __post_init__(self) -> None:
        object.__setattr__(self, "multipliers", tuple(self.multipliers))  # JSON knows lists only
        if self.width % self.groups or self.width % self.heads:
            sizes = f"width {self.width} in {self.groups} groups and {self.heads} heads"
            raise ValueError(f"UnetSpec: {sizes}; choose a width that is a multiple of both")
        if not self.multipliers or self.kernel % 2 == 0:
            raise ValueError(f"UnetSpec: multipliers {self.multipliers}, kernel {self.kernel}; one level at least, an odd kernel")

    @property
    def multiple(self) -> int:
        """Frames that the lowest rate needs one of."""
        return 1 << (len(self.multipliers) - 1)


class Unet1d(Differentiable):
    """v_theta(x_t, t) with one level for the whole window; implements `Denoiser`. Takes any number of frames."""

    per_frame_t = False

    def __init__(self, spec: UnetSpec) -> None:
        super().__init__()
        self.spec = spec
        widths = [spec.width * m for m in spec.multipliers]
        deepest = len(widths) - 1
        self.time = TimeEmbedding(4 * spec.width, 0)
        self.first = nn.Conv1d(spec.channels, spec.width, spec.kernel, padding=spec.kernel // 2)
        self.downs, self.ups = nn.ModuleList(), nn.ModuleList()
        passed, now = [spec.width], spec.width
        for level, width in enumerate(widths):
            stages = [Stage(spec, a, width, level) for a in (now, *[width] * (spec.blocks - 1))]
            shrink = Shrink(width, spec.kernel) if level < deepest else nn.Identity()
            self.downs.append(nn.ModuleList([*stages, shrink]))
            passed += [width] * (spec.blocks + (level < deepest))
            now = width
        self.middle = nn.ModuleList([Stage(spec, now, now, deepest), Residual(spec, now, now)])
        for level in reversed(range(len(widths))):
            stages = []
            for _ in range(spec.blocks + 1):
                stages.append(Stage(spec, now + passed.pop(), widths[level], level))
                now = widths[level]
            self.ups.append(nn.ModuleList([*stages, Grow(now, spec.kernel) if level else nn.Identity()]))
        self.norm = nn.GroupNorm(spec.groups, now)
        self.last = zeroed(nn.Conv1d(now, spec.channels, spec.kernel, padding=spec.kernel // 2))
        self.direct = zeroed(nn.Linear(4 * spec.width, spec.channels)) if spec.direct else None

    @property
    def channels(self) -> int:
        """C, the number of channels of the folded frames."""
        return self.spec.channels

    def forward(self, x_t: Tensor, t: Tensor, cond: Tensor | None = None) -> Tensor:
        """v of `[B, C, T]` at levels t `[B]`. Raises ValueError for a level per frame or a condition."""
        frames = x_t.shape[-1]
        c = self.time(whole_window(t, cond)[:, None], None)[:, 0].to(self.first.weight.dtype)
        h = self.first(F.pad(x_t, (0, -frames % self.spec.multiple), mode="replicate"))
        passed = [h]
        for stages in self.downs:
            h = self._down(h, c, _parts(stages), passed)
        for stage in self.middle:
            h = stage(h, c)
        for stages in self.ups:
            *blocks, grow = _parts(stages)
            for block in blocks:
                h = block(torch.cat((h, passed.pop()), dim=1), c)
            h = grow(h)
        v: Tensor = self.last(F.silu(self.norm(h)))[..., :frames]
        return v if self.direct is None else v + self.direct(c)[..., None] * x_t

    @staticmethod
    def _down(h: Tensor, c: Tensor, stages: Sequence[nn.Module], passed: list[Tensor]) -> Tensor:
        *blocks, shrink = stages
        for block in blocks:
            h = block(h, c)
            passed.append(h)
        if isinstance(shrink, Shrink):
            h = shrink(h)
            passed.append(h)
        return h

    def v(self, x_t: Tensor, t: Tensor, cond: Tensor | None = None) -> Tensor:
        """v_theta(x_t, t), of the shape and type of x_t."""
        return self(x_t, t, cond).to(x_t.dtype)  # type: ignore[no-any-return]


class Stage(nn.Module):
    """A residual block, and attention after it at the lowest levels."""

    def __init__(self, spec: UnetSpec, inner: int, outer: int, level: int) -> None:
        super().__init__()
        self.residual = Residual(spec, inner, outer)
        low = level >= len(spec.multipliers) - spec.attention
        self.attention = Attention(outer, spec.heads, spec.groups) if low else nn.Identity()

    def forward(self, h: Tensor, c: Tensor) -> Tensor:
        """`[B, inner, T]` and the level's code `[B, 4 width]` to `[B, outer, T]`."""
        out: Tensor = self.attention(self.residual(h, c))
        return out


class Residual(nn.Module):
    """Two convolutions beside an identity; between them the level's code scales and shifts each channel.

    Of the two ways that Rombach et al. have, this one: v = (alpha x_t - x_0) / sigma asks for gains that follow the level.
    """

    def __init__(self, spec: UnetSpec, inner: int, outer: int) -> None:
        super().__init__()
        self.norm_in, self.norm_out = nn.GroupNorm(spec.groups, inner), nn.GroupNorm(spec.groups, outer)
        self.conv_in = nn.Conv1d(inner, outer, spec.kernel, padding=spec.kernel // 2)
        self.code = nn.Linear(4 * spec.width, 2 * outer)
        self.conv_out = zeroed(nn.Conv1d(outer, outer, spec.kernel, padding=spec.kernel // 2))
        self.beside = nn.Conv1d(inner, outer, 1) if inner != outer else nn.Identity()

    def forward(self, h: Tensor, c: Tensor) -> Tensor:
        """`[B, inner, T]` to `[B, outer, T]`."""
        scale, shift = self.code(c)[..., None].chunk(2, dim=1)
        inside = self.norm_out(self.conv_in(F.silu(self.norm_in(h)))) * (1 + scale) + shift
        out: Tensor = self.beside(h) + self.conv_out(F.silu(inside))
        return out


class Attention(nn.Module):
    """Self-attention over all positions of one rate, added to what it sees."""

    def __init__(self, width: int, heads: int, groups: int) -> None:
        super().__init__()
        self.heads = heads
        self.norm = nn.GroupNorm(groups, width)
        self.qkv = nn.Conv1d(width, 3 * width, 1)
        self.out = zeroed(nn.Conv1d(width, width, 1))

    def forward(self, h: Tensor) -> Tensor:
        """`[B, C, T]` to the same."""
        q, k, value = self.qkv(self.norm(h)).unflatten(1, (3, self.heads, -1)).transpose(-1, -2).unbind(1)
        weights = (q @ k.mT / math.sqrt(q.shape[-1])).softmax(dim=-1)
        out: Tensor = h + self.out((weights @ value).mT.flatten(1, 2))
        return out


class Shrink(nn.Module):
    """Half the rate, by a convolution of stride 2."""

    def __init__(self, width: int, kernel: int) -> None:
        super().__init__()
        self.conv = nn.Conv1d(width, width, kernel, stride=2, padding=kernel // 2)

    def forward(self, h: Tensor) -> Tensor:
        """`[B, C, 2 T]` to `[B, C, T]`."""
        out: Tensor = self.conv(h)
        return out


class Grow(nn.Module):
    """Twice the rate: every position twice, then a convolution."""

    def __init__(self, width: int, kernel: int) -> None:
        super().__init__()
        self.conv = nn.Conv1d(width, width, kernel, padding=kernel // 2)

    def forward(self, h: Tensor) -> Tensor:
        """`[B, C, T]` to `[B, C, 2 T]`."""
        out: Tensor = self.conv(h.repeat_interleave(2, dim=-1))
        return out


def _parts(stages: nn.Module) -> list[nn.Module]:
    assert isinstance(stages, nn.ModuleList)
    return list(stages)
