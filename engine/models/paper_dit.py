"""The latent denoiser as printed: DiT with adaLN-zero and relative positions (C.1, Levy et al. 2023; Peebles & Xie 2023).

It "follows [DiT] closely, the main difference being the addition of a relative positional encoding": DiT's sines stay.
One level for the whole window. The modulation by t is one map that all layers share, with a learned offset of each layer's
own (Chen et al. 2023): 32 x 1536 then has 0.92 billion parameters. A map a layer would make 1.36; the paper says 1.
"""

from __future__ import annotations

import math
from dataclasses import dataclass

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from segue.engine.models.differentiable import Differentiable, whole_window
from segue.engine.models.dit import ROPE_BASE, TimeEmbedding, modulate


@dataclass(frozen=True)
class PaperDitSpec:
    """Sizes of a PaperDit. channels: C of the latents. clip: frames beyond which all distances are alike (Shaw et al. 2018)."""

    channels: int = 32
    width: int = 1536
    layers: int = 32
    heads: int = 24
    hidden: int = 4
    clip: int = 256

    def __post_init__(self) -> None:
        if self.width % self.heads or self.width % 2:
            raise ValueError(f"PaperDitSpec: width {self.width} over {self.heads} heads; choose an even multiple of heads")


class PaperDit(Differentiable):
    """v_theta(x_t, t) with one level for the whole window; implements `Denoiser`."""

    per_frame_t = False

    def __init__(self, spec: PaperDitSpec) -> None:
        super().__init__()
        self.spec = spec
        d = spec.width
        self.time = TimeEmbedding(d, 0)
        self.modulation = nn.Linear(d, 6 * d)
        self.last_modulation = nn.Linear(d, 2 * d)
        self.first = nn.Linear(spec.channels, d)
        self.blocks = nn.ModuleList(RelativeBlock(spec) for _ in range(spec.layers))
        self.last = nn.Linear(d, spec.channels)
        for layer in (self.modulation, self.last_modulation, self.last):
            nn.init.zeros_(layer.weight)
            nn.init.zeros_(layer.bias)

    @property
    def channels(self) -> int:
        """C, the number of latent channels."""
        return self.spec.channels

    def forward(self, x_t: Tensor, t: Tensor, cond: Tensor | None = None) -> Tensor:
        """v of `[B, C, T]` at levels t `[B]`. Raises ValueError for a level per frame or a condition."""
        c = self.time(whole_window(t, cond)[:, None], None).to(self.first.weight.dtype)
        shared: Tensor = self.modulation(c)
        distances = relative_distances(x_t.shape[-1], self.spec.clip, x_t.device)
        h = self.first(x_t.transpose(1, 2))
        h = h + places(h)
        for block in self.blocks:
            h = block(h, shared, distances)
        shift, scale = self.last_modulation(c).chunk(2, dim=-1)
        v: Tensor = self.last(modulate(h, shift, scale)).transpose(1, 2)
        return v

    def v(self, x_t: Tensor, t: Tensor, cond: Tensor | None = None) -> Tensor:
        """v_theta(x_t, t), of the shape and type of x_t."""
        return self(x_t, t, cond).to(x_t.dtype)  # type: ignore[no-any-return]


class RelativeBlock(nn.Module):
    """Attention that knows distances, and feed-forward; each modulated by t and gated from zero."""

    def __init__(self, spec: PaperDitSpec) -> None:
        super().__init__()
        d = spec.width
        self.heads = spec.heads
        self.offset = nn.Parameter(torch.zeros(6 * d))
        self.qkv = nn.Linear(d, 3 * d)
        self.distance = nn.Parameter(torch.zeros(2 * spec.clip + 1, d // spec.heads))
        self.out = nn.Linear(d, d)
        self.up = nn.Linear(d, spec.hidden * d)
        self.down = nn.Linear(spec.hidden * d, d)

    def forward(self, h: Tensor, shared: Tensor, distances: Tensor) -> Tensor:
        """h `[B, T, width]`, shared `[B, 1, 6 width]`, distances of `relative_distances`."""
        shift_a, scale_a, gate_a, shift_m, scale_m, gate_m = (shared + self.offset).chunk(6, dim=-1)
        h = h + gate_a * self.attend(modulate(h, shift_a, scale_a), distances)
        m: Tensor = self.down(F.gelu(self.up(modulate(h, shift_m, scale_m)), approximate="tanh"))
        return h + gate_m * m

    def attend(self, h: Tensor, distances: Tensor) -> Tensor:
        """softmax((q_i . k_j + q_i . a_{j - i}) / sqrt(d)) v_j: relative positions on the keys, shared by the heads."""
        q, k, value = self.qkv(h).unflatten(-1, (3, self.heads, -1)).permute(2, 0, 3, 1, 4)
        near = skewed(q @ self.distance[distances].mT.to(q.dtype))
        weights = ((q @ k.mT + near) / math.sqrt(q.shape[-1])).softmax(dim=-1)
        out: Tensor = self.out((weights @ value).transpose(1, 2).flatten(-2))
        return out


def relative_distances(frames: int, clip: int, device: torch.device) -> Tensor:
    """`[2 frames - 1]`: where the distances -(frames - 1) ... frames - 1, cut at +-clip, stand in a table of 2 clip + 1."""
    return torch.arange(1 - frames, frames, device=device).clamp(-clip, clip) + clip


def skewed(by_distance: Tensor) -> Tensor:
    """`[..., T, 2 T - 1]`, columns by the distance j - i, to `[..., T, T]`, columns by j.

    With one more column, element (i, j - i + T - 1) lies at i 2T + j - i + T - 1 = (T - 1) + i (2T - 1) + j: rows of
    2T - 1 that begin at T - 1.
    """
    frames = by_distance.shape[-2]
    flat = F.pad(by_distance, (0, 1)).flatten(-2)[..., frames - 1 : frames - 1 + frames * (2 * frames - 1)]
    rows: Tensor = flat.unflatten(-1, (frames, 2 * frames - 1))
    return rows[..., :frames]


def places(h: Tensor) -> Tensor:
    """`[T, width]`: the fixed sines of Peebles & Xie 2023 for the places of h `[B, T, width]`."""
    half = torch.arange(h.shape[-1] // 2, device=h.device, dtype=torch.float32)
    angle = torch.arange(h.shape[-2], device=h.device)[:, None] * ROPE_BASE ** (-half / half.numel())
    return torch.cat((angle.sin(), angle.cos()), dim=-1).to(h.dtype)
