"""Rolling diffusion: the noise level rises along the window, and each call of the model finishes one more hop of frames.

Ruhe et al. 2024, "Rolling Diffusion Models", with the step of Algorithm 2, Levy et al. 2023, at a level per frame. After the
context come blocks of `hop` frames, the first of them longer where that is wanted, each one level behind the block before it:

    block b stands at levels[clip(n - b, 0, N)] after n calls,

so that block 0 is done after N calls and one more block after each further one, for as long as there are frames: with equal
blocks as many calls a frame as window after window, but what is to be decoded before the first sound is a block, not a window.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence

import torch
from torch import Tensor

from segue.engine.guidance import Consistency, Guidance, on_x_0_hat, project
from segue.engine.paper import alpha, eps_hat, over, sigma, x_0_hat
from segue.engine.problem import Problem
from segue.engine.protocols import Denoiser
from segue.engine.samplers import OnStep


def rolling(
    denoiser: Denoiser,
    problem: Problem,
    levels: Sequence[float],
    *,
    xi: float,
    generator: torch.Generator,
    guidance: Guidance = on_x_0_hat,
    consistency: Consistency = project,
    on_step: OnStep | None = None,
) -> Tensor:
    """x_0 `[B, C, T]` from problem.x_T, all new frames in N blocks. Deterministic and unguided: a clean context needs neither.

    Takes 2 N - 1 calls. Raises ValueError as `rolls` does.
    """
    frames = problem.x_T.shape[-1]
    hop = -(-(frames - context_of(problem)) // max(1, len(levels) - 1))
    x = problem.x_T
    for i, (x, _) in enumerate(rolls(denoiser, problem, levels, frames, hop, hop), start=1):
        if on_step:
            on_step(i, x)
    return x


def rolls(
    denoiser: Denoiser, problem: Problem, levels: Sequence[float], size: int, first: int, hop: int
) -> Iterator[tuple[Tensor, int]]:
    """(x `[B, C, T]`, frames that are done from its beginning on) after each call of the model.

    problem: a clean context, then new frames, however many. levels: N + 1 of them, falling to 0. size: frames that the model
    sees at once, first + (N - 1) * hop of them new. first: frames of the first block, at least a hop. Raises ValueError where a
    level per frame, or a guided problem, stands in the way.
    """
    known, steps = context_of(problem), len(levels) - 1
    if not denoiser.per_frame_t:
        raise ValueError("rolling: the model takes one level a window; use the sampler ddim, or a model with levels per frame")
    if problem.losses():
        raise ValueError("rolling: a guided problem; use the sampler ddim, or the regime clean without a style")
    x = problem.x_T.clone()
    frames = x.shape[-1]
    place = torch.arange(frames, device=x.device) - known
    block = (torch.div(place - first, hop, rounding_mode="floor") + 1).clamp(min=0)
    table = torch.tensor(list(levels), dtype=x.dtype, device=x.device)
    clean = place < 0

    def level(calls: int) -> Tensor:
        return torch.where(clean, 0.0, table[(calls - block).clamp(0, steps)])

    for n in range(1, int(block[-1]) + 1 + steps):
        end = min(frames, known + first + (max(n, steps) - 1) * hop)
        window = slice(max(0, end - size), end)
        t, s = level(n - 1)[window], level(n)[window]
        with torch.no_grad():
            x[..., window] = _step(denoiser, x[..., window], t, s)
        yield x, known if n < steps else min(frames, known + first + (n - steps) * hop)


def context_of(problem: Problem) -> int:
    """Frames of clean context at the beginning. Raises ValueError for clean frames elsewhere, and for a context that is not."""
    if problem.clean is None:
        if problem.A is not None:
            raise ValueError("rolling: the context has to be clean; use the regime clean, or the sampler ddim")
        return 0
    known = int(problem.clean.sum())
    if not bool(problem.clean[:known].all()):
        raise ValueError("rolling: what follows is known too; use the sampler ddim")
    return known


def _step(denoiser: Denoiser, x_t: Tensor, t: Tensor, s: Tensor) -> Tensor:
    """Frames from levels t to s `[T]`; those whose level stays keep their very bits."""
    at, to = (level.expand(x_t.shape[0], -1) for level in (t, s))
    v = denoiser.v(x_t, at)
    x_s = alpha(over(to, x_t)) * x_0_hat(x_t, v, at) + sigma(over(to, x_t)) * eps_hat(x_t, v, at)
    return torch.where(t == s, x_t, x_s)
