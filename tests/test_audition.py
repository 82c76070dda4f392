"""Candidates on the cue pair: heard before they are selected, as they would sound, while the main out goes on."""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np
import pytest
from fake_runner import RATE, STATE, FakeRunner
from test_speculation import BLOCK, music, perform, said, standing

from segue.server.config import Config
from segue.server.stage import Stage

FADE = round(0.005 * RATE)


@pytest.fixture
def stage() -> Iterator[Stage]:
    made = Stage(Config(block=BLOCK, cue=3), FakeRunner, STATE, 0.4)
    yield made
    made.close()


@pytest.mark.parametrize("verb", ["continue", "loop"])
def test_it_sounds_as_it_would_if_it_were_selected(stage: Stage, verb: str) -> None:
    stage.send("/segue/deck/1/speculate", verb)
    perform(stage, 9.0)
    asked = stage.frame
    stage.send("/segue/deck/1/audition")
    out = perform(stage, 3.0)
    np.testing.assert_array_equal(out[:2], music(asked, 3 * RATE))
    cue = out[2:, BLOCK + FADE : 2 * RATE]
    np.testing.assert_allclose(cue, music(asked + BLOCK + FADE, cue.shape[1]), atol=1e-6)
    assert not out[2:, :BLOCK].any()
    assert said(stage, "/segue/deck/1/auditioned")[0][0] == verb


def test_what_was_auditioned_stays_and_is_selected_by_its_seed(stage: Stage) -> None:
    stage.send("/segue/deck/1/speculate", "continue")
    stage.send("/segue/speculate/share", 1.0)
    perform(stage, 8.0)
    seed = standing(stage)[-1][3]
    stage.send("/segue/deck/1/audition", "verb", "continue", "seed", seed)
    perform(stage, 3.0)
    assert len({args[3] for args in said(stage, "/segue/deck/1/candidate")}) > 2  # younger ones were made meanwhile
    stage.send("/segue/deck/1/continue", "seed", seed)
    perform(stage, 0.5)
    (take,) = said(stage, "/segue/take")
    assert (take[5], take[7]) == (seed, "candidate")


def test_a_take_that_is_held_is_heard_from_its_beginning_and_ended_by_off(stage: Stage) -> None:
    perform(stage, 6.0)
    stage.send("/segue/deck/1/capture", "sec", 2.0)
    held, asked = said(stage, "/segue/job")[-1][0], stage.frame
    perform(stage, 0.5)
    stage.send("/segue/deck/1/audition", "id", held)
    out = perform(stage, 1.0)[2:, BLOCK + FADE :]
    np.testing.assert_allclose(out, music(asked - 2 * RATE + FADE, out.shape[1]), atol=1e-6)
    stage.send("/segue/deck/1/audition", "verb", "off")
    assert not perform(stage, 1.0)[2:, BLOCK + FADE :].any()


@pytest.mark.parametrize(
    ("options", "sentence"),
    [
        ((), "deck 1 has no candidate at all: name verbs with speculate, and wait for one"),
        (("seed", 3), "deck 1 has no candidate seed 3: name verbs with speculate, and wait for one"),
        (("id", 9), "deck 1 has no job 9 with audio: ask /segue/jobs"),
    ],
)
def test_what_is_not_there_is_a_sentence(stage: Stage, options: tuple[object, ...], sentence: str) -> None:
    stage.send("/segue/deck/1/audition", *options)  # type: ignore[arg-type]
    assert said(stage, "/segue/fail")[0][1] == sentence


def test_without_a_cue_pair_it_says_how_to_have_one() -> None:
    stage = Stage(Config(block=BLOCK), FakeRunner, STATE, 0.4)
    stage.send("/segue/deck/1/audition")
    assert "start the server with --cue 3" in str(said(stage, "/segue/fail")[0][1])
    stage.close()
