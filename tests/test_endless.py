"""`continue endless 1`: take after take, each from what sounded, until `stop`, without a gap."""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np
import pytest
from fake_runner import PERIOD, RATE, STATE, FakeRunner
from numpy.typing import NDArray

from segue.server.config import Config
from segue.server.stage import Stage


@pytest.fixture
def stage() -> Iterator[Stage]:
    made = Stage(Config(), FakeRunner, STATE, 0.3)
    yield made
    made.close()


def music(frames: NDArray[np.int64]) -> NDArray[np.float32]:
    """A second of noise, for ever: any second of it predicts the next."""
    unit = np.random.default_rng(3).normal(0, 0.1, (2, PERIOD)).astype(np.float32)
    return unit[:, frames % PERIOD]


def heard(stage: Stage, *endless: object) -> tuple[NDArray[np.float32], list[tuple[object, ...]]]:
    """What sounds for 20 s after the performer has played for 6 and stopped, and the takes."""
    stage.play(music(np.arange(6 * RATE)), 6 * RATE)
    stage.send("/segue/deck/1/continue", "xfade", 0.0, *endless)  # type: ignore[arg-type]
    out = stage.play(None, 20 * RATE)
    return out, [args for address, args in stage.sent if address == "/segue/take"]


def states(stage: Stage) -> list[tuple[object, object]]:
    return [(args[0], args[3]) for address, args in stage.sent if address == "/segue/job"]


@pytest.mark.parametrize("length", [("beats", 4.0), ("sec", 1.7)])
def test_it_plays_on_in_place_and_without_a_gap(stage: Stage, length: tuple[str, float]) -> None:
    out, takes = heard(stage, *length, "endless", 1)
    assert len(takes) >= 8
    first = int(str(takes[0][3])) - 6 * RATE
    frames = np.arange(first, 20 * RATE)
    np.testing.assert_allclose(out[:, frames], music(frames + 6 * RATE), atol=1e-6)
    starts = np.array([int(str(take[3])) for take in takes])
    assert set(np.diff(starts)) == {round(length[1] * (0.5 if length[0] == "beats" else 1.0) * RATE)}
    assert len({take[5] for take in takes}) == len(takes)  # each with a seed of its own


def test_without_it_a_take_ends(stage: Stage) -> None:
    _, takes = heard(stage, "beats", 4.0)
    assert len(takes) == 1


def test_stop_ends_it_for_good(stage: Stage) -> None:
    heard(stage, "beats", 4.0, "endless", 1)
    stage.send("/segue/deck/1/stop", "xfade", 0.0)
    stage.play(None, RATE)
    assert not stage.play(None, 8 * RATE).any()
    over = {job for job, state in states(stage) if state in ("done", "cancelled")}
    assert over == {job for job, _ in states(stage)}


def test_another_take_ends_it_too(stage: Stage) -> None:
    heard(stage, "beats", 4.0, "endless", 1, "id", 7)
    stage.send("/segue/deck/1/continue", "beats", 2.0, "id", 500)
    stage.play(None, 12 * RATE)
    told = states(stage)
    last = max(i for i, (job, state) in enumerate(told) if (job, state) == (500, "done"))
    assert not [state for job, state in told[last:] if state == "playing"]


def test_panic_ends_it(stage: Stage) -> None:
    heard(stage, "beats", 4.0, "endless", 1)
    stage.send("/segue/panic")
    stage.play(None, RATE)
    assert not stage.play(None, 8 * RATE).any()
