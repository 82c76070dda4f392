"""The oracle world x_0 ~ N(0, Sigma): a denoiser, its vjp and the posterior, all exact, without a trained network."""

from __future__ import annotations

from dataclasses import dataclass

import torch
from torch import Tensor

from segue.engine.paper import alpha, sigma


def ar1(frames: int, rho: float = 0.9) -> Tensor:
    """Covariance rho^|i-j| of a unit-variance first-order autoregression, `[T, T]` float64."""
    i = torch.arange(frames, dtype=torch.float64)
    return rho ** (i[:, None] - i[None, :]).abs()


@dataclass(frozen=True)
class Gaussian:
    """Denoiser of the world where every channel of x_0 `[B, C, T]` is an independent draw of N(0, covariance)."""

    covariance: Tensor
    channels: int = 1
    per_frame_t: bool = True

    def jacobian(self, t: Tensor) -> Tensor:
        """J `[B or 1, T, T]` with E[v | x_t] = J x_t; t `[B]` or `[B, T]`.

        x_t = a x_0 + s eps and v = a eps - s x_0 with a, s diagonal, so cov(v, x_t) = a s - s Sigma a,
        var(x_t) = a Sigma a + s^2, and J = cov(v, x_t) var(x_t)^-1.
        """
        t = t.to(self.covariance)
        t = t[:1] if bool((t == t[:1]).all()) else t
        t = t[:, None].expand(-1, len(self.covariance)) if t.ndim == 1 else t
        a, s = torch.diag_embed(alpha(t)), torch.diag_embed(sigma(t))
        cross = a @ s - s @ self.covariance @ a
        J: Tensor = torch.linalg.solve(a @ self.covariance @ a + s @ s, cross, left=False)
        return J

    def v(self, x_t: Tensor, t: Tensor, cond: Tensor | None = None) -> Tensor:
        """E[v | x_t] exactly."""
        return x_t @ self.jacobian(t).to(x_t).mT

    def vjp(self, x_t: Tensor, t: Tensor, g: Tensor, cond: Tensor | None = None) -> tuple[Tensor, Tensor]:
        """(v, J^T g) exactly."""
        J = self.jacobian(t).to(x_t)
        return x_t @ J.mT, g @ J

    def sample(self, batch: int, generator: torch.Generator) -> Tensor:
        """Draws of x_0 `[B, C, T]`."""
        z = torch.randn(batch, self.channels, len(self.covariance), generator=generator, dtype=self.covariance.dtype)
        x_0: Tensor = z @ torch.linalg.cholesky(self.covariance).T
        return x_0

    def posterior(self, y: Tensor, mask: Tensor) -> tuple[Tensor, Tensor]:
        """Mean `[B, C, T - m]` and covariance `[T - m, T - m]` of the frames outside mask given y `[B, C, m]` inside."""
        gain = torch.linalg.solve(self.covariance[mask][:, mask], self.covariance[~mask][:, mask], left=False)
        return y.to(gain) @ gain.T, self.covariance[~mask][:, ~mask] - gain @ self.covariance[mask][:, ~mask]
