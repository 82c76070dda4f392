"""Guidance gradients against autograd, the three context regimes, and the consistency step."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, replace

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from torch import Tensor

from segue.engine.distance import bce, l1, l2
from segue.engine.gaussian import Gaussian, ar1
from segue.engine.guidance import REGIMES, enter, gradient, on_x_0_hat, project
from segue.engine.paper import levels, over, sigma, x_0_hat
from segue.engine.problem import Problem, Rows, Term
from segue.engine.samplers import NAMES, sampler

FRAMES, LEFT = 16, 8
WORLD = Gaussian(ar1(FRAMES), channels=2)
MASK = torch.arange(FRAMES) < LEFT


def problem(seed: int = 0, terms: tuple[Term, ...] = ()) -> Problem:
    g = torch.Generator().manual_seed(seed)
    A = Rows(MASK)
    y = A(WORLD.sample(3, g))
    z = torch.randn(3, 2, FRAMES, generator=g, dtype=torch.float64)
    return Problem(A, y, l1, A.project(z, y), terms=terms)


@dataclass(frozen=True)
class Doubly:
    """The oracle with its own pullback, as a back-end has it."""

    world: Gaussian
    per_frame_t: bool = True
    channels: int = 2

    def v(self, x_t: Tensor, t: Tensor, cond: Tensor | None = None) -> Tensor:
        raise AssertionError("a pullback runs forward once")

    def vjp(self, x_t: Tensor, t: Tensor, g: Tensor, cond: Tensor | None = None) -> tuple[Tensor, Tensor]:
        raise AssertionError("a pullback needs no vjp")

    def pullback(self, x_t: Tensor, t: Tensor) -> tuple[Tensor, Callable[[Tensor], Tensor]]:
        return self.world.v(x_t, t), lambda g: self.world.vjp(x_t, t, g)[1]


def mean(x: Tensor) -> Tensor:
    """An embedder: the mean over time."""
    return x.mean(-1)


@pytest.mark.parametrize("regime", REGIMES)
def test_gradient_on_x_0_hat_is_autograds(regime: str) -> None:
    """Through the whole composition d(y, A(x_0_hat(x_t))), with levels per frame."""
    style = Term(mean, torch.ones(3, 2, dtype=torch.float64), l2, 2.0)
    p = enter(problem(terms=(style,)), regime, WORLD, tail=3)
    t = p.at(0.6)
    x = p.x_T.clone().requires_grad_()
    total = sum(term.weight * term.d(term.y, term.A(x_0_hat(x, WORLD.v(x, t), t))).sum() for term in p.losses())
    assert isinstance(total, Tensor)
    _, grad = on_x_0_hat(WORLD, p, p.x_T, t)
    torch.testing.assert_close(grad, torch.autograd.grad(total, x)[0])


def test_sigma_multiplies_before_the_transposed_jacobian() -> None:
    """The other order gives another gradient as soon as levels differ from frame to frame."""
    p = enter(problem(), "tail", WORLD, tail=3)
    t = p.at(0.6)
    v, grad = on_x_0_hat(WORLD, p, p.x_T, t)
    g = gradient(p, x_0_hat(p.x_T, v, t))
    s = sigma(over(t, p.x_T))
    after = torch.cos(torch.pi * over(t, p.x_T) / 2) * g - s * WORLD.vjp(p.x_T, t, g)[1]
    assert (grad - after).abs().max() > 1e-3


def test_pullback_equals_vjp() -> None:
    p = problem()
    t = p.at(0.5)
    for a, b in zip(on_x_0_hat(WORLD, p, p.x_T, t), on_x_0_hat(Doubly(WORLD), p, p.x_T, t), strict=True):
        torch.testing.assert_close(a, b)


@pytest.mark.parametrize("regime", ["guided", "tail"])
def test_guided_regimes_move_the_target(regime: str) -> None:
    p = enter(problem(), regime, WORLD, tail=3)
    _, grad = on_x_0_hat(WORLD, p, p.x_T, p.at(0.6))
    assert grad[..., ~MASK].abs().max() > 1e-3


@pytest.mark.parametrize("regime", ["guided", "tail"])
@pytest.mark.parametrize("name", NAMES)
def test_guidance_makes_another_take(regime: str, name: str) -> None:
    p = enter(problem(), regime, WORLD, tail=3)
    with_xi, without = (
        sampler(name)(WORLD, p, levels(4), xi=xi, generator=torch.Generator().manual_seed(0))[..., ~MASK] for xi in (0.3, 0.0)
    )
    assert (with_xi - without).abs().max() > 1e-2


def test_a_clean_context_leaves_no_linear_gradient() -> None:
    """There sigma = 0, x_0_hat = y: computed rather than assumed, on the loss that `losses` leaves out."""
    p = enter(problem(), "clean", WORLD)
    assert p.losses() == ()
    t = p.at(0.6)
    x = p.x_T.clone().requires_grad_()
    assert p.A is not None
    assert p.y is not None
    missed = (p.A(x_0_hat(x, WORLD.v(x, t), t)) - p.y).pow(2).sum()
    assert torch.autograd.grad(missed, x)[0][..., ~MASK].abs().max() < 1e-12


def test_a_style_still_guides_beside_a_clean_context() -> None:
    style = Term(mean, torch.full((3, 2), 3.0, dtype=torch.float64), l2)
    p = enter(problem(terms=(style,)), "clean", WORLD)
    plain = sampler("ddim")(WORLD, p, levels(20), xi=0.0, generator=torch.Generator())
    styled = sampler("ddim")(WORLD, p, levels(20), xi=0.5, generator=torch.Generator())
    assert (mean(styled) > mean(plain) + 0.05).all()
    assert p.y is not None
    assert torch.equal(styled[..., MASK], p.y)


def test_levels_of_the_regimes() -> None:
    p = problem()
    assert enter(p, "guided", WORLD).at(0.5).tolist() == [0.5] * 3
    assert enter(p, "clean", WORLD).at(0.5)[0].tolist() == [0.0] * 8 + [0.5] * 8
    assert enter(p, "tail", WORLD, tail=2).at(0.5)[0].tolist() == [0.0] * 6 + [0.5] * 10
    assert enter(p, "tail", WORLD, tail=0).at(0.5)[0].tolist() == [0.0] * 8 + [0.5] * 8


def test_tail_lies_on_both_sides_of_an_infill() -> None:
    mask = torch.ones(FRAMES, dtype=torch.bool)
    mask[6:9] = False
    p = replace(problem(), A=Rows(mask), y=torch.zeros(3, 2, FRAMES - 3))
    level = enter(p, "tail", WORLD, tail=2).at(1.0)[0]
    assert level.tolist() == [0.0] * 4 + [1.0] * 7 + [0.0] * 5


def test_without_levels_per_frame_the_regime_is_the_papers() -> None:
    p = enter(problem(), "clean", replace(WORLD, per_frame_t=False))
    assert p.clean is None
    assert p.losses()


def test_unknown_regime_and_missing_vjp_are_sentences() -> None:
    with pytest.raises(ValueError, match="one of clean, guided, tail"):
        enter(problem(), "hot", WORLD)

    class Blind(Gaussian):
        def vjp(self, x_t: Tensor, t: Tensor, g: Tensor, cond: Tensor | None = None) -> None:  # type: ignore[override]
            return None

    p = problem()
    with pytest.raises(ValueError, match="Blind has no vjp"):
        on_x_0_hat(Blind(WORLD.covariance, 2), p, p.x_T, p.at(0.5))


def test_gradient_of_each_item_is_its_own() -> None:
    """Sums, not means, over items: an item's gradient does not depend on its neighbours."""
    p = problem()
    alone = replace(p, x_T=p.x_T[:1], y=None if p.y is None else p.y[:1])
    torch.testing.assert_close(gradient(p, p.x_T)[:1], gradient(alone, alone.x_T))


@settings(deadline=None)
@given(st.lists(st.booleans(), min_size=FRAMES, max_size=FRAMES), st.integers(0, 99))
def test_projection(mask: list[bool], seed: int) -> None:
    """It lands on the measurement, does so once, moves nothing else, and is x + A^T (A A^T)^-1 (y - A x)."""
    g = torch.Generator().manual_seed(seed)
    A = Rows(torch.tensor(mask))
    x, other = torch.randn(2, 1, 2, FRAMES, generator=g)
    p = Problem(A, A(other), l1, x)
    projected = project(p, x)
    assert torch.equal(A(projected), A(other))
    assert torch.equal(project(p, projected), projected)
    assert torch.equal(projected[..., ~A.mask], x[..., ~A.mask])
    matrix = torch.eye(FRAMES)[A.mask]
    as_printed = x + (A(other) - x @ matrix.T) @ torch.linalg.inv(matrix @ matrix.T) @ matrix
    torch.testing.assert_close(projected, as_printed)


def test_nothing_measured_nothing_projected() -> None:
    x = torch.ones(1, 2, FRAMES)
    assert torch.equal(project(Problem(None, None, None, x), x), x)
    assert torch.equal(gradient(Problem(None, None, None, x), x), torch.zeros_like(x))


def test_problem_moves_between_devices() -> None:
    p = enter(problem(terms=(Term(mean, torch.ones(3, 2), bce),)), "clean", WORLD).to("meta")
    assert {p.x_T.device.type, p.terms[0].y.device.type, p.at(0.5).device.type} == {"meta"}
