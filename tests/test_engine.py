"""The engine on an exact Gaussian denoiser and an orthonormal codec: nothing trained, every answer known."""

from __future__ import annotations

from dataclasses import replace
from itertools import pairwise

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from torch import Tensor
from toy import ALL, CONTEXT, ENGINE, HOP, RATE, SIZE, Framewise, Stretchy, model, music, request

from segue.engine import backends as home
from segue.engine.backends import known_answer_error, make
from segue.engine.engine import CancelledError, Engine, EngineError, Piece, Request
from segue.engine.measure import loudness
from segue.engine.models.guide import Guide
from segue.engine.models.spec import Model
from segue.engine.shapes import constant_power, crossfade, plan
from segue.engine.statistics import Statistics


@pytest.mark.parametrize("seconds", [0.1, 0.3333, 1.7])
@pytest.mark.parametrize("task", ALL)
def test_every_task_gives_as_much_as_was_asked_for(task: str, seconds: float) -> None:
    seconds = max(seconds, 0.25) if task == "loop" else seconds
    pieces = list(ENGINE.pieces(request(task, seconds)))
    ends = [0, *np.cumsum([piece.audio.shape[1] for piece in pieces]).tolist()]
    assert [piece.start for piece in pieces] == ends[:-1]
    assert ends[-1] == round(seconds * RATE)
    for piece in pieces:
        assert piece.audio.dtype == np.float32
        assert np.isfinite(piece.audio).all()
        assert piece.audio.std() > 1e-3


@pytest.mark.parametrize("task", ALL)
@pytest.mark.parametrize("name", ["ddim", "ddpm"])
def test_equal_requests_give_equal_bytes_and_seeds_differ(task: str, name: str) -> None:
    a, b, other = (ENGINE.take(request(task, 0.8, seed=seed, sampler=name)) for seed in (1, 1, 2))
    assert a.tobytes() == b.tobytes()
    assert np.abs(a - other).max() > 1e-3


def test_global_random_state_is_neither_read_nor_moved() -> None:
    torch.manual_seed(0)
    before = torch.get_rng_state()
    a = ENGINE.take(request("continuation", 0.3, sampler="ddpm"))
    assert torch.equal(before, torch.get_rng_state())
    torch.manual_seed(1)
    assert np.array_equal(a, ENGINE.take(request("continuation", 0.3, sampler="ddpm")))


@pytest.mark.parametrize("regime", ["clean", "guided", "tail"])
def test_regimes_make_different_takes_and_xi_acts_where_it_should(regime: str) -> None:
    with_xi, without = (ENGINE.take(request("infill", 0.4, regime=regime, xi=xi)) for xi in (0.3, 0.0))
    assert np.array_equal(with_xi, without) == (regime == "clean")
    if regime != "clean":
        assert np.abs(with_xi - ENGINE.take(request("infill", 0.4, xi=0.3))).max() > 1e-3


def test_a_style_pulls() -> None:
    """Towards a style that is louder in its latents than the context, in the clean regime too."""
    loud = replace(model(), spec=replace(model().spec, reference_lufs=None))
    engine = Engine(make("eager", loud))
    fields = {"style": music(0.5, 4, gain=2.0), "match_level": False, "steps": 20}
    pulled, plain = (engine.take(request("style", 0.3, xi=xi, **fields)) for xi in (0.3, 0.0))
    assert pulled.std() > 1.02 * plain.std()


def test_classes_pull() -> None:
    """Towards loud first coefficients."""

    def classifier(x: Tensor) -> Tensor:
        return torch.sigmoid(10 * x[:, :2].mean(-1))

    made_model = make("eager", model())
    engine = Engine(made_model, Guide("loud", Statistics(2 * HOP), classifier, ("first", "second")))
    bare = Request("classify", RATE // 4, left=music(1.0), classes=np.ones((1, 2), np.float32), match_level=False, steps=20)
    made = [Framewise().encode(torch.from_numpy(engine.take(replace(bare, xi=xi)))[None]) for xi in (0.0, 0.03)]
    without, pulled = (classifier(z).mean() for z in made)
    assert pulled > without + 0.1


def test_regenerate_with_little_noise_stays_near_what_stands_there() -> None:
    def apart(k: float) -> float:
        r = request("regenerate", 0.4, parameters={"k": k}, match_level=False, steps=10)
        assert r.middle is not None
        return float(np.abs(ENGINE.take(r) - r.middle)[:, 200:].mean())

    assert apart(0.05) < 0.8 * apart(1.0)


def test_too_little_context_is_a_sentence() -> None:
    with pytest.raises(EngineError, match=r"^not enough audio captured: 0\.1 s of 0\.2 s$"):
        ENGINE.take(Request("continuation", RATE, left=music(0.1)))
    with pytest.raises(EngineError, match=r"^not enough audio captured: 0\.0 s of 0\.2 s$"):
        ENGINE.take(Request("continuation", RATE))


@pytest.mark.parametrize(
    ("bad", "sentence"),
    [
        (Request("nothing", RATE), "task: got 'nothing'; one of"),
        (Request("generate", 0), "got 0 samples of new audio"),
        (Request("generate", RATE, sampler="euler"), "one of ddim, ddpm"),
        (Request("generate", RATE, steps=0), "at least 1 step"),
        (Request("infill", RATE, left=music(1.0)), "infill: needs right, got none"),
        (Request("continuation", RATE, left=np.zeros(RATE, np.float32)), r"left: got shape \[8000\]"),
        (Request("regenerate", RATE, left=music(1.0), middle=music(0.5)), "middle has 4000 samples; give 8000"),
        (replace(request("transition", 0.5), middle_right=music(0.2)), "both must have the length"),
        (request("regenerate", 0.5, parameters={"k": 2.0}), "k lies between 0 and 1, got 2"),
        (request("continuation", 0.5, regime="hot"), "one of clean, guided, tail"),
        (request("infill", 0.5, right=music(0.005)), "right: got 40 samples"),
        (request("loop", 0.02), "give at least"),
        (Request("classify", RATE), "needs a classifier and classes"),
        (request("continuation", 0.5, xi=float("nan")), "xi: got nan"),
        (request("style", 0.5, style=music(0.005)), "style: got 40 samples"),
    ],
)
def test_a_bad_request_is_a_sentence(bad: Request, sentence: str) -> None:
    with pytest.raises(EngineError, match=sentence):
        ENGINE.take(bad)


def test_steps_are_told_and_cancelling_stops_at_once() -> None:
    told: list[tuple[int, int]] = []
    long = request("continuation", 1.0, steps=3)
    pieces = ENGINE.pieces(long, on_step=lambda i, n: told.append((i, n)))
    assert isinstance(next(pieces), Piece)
    assert told == [(0, 3), (1, 3), (2, 3)]
    list(pieces)
    windows = len(told) // 3
    assert windows == len(plan(100 + 4, 100, 0, SIZE, CONTEXT)) == 3
    told.clear()
    with pytest.raises(CancelledError):
        list(ENGINE.pieces(long, on_step=lambda i, n: told.append((i, n)), cancelled=lambda: len(told) == 4))
    assert len(told) == 4


def test_every_piece_says_where_it_comes_from() -> None:
    a = list(ENGINE.pieces(request("continuation", 1.0)))
    assert {piece.context_hash for piece in a} == {a[0].context_hash}
    assert next(ENGINE.pieces(request("continuation", 1.0, left=music(1.0, 1)))).context_hash != a[0].context_hash
    assert a[0].steps == 4
    assert a[0].gain == pytest.approx(10 ** ((loudness(music(1.0)[:, -60 * HOP :], RATE) + 18) / 20), rel=1e-5)


def test_seconds_of_the_window() -> None:
    assert pytest.approx(SIZE * HOP / RATE) == ENGINE.window_s
    assert pytest.approx(CONTEXT * HOP / RATE) == ENGINE.context_min_s
    assert ENGINE.new_frames == (SIZE - CONTEXT - 4) * HOP
    ENGINE.warm_up()
    assert len(list(ENGINE.pieces(Request("continuation", ENGINE.new_frames, left=music(1.0))))) == 1


@given(st.integers(1, 600), st.integers(0, 200), st.integers(0, 200), st.integers(20, 100))
@settings(deadline=None, max_examples=200)
def test_plan(new: int, left: int, right: int, size: int) -> None:
    """Windows lie end to end, fit, keep their context, and only the last one reaches what follows."""
    context = round(0.4 * size)
    windows = plan(new, left, right, size, context)
    assert windows[0].first == 0
    for a, b in pairwise(windows):
        assert b.first == a.first + a.new
        assert a.right == 0
    assert windows[-1].first + windows[-1].new == new
    for window in windows:
        assert window.new >= 1
        assert window.left + window.new + window.right <= size
        assert window.left >= min(left + window.first, context if not window.right else size // 4)
        assert window.left <= left + window.first
    assert windows[-1].right >= min(right, size // 4)
    assert windows[-1].right <= right


def test_constant_power() -> None:
    f_out, f_in = constant_power(1000)
    np.testing.assert_allclose(f_out**2 + f_in**2, 1, atol=1e-6)
    assert f_out[0] > 0.999
    assert f_in[-1] > 0.999
    x = np.ones((2, 10), np.float32)
    np.testing.assert_allclose(crossfade(x, x), np.tile(sum(constant_power(10)), (2, 1)))


def test_a_backend_that_answers_otherwise_is_refused(monkeypatch: pytest.MonkeyPatch) -> None:
    from importlib.metadata import EntryPoint

    def noisy(m: Model, device: str, site: object) -> Model:
        return make("eager", replace(m, denoiser=Stretchy(rho=0.1)))

    monkeypatch.setattr(home, "noisy", noisy, raising=False)
    monkeypatch.setattr(
        "segue.engine.registry.entry_points", lambda group: [EntryPoint("noisy", f"{home.__name__}:noisy", group)]
    )
    with pytest.raises(ValueError, match="noisy: differs from eager by"):
        make("noisy", model())
    assert known_answer_error(make("eager", model()), make("eager", model())) == 0.0
    with pytest.raises(ValueError, match="one of compiled, eager"):
        make("nothing", model())


def test_eager_pullback_is_the_vjp() -> None:
    made = make("eager", model())
    g = torch.Generator().manual_seed(0)
    x, c = torch.randn(2, 1, 2 * HOP, 12, generator=g)
    t = torch.rand(1, 12, generator=g)
    v, pull = made.denoiser.pullback(x, t)  # type: ignore[attr-defined]
    expected = made.denoiser.vjp(x, t, c)
    assert expected is not None
    torch.testing.assert_close(v, expected[0])
    torch.testing.assert_close(pull(c), expected[1])
