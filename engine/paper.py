"""The schedule and parameterisation of B.1, Levy et al. 2023: alpha, sigma, and v, x_0, eps in terms of each other."""

from __future__ import annotations

import math

import torch
from torch import Tensor

XI = 3e-2  # guidance step size of the latent model (C.3)
XI_WAVEFORM = 3e-3  # of the waveform model (C.3)
XI_STEPS = 50  # the number of steps at which xi is quoted (Table 1)
K = 0.85  # noise mixing coefficient of regenerate and transition (C.3)


def alpha(t: Tensor) -> Tensor:
    """cos(pi t / 2), written as a sine so that alpha(1) is exactly 0, as sigma(0) is."""
    return torch.sin((1 - t) * (math.pi / 2))


def sigma(t: Tensor) -> Tensor:
    """sqrt(1 - alpha^2) = sin(pi t / 2)."""
    return torch.sin(t * (math.pi / 2))


def level_of_share(k: float) -> float:
    """The level at which z and x_bar stand to each other as in Table 2's k z + (1 - k) x_bar: sigma / alpha = k / (1 - k).

    Table 2 takes its mix for x_1; but for k near 1 that is no draw of q(x_1), and a start from this level is.
    """
    return math.atan2(k, 1 - k) * 2 / math.pi


def share_of_level(t: float) -> float:
    """The k of `level_of_share`."""
    return 1 / (1 + math.tan((1 - t) * math.pi / 2))


def over(t: Tensor, x: Tensor) -> Tensor:
    """t `[B]` or `[B, T]`, in the precision of x and shaped to multiply x `[B, C, *S]`, whose last axis is time.

    Raises ValueError for any other shape.
    """
    if t.ndim == 1 and t.shape[0] in (1, x.shape[0]):
        return t.to(x).reshape(-1, *[1] * (x.ndim - 1))
    if t.ndim == 2 and t.shape[0] in (1, x.shape[0]) and t.shape[1] == x.shape[-1]:
        return t.to(x).reshape(t.shape[0], *[1] * (x.ndim - 2), t.shape[1])
    raise ValueError(f"levels: got t {list(t.shape)} for x {list(x.shape)}; t is [B], or [B, T] with T the last axis of x")


def noised(x_0: Tensor, eps: Tensor, t: Tensor) -> Tensor:
    """A draw of q(x_t | x_0) = N(alpha x_0, sigma^2 I)."""
    t = over(t, x_0)
    return alpha(t) * x_0 + sigma(t) * eps


def v_of(x_0: Tensor, eps: Tensor, t: Tensor) -> Tensor:
    """v = alpha eps - sigma x_0, what the denoiser learns."""
    t = over(t, x_0)
    return alpha(t) * eps - sigma(t) * x_0


def x_0_hat(x_t: Tensor, v: Tensor, t: Tensor) -> Tensor:
    """alpha x_t - sigma v."""
    t = over(t, x_t)
    return alpha(t) * x_t - sigma(t) * v


def eps_hat(x_t: Tensor, v: Tensor, t: Tensor) -> Tensor:
    """sigma x_t + alpha v: equal to (x_t - alpha x_0_hat) / sigma, and defined at sigma = 0 too."""
    t = over(t, x_t)
    return sigma(t) * x_t + alpha(t) * v


def levels(steps: int, t_T: float = 1.0) -> list[float]:
    """steps + 1 levels from t_T down to 0, evenly spaced. Raises ValueError outside steps >= 1, 0 < t_T <= 1."""
    if steps < 1 or not 0 < t_T <= 1:
        raise ValueError(f"levels: got {steps} steps from {t_T}; at least 1 step, from a level above 0 and at most 1")
    return [t_T * i / steps for i in range(steps, -1, -1)]


def xi_at(xi: float, steps: int) -> float:
    """xi as quoted at 50 steps, for another number of steps: the whole push grows with their number."""
    return xi * XI_STEPS / steps
