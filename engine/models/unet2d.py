"""The slides' denoiser: a 2-D U-Net over mel images or their latents, after Ho et al. 2020, with or without a condition.

The condition is a vector, a class as one-hot or an embedding; no condition is zeros. A network that was trained with some of
its conditions left out is both a conditional and an unconditional model (Ho & Salimans 2022).
"""

from __future__ import annotations

from dataclasses import dataclass

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from segue.engine.models.blocks2d import Attention2d, Grow2d, Residual2d, Shrink2d, folded, images, padded, zeroed
from segue.engine.models.differentiable import Differentiable, whole_window
from segue.engine.models.dit import TimeEmbedding


@dataclass(frozen=True)
class Unet2dSpec:
    """Sizes of a Unet2d.

    channels: C of the latents, `images` times the rows of one. width: channels at full size. multipliers: of width, one a
    level; each level but the last halves both axes. blocks: residual blocks a level on the way down, one more on the way up.
    attention: the levels that have it, from 0. head: size of an attention head. groups: of the normalisation. cond_dim:
    length of a condition, 0 for none.
    """

    channels: int = 256
    images: int = 1
    width: int = 128
    multipliers: tuple[int, ...] = (1, 1, 2, 2, 4, 4)
    blocks: int = 2
    attention: tuple[int, ...] = (4,)
    head: int = 64
    groups: int = 32
    cond_dim: int = 0

    def __post_init__(self) -> None:
        for name in ("multipliers", "attention"):
            object.__setattr__(self, name, tuple(getattr(self, name)))  # JSON knows lists only
        if not self.multipliers or self.channels % self.images:
            sizes = f"{self.channels} channels of {self.images} images, multipliers {self.multipliers}"
            raise ValueError(f"Unet2dSpec: got {sizes}; whole rows an image, one level at least")
        if self.width % self.groups or self.width % self.head:
            sizes = f"width {self.width} in {self.groups} groups and heads of {self.head}"
            raise ValueError(f"Unet2dSpec: got {sizes}; choose a width that is a multiple of both")

    @property
    def multiple(self) -> int:
        """Rows and frames that the lowest level needs one of."""
        return int(2 ** (len(self.multipliers) - 1))


class Unet2d(Differentiable):
    """v_theta(x_t, t) with one level for the whole window; implements `Denoiser`. Takes any number of frames."""

    per_frame_t = False

    def __init__(self, spec: Unet2dSpec) -> None:
        super().__init__()
        self.spec = spec
        widths = [spec.width * m for m in spec.multipliers]
        deepest, code = len(widths) - 1, 4 * spec.width
        self.time = TimeEmbedding(code, 0)
        self.condition = nn.Linear(spec.cond_dim, code, bias=False) if spec.cond_dim else None
        self.first = nn.Conv2d(spec.images, spec.width, 3, padding=1)
        self.downs, self.ups = nn.ModuleList(), nn.ModuleList()
        passed, now = [spec.width], spec.width
        for level, width in enumerate(widths):
            for _ in range(spec.blocks):
                self.downs.append(Stage(spec, now, width, level in spec.attention))
                passed.append(width)
                now = width
            if level < deepest:
                self.downs.append(Shrink2d(now, now))
                passed.append(now)
        self.middle = nn.ModuleList([Stage(spec, now, now, True), Stage(spec, now, now, False)])
        for level in reversed(range(len(widths))):
            for _ in range(spec.blocks + 1):
                self.ups.append(Stage(spec, now + passed.pop(), widths[level], level in spec.attention))
                now = widths[level]
            if level:
                self.ups.append(Grow2d(now, now))
        self.norm = nn.GroupNorm(spec.groups, now)
        self.last = zeroed(nn.Conv2d(now, spec.images, 3, padding=1))

    @property
    def channels(self) -> int:
        """C, the rows of all images of a frame."""
        return self.spec.channels

    def forward(self, x_t: Tensor, t: Tensor, cond: Tensor | None = None) -> Tensor:
        """v of `[B, C, T]` at levels t `[B]`, with cond `[B, cond_dim]` or None. Raises ValueError for a level per frame."""
        c = self._code(whole_window(t, None), cond).to(self.first.weight.dtype)
        image = images(x_t, self.spec.images)
        rows, frames = image.shape[-2:]
        h = self.first(padded(image, self.spec.multiple))
        passed = [h]
        for layer in self.downs:
            h = layer(h, c) if isinstance(layer, Stage) else layer(h)
            passed.append(h)
        for layer in self.middle:
            h = layer(h, c)
        for layer in self.ups:
            h = layer(torch.cat((h, passed.pop()), dim=1), c) if isinstance(layer, Stage) else layer(h)
        return folded(self.last(F.silu(self.norm(h)))[..., :rows, :frames])

    def _code(self, t: Tensor, cond: Tensor | None) -> Tensor:
        """`[B, 4 width]`: the level's code, and the condition's added to it."""
        c: Tensor = self.time(t[:, None], None)[:, 0]
        if cond is None:
            return c
        if self.condition is None or cond.shape[-1] != self.spec.cond_dim:
            sizes = f"got {cond.shape[-1]} values, this model takes {self.spec.cond_dim}"
            raise ValueError(f"cond: {sizes}; leave cond out, or load a model of that condition")
        told: Tensor = self.condition(cond.to(c))
        return c + told

    def v(self, x_t: Tensor, t: Tensor, cond: Tensor | None = None) -> Tensor:
        """v_theta(x_t, t), of the shape and type of x_t."""
        return self(x_t, t, cond).to(x_t.dtype)  # type: ignore[no-any-return]


class Stage(nn.Module):
    """A residual block, and attention after it where wanted."""

    def __init__(self, spec: Unet2dSpec, inner: int, outer: int, attends: bool) -> None:
        super().__init__()
        self.residual = Residual2d(inner, outer, 4 * spec.width, spec.groups)
        self.attention = Attention2d(outer, outer // spec.head, spec.groups) if attends else nn.Identity()

    def forward(self, h: Tensor, c: Tensor) -> Tensor:
        """`[B, inner, H, W]` and the level's code `[B, 4 width]` to `[B, outer, H, W]`."""
        out: Tensor = self.attention(self.residual(h, c))
        return out
