"""Algorithm 1, Levy et al. 2023: DDPM sampling with guidance gradients."""

from __future__ import annotations

from collections.abc import Sequence
from itertools import pairwise

import torch
from torch import Tensor

from segue.engine.guidance import Consistency, Guidance, on_x_0_hat, project, unguided
from segue.engine.noise import draw
from segue.engine.paper import alpha, over, sigma, x_0_hat
from segue.engine.problem import Problem
from segue.engine.protocols import Denoiser
from segue.engine.samplers import OnStep


def ddpm(
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
    """x_0 `[B, C, T]` from problem.x_T over levels, which fall from t_T to 0, with fresh noise from the generator each step.

    xi is the step size as applied (see paper.xi_at). on_step(i, x_0_hat) is called after step i of 1..N.
    """
    x_t = problem.x_T
    for i, (t_i, t_j) in enumerate(pairwise(levels), start=1):
        t, s = problem.at(t_i), problem.at(t_j)
        v, grad = (guidance if xi else unguided)(denoiser, problem, x_t, t)
        x0 = x_0_hat(x_t, v, t)
        eps = draw(x_t, generator)
        of_x0, of_x_t, deviation = posterior(over(t, x_t), over(s, x_t))
        x_s = of_x0 * x0 + of_x_t * x_t + deviation * eps
        x_s = x_s - xi * grad
        x_t = consistency(problem, x_s)
        if on_step:
            on_step(i, x0)
    return x_t


def posterior(t: Tensor, s: Tensor) -> tuple[Tensor, Tensor, Tensor]:
    """The factors of x_0 and x_t in the mean of q(x_s | x_t, x_0), and its standard deviation, for levels s <= t, s < 1.

    The paper prints sigma_{t->s} = (sigma_s^2 / sigma_t^2)(1 - alpha_t^2 / alpha_s^2). That is the variance,
    so the factor of eps is its square root. A clean frame (t = s = 0) stays what it is.
    """
    alpha_t, alpha_s, sigma_s = alpha(t), alpha(s), sigma(s)
    clean = sigma(t) == 0
    sigma_t = torch.where(clean, torch.ones_like(t), sigma(t))
    lost = (1 - (alpha_t / alpha_s) ** 2).clamp_min(0)
    of_x0 = alpha_s / sigma_t**2 * lost
    of_x_t = alpha_t * sigma_s**2 / (alpha_s * sigma_t**2)
    deviation = (sigma_s**2 / sigma_t**2 * lost).sqrt()
    return of_x0, torch.where(clean, torch.ones_like(t), of_x_t), deviation
