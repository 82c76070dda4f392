"""Candidates: a verb sounds one block after it was asked for, in its place, whatever the engine costs."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace
from itertools import pairwise
from pathlib import Path

import numpy as np
import pytest
import soundfile
from fake_runner import PERIOD, RATE, STATE, FakeRunner
from numpy.typing import NDArray
from staged import said

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


def standing(stage: Stage) -> list[tuple[object, ...]]:
    """Candidates as they were told when they came, without what was told when they went."""
    return [args for args in said(stage, "/segue/deck/1/candidate") if args[2] != args[1]]


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


@pytest.mark.parametrize("options", [("seed", 4), ("steps", 8), ("k", 0.5), ("commit", 0)])
def test_what_a_candidate_cannot_be_is_made(stage: Stage, options: tuple[str, float]) -> None:
    stage.send("/segue/deck/1/speculate", "continue")
    perform(stage, 8.0)
    stage.send("/segue/deck/1/speculate", "vary" if options[0] == "k" else "continue")
    perform(stage, 4.0)
    stage.send("/segue/deck/1/vary" if options[0] == "k" else "/segue/deck/1/continue", *options)
    perform(stage, 6.0)
    assert said(stage, "/segue/job")[0][3] == "queued"
    assert all(take[7] != "candidate" for take in said(stage, "/segue/take"))


def test_the_engine_rests_while_nothing_is_heard(stage: Stage) -> None:
    stage.send("/segue/deck/1/speculate", "continue")
    perform(stage, 6.0)
    stage.play(None, 4 * RATE)
    before = stage.worker.pieces
    assert before > 1
    stage.play(None, 12 * RATE)
    assert stage.worker.pieces == before
    told = said(stage, "/segue/deck/1/candidate")
    assert told[-1][1] == told[-1][2]  # what it made is stale by now, and gone


def test_it_rests_while_the_context_is_pinned(stage: Stage) -> None:
    stage.send("/segue/deck/1/speculate", "continue")
    perform(stage, 6.0)
    stage.send("/segue/deck/1/freeze")
    perform(stage, 2.0)
    before = stage.worker.pieces
    perform(stage, 6.0)
    assert stage.worker.pieces == before > 1


def test_candidates_take_turns_and_their_share(stage: Stage) -> None:
    stage.send("/segue/deck/1/speculate", "continue vary")
    perform(stage, 30.0)
    made = [args[0] for args in standing(stage)]
    first = made.index("vary")  # it needs more music than the other
    assert len(made) - first >= 4
    assert all(one != two for one, two in pairwise(made[first:]))
    assert stage.worker.pieces * 0.4 < 0.55 * 30.0


@pytest.mark.parametrize("share", [0.0, 0.2, 0.8])
def test_the_share_of_the_engine_is_kept(stage: Stage, share: float) -> None:
    stage.send("/segue/deck/1/speculate", "continue")
    stage.send("/segue/speculate/share", share)
    perform(stage, 22.4)
    used = stage.worker.pieces * 0.4 / 20.0
    assert 0.6 * share <= used <= share + 0.05


def test_what_the_last_verb_lacks_is_made_first(stage: Stage) -> None:
    stage.send("/segue/deck/1/speculate", "continue loop vary")
    perform(stage, 12.0)
    for verb in ("loop", "vary"):
        stage.send(f"/segue/deck/1/{verb}", "beats", 8.0)
        before = len(stage.worker.runner.jobs)  # type: ignore[attr-defined]
        perform(stage, 4.0)
        assert stage.worker.runner.jobs[before].verb == verb  # type: ignore[attr-defined]
        stage.send("/segue/deck/1/stop")
        perform(stage, 8.0)


def test_nobody_hears_of_candidates_as_jobs(stage: Stage) -> None:
    stage.send("/segue/deck/1/speculate", "continue")
    perform(stage, 8.0)
    stage.send("/segue/deck/1/cancel")
    stage.send("/segue/deck/1/commit")
    assert not said(stage, "/segue/job")
    assert len(said(stage, "/segue/fail")) == 2


def test_a_verb_that_cannot_be_made_ahead_is_a_sentence(stage: Stage) -> None:
    stage.send("/segue/deck/1/speculate", "style")
    stage.send("/segue/deck/1/seeds", "1 -2")
    first, second = (str(args[1]) for args in said(stage, "/segue/fail"))
    assert first == "speculate: takes off or some of continue vary loop transition generate, got style"
    assert second == "seeds: at most 8 whole numbers from 0 to 2147483647, got '1 -2'"


def test_a_loop_closes_the_last_phrase_one_block_later(stage: Stage) -> None:
    stage.send("/segue/deck/1/speculate", "loop")
    perform(stage, 12.0)
    asked = stage.frame
    stage.send("/segue/deck/1/loop", "xfade", 0.0)
    out = stage.play(None, 6 * RATE)
    (take,) = said(stage, "/segue/take")
    assert (take[3], take[7]) == (asked + BLOCK, "candidate")
    assert int(str(take[4])) < 4 * RATE  # younger than the eight beats that it closes
    np.testing.assert_allclose(out[:, BLOCK:], music(asked + BLOCK, out.shape[1] - BLOCK), atol=1e-6)


def test_one_that_is_shorter_than_what_was_asked_for_is_continued(stage: Stage) -> None:
    stage.send("/segue/deck/1/speculate", "continue")
    perform(stage, 8.0)
    asked = stage.frame
    stage.send("/segue/deck/1/continue", "beats", 40.0, "xfade", 0.0)
    out = stage.play(None, 22 * RATE)
    takes = said(stage, "/segue/take")
    assert takes[0][7] == "candidate"
    assert len(takes) == 2
    end = BLOCK + 20 * RATE  # 40 beats after it was entered, to the sample
    np.testing.assert_allclose(out[:, BLOCK:end], music(asked + BLOCK, 20 * RATE), atol=1e-6)
    assert said(stage, "/segue/job")[-1][3] == "done"


def test_with_too_little_left_it_is_not_taken(stage: Stage) -> None:
    """Two beats, or the time that its successor needs: one that has less is gone, and the engine is asked."""
    stage.send("/segue/deck/1/speculate", "continue")
    perform(stage, 8.0)
    stage.send("/segue/speculate/share", 0.0)
    perform(stage, 1.5)
    gone = [args for args in said(stage, "/segue/deck/1/candidate") if args[1] == args[2]]
    last = int(str(standing(stage)[-1][2]))
    while len([args for args in said(stage, "/segue/deck/1/candidate") if args[1] == args[2]]) == len(gone):
        assert last - stage.frame > RATE - BLOCK  # two beats
        perform(stage, BLOCK / RATE)
    stage.send("/segue/deck/1/continue", "beats", 4.0)
    perform(stage, 3.0)
    assert said(stage, "/segue/take")[-1][7] != "candidate"


def test_its_age_is_told(stage: Stage) -> None:
    stage.send("/segue/deck/1/speculate", "continue")
    perform(stage, 8.0)
    verb, first, _, seed = standing(stage)[-1]
    asked = stage.frame
    stage.send("/segue/deck/1/continue", "id", 77)
    stage.step(None, BLOCK)
    assert said(stage, "/segue/deck/1/selected")[0][:3] == (verb, 77, seed)
    age = float(str(said(stage, "/segue/deck/1/selected")[0][3]))
    assert age == pytest.approx((asked + BLOCK - int(str(first))) / RATE)


def test_candidates_of_several_seeds_are_asked_for_by_seed(stage: Stage) -> None:
    stage.send("/segue/deck/1/speculate", "continue")
    stage.send("/segue/deck/1/seeds", "11 12 13")
    stage.send("/segue/speculate/share", 1.0)
    perform(stage, 14.0)
    made = {args[3] for args in said(stage, "/segue/deck/1/candidate")}
    assert made == {11, 12, 13}
    asked = stage.frame
    stage.send("/segue/deck/1/continue", "seed", 12)
    perform(stage, 1.0)
    (take,) = said(stage, "/segue/take")
    assert (take[3], take[5], take[7]) == (asked + BLOCK, 12, "candidate")


def test_an_engine_that_can_makes_them_at_once(stage: Stage) -> None:
    stage.conductor.worker_event(replace(STATE, batch=8))
    stage.send("/segue/deck/1/speculate", "continue")
    stage.send("/segue/deck/1/candidates", 4)
    perform(stage, 8.0)
    jobs = stage.worker.runner.jobs  # type: ignore[attr-defined]
    assert all(len(job.also) == 3 for job in jobs)
    assert len({args[3] for args in said(stage, "/segue/deck/1/candidate")}) >= 4


def file(folder: Path, name: str, seed: int) -> str:
    path = folder / name
    soundfile.write(path, np.random.default_rng(seed).normal(0, 0.1, (40 * RATE, 2)).astype(np.float32), RATE, subtype="FLOAT")
    return str(path)


@pytest.mark.parametrize("live", [True, False])
def test_a_transition_to_the_loaded_deck_stands_ready(stage: Stage, tmp_path: Path, live: bool) -> None:
    stage.send("/segue/deck/2/load", file(tmp_path, "b.wav", 2), "gain", 0.0)
    if not live:
        stage.send("/segue/deck/1/load", file(tmp_path, "a.wav", 1), "gain", 0.0)
        perform(stage, 1.0)
        stage.send("/segue/deck/1/play")
    stage.send("/segue/deck/1/speculate", "transition")
    perform(stage, 9.0)
    asked = stage.frame
    stage.send("/segue/deck/1/transition")
    perform(stage, 8.0)
    (take,) = said(stage, "/segue/take")
    assert take[7] == "candidate"
    assert int(str(take[3])) == asked + BLOCK
    assert said(stage, "/segue/deck/2/state")[-1] == ("dry",)


def test_another_file_makes_a_transition_stale(stage: Stage, tmp_path: Path) -> None:
    stage.send("/segue/deck/2/load", file(tmp_path, "b.wav", 2), "gain", 0.0)
    stage.send("/segue/deck/1/speculate", "transition")
    perform(stage, 9.0)
    before = standing(stage)[-1]
    stage.send("/segue/deck/2/seek", 10.0)
    perform(stage, 0.1)
    assert (before[0], before[1], before[1], before[3]) in said(stage, "/segue/deck/1/candidate")
