"""Restores a recording of any length, window by window: each is conditioned on the one before and crossfaded into it."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass, replace

import numpy as np
import torch
from torch import Tensor

from segue.engine import noise
from segue.engine.compose import Audio, encode
from segue.engine.damage import Clip, Damage, Gaps, heard
from segue.engine.guidance import enter
from segue.engine.models.spec import Model
from segue.engine.paper import levels, xi_at
from segue.engine.samplers import sampler
from segue.engine.shapes import constant_power
from segue.engine.task import Measured, Sources
from segue.engine.tasks import restore

FADE = 8  # latent frames over which a window is faded into the next

# (first sample, n) -> `[2, n]` at the model's rate, silence outside the recording
Read = Callable[[int, int], Audio]


@dataclass(frozen=True)
class Repair:
    """How a recording is restored. gain: linear, from its level to the model's. xi as in `Request`."""

    damage: Damage
    gain: float = 1.0
    T: float = restore.START.default
    weight: float = restore.WEIGHT.default
    steps: int = 8
    seed: int = 0
    xi: float | None = None
    regime: str = "clean"


@dataclass(frozen=True)
class _Window:
    """One window as it was made: where it begins, its latents, and its audio mended, at the recording's level."""

    first: int
    latents: Tensor
    audio: Audio


class Restorer:
    """Restores with one model. Memory does not grow with the recording."""

    def __init__(self, model: Model) -> None:
        """model: as `backends.make` gives it."""
        self.model = model
        self._hop, self._size = model.codec.hop, model.window_frames
        self._reach = model.codec.receptive_frames
        self._overlap = 2 * self._reach + FADE
        if self._overlap >= self._size:
            raise ValueError(f"restore: {model.name} has windows of {self._size} frames, its codec overlaps {self._overlap}")

    @property
    def step(self) -> int:
        """Samples from one window to the next."""
        return (self._size - self._overlap) * self._hop

    def windows(self, length: int) -> int:
        """How many windows a recording of so many samples takes."""
        return max(1, -(-(length - self._overlap * self._hop) // self.step))

    def pieces(self, read: Read, length: int, repair: Repair) -> Iterator[Audio]:
        """The recording anew, `[2, length]` in all, a piece for each window."""
        before: _Window | None = None
        fade, reach, span = FADE * self._hop, self._reach * self._hop, self._size * self._hop
        count = self.windows(length)
        for number in range(count):
            first = number * self.step
            window = self._window(read(first, span), first, number, before, repair)
            audio = window.audio
            # the window before is decoded well up to `reach` before its end, this one from `reach` on
            if before is not None:
                new = audio[:, reach : reach + fade]
                old = before.audio[:, self.step + reach : self.step + reach + fade]
                new += _leaving(fade) * (old - new)  # and no rounding where both are what the recording kept
            begin = reach if number else 0
            end = length - first if number == count - 1 else self.step + reach
            yield audio[:, begin:end]
            before = window

    @torch.no_grad()
    def _window(self, y: Audio, first: int, number: int, before: _Window | None, repair: Repair) -> _Window:
        codec, damage = self.model.codec, _shifted(repair.damage, first)
        gained = y * np.float32(repair.gain)
        x_bar = encode(codec, gained, self._size)
        known = torch.zeros(self._size, dtype=torch.bool)
        if before is not None:
            held = self._reach + FADE
            x_bar[..., :held] = before.latents[..., self._size - self._overlap : self._size - self._overlap + held]
            known[:held] = True
        if isinstance(damage, Gaps):
            known |= self._untouched(damage)
        if bool(known.all()) or not np.abs(y).max() > 0:
            return _Window(first, x_bar, y.copy())
        latents = self._solve(x_bar, known, damage, gained, first, number, repair)
        decoded = codec.decode(latents, first // self._hop)[0].cpu().numpy().astype(np.float32) / np.float32(repair.gain)
        return _Window(first, latents, damage.mend(y, np.ascontiguousarray(decoded)))

    def _untouched(self, gaps: Gaps) -> Tensor:
        """Frames whose latents see nothing of a gap."""
        hurt = ~gaps.kept(self._size * self._hop).reshape(self._size, self._hop).all(axis=1)
        sees = int(getattr(self.model.codec, "encoder_receptive_frames", self._reach))
        return torch.from_numpy(np.convolve(hurt, np.ones(2 * min(sees, LOOK) + 1), mode="same") == 0)

    def _solve(self, x_bar: Tensor, known: Tensor, damage: Damage, y: Audio, first: int, number: int, repair: Repair) -> Tensor:
        codec, denoiser, spec = self.model.codec, self.model.denoiser, self.model.spec
        level = _scaled(damage, repair.gain)

        def A(x: Tensor) -> Tensor:
            return heard(level(codec.decode(x, first // self._hop))).to(x)

        wanted = heard(level(torch.from_numpy(y)[None]))
        guided = repair.weight > 0 and not isinstance(damage, Gaps)
        sources = Sources(x_bar, measured=Measured(known, A if guided else None, wanted if guided else None))
        z = noise.normal(tuple(x_bar.shape), noise.generator(repair.seed, number)) * (1 + spec.heat / repair.steps)
        problem = enter(restore.TASK.problem(sources, z, T=repair.T, weight=repair.weight), repair.regime, denoiser)
        x_0 = sampler("ddim")(
            denoiser,
            problem.to(getattr(denoiser, "device", "cpu")),
            levels(repair.steps, problem.t_T) if problem.t_T else [0.0],
            xi=xi_at(spec.xi if repair.xi is None else repair.xi, repair.steps),
            generator=noise.generator(repair.seed, number, 1),
        )
        return x_0.cpu()


LOOK = 3  # frames beside a gap that are made anew; what a codec's encoder sees farther away matters little


def _leaving(n: int) -> Audio:
    """Weight of the old in a crossfade of nearly equal signals; that of the new is what it lacks to 1."""
    f_out, _ = constant_power(n)
    leaving: Audio = f_out**2
    return leaving


def _shifted(damage: Damage, first: int) -> Damage:
    """The damage as seen from a window that begins at sample `first`."""
    if not isinstance(damage, Gaps):
        return damage
    return replace(damage, spans=tuple((a - first, b - first) for a, b in damage.spans if b > first))


def _scaled(damage: Damage, gain: float) -> Damage:
    """The damage at the model's level."""
    return replace(damage, level=damage.level * gain) if isinstance(damage, Clip) else damage
