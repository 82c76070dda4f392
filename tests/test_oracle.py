"""The oracle itself: denoiser, vjp and posterior of the Gaussian world agree with autograd and with brute force."""

from __future__ import annotations

import torch

from segue.engine.gaussian import Gaussian, ar1
from segue.engine.paper import noised, v_of

FRAMES = 8


def world(rho: float = 0.9) -> Gaussian:
    return Gaussian(ar1(FRAMES, rho), channels=2)


def test_v_is_the_best_linear_estimate_of_v() -> None:
    """Regression of v on x_t over many draws gives the same matrix."""
    g = torch.Generator().manual_seed(0)
    gaussian = world()
    t = torch.tensor([[0.0, 0.0, 0.3, 0.3, 0.6, 0.6, 1.0, 1.0]], dtype=torch.float64)
    x_0 = gaussian.sample(40_000, g).flatten(0, 1)[:, None]
    eps = torch.randn(x_0.shape, generator=g, dtype=x_0.dtype)
    x_t, v = noised(x_0, eps, t)[:, 0], v_of(x_0, eps, t)[:, 0]
    fitted = torch.linalg.lstsq(x_t, v).solution.T
    torch.testing.assert_close(fitted, gaussian.jacobian(t)[0], atol=0.03, rtol=0)


def test_vjp_is_autograds() -> None:
    g = torch.Generator().manual_seed(1)
    gaussian = world()
    x = torch.randn(3, 2, FRAMES, generator=g, dtype=torch.float64, requires_grad=True)
    c = torch.randn(x.shape, generator=g, dtype=torch.float64)
    t = torch.rand(3, FRAMES, generator=g, dtype=torch.float64)
    v = gaussian.v(x, t)
    v_too, pulled = gaussian.vjp(x.detach(), t, c)
    torch.testing.assert_close(v_too, v.detach())
    torch.testing.assert_close(pulled, torch.autograd.grad(v, x, c)[0])


def test_jacobian_is_not_symmetric_where_levels_differ() -> None:
    """Else J in place of J^T would pass every test here."""
    t = torch.linspace(0.1, 0.9, FRAMES, dtype=torch.float64)[None]
    J = world().jacobian(t)[0]
    assert (J - J.T).abs().max() > 0.1


def test_posterior_mean_of_an_autoregression_decays_by_rho() -> None:
    gaussian = world(0.8)
    mask = torch.arange(FRAMES) < 5
    mean, covariance = gaussian.posterior(torch.ones(1, 2, 5, dtype=torch.float64), mask)
    torch.testing.assert_close(mean[0, 0], 0.8 ** torch.arange(1, 4, dtype=torch.float64))
    torch.testing.assert_close(covariance[0, 0], torch.tensor(1 - 0.8**2, dtype=torch.float64))


def test_a_clean_frame_has_no_v() -> None:
    t = torch.tensor([[0.0] * 4 + [0.7] * 4], dtype=torch.float64)
    x = torch.randn(1, 2, FRAMES, generator=torch.Generator().manual_seed(2), dtype=torch.float64)
    assert world().v(x, t)[..., :4].abs().max() < 1e-12
