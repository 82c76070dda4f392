"""Guidance gradients (section 3, Levy et al. 2023) and the three ways in which a context enters the model."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from typing import Protocol, TypeAlias, runtime_checkable

import torch
from torch import Tensor

from segue.engine.paper import alpha, over, sigma, x_0_hat
from segue.engine.problem import Problem, Rows
from segue.engine.protocols import Denoiser

# (denoiser, problem, x_t, t) -> (v, gradient of the losses by x_t)
Guidance: TypeAlias = Callable[[Denoiser, Problem, Tensor, Tensor], tuple[Tensor, Tensor]]

# Data consistency: (problem, x_s) -> x_s
Consistency: TypeAlias = Callable[[Problem, Tensor], Tensor]

REGIMES = ("clean", "guided", "tail")
TAIL = 8  # frames of context beside the target that the tail regime guides


@runtime_checkable
class Pullback(Protocol):
    """A denoiser that runs forward once and then pulls any g back: its `vjp` without the second forward pass."""

    def pullback(self, x_t: Tensor, t: Tensor) -> tuple[Tensor, Callable[[Tensor], Tensor]]:
        """(v, g -> J_v^T g)."""


def unguided(denoiser: Denoiser, problem: Problem, x_t: Tensor, t: Tensor) -> tuple[Tensor, Tensor]:
    """v, and no gradient."""
    return denoiser.v(x_t, t), torch.zeros_like(x_t)


def on_x_t(denoiser: Denoiser, problem: Problem, x_t: Tensor, t: Tensor) -> tuple[Tensor, Tensor]:
    """v, and the gradient of d(y, A(x_t)) by x_t; where A selects rows it moves only what the consistency step overwrites."""
    return denoiser.v(x_t, t), gradient(problem, x_t)


def on_x_0_hat(denoiser: Denoiser, problem: Problem, x_t: Tensor, t: Tensor) -> tuple[Tensor, Tensor]:
    """v, and the gradient of d(y, A(x_0_hat(x_t))) by x_t, through the denoiser.

    Raises ValueError where there is something to guide and the denoiser has no vjp.
    """
    if not problem.losses():
        return unguided(denoiser, problem, x_t, t)
    v, pull = _linearised(denoiser, x_t, t)
    g = gradient(problem, x_0_hat(x_t, v, t))
    # x_0_hat = alpha x_t - sigma v(x_t), so its transposed Jacobian maps g to alpha g - J_v^T (sigma g);
    # sigma differs from frame to frame, so it multiplies before J_v^T mixes the frames.
    level = over(t, x_t)
    return v, alpha(level) * g - pull(sigma(level) * g)


def gradient(problem: Problem, x: Tensor) -> Tensor:
    """Gradient of the sum of the problem's losses at x, each item for itself, of the shape of x."""
    with torch.enable_grad():
        x = x.detach().requires_grad_()
        total = sum((term.weight * term.d(term.y, term.A(x)).sum() for term in problem.losses()), x.new_zeros(()))
        if not total.requires_grad:
            return torch.zeros_like(x)
        return torch.autograd.grad(total, x)[0]


def _linearised(denoiser: Denoiser, x_t: Tensor, t: Tensor) -> tuple[Tensor, Callable[[Tensor], Tensor]]:
    if isinstance(denoiser, Pullback):
        return denoiser.pullback(x_t, t)
    return denoiser.v(x_t, t), lambda g: _vjp(denoiser, x_t, t, g)


def _vjp(denoiser: Denoiser, x_t: Tensor, t: Tensor, g: Tensor) -> Tensor:
    pulled = denoiser.vjp(x_t, t, g)
    if pulled is None:
        name = type(denoiser).__name__
        raise ValueError(f"guidance: {name} has no vjp; a gradient on A(x0_hat) needs one; set xi to 0, or use the clean regime")
    return pulled[1]


def project(problem: Problem, x: Tensor) -> Tensor:
    """Data consistency step x + A^T (A A^T)^-1 (y - A x), where A is linear; else x."""
    return problem.A.project(x, problem.y) if isinstance(problem.A, Rows) and problem.y is not None else x


def leave(problem: Problem, x: Tensor) -> Tensor:
    """No consistency step."""
    return x


def enter(problem: Problem, regime: str, denoiser: Denoiser, tail: int = TAIL) -> Problem:
    """The problem with its context entering by one of REGIMES.

    clean: the context is at level 0, as a model trained with a level per frame knows it; no linear guidance acts.
    guided: the whole window shares one level, the paper's way; gradients and the consistency step hold the context.
    tail: the `tail` context frames next to the target are at its level and guided, the rest are clean.
    A denoiser without levels per frame is always guided. Raises ValueError for another regime.
    """
    if regime not in REGIMES:
        raise ValueError(f"regime: got {regime!r}; one of {', '.join(REGIMES)}")
    if regime == "guided" or not denoiser.per_frame_t or not isinstance(problem.A, Rows):
        return replace(problem, clean=None)
    mask = problem.A.mask
    return replace(problem, clean=mask if regime == "clean" else mask & ~_near(~mask, tail))


def _near(target: Tensor, frames: int) -> Tensor:
    """Which frames lie within so many of a target frame."""
    if frames < 1:
        return target
    spread = torch.nn.functional.max_pool1d(target[None, None].float(), 2 * frames + 1, stride=1, padding=frames)
    return spread[0, 0] > 0
