"""Checks of a generator in training: what its context is worth, and what four steps of sampling give."""

from __future__ import annotations

import torch
from torch import Tensor

from segue.engine.guidance import enter
from segue.engine.models.dit import Dit
from segue.engine.paper import levels, noised, v_of
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
def report(dit: Dit, latents: Latents) -> str:
    """One line: v-loss with the right and a wrong context, and four-step continuations against the truth."""
    g = torch.Generator().manual_seed(SEED)
    device = next(dit.parameters()).device
    x_0, other = (x.to(device) for x in latents.pairs(WINDOWS, g))
    left = int(CONTEXT * x_0.shape[-1])
    wrong = torch.cat((other[..., :left], x_0[..., left:]), dim=-1)
    eps = torch.randn(x_0.shape, generator=g).to(device)
    right_loss, wrong_loss = (continuation_loss(dit, x, eps, left) for x in (x_0, wrong))
    z = torch.randn((2, *x_0.shape), generator=g).to(device)
    ours, from_wrong = continued(dit, x_0, left, z[0]), continued(dit, wrong, left, z[0])
    again = continued(dit, x_0, left, z[1])
    new = x_0[..., left:]
    return (
        f"held out: v-loss right {right_loss:.4f} wrong {wrong_loss:.4f} gap {100 * (1 - right_loss / wrong_loss):.1f} %, "
        f"{STEPS} steps: L1 right {_l1(ours, new):.3f} wrong {_l1(from_wrong, new):.3f} seeds {_l1(ours, again):.3f}, "
        f"std {float(ours.std() / new.std()):.2f} of the truth's"
    )


def continuation_loss(dit: Dit, x_0: Tensor, eps: Tensor, left: int) -> float:
    """Mean v-loss of the new part over LEVELS."""
    total = 0.0
    for level in LEVELS:
        t = torch.full((x_0.shape[0], x_0.shape[-1]), level, device=x_0.device)
        t[:, :left] = 0
        error = dit.v(noised(x_0, eps, t), t) - v_of(x_0, eps, t)
        total += float(error[..., left:].square().mean())
    return total / len(LEVELS)


def continued(dit: Dit, x_0: Tensor, left: int, z: Tensor, steps: int = STEPS) -> Tensor:
    """The new part of a continuation in the clean regime, by DDIM."""
    problem = enter(TASK.problem(Sources(x_0, left=left), z), "clean", dit)
    return ddim(dit, problem, levels(steps), xi=0.0, generator=torch.Generator())[..., left:]


def _l1(a: Tensor, b: Tensor) -> float:
    return float((a - b).abs().mean())
