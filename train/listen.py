"""Checks of a generator in training: what its context is worth, and what four steps of sampling give."""

from __future__ import annotations

from typing import cast

import torch
from torch import Tensor, nn

from segue.engine.guidance import enter
from segue.engine.paper import levels, noised, v_of
from segue.engine.problem import Problem
from segue.engine.protocols import Denoiser
from segue.engine.samplers.ddim import ddim
from segue.engine.task import Sources
from segue.engine.tasks.continuation import TASK
from segue.train.latents import Latents

WINDOWS = 16
CONTEXT = 0.4  # 2.4 s of 6 s (4.3)
LEVELS = (0.35, 0.6, 0.8, 1.0)
STEPS = 4
SEED = 4321


@torch.no_grad()
def report(module: nn.Module, latents: Latents) -> str:
    """One line: v-loss with the right and a wrong context, and four-step continuations against the truth.

    A model with one level a window sees its context through the consistency step alone, and its loss knows no context.
    """
    denoiser = cast(Denoiser, module)
    g = torch.Generator().manual_seed(SEED)
    device = next(module.parameters()).device
    if len(latents.names) < 2:
        x_0 = latents.windows(WINDOWS, g).to(device)
        loss = continuation_loss(denoiser, x_0, torch.randn(x_0.shape, generator=g).to(device), int(CONTEXT * x_0.shape[-1]))
        return f"held out: v-loss {loss:.4f}"
    x_0, other = (x.to(device) for x in latents.pairs(WINDOWS, g))
    left = int(CONTEXT * x_0.shape[-1])
    wrong = torch.cat((other[..., :left], x_0[..., left:]), dim=-1)
    eps = torch.randn(x_0.shape, generator=g).to(device)
    right_loss, wrong_loss = (continuation_loss(denoiser, x, eps, left) for x in (x_0, wrong))
    z = torch.randn((2, *x_0.shape), generator=g).to(device)
    ours, from_wrong = continued(denoiser, x_0, left, z[0]), continued(denoiser, wrong, left, z[0])
    again = continued(denoiser, x_0, left, z[1])
    new = x_0[..., left:]
    return (
        f"held out: v-loss right {right_loss:.4f} wrong {wrong_loss:.4f} gap {100 * (1 - right_loss / wrong_loss):.1f} %, "
        f"{STEPS} steps: L1 right {_l1(ours, new):.3f} wrong {_l1(from_wrong, new):.3f} seeds {_l1(ours, again):.3f}, "
        f"std {float(ours.std() / new.std()):.2f} of the truth's"
    )


def continuation_loss(denoiser: Denoiser, x_0: Tensor, eps: Tensor, left: int) -> float:
    """Mean v-loss of the new part over LEVELS."""
    total = 0.0
    for level in LEVELS:
        t = torch.full((x_0.shape[0],), level, device=x_0.device)
        if denoiser.per_frame_t:
            t = t[:, None].repeat(1, x_0.shape[-1])
            t[:, :left] = 0
        error = denoiser.v(noised(x_0, eps, t), t) - v_of(x_0, eps, t)
        total += float(error[..., left:].square().mean())
    return total / len(LEVELS)


def problem_of(denoiser: Denoiser, x_0: Tensor, left: int, z: Tensor, regime: str) -> Problem:
    """A continuation of x_0's first `left` frames."""
    return enter(TASK.problem(Sources(x_0, left=left), z), regime, denoiser)


def continued(denoiser: Denoiser, x_0: Tensor, left: int, z: Tensor, steps: int = STEPS) -> Tensor:
    """The new part of a continuation in the clean regime, by DDIM."""
    problem = problem_of(denoiser, x_0, left, z, "clean")
    return ddim(denoiser, problem, levels(steps), xi=0.0, generator=torch.Generator())[..., left:]


def _l1(a: Tensor, b: Tensor) -> float:
    return float((a - b).abs().mean())
