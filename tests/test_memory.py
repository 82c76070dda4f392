"""Endless continuation remembers what its first take heard, and what has been played since; other takes remember nothing."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import numpy as np
import pytest
from fake_runner import RATE, STATE, FakeRunner

from segue.engine.novelty import COARSE, coarse
from segue.engine.request import Piece, Request
from segue.server.audio.values import Ring
from segue.server.config import Config
from segue.server.continuations import PLAYED_S, REMEMBERED
from segue.server.inference import Inference
from segue.server.jobs import Audio, Finished, Job, RingPart
from segue.server.stage import Stage


class Asked:
    """An engine that keeps what it is asked; its n-th take is -n throughout."""

    sample_rate, new_frames = RATE, 3 * RATE

    def __init__(self) -> None:
        self.requests: list[Request] = []

    def pieces(self, request: Request, on_step: Any = None, cancelled: Any = None) -> Iterator[Piece]:
        self.requests.append(request)
        made = np.full((2, request.new_frames), -len(self.requests), np.float32)
        half = request.new_frames // 2
        for part in (slice(0, half), slice(half, None)):
            yield Piece(part.start, made[:, part], 1.0, 4, "")


class Rings:
    """Frame n sounds n."""

    def read(self, ring: Ring, deck: int, end_frame: int, n: int) -> Audio:
        return np.tile(np.arange(end_frame - n, end_frame, dtype=np.float32), (2, 1))


def run(
    inference: Inference, engine: Asked, number: int, end: int, origin: int | None, task: str = "continuation", unheard: int = 0
) -> Request:
    left = RingPart("sounded", 1, end, 1000)
    job = Job(number, 1, "continue", task, RATE, left=left, origin=origin, unheard=unheard)
    assert isinstance(list(inference.run(job, lambda: False, lambda share: None))[-1], Finished)
    return engine.requests[-1]


def test_what_the_first_take_heard_is_given_to_those_that_go_on() -> None:
    engine = Asked()
    inference = Inference(engine, Rings(), RATE)  # type: ignore[arg-type]
    first = run(inference, engine, 1, 5000, None)
    assert first.memory is None
    assert first.left is not None
    for number in (2, 3):
        later = run(inference, engine, number, 5000 + number * RATE, 1)
        assert later.memory is not None
        assert later.left is not None
        assert np.array_equal(later.memory, first.left)
        assert not np.array_equal(later.left, first.left)
    assert run(inference, engine, 4, 9000, None).memory is None


def test_those_that_go_on_are_told_what_has_sounded_and_what_still_plays_until_they_are_heard() -> None:
    engine = Asked()
    inference = Inference(engine, Rings(), RATE)  # type: ignore[arg-type]
    first = run(inference, engine, 1, 5000, None)
    assert first.played is None
    end, heard, frames = 5000 + RATE // 2, 1000 // COARSE, round(RATE / 4 / COARSE)
    later = run(inference, engine, 2, end, 1, unheard=RATE // 4)  # the first plays on until then
    assert later.played is not None
    assert later.left is not None
    assert later.unheard == frames * COARSE
    assert (later.played[-frames:] == -1).all()
    assert np.array_equal(later.played[-frames - heard : -frames], coarse(later.left[:, -heard * COARSE :]))
    assert (later.played[heard + 1 : -frames - heard] == -1).all()  # made, and so long ago that it is not read again
    again = run(inference, engine, 3, end + RATE // 2, 1)
    assert again.played is not None
    assert again.unheard == 0
    count = round(RATE / 4 / COARSE) - heard
    assert (again.played[-heard - count + 2 : -heard - 2] == -2).all()  # the second, from where it was heard
    assert (again.played[-heard - count - frames // 2 : -heard - count - 2] == -1).all()
    assert len(again.played) == pytest.approx((1000 + RATE) / COARSE, abs=6)


def test_of_what_was_played_no_more_is_kept_than_minutes() -> None:
    engine = Asked()
    inference = Inference(engine, Rings(), RATE)  # type: ignore[arg-type]
    run(inference, engine, 1, 5000, None)
    for number in range(1, round(PLAYED_S) + 3):
        played = run(inference, engine, number + 1, 5000 + number * RATE, 1).played
    assert played is not None
    assert len(played) == pytest.approx(PLAYED_S * RATE / COARSE, abs=2)


def test_no_more_is_kept_than_a_few_beginnings() -> None:
    engine = Asked()
    inference = Inference(engine, Rings(), RATE)  # type: ignore[arg-type]
    for number in range(1, REMEMBERED + 2):
        run(inference, engine, number, 2000 * number, None)
    assert run(inference, engine, 100, 99_000, 1).memory is None  # forgotten: it goes on from what sounded
    kept = run(inference, engine, 101, 99_000, 2).memory
    assert kept is not None
    assert kept[0, -1] == pytest.approx(3999)
    run(inference, engine, 102, 99_000, None, "generate")
    assert run(inference, engine, 103, 99_000, 102).memory is None  # not a continuation


class Recorder(FakeRunner):
    """Keeps the jobs that it is given."""

    jobs: list[Job]

    def run(self, job: Job, *rest: object) -> Iterator[object]:  # type: ignore[override]
        Recorder.jobs.append(job)
        return super().run(job, *rest)  # type: ignore[arg-type]


def test_every_take_of_an_endless_continuation_names_the_first() -> None:
    Recorder.jobs = []
    stage = Stage(Config(), Recorder, STATE, 0.3)
    stage.play(np.full((2, 6 * RATE), 0.1, np.float32), 6 * RATE)
    stage.send("/segue/deck/1/continue", "sec", 1.5, "endless", 1)
    stage.play(None, 8 * RATE)
    stage.close()
    first, *later = Recorder.jobs
    assert first.origin is None
    assert len(later) >= 3
    assert {job.origin for job in later} == {first.id}
    assert Job.from_json(later[0].to_json()).origin == first.id
