"""Candidates: a verb sounds one block after it was asked for, in its place, whatever the engine costs."""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np
import pytest
from fake_runner import PERIOD, RATE, STATE, FakeRunner
from numpy.typing import NDArray

from segue.server.config import Config
from segue.server.stage import Stage

BLOCK = 256


@pytest.fixture
def stage() -> Iterator[Stage]:
    made = Stage(Config(block=BLOCK), FakeRunner, STATE, 0.4)
    yield made
    made.close()


def music(first: int, n: int) -> NDArray[np.float32]:
    """A second of noise, for ever: any second of it predicts the next."""
    unit = np.random.default_rng(3).normal(0, 0.1, (2, PERIOD)).astype(np.float32)
    return unit[:, np.arange(first, first + n) % PERIOD]


def perform(stage: Stage, seconds: float) -> NDArray[np.float32]:
    """The performer goes on."""
    n = round(seconds * RATE)
    return stage.play(music(stage.frame, n), n)


def said(stage: Stage, address: str) -> list[tuple[object, ...]]:
    return [args for sent, args in stage.sent if sent == address]


def test_a_verb_selects_and_sounds_one_block_later(stage: Stage) -> None:
    stage.send("/segue/deck/1/speculate", "continue")
    perform(stage, 8.0)
    for _ in range(4):  # a lease lasts 30 s
        before, asked = len(said(stage, "/segue/take")), stage.frame
        stage.send("/segue/deck/1/continue", "beats", 4.0, "xfade", 0.0)
        out = stage.play(None, 2 * RATE - BLOCK)  # the performer stops
        take = said(stage, "/segue/take")[before]
        assert take[3] == asked + BLOCK
        assert take[7] == "candidate"
        assert take[4] == int(str(take[3])) - int(str(take[2]))
        np.testing.assert_allclose(out[:, BLOCK:], music(asked + BLOCK, out.shape[1] - BLOCK), atol=1e-6)
        perform(stage, 4.0)


def test_without_it_the_engine_is_waited_for(stage: Stage) -> None:
    perform(stage, 8.0)
    asked = stage.frame
    stage.send("/segue/deck/1/continue", "beats", 4.0)
    perform(stage, 3.0)
    (take,) = said(stage, "/segue/take")
    assert int(str(take[3])) - asked > 0.4 * RATE
    assert not said(stage, "/segue/deck/1/candidate")


def test_on_the_bar_a_candidate_that_lasts_is_taken(stage: Stage) -> None:
    stage.send("/segue/deck/1/speculate", "continue")
    perform(stage, 8.3)
    stage.send("/segue/deck/1/continue", "beats", 4.0, "quant", "beat")
    perform(stage, 3.0)
    (take,) = said(stage, "/segue/take")
    assert (take[3], take[7]) == (round(8.5 * RATE), "candidate")


@pytest.mark.parametrize("options", [("seed", 4), ("steps", 8), ("beats", 64.0), ("commit", 0)])
def test_what_a_candidate_cannot_be_is_made(stage: Stage, options: tuple[str, float]) -> None:
    stage.send("/segue/deck/1/speculate", "continue")
    perform(stage, 8.0)
    stage.send("/segue/deck/1/continue", *options)
    perform(stage, 6.0)
    assert said(stage, "/segue/job")[0][3] == "queued"
    assert all(take[7] != "candidate" for take in said(stage, "/segue/take"))


def test_the_engine_rests_while_nothing_is_heard(stage: Stage) -> None:
    stage.send("/segue/deck/1/speculate", "continue")
    perform(stage, 6.0)
    stage.play(None, 4 * RATE)
    before = len(said(stage, "/segue/deck/1/candidate"))
    assert before > 1
    stage.play(None, 6 * RATE)
    assert len(said(stage, "/segue/deck/1/candidate")) == before


def test_candidates_take_turns_and_their_share(stage: Stage) -> None:
    stage.send("/segue/deck/1/speculate", "continue vary")
    perform(stage, 24.0)
    told = said(stage, "/segue/deck/1/candidate")
    counts = [sum(args[0] == verb for args in told) for verb in ("continue", "vary")]
    assert min(counts) >= 3
    assert stage.worker.pieces * 0.4 < 24.0


def test_nobody_hears_of_candidates_as_jobs(stage: Stage) -> None:
    stage.send("/segue/deck/1/speculate", "continue")
    perform(stage, 8.0)
    stage.send("/segue/deck/1/cancel")
    stage.send("/segue/deck/1/commit")
    assert not said(stage, "/segue/job")
    assert len(said(stage, "/segue/fail")) == 2


def test_a_verb_that_cannot_be_made_ahead_is_a_sentence(stage: Stage) -> None:
    stage.send("/segue/deck/1/speculate", "transition")
    assert said(stage, "/segue/fail")[0][1] == "speculate: takes off or some of continue vary generate, got transition"
