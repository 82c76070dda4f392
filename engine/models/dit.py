"""The latent denoiser: a transformer with adaLN-zero and relative positions (C.1, Levy et al. 2023; Peebles & Xie 2023)."""

from __future__ import annotations

import math
from dataclasses import dataclass

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from segue.engine.models.carry_memory import Memory
from segue.engine.models.differentiable import Differentiable

ROPE_BASE = 10_000.0  # Su et al. 2021
TIME_SCALE = 1000.0  # t in [0, 1] spread over the usual range of sinusoidal features
TIME_FEATURES = 128


@dataclass(frozen=True)
class DitSpec:
    """Sizes of a Dit.

    channels: C of the latents. patch: frames a token, each with a level of its own. rank: width of the modulation's
    bottleneck. kernel: tokens of the depthwise convolution before the attention, 0 for none: neighbours are seen from the
    first step on. cond_dim: length of a condition, 0 for none. carried: how many of the last channels `v` carries on from
    the context instead of generating them (see carry.py).
    """

    channels: int = 64
    width: int = 320
    layers: int = 6
    heads: int = 5
    hidden: int = 4
    rank: int = 32
    kernel: int = 7
    patch: int = 2
    carried: int = 0
    cond_dim: int = 0

    def __post_init__(self) -> None:
        if self.width % self.heads or (self.width // self.heads) % 2:
            sizes = f"width {self.width} over {self.heads} heads"
            raise ValueError(f"DitSpec: {sizes} gives no even head size; choose a width that is a multiple of 2 * heads")
        if self.kernel and self.kernel % 2 == 0:
            raise ValueError(f"DitSpec: kernel {self.kernel} has no middle; choose an odd number, or 0 for none")


class Dit(Differentiable):
    """v_theta(x_t, t) with one noise level a frame; implements `Denoiser`.

    A frame at t = 0 is context: the network is told so by a further input channel, made from t alone.
    written_attention: attention as matmul, softmax, matmul, which exporters can differentiate, instead of the fused kernel.
    """

    per_frame_t = True

    def __init__(self, spec: DitSpec, written_attention: bool = False) -> None:
        super().__init__()
        self.spec = spec
        self.memory = Memory()
        self.time = TimeEmbedding(spec.rank, spec.cond_dim)
        self.first = nn.Linear(spec.patch * (spec.channels + 1), spec.width)
        self.blocks = nn.ModuleList(Block(spec, written_attention) for _ in range(spec.layers))
        self.last_modulation = _zero(nn.Linear(spec.rank, 2 * spec.width))
        self.last = _zero(nn.Linear(spec.width, spec.patch * spec.channels))

    @property
    def channels(self) -> int:
        """C, the number of latent channels."""
        return self.spec.channels

    def lowered(self, dtype: torch.dtype) -> Dit:
        """This network with its weights in a lower precision, but for the time embedding, which needs its own."""
        for name, child in self.named_children():
            if name != "time":
                child.to(dtype)
        return self

    def forward(self, x_t: Tensor, t: Tensor, cond: Tensor | None = None) -> Tensor:
        """v of `[B, C, T]` at levels t `[B]` or `[B, T]`, with cond `[B, cond_dim]` or None."""
        frames, patch = x_t.shape[-1], self.spec.patch
        t = t[:, None] if t.ndim == 1 else t
        is_context = (t == 0).to(x_t.dtype)[:, None].expand(-1, 1, frames)
        spare = -frames % patch  # a last frame that fills its token
        tokens = F.pad(torch.cat((x_t, is_context), dim=1), (0, spare), mode="replicate").unflatten(-1, (-1, patch))
        c = self.time(t, cond).to(self.first.weight.dtype)
        if t.shape[1] > 1:
            c = F.pad(c.mT, (0, spare), mode="replicate").unflatten(-1, (-1, patch)).mean(dim=-1).mT
        h = self.first(tokens.permute(0, 2, 1, 3).flatten(2))
        rotation = rope(h.shape[1], self.spec.width // self.spec.heads, x_t.device)
        for block in self.blocks:
            h = block(h, c, rotation)
        shift, scale = self.last_modulation(c).chunk(2, dim=-1)
        out: Tensor = self.last(modulate(h, shift, scale)).unflatten(-1, (-1, patch))
        return out.permute(0, 2, 1, 3).flatten(2)[..., :frames]

    def v(self, x_t: Tensor, t: Tensor, cond: Tensor | None = None) -> Tensor:
        """v_theta(x_t, t), of the shape and type of x_t."""
        out: Tensor = self(x_t, t, cond).to(x_t.dtype)
        return self.memory.carried_v(out, x_t, t, self.spec.carried) if self.spec.carried else out


class TimeEmbedding(nn.Module):
    """Levels t to modulation codes `[B, T or 1, rank]`, in full precision even under autocast: bf16 here quadruples the error.

    The code is narrow on purpose. Each block expands it by a matrix rank x 6 width, which is a few per cent of the block,
    so that every frame may have a level of its own without a search for the distinct ones.
    """

    def __init__(self, rank: int, cond_dim: int) -> None:
        super().__init__()
        inner = 2 * TIME_FEATURES
        self.trunk = nn.Sequential(nn.Linear(TIME_FEATURES + cond_dim, inner), nn.SiLU(), nn.Linear(inner, rank), nn.SiLU())
        self.cond_dim = cond_dim
        half = torch.arange(TIME_FEATURES // 2, dtype=torch.float32)
        self.frequencies: Tensor
        self.register_buffer("frequencies", TIME_SCALE * torch.exp(-math.log(ROPE_BASE) * half / half.numel()), persistent=False)

    def forward(self, t: Tensor, cond: Tensor | None) -> Tensor:
        """t `[B, T or 1]`, cond `[B, cond_dim]` or None, which counts as zeros."""
        with torch.autocast(t.device.type, enabled=False):
            exact = next(self.trunk.parameters()).dtype
            angle = t.to(exact)[..., None] * self.frequencies.to(exact)
            features = torch.cat((angle.cos(), angle.sin()), dim=-1)
            if cond is None:
                features = F.pad(features, (0, self.cond_dim))
            elif cond.shape[-1] != self.cond_dim:
                sizes = f"got {cond.shape[-1]} values, this model takes {self.cond_dim}"
                raise ValueError(f"cond: {sizes}; leave cond out, or load a conditional model")
            else:
                features = torch.cat((features, cond.to(exact)[:, None].expand(-1, t.shape[1], -1)), dim=-1)
            code: Tensor = self.trunk(features)
            return code


class Block(nn.Module):
    """Attention and feed-forward, each modulated by t and gated from zero."""

    def __init__(self, spec: DitSpec, written_attention: bool) -> None:
        super().__init__()
        d = spec.width
        self.heads = spec.heads
        self.written_attention = written_attention
        self.modulation = _zero(nn.Linear(spec.rank, 6 * d))
        self.near = nn.Conv1d(d, d, spec.kernel, padding=spec.kernel // 2, groups=d) if spec.kernel else None
        self.qkv = nn.Linear(d, 3 * d)
        self.out = nn.Linear(d, d)
        self.up = nn.Linear(d, spec.hidden * d)
        self.down = nn.Linear(spec.hidden * d, d)

    def forward(self, h: Tensor, c: Tensor, rotation: tuple[Tensor, Tensor]) -> Tensor:
        """h `[B, T, width]`, c `[B, T or 1, rank]`, rotation of `rope`."""
        modulation: Tensor = self.modulation(c)
        shift_a, scale_a, gate_a, shift_m, scale_m, gate_m = modulation.chunk(6, dim=-1)
        h = h + gate_a * self.attend(modulate(h, shift_a, scale_a), rotation)
        m: Tensor = self.down(F.gelu(self.up(modulate(h, shift_m, scale_m)), approximate="tanh"))
        return h + gate_m * m

    def attend(self, h: Tensor, rotation: tuple[Tensor, Tensor]) -> Tensor:
        """Self-attention over all frames, both ways in time."""
        if self.near is not None:
            h = h + self.near(h.transpose(1, 2)).transpose(1, 2)
        q, k, value = self.qkv(h).unflatten(-1, (3, self.heads, -1)).permute(2, 0, 3, 1, 4)
        q, k = (rotate(_unit(a), rotation) for a in (q, k))
        mixed = written_attention(q, k, value) if self.written_attention else F.scaled_dot_product_attention(q, k, value)
        out: Tensor = self.out(mixed.transpose(1, 2).flatten(-2))
        return out


def modulate(h: Tensor, shift: Tensor, scale: Tensor) -> Tensor:
    """Layer norm over channels, then the affine map that t chooses."""
    out: Tensor = F.layer_norm(h, h.shape[-1:]) * (1 + scale) + shift
    return out


def written_attention(q: Tensor, k: Tensor, value: Tensor) -> Tensor:
    """softmax(q k^T / sqrt(d)) value, operator by operator; `[B, heads, T, d]`."""
    weights = (q @ k.transpose(-2, -1) / math.sqrt(q.shape[-1])).softmax(dim=-1)
    mixed: Tensor = weights @ value
    return mixed


def rope(frames: int, size: int, device: torch.device) -> tuple[Tensor, Tensor]:
    """Cosines and sines `[frames, size / 2]` of rotary positions (Su et al. 2021): attention sees their differences only."""
    frequency = ROPE_BASE ** (-torch.arange(0, size, 2, device=device, dtype=torch.float32) / size)
    angle = torch.arange(frames, device=device, dtype=torch.float32)[:, None] * frequency
    return angle.cos(), angle.sin()


def rotate(a: Tensor, rotation: tuple[Tensor, Tensor]) -> Tensor:
    """The two halves of the last axis of `[B, heads, T, size]`, rotated by position."""
    cos, sin = (r.to(a.dtype) for r in rotation)
    x, y = a.chunk(2, dim=-1)
    return torch.cat((x * cos - y * sin, x * sin + y * cos), dim=-1)


def _unit(a: Tensor) -> Tensor:
    """Queries and keys of root-mean-square 1 keep the logits bounded at high learning rates (Henry et al. 2020)."""
    return F.rms_norm(a, a.shape[-1:])


def _zero(layer: nn.Linear) -> nn.Linear:
    nn.init.zeros_(layer.weight)
    nn.init.zeros_(layer.bias)
    return layer
