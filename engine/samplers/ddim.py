"""Algorithm 2, Levy et al. 2023: DDIM with guidance gradients."""

from __future__ import annotations

from collections.abc import Sequence
from itertools import pairwise

import torch
from torch import Tensor

from segue.engine.guidance import Consistency, Guidance, on_x_0_hat, project, unguided
from segue.engine.paper import alpha, eps_hat, over, sigma, x_0_hat
from segue.engine.problem import Problem
from segue.engine.protocols import Denoiser
from segue.engine.samplers import OnStep


def ddim(
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
    """x_0 `[B, C, T]` from problem.x_T over levels, which fall from t_T to 0. Deterministic: the generator is not drawn from.

    xi is the step size as applied (see paper.xi_at). on_step(i, x_0_hat) is called after step i of 1..N.
    """
    x_t = problem.x_T
    for i, (t_i, t_j) in enumerate(pairwise(levels), start=1):
        t, s = problem.at(t_i), problem.at(t_j)
        # at s = 0 the gradient's factor sigma_s is 0: it is not computed
        guide = guidance if xi and t_j > 0 else unguided
        v, grad = guide(denoiser, problem, x_t, t)
        x0 = x_0_hat(x_t, v, t)
        eps = eps_hat(x_t, v, t)
        # x0 stays as it was: with x0 computed anew from this eps the sign would have to be the other one
        eps = eps - xi * sigma(over(t, x_t)) * grad
        x_s = alpha(over(s, x_t)) * x0 + sigma(over(s, x_t)) * eps
        x_t = consistency(problem, x_s)
        if on_step:
            on_step(i, x0)
    return x_t
