"""The rolling sampler where the exact answer is known: the Gaussian world, in which the denoiser is exact at any levels."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import numpy as np
import pytest
import torch
from torch import Tensor
from toy import RATE, model

from segue.engine.distance import l1
from segue.engine.engine import Engine, EngineError, Request
from segue.engine.gaussian import Gaussian, ar1
from segue.engine.guidance import enter
from segue.engine.measure import step_over_material
from segue.engine.paper import levels
from segue.engine.problem import Problem, Rows
from segue.engine.protocols import Denoiser
from segue.engine.samplers import ROLLING, sampler
from segue.engine.samplers.rolling import rolls

RHO = 0.9


class World:
    """x_0 ~ N(0, ar1) for windows of any length, and how long those were that were asked for."""

    per_frame_t, channels = True, 1

    def __init__(self, rho: float = RHO) -> None:
        self.rho, self.calls = rho, list[int]()

    def v(self, x_t: Tensor, t: Tensor, cond: Tensor | None = None) -> Tensor:
        """E[v | x_t] exactly."""
        self.calls.append(x_t.shape[-1])
        return Gaussian(ar1(x_t.shape[-1], self.rho)).v(x_t, t)

    def vjp(self, x_t: Tensor, t: Tensor, g: Tensor, cond: Tensor | None = None) -> None:
        """None is needed."""


def continuation(known: int, new: int, batch: int = 1, y: Tensor | None = None, z: Tensor | None = None) -> Problem:
    g = torch.Generator().manual_seed(5)
    A = Rows(torch.arange(known + new) < known)
    z = torch.randn(batch, 1, known + new, generator=g, dtype=torch.float64) if z is None else z
    y = torch.randn(batch, 1, known, generator=g, dtype=torch.float64) if y is None else y
    return enter(Problem(A, y, l1, A.project(z, y)), "clean", World())


def last(world: Denoiser, problem: Problem, ladder: list[float], size: int, first: int, hop: int) -> Tensor:
    return list(rolls(world, problem, ladder, size, first, hop))[-1][0]


def test_a_hop_is_done_with_every_call_after_the_first() -> None:
    world, steps, hop, known, new = World(), 4, 3, 8, 30
    said = list(rolls(world, continuation(known, new), levels(steps), known + steps * hop, hop, hop))
    assert [done for _, done in said] == [known] * 3 + [known + hop * i for i in range(1, 11)]
    assert len(said) == new // hop + steps - 1
    assert set(world.calls) == {known + steps * hop}
    final = said[-1][0]
    for x, done in said:  # what is done stays as it is
        torch.testing.assert_close(x[..., :known], final[..., :known], rtol=0, atol=0)
        assert done >= known


def test_the_first_block_may_be_longer() -> None:
    world, steps = World(), 4
    said = list(rolls(world, continuation(8, 30), levels(steps), 8 + 12, 6, 2))
    assert [done - 8 for _, done in said] == [0] * 3 + list(range(6, 31, 2))
    assert set(world.calls) == {20}


def test_with_one_block_it_is_algorithm_2() -> None:
    problem, world = continuation(8, 6, batch=3), World()
    rolled = last(world, problem, levels(7), 14, 6, 6)
    straight = sampler("ddim")(world, problem, levels(7), xi=0.0, generator=torch.Generator())
    torch.testing.assert_close(rolled, straight, rtol=1e-12, atol=1e-12)


def test_in_a_white_world_every_frame_turns_by_the_same_angle() -> None:
    """Sigma = I: x_0_hat = alpha x_t and eps_hat = sigma x_t, so a step is x_t cos(pi / 2 N) and all N are its N-th power."""
    steps, problem = 5, continuation(4, 20)
    x = last(World(rho=0.0), problem, levels(steps), 4 + 10, 2, 2)
    expected = problem.x_T[..., 4:] * np.cos(np.pi / 2 / steps) ** steps
    torch.testing.assert_close(x[..., 4:], expected, rtol=1e-12, atol=1e-12)


@pytest.mark.parametrize(("steps", "tolerance"), [(4, 0.45), (16, 0.18), (40, 0.09)])
def test_many_steps_sample_the_posterior(steps: int, tolerance: float) -> None:
    """The sampler is linear: from zero noise comes the mean, from unit vectors the square root of the covariance."""
    known, new = 6, 2 * steps
    hop, frames = 1, known + 2 * steps
    y = torch.linspace(-1.0, 1.5, known, dtype=torch.float64)[None, None]
    unit = torch.cat([torch.zeros(1, 1, frames), torch.eye(frames)[known:, None]]).double()
    problem = continuation(known, new, new + 1, y.expand(new + 1, -1, -1), unit)
    x = last(World(), problem, levels(steps), known + steps * hop, hop, hop)[:, 0, known:]
    mean, root = x[0], x[1:] - x[0]
    wanted_mean, wanted = Gaussian(ar1(frames, RHO)).posterior(y, torch.arange(frames) < known)
    assert float((mean - wanted_mean[0, 0]).abs().max()) < tolerance
    near = slice(0, min(16, new))
    assert float((root.T @ root - wanted)[near, near].abs().max()) < tolerance


def test_the_end_of_a_line_is_made_too_and_from_no_context() -> None:
    x = list(rolls(World(), Problem(None, None, None, torch.randn(1, 1, 23).double()), levels(4), 12, 3, 3))
    assert x[-1][1] == 23
    assert bool(x[-1][0].isfinite().all())
    short = continuation(5, 4)
    assert sampler(ROLLING)(World(), short, levels(4), xi=0.03, generator=torch.Generator()).shape == (1, 1, 9)


@pytest.mark.parametrize(
    ("change", "sentence"),
    [
        ({"clean": None}, "the context has to be clean"),
        ({"clean": torch.arange(12) > 6}, "what follows is known too"),
    ],
)
def test_what_it_cannot_do_is_a_sentence(change: dict[str, Tensor | None], sentence: str) -> None:
    with pytest.raises(ValueError, match=sentence):
        list(rolls(World(), replace(continuation(6, 6), **change), levels(4), 12, 1, 1))  # type: ignore[arg-type]


def test_a_model_with_one_level_a_window_is_told() -> None:
    world = World()
    world.per_frame_t = False
    with pytest.raises(ValueError, match="levels per frame"):
        list(rolls(world, continuation(6, 6), levels(4), 12, 1, 1))


def test_the_engine_gives_the_first_sound_sooner_and_the_whole_take_without_a_seam() -> None:
    engine = Engine(model())
    context = np.random.default_rng(1).normal(0, 0.1, (2, 3 * RATE)).astype(np.float32)
    request = Request("continuation", 3 * engine.new_frames + 17, left=context, sampler=ROLLING)
    pieces = list(engine.pieces(request))
    straight = list(engine.pieces(replace(request, sampler="ddim")))
    assert pieces[0].audio.shape[1] < 0.5 * straight[0].audio.shape[1]
    assert [piece.start for piece in pieces] == list(np.cumsum([0, *(piece.audio.shape[1] for piece in pieces[:-1])]))
    whole = np.concatenate([piece.audio for piece in pieces], axis=1)
    assert whole.shape[1] == request.new_frames
    np.testing.assert_array_equal(whole, engine.take(request))
    assert max(step_over_material(whole, piece.start, RATE) for piece in pieces[1:]) < 1.5


@pytest.mark.parametrize("change", [{"task": "regenerate", "middle": np.zeros((2, RATE), np.float32)}, {"regime": "guided"}])
def test_the_engine_says_what_rolling_cannot_make(change: dict[str, Any]) -> None:
    context = np.random.default_rng(1).normal(0, 0.1, (2, 3 * RATE)).astype(np.float32)
    request = replace(Request("continuation", RATE, left=context, sampler=ROLLING), **change)
    with pytest.raises(EngineError, match="rolling: makes continuation and generate in the regime clean"):
        Engine(model()).take(request)
