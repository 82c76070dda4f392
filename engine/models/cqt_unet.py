"""The CQT baseline (section 4.1, Levy et al. 2023): a waveform denoiser whose U-Net works on constant-Q coefficients.

After CQT-Diff (Moliner et al. 2022): the state of the diffusion is the waveform, so the mask of an infill acts on samples;
the transform and its inverse lie inside the denoiser. Octave-wise: the network halves the rate in time as the octaves
themselves do, takes each octave in on its way down and gives it out on its way up, and bands of one pitch stand in one row.
"""

from __future__ import annotations

import math
from dataclasses import dataclass

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from segue.engine.models.blocks2d import Grow2d, Residual2d, Shrink2d, zeroed
from segue.engine.models.cqt import analysed, layout, synthesised
from segue.engine.models.differentiable import Differentiable, whole_window
from segue.engine.models.dit import TimeEmbedding
from segue.engine.paper import over, sigma

SIDES = 2  # left and right
PARTS = 2 * SIDES  # real and imaginary part of both
SOFT = 0.1  # added to sigma where it divides a gain


@dataclass(frozen=True)
class CqtSpec:
    """Sizes of a CqtUnet.

    hop: samples a latent frame, of both sides. bands: an octave. octaves: below the Nyquist frequency; what lies below them
    is a group more. widths: channels, one an octave from the highest. blocks: residual blocks an octave and way. groups: of
    the normalisation. code: width of the level's embedding. patch: bands and coefficients in time that make one place of the
    network. direct: the coefficients themselves are added to v, by a gain a band that follows the level. gained: the network
    also says a gain for each of them, equal for both sides and parts: noise where nothing sounds need not pass through it.
    """

    hop: int = 256
    bands: int = 32
    octaves: int = 8
    widths: tuple[int, ...] = (64, 96, 96, 128, 128, 128, 256, 256)
    blocks: int = 2
    groups: int = 16
    code: int = 256
    patch: tuple[int, int] = (1, 1)
    direct: bool = False
    gained: bool = False

    def __post_init__(self) -> None:
        for name in ("widths", "patch"):
            object.__setattr__(self, name, tuple(getattr(self, name)))  # JSON knows lists only
        if len(self.widths) != self.octaves or any(width % self.groups for width in self.widths):
            sizes = f"widths {self.widths} for {self.octaves} octaves in {self.groups} groups"
            raise ValueError(f"CqtSpec: got {sizes}; one width an octave, each a multiple of groups")
        if len(self.patch) != 2 or min(self.patch) < 1 or self.bands % self.patch[0]:
            sizes = f"a patch {self.patch} of {self.bands} bands"
            raise ValueError(f"CqtSpec: got {sizes}; give two numbers from 1 up, the first a divisor of bands")

    @property
    def channels(self) -> int:
        """C of the latents: the samples of a hop, left and then right."""
        return SIDES * self.hop


def samples_of(x: Tensor) -> Tensor:
    """Latents `[B, 2 * hop, T]` as samples `[B, 2, T * hop]`."""
    audio: Tensor = x.unflatten(1, (SIDES, -1)).transpose(2, 3).flatten(2)
    return audio


def frames_of(audio: Tensor, hop: int) -> Tensor:
    """Samples `[B, 2, T * hop]` as latents `[B, 2 * hop, T]`."""
    x: Tensor = audio.unflatten(-1, (-1, hop)).transpose(2, 3).flatten(1, 2)
    return x


def patched(h: Tensor, patch: tuple[int, int]) -> Tensor:
    """`[B, C, rows * r, columns * c]` as `[B, C * r * c, rows, columns]`."""
    r, c = patch
    places: Tensor = h.unflatten(3, (-1, c)).unflatten(2, (-1, r)).permute(0, 1, 3, 5, 2, 4).flatten(1, 3)
    return places


def unpatched(h: Tensor, patch: tuple[int, int]) -> Tensor:
    """The inverse of `patched`."""
    r, c = patch
    grid: Tensor = h.unflatten(1, (-1, r, c)).permute(0, 1, 4, 2, 5, 3).flatten(4, 5).flatten(2, 3)
    return grid


def real_of(c: Tensor) -> Tensor:
    """Complex `[B, 2, bands, M]` as real `[B, 4, bands, M]`."""
    return torch.cat((c.real, c.imag), dim=1)


def complex_of(h: Tensor) -> Tensor:
    """Real `[B, 4, bands, M]` as complex `[B, 2, bands, M]`."""
    return torch.complex(h[:, :SIDES], h[:, SIDES:])


class CqtUnet(Differentiable):
    """v_theta(x_t, t) with one level for the whole window; implements `Denoiser`. Takes any number of frames."""

    per_frame_t = False

    def __init__(self, spec: CqtSpec) -> None:
        super().__init__()
        self.spec = spec
        deepest = spec.octaves - 1
        self.time = TimeEmbedding(spec.code, 0)
        rows = spec.bands // spec.patch[0]
        kernel, edges = ((3, 3), (1, 1)) if rows > 1 else ((1, 3), (0, 1))
        self.rows = nn.ParameterList(nn.Parameter(torch.zeros(width, rows, 1)) for width in spec.widths)
        self.takes, self.gives = nn.ModuleList(), nn.ModuleList()
        self.direct = zeroed(nn.Linear(spec.code, spec.bands * (spec.octaves + 1))) if spec.direct else None
        self.downs, self.ups, self.shrinks, self.grows, self.gains = (nn.ModuleList() for _ in range(5))
        for octave, width in enumerate(spec.widths):
            groups = 1 + (octave == deepest)  # the group below the octaves has the rate of the lowest one
            parts = groups * PARTS * math.prod(spec.patch)
            self.takes.append(nn.Conv2d(parts, width, kernel, padding=edges))
            self.gives.append(zeroed(nn.Conv2d(width, parts, kernel, padding=edges)))
            if spec.gained:
                self.gains.append(zeroed(nn.Conv2d(width, parts // PARTS, kernel, padding=edges)))
            self.downs.append(Blocks(spec, 2 * width if octave else width, width))
            self.ups.append(Blocks(spec, 2 * width if octave < deepest else width, width))
            if octave < deepest:
                self.shrinks.append(Shrink2d(width, spec.widths[octave + 1], rows=False))
                self.grows.append(Grow2d(spec.widths[octave + 1], width, rows=False))

    @property
    def channels(self) -> int:
        """C, the samples of a hop on both sides."""
        return self.spec.channels

    def forward(self, x_t: Tensor, t: Tensor, cond: Tensor | None = None) -> Tensor:
        """v of `[B, 2 * hop, T]` at levels t `[B]`. Raises ValueError for a level per frame or a condition."""
        spec = self.spec
        level = whole_window(t, cond)
        c = self.time(level[:, None], None)[:, 0].to(self.rows[0].dtype)
        audio = samples_of(x_t)
        groups = analysed(audio, spec.bands, spec.octaves, spec.patch[1])
        scales = _scales(audio.shape[-1], spec)
        parts = [real_of(group) * scale for group, scale in zip(groups, scales, strict=True)]
        answers = self._network([*parts[:-2], torch.cat(parts[-2:], dim=1)], c, level)
        lowest = answers.pop().chunk(2, dim=1)
        answers = self._with_direct([*answers, *lowest], parts, c)
        made = [complex_of(answer.to(audio.dtype) / scale) for answer, scale in zip(answers, scales, strict=True)]
        return frames_of(synthesised(made, audio.shape[-1], spec.bands, spec.octaves, spec.patch[1]), spec.hop)

    def _with_direct(self, answers: list[Tensor], parts: list[Tensor], c: Tensor) -> list[Tensor]:
        """The answers of all groups `[B, 4, bands, M]`, with what came in at its gains where the spec says so."""
        if self.direct is None:
            return answers
        gains = self.direct(c)[:, None, :, None].chunk(len(parts), dim=2)
        return [answer + gain * part for answer, gain, part in zip(answers, gains, parts, strict=True)]

    def _network(self, parts: list[Tensor], c: Tensor, level: Tensor) -> list[Tensor]:
        """Coefficients of the octaves `[B, 4 or 8, bands, M]`, the highest first, to v of the same shapes."""
        passed: list[Tensor] = []
        h = None
        for octave, part in enumerate(parts):
            taken = self.takes[octave](patched(part, self.spec.patch)) + self.rows[octave]
            h = taken if h is None else torch.cat((self.shrinks[octave - 1](h), taken), dim=1)
            h = self.downs[octave](h, c)
            passed.append(h)
        answers: list[Tensor] = []
        for octave in reversed(range(len(parts))):
            h = passed[octave] if not answers else torch.cat((self.grows[octave](h), passed[octave]), dim=1)
            h = self.ups[octave](h, c)
            answers.append(self._given(octave, F.silu(h), parts[octave], level))
        return answers[::-1]

    def _given(self, octave: int, h: Tensor, part: Tensor, level: Tensor) -> Tensor:
        """The answer of an octave: what it makes, and what it passes on where the spec says so."""
        made = unpatched(self.gives[octave](h), self.spec.patch)
        if not self.spec.gained:
            return made
        # v = (alpha x_t - x_0) / sigma: where nothing sounds the gain is alpha / sigma, bounded here so that no level decides
        gains = unpatched(self.gains[octave](h), self.spec.patch) / over(sigma(level) + SOFT, made)
        return made + gains.repeat_interleave(PARTS, dim=1) * part

    def v(self, x_t: Tensor, t: Tensor, cond: Tensor | None = None) -> Tensor:
        """v_theta(x_t, t), of the shape and type of x_t."""
        return self(x_t, t, cond).to(x_t.dtype)  # type: ignore[no-any-return]


class Blocks(nn.Module):
    """The residual blocks of one octave and way."""

    def __init__(self, spec: CqtSpec, inner: int, width: int) -> None:
        super().__init__()
        sizes = [inner, *[width] * (spec.blocks - 1)]
        self.blocks = nn.ModuleList(Residual2d(size, width, spec.code, spec.groups) for size in sizes)

    def forward(self, h: Tensor, c: Tensor) -> Tensor:
        """`[B, inner, bands, M]` and the level's code `[B, code]` to `[B, width, bands, M]`."""
        for block in self.blocks:
            h = block(h, c)
        return h


def _scales(samples: int, spec: CqtSpec) -> list[float]:
    """What brings each group's parts to unit variance where the waveform is white noise: the frame itself shrinks them."""
    where = layout(samples, spec.bands, spec.octaves, multiple=spec.patch[1])
    # E |c|^2 = sum g^2 / M a coefficient, half of it real
    return [math.sqrt(2 * weight.numel() / float(weight.square().sum())) for weight in where.weights]
