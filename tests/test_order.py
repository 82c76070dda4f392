"""Messages without a time tag keep their order, also where only the first of two came too near a callback."""

from __future__ import annotations

from collections.abc import Iterator

import pytest
from fake_runner import RATE, STATE, FakeRunner

from segue.server.audio.values import Op
from segue.server.commands import Command
from segue.server.config import Config
from segue.server.stage import Stage, SteppedTime

BLOCK = 128


class Now(SteppedTime):
    """A clock whose present is set by hand."""

    frame = 0.0

    def present(self) -> float:
        return self.frame


@pytest.fixture
def stage() -> Iterator[Stage]:
    made = Stage(Config(block=BLOCK), FakeRunner, STATE, 0.2)
    yield made
    made.close()


def test_a_message_that_needed_one_block_more_is_not_overtaken(stage: Stage, monkeypatch: pytest.MonkeyPatch) -> None:
    clock = Now(RATE)
    monkeypatch.setattr(stage.conductor, "_clock", clock)
    stage.play(None, 10 * BLOCK)

    def gain(value: float, arrived: float) -> None:
        stage.conductor.handle(Command("/segue/deck/2/gain", (value,), None, "test", arrived / RATE))

    clock.frame = stage.frame - 1.0  # the callback is about to run
    gain(0.25, stage.frame - 1.0)
    stage.step(None, BLOCK)
    clock.frame = stage.frame - BLOCK + 1.0  # it has just begun
    gain(0.5, clock.frame)
    stage.play(None, 4 * BLOCK)
    lines = [line for line in stage.segment.applied(0) if line.op is Op.GAIN]
    assert [line.id for line in lines] == sorted(line.id for line in lines)
    assert [line.applied for line in lines] == sorted(line.applied for line in lines)
    assert [line.applied - line.scheduled for line in lines] == [0, 0]
    assert len(lines) == 2


def test_a_clock_that_jumps_does_not_hold_messages_back(stage: Stage) -> None:
    stage.play(None, 10 * BLOCK)
    stage.conductor.handle(Command("/segue/deck/2/gain", (0.25,), None, "test", 3600.0))  # as if it came an hour ahead
    stage.conductor.handle(Command("/segue/deck/2/gain", (0.5,), None, "test", stage.frame / RATE))
    stage.play(None, 10 * BLOCK)
    assert [line.op for line in stage.segment.applied(0)] == [Op.GAIN, Op.GAIN]
