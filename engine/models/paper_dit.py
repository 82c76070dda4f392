"""The latent denoiser as printed: DiT with adaLN-zero and relative positions (C.1, Levy et al. 2023; Peebles & Xie 2023).

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
from segue.engine.models.dit import TimeEmbedding, modulate


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
        if self.width % self.heads:
            raise ValueError(f"PaperDitSpec: width {self.width} over {self.heads} heads; choose a multiple of heads")


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
        distances = relative_index(x_t.shape[-1], self.spec.clip, x_t.device)
        h = self.first(x_t.transpose(1, 2))
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
        """h `[B, T, width]`, shared `[B, 1, 6 width]`, distances of `relative_index`."""
        shift_a, scale_a, gate_a, shift_m, scale_m, gate_m = (shared + self.offset).chunk(6, dim=-1)
        h = h + gate_a * self.attend(modulate(h, shift_a, scale_a), distances)
        m: Tensor = self.down(F.gelu(self.up(modulate(h, shift_m, scale_m)), approximate="tanh"))
        return h + gate_m * m

    def attend(self, h: Tensor, distances: Tensor) -> Tensor:
        """softmax((q_i . k_j + q_i . a_{j - i}) / sqrt(d)) v_j: relative positions on the keys, shared by the heads."""
        q, k, value = self.qkv(h).unflatten(-1, (3, self.heads, -1)).permute(2, 0, 3, 1, 4)
        near = (q @ self.distance.mT.to(q.dtype)).gather(-1, distances.expand(*q.shape[:2], -1, -1))
        weights = ((q @ k.mT + near) / math.sqrt(q.shape[-1])).softmax(dim=-1)
        out: Tensor = self.out((weights @ value).transpose(1, 2).flatten(-2))
        return out


def relative_index(frames: int, clip: int, device: torch.device) -> Tensor:
    """`[frames, frames]`: where j - i, cut at +-clip, stands in a table of 2 clip + 1 distances."""
    place = torch.arange(frames, device=device)
    return (place - place[:, None]).clamp(-clip, clip) + clip
