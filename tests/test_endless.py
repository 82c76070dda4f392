"""`continue endless 1`: take after take, each from what sounded, until `stop`, without a gap."""

from __future__ import annotations

import json

import numpy as np
import pytest
from fake_runner import PERIOD, RATE
from numpy.typing import NDArray

from segue.server.jobs import Job
from segue.server.stage import Stage


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


@pytest.mark.parametrize("sampler", ["ddim", "rolling"])
def test_made_either_way_it_plays_on_without_a_gap(stage: Stage, sampler: str) -> None:
    out, takes = heard(stage, "beats", 8.0, "endless", 1, "sampler", sampler)
    assert len(takes) >= 4
    first = int(str(takes[0][3])) - 6 * RATE
    frames = np.arange(first, 20 * RATE)
    np.testing.assert_allclose(out[:, frames], music(frames + 6 * RATE), atol=1e-6)
    jobs = stage.worker.runner.jobs  # type: ignore[attr-defined]
    assert {job.sampler for job in jobs} == {sampler}
    assert stage.segment.counters()["underruns"] == 0


def slowed(stage: Stage, cost_s: float) -> None:
    """From now on a piece of four steps costs so many seconds, and one of fewer less."""
    submit = stage.worker.submit

    def submitted(job: Job) -> None:
        stage.worker._cost = round(cost_s * job.steps / 4 * RATE)
        submit(job)

    stage.worker.submit = submitted  # type: ignore[method-assign]


def sounds_on(stage: Stage, seconds: int) -> bool:
    """Whether there is sound in every tenth of a second."""
    out = stage.play(None, seconds * RATE)
    return bool(np.abs(out.reshape(2, -1, RATE // 10)).max((0, 2)).min() > 1e-3)


def rungs(stage: Stage) -> list[object]:
    return [take.rung for take in stage.conductor.session.world.takes.values() if take.heard_at is not None]


def test_at_its_deadline_an_endless_take_has_fewer_steps_and_every_miss_is_counted(stage: Stage) -> None:
    """An engine that becomes ten times as slow while it plays: two steps come in time where four do not."""
    heard(stage, "beats", 4.0, "endless", 1)
    assert set(rungs(stage)) == {"finished"}
    slowed(stage, 3.0)
    assert sounds_on(stage, 18)  # the first ones are late: nobody knew
    before = len(rungs(stage))
    assert sounds_on(stage, 12)
    assert set(rungs(stage)[before:]) == {"fewer-steps"}
    told = misses(stage)
    assert {rung: rungs(stage).count(rung) for rung in told} == told
    assert told["fewer-steps"] >= 5


def test_an_engine_that_is_too_slow_for_one_step_is_late_and_something_sounds(stage: Stage) -> None:
    heard(stage, "beats", 4.0, "endless", 1)
    slowed(stage, 12.0)
    assert sounds_on(stage, 40)
    assert misses(stage)["late"] >= 2


def test_what_goes_on_after_a_candidate_is_there_in_time(stage: Stage) -> None:
    """A candidate is taken for as long as its successor can still be made: at the last moment there is no gap either."""
    slowed(stage, 1.0)
    stage.send("/segue/deck/1/speculate", "continue")
    stage.play(music(np.arange(12 * RATE)), 12 * RATE)
    stage.send("/segue/speculate/share", 0.0)
    ready = stage.conductor.session.world.candidates.ready
    while ready[-1].have - ready[-1].fade - stage.frame > 1.6 * RATE:  # 1.55 s are what a successor needs
        stage.play(music(stage.frame + np.arange(256)), 256)
    asked = stage.frame
    stage.send("/segue/deck/1/continue", "beats", 12.0, "xfade", 0.0)
    out = stage.play(music(asked + np.arange(8 * RATE)), 8 * RATE)  # no hole in what the successor hears
    assert len(rungs(stage)) == 2
    np.testing.assert_allclose(out[:, 256 : 6 * RATE], music(asked + np.arange(256, 6 * RATE)), atol=1e-6)
    assert rungs(stage)[0] == "candidate"
    assert misses(stage)["late"] == 0


def misses(stage: Stage) -> dict[str, int]:
    """What `/segue/status` says of them."""
    stage.events.notify("stage")  # a lease lasts 30 s
    stage.send("/segue/status")
    told: dict[str, int] = json.loads([str(args[0]) for address, args in stage.sent if address == "/segue/status"][-1])["misses"]
    return told


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
