"""Algorithms 1 and 2 in the Gaussian world, and what happens to each figure when a line of them is got wrong."""

from __future__ import annotations

from dataclasses import replace
from itertools import pairwise

import pytest
import torch
from torch import Tensor

from segue.engine.distance import l1
from segue.engine.gaussian import Gaussian, ar1
from segue.engine.guidance import Consistency, Guidance, enter, leave, on_x_0_hat, on_x_t, project, unguided
from segue.engine.paper import alpha, levels, noised, sigma, xi_at
from segue.engine.problem import Problem, Rows
from segue.engine.protocols import Denoiser
from segue.engine.samplers import NAMES, Sampler, ddpm, sampler

FRAMES, HALF, BATCH = 32, 16, 400
WORLD = Gaussian(ar1(FRAMES, 0.97))
MASK = torch.arange(FRAMES) < HALF


def problem(seed: int = 0) -> Problem:
    """Left half known, a continuation."""
    g = torch.Generator().manual_seed(seed)
    A = Rows(MASK)
    y = A(WORLD.sample(BATCH, g))
    z = torch.randn(BATCH, 1, FRAMES, generator=g, dtype=torch.float64)
    return Problem(A, y, l1, A.project(z, y))


def measured(p: Problem) -> Tensor:
    """y, where there is one."""
    assert p.y is not None
    return p.y


def solve(
    name: str, p: Problem, steps: int = 50, xi: float = 0.03, guidance: Guidance = on_x_0_hat, consistency: Consistency = project
) -> Tensor:
    g = torch.Generator().manual_seed(7)
    return sampler(name)(WORLD, p, levels(steps, p.t_T), xi=xi, generator=g, guidance=guidance, consistency=consistency)


def seam(x_0: Tensor, p: Problem) -> float:
    """Mean distance of the first new frame from the posterior's mean, given the true context."""
    mean, _ = WORLD.posterior(measured(p), MASK)
    return float((x_0[:, 0, HALF] - mean[:, 0, 0]).abs().mean())


def upside_down(denoiser: Denoiser, p: Problem, x_t: Tensor, t: Tensor) -> tuple[Tensor, Tensor]:
    """The gradient with the wrong sign."""
    v, grad = on_x_0_hat(denoiser, p, x_t, t)
    return v, -grad


@pytest.mark.parametrize(("name", "low", "high"), [("ddim", 0.86, 1.0), ("ddpm", 0.84, 0.94)])
def test_unconditional_variance(name: str, low: float, high: float) -> None:
    """With the printed variance in place of the deviation DDPM's would be under 0.3 (see the next test)."""
    z = torch.randn(2000, 1, FRAMES, generator=torch.Generator().manual_seed(3), dtype=torch.float64)
    assert low < float(solve(name, Problem(None, None, None, z)).var()) < high


def test_ddpm_needs_the_square_root(monkeypatch: pytest.MonkeyPatch) -> None:
    right = ddpm.posterior

    def as_printed(t: Tensor, s: Tensor) -> tuple[Tensor, Tensor, Tensor]:
        of_x0, of_x_t, deviation = right(t, s)
        return of_x0, of_x_t, deviation**2

    monkeypatch.setattr(ddpm, "posterior", as_printed)
    z = torch.randn(500, 1, FRAMES, generator=torch.Generator().manual_seed(3), dtype=torch.float64)
    assert float(solve("ddpm", Problem(None, None, None, z)).var()) < 0.4


def test_ddpm_step_is_the_exact_posterior_of_two_levels() -> None:
    """q(x_s | x_t, x_0) by conditioning the joint Gaussian of x_s and x_t."""
    t, s = torch.tensor([0.7], dtype=torch.float64), torch.tensor([0.4], dtype=torch.float64)
    a_t, a_s = torch.cos(torch.pi * t / 2), torch.cos(torch.pi * s / 2)
    s_t2, s_s2 = 1 - a_t**2, 1 - a_s**2
    gain = a_t / a_s * s_s2 / s_t2
    of_x0, of_x_t, deviation = ddpm.posterior(t, s)
    torch.testing.assert_close(of_x_t, gain)
    torch.testing.assert_close(of_x0, a_s - gain * a_t)
    torch.testing.assert_close(deviation**2, s_s2 - gain**2 * s_t2)


# PAPER: n = 32, left half known, 50 steps, xi = 0.03, DDIM / DDPM; rho and the batch are ours, so the figures agree to about 0.2.
TABLE = {
    "none": (unguided, leave, 1.02, 1.04),
    "gradient alone": (on_x_0_hat, leave, 0.39, 0.61),
    "consistency alone": (unguided, project, 0.36, 0.28),
    "both": (on_x_0_hat, project, 0.30, 0.20),
}


@pytest.mark.parametrize("row", TABLE)
@pytest.mark.parametrize("name", NAMES)
def test_seam_error(row: str, name: str) -> None:
    guidance, consistency, *figures = TABLE[row]
    p = problem()
    error = seam(solve(name, p, guidance=guidance, consistency=consistency), p)
    assert error == pytest.approx(figures[NAMES.index(name)], abs=0.2)


@pytest.mark.parametrize("name", NAMES)
def test_each_part_helps(name: str) -> None:
    p = problem()
    errors = [seam(solve(name, p, guidance=g, consistency=c), p) for g, c, *_ in TABLE.values()]
    assert errors[3] < 0.85 * min(errors[1:3]) < 0.6 * errors[0]


@pytest.mark.parametrize("name", NAMES)
def test_sign_of_the_gradient(name: str) -> None:
    """Seen with the consistency step off, or at the seam: with it on, the context is exact whatever the sign."""
    p = problem()
    none, right, wrong = (seam(solve(name, p, guidance=g, consistency=leave), p) for g in (unguided, on_x_0_hat, upside_down))
    assert right < 0.7 * none
    assert wrong > 1.3 * none
    kept = solve(name, p, guidance=upside_down)
    assert torch.equal(kept[..., MASK], measured(p))  # "the context is preserved" proves nothing
    assert seam(kept, p) > 1.3 * seam(solve(name, p), p)


@pytest.mark.parametrize("name", NAMES)
def test_gradient_on_x_t_adds_nothing_beside_the_consistency_step(name: str) -> None:
    p = problem()
    assert seam(solve(name, p, guidance=on_x_t), p) == seam(solve(name, p, guidance=unguided), p)


def test_gradient_on_x_t_without_the_consistency_step_pulls_the_context() -> None:
    p = problem()

    def miss(guidance: Guidance) -> float:
        return float((solve("ddim", p, guidance=guidance, consistency=leave)[..., MASK] - measured(p)).abs().mean())

    assert miss(on_x_t) < 0.8 * miss(unguided)


def test_ddim_with_x_0_hat_computed_anew_needs_the_other_sign() -> None:
    """Algorithm 2 keeps x_0_hat as it was; code that recomputes it from the corrected eps walks away with this sign."""
    p = problem()
    x = p.x_T
    for t_i, t_j in pairwise(levels(50)):
        t, s = torch.tensor(t_i, dtype=torch.float64), torch.tensor(t_j, dtype=torch.float64)
        v, grad = on_x_0_hat(WORLD, p, x, p.at(t_i))
        eps = sigma(t) * x + alpha(t) * v - 0.03 * sigma(t) * grad
        x0 = (x - sigma(t) * eps) / alpha(t).clamp_min(0.05)
        x = alpha(s) * x0 + sigma(s) * eps
    assert seam(x, p) > 1.2 * seam(solve("ddim", p, consistency=leave), p)


def test_last_ddim_step_ignores_guidance() -> None:
    """At s = 0 the gradient is multiplied by sigma_s = 0; so one step alone is unguided, and it is not paid for."""
    p = problem()
    assert torch.equal(solve("ddim", p, steps=1, xi=3.0), solve("ddim", p, steps=1, xi=0.0))
    calls: list[float] = []

    def counting(denoiser: Denoiser, q: Problem, x_t: Tensor, t: Tensor) -> tuple[Tensor, Tensor]:
        calls.append(float(t.max()))
        return on_x_0_hat(denoiser, q, x_t, t)

    solve("ddim", p, steps=4, guidance=counting)
    assert calls == [1.0, 0.75, 0.5]
    calls.clear()
    solve("ddpm", p, steps=4, guidance=counting)
    assert calls == [1.0, 0.75, 0.5, 0.25]


@pytest.mark.parametrize("name", NAMES)
def test_consistency_step_ends_on_the_measurement(name: str) -> None:
    p = problem()
    assert torch.equal(solve(name, p)[..., MASK], measured(p))
    assert not torch.allclose(solve(name, p, consistency=leave)[..., MASK], measured(p), atol=0.05)


def test_clean_context_gives_the_posterior() -> None:
    """With levels per frame the conditional flow is exact: mean and variance are the posterior's, without guidance."""
    p = enter(problem(), "clean", WORLD)
    mean, covariance = WORLD.posterior(measured(p), MASK)
    for name, slack in (("ddim", 0.04), ("ddpm", 0.12)):
        residual = solve(name, p, steps=100, xi=0.0)[..., HALF:] - mean
        assert float(residual.mean(0).abs().max()) < 0.2
        assert float((residual.var(0)[0] - covariance.diagonal()).abs().max()) < slack + 0.15
        assert float(residual[:, 0, 0].var()) == pytest.approx(float(covariance[0, 0]), rel=0.25)


def test_a_clean_frame_stays_without_a_consistency_step() -> None:
    p = enter(problem(), "clean", WORLD)
    for name in NAMES:
        torch.testing.assert_close(solve(name, p, xi=0.0, consistency=leave)[..., MASK], measured(p))


def from_noise(steps: int, xi: float) -> float:
    """Seam error from x_T = z with the gradient alone."""
    p = problem()
    z = torch.randn(p.x_T.shape, generator=torch.Generator().manual_seed(4), dtype=torch.float64)
    return seam(solve("ddim", replace(p, x_T=z), steps=steps, xi=xi, consistency=leave), p)


def test_the_push_of_a_fixed_xi_grows_with_the_number_of_steps() -> None:
    assert from_noise(50, 0.03) < 0.6 * from_noise(50, 0.0)
    assert from_noise(4, 0.03) > 0.9 * from_noise(4, 0.0)


@pytest.mark.parametrize("steps", [4, 10, 200])
def test_scaled_xi_pushes_at_any_number_of_steps(steps: int) -> None:
    assert from_noise(steps, xi_at(0.03, steps)) < 0.75 * from_noise(steps, 0.0)


@pytest.mark.parametrize("name", NAMES)
def test_same_generator_same_bytes_and_every_step_is_told(name: str) -> None:
    p = problem()
    told: list[int] = []
    run: Sampler = sampler(name)
    a, b = (
        run(WORLD, p, levels(5), xi=0.03, generator=torch.Generator().manual_seed(1), on_step=lambda i, x0: told.append(i))
        for _ in range(2)
    )
    assert torch.equal(a, b)
    assert told == [1, 2, 3, 4, 5] * 2


def test_part_way_start_stays_near_its_start() -> None:
    p = problem()
    x_bar = WORLD.sample(BATCH, torch.Generator().manual_seed(5))
    level = torch.tensor([0.2], dtype=torch.float64)
    z = torch.randn(x_bar.shape, generator=torch.Generator().manual_seed(6), dtype=torch.float64)
    near = solve("ddim", replace(p, A=None, y=None, d=None, x_T=noised(x_bar, z, level), t_T=0.2))
    assert float((near - x_bar).var()) < 0.1


def test_unknown_sampler_is_a_sentence() -> None:
    with pytest.raises(ValueError, match="one of ddim, ddpm"):
        sampler("euler")
