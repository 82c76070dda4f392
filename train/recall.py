"""What a model makes of the clip that it was fitted to, beside its codec alone and noise of the clip's colour.

A denoiser with one level for a whole window is asked for a window out of noise alone, the paper's own model; it is compared
with the window of the clip that it comes nearest to. One with a level per frame fills the middle of each window.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import torch
from torch import Tensor

from segue.engine.guidance import enter
from segue.engine.measure import mel_distance, shaped_noise
from segue.engine.models.spec import Model
from segue.engine.noise import generator, normal
from segue.engine.paper import levels
from segue.engine.problem import Problem
from segue.engine.samplers.ddim import ddim
from segue.engine.task import Sources
from segue.engine.tasks.generate import TASK as GENERATE
from segue.engine.tasks.infill import TASK as INFILL
from segue.train.memorise import Audio, Plan, ends_of, whole_frames

TAKES = 2  # of a denoiser that is asked for whole windows, from other noise each


@dataclass(frozen=True)
class Distances:
    """L1 of log-mels to the clip, nepers: of the clip encoded and decoded, of takes, of noise with the clip's spectrum.

    latent_error: mean square error of the takes' latents over the variance of the clip's.
    """

    codec: float
    take: float
    noise: float
    latent_error: float


@torch.no_grad()
def recalled(model: Model, audio: Audio, windows: Tensor, plan: Plan) -> Distances:
    """Means over all takes of windows `[n, C, T]` of a clip `[2, m]` at the model's rate."""
    rows = [_row(model, audio, windows, take, number) for number, take in enumerate(_takes(model, windows, plan))]
    return Distances(*(float(mean) for mean in np.mean(rows, axis=0)))


@dataclass(frozen=True)
class _Take:
    """A window `[C, T]` that was made, the number of the clip's window that it is compared with, and its new frames."""

    x: Tensor
    window: int
    first: int
    last: int


def _takes(model: Model, windows: Tensor, plan: Plan) -> list[_Take]:
    frames = windows.shape[-1]
    if not model.denoiser.per_frame_t:
        made = [_sampled(model, GENERATE.problem(Sources(windows[:1]), _noise(windows, plan, i)), plan) for i in range(TAKES)]
        nearest = [int((windows - x).square().mean((1, 2)).argmin()) for x in made]
        return [_Take(x, number, 0, frames) for x, number in zip(made, nearest, strict=True)]
    given = ends_of(frames)
    left, right = int(given.long().cumprod(0).sum()), int(given.flip(0).long().cumprod(0).sum())
    takes = []
    for number, x_0 in enumerate(windows):
        problem = INFILL.problem(Sources(x_0[None], left, right), _noise(windows, plan, number))
        takes.append(_Take(_sampled(model, enter(problem, "clean", model.denoiser), plan), number, left, frames - right))
    return takes


def _noise(windows: Tensor, plan: Plan, number: int) -> Tensor:
    return normal((1, *windows.shape[1:]), generator(plan.seed, 3, number))


def _sampled(model: Model, problem: Problem, plan: Plan) -> Tensor:
    """`[C, T]`, without guidance: nothing but the denoiser."""
    return ddim(model.denoiser, problem, levels(plan.sampler_steps), xi=0.0, generator=torch.Generator())[0]


def _row(model: Model, audio: Audio, windows: Tensor, take: _Take, number: int) -> list[float]:
    """The distances of one take, decoded among what stands beside it in the clip."""
    hop, frames = model.hop, windows.shape[-1]
    z = windows.transpose(0, 1).flatten(1)
    own, begin = model.codec.decode(z[None]), take.window * frames
    made = z.clone()
    made[:, begin : begin + frames] = take.x
    part = slice((begin + take.first) * hop, (begin + take.last) * hop)
    truth = whole_frames(model.codec, audio)[0].numpy()[:, part]
    heard = [sound[0].numpy()[:, part] for sound in (own, model.codec.decode(made[None]))]
    noise = shaped_noise(truth, truth.shape[1], np.random.default_rng(number))
    error = (take.x - windows[take.window])[:, take.first : take.last].square().mean() / windows.var()
    return [*(mel_distance(sound, truth, model.rate) for sound in (*heard, noise)), float(error)]
