"""A control process that dies leaves takes that sound: the next one learns of them from the stream's memory and goes on."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
from fake_runner import RATE, STATE
from numpy.typing import NDArray
from staged import played, said, until

from segue.server.conductor import Conductor
from segue.server.session import Session
from segue.server.showlog import ShowLog
from segue.server.stage import Stage, SteppedTime
from segue.server.state import World
from segue.server.takeover import Left, adopt, remembered, restore
from segue.server.takes import State, Take

Audio = NDArray[np.float32]
BAR = 2 * RATE  # at 120 BPM


def dies(stage: Stage, folder: Path) -> tuple[World, list[Take], Left]:
    """Another session and conductor on the same memory, with what the first ones remembered."""
    file = folder / "state.json"
    file.write_text(json.dumps(remembered(stage.conductor.session.world) | {"leases": []}))
    world = World.fresh(RATE, 2, 99.0)
    left = restore(world, str(file))
    adopted = adopt(world, stage.segment, left.sounding)
    stage.sent.clear()
    stage.conductor = Conductor(stage.segment, Session(world), stage.events, SteppedTime(RATE), ShowLog(""))
    stage.conductor.performer.worker = stage.worker
    stage.conductor.worker_event(STATE)
    return world, adopted, left


def test_a_take_ends_at_the_frame_at_which_it_was_to_end(stage: Stage, tmp_path: Path) -> None:
    audio = played(12 * BAR, 1)
    until(stage, 2 * BAR, audio)
    stage.send("/segue/deck/1/continue", "id", 7, "beats", 8.0, "quant", "bar", "xfade", 0.02)
    until(stage, 4 * BAR, audio)
    (take,) = said(stage, "/segue/take")
    start = int(str(take[3]))
    _, adopted, _ = dies(stage, tmp_path)
    assert [(t.number, t.state, t.exit, t.job.verb) for t in adopted] == [(7, State.PLAYING, start + 2 * BAR, "continue")]
    end = start + 2 * BAR + round(0.02 * RATE)
    before = stage.frame
    out = until(stage, end + BAR, audio)
    np.testing.assert_array_equal(out[:, end - before :], audio[:, end : end + BAR])
    assert not np.array_equal(out[:, end - before - RATE : end - before], audio[:, end - RATE : end])
    assert [args[3] for args in said(stage, "/segue/job") if args[0] == 7] == ["done"]


def test_stop_works_and_a_new_take_goes_to_the_other_slot(stage: Stage, tmp_path: Path) -> None:
    audio = played(14 * BAR, 2)
    until(stage, 2 * BAR, audio)
    stage.send("/segue/deck/1/continue", "beats", 16.0)
    until(stage, 3 * BAR, audio)
    world, (take,), _ = dies(stage, tmp_path)
    playing = world.deck(1).slot
    stage.send("/segue/deck/1/continue", "id", 9, "beats", 4.0)
    until(stage, 4 * BAR, audio)
    assert [args[0] for args in said(stage, "/segue/take")] == [9]
    assert world.deck(1).slot != playing
    stage.send("/segue/deck/1/undo")  # back to the adopted one
    until(stage, 4 * BAR + RATE, audio)
    assert said(stage, "/segue/take")[-1][0] == take.number
    stage.send("/segue/deck/1/stop", "quant", "off", "xfade", 0.0)
    at = stage.frame
    out = until(stage, at + BAR, audio)
    np.testing.assert_array_equal(out[:, 1024:], audio[:, at + 1024 : at + BAR])
    assert world.takes[take.job.id].state is State.DONE


def test_an_endless_take_goes_on(stage: Stage, tmp_path: Path) -> None:
    audio = played(20 * BAR, 3)
    until(stage, 2 * BAR, audio)
    stage.send("/segue/deck/1/continue", "beats", 4.0, "endless", True, "quant", "bar")
    until(stage, 4 * BAR - RATE, audio)
    dies(stage, tmp_path)
    until(stage, 9 * BAR, audio)
    assert len(said(stage, "/segue/take")) >= 3
    assert "loop" not in [args[0] for args in said(stage, "/segue/deck/1/state")]
    assert stage.segment.counters()["underruns"] == 0


def test_a_loop_goes_round_and_takes_a_layer(stage: Stage, tmp_path: Path) -> None:
    audio = played(12 * BAR, 4)
    stage.send("/segue/deck/1/quant", "bar")
    for frame in (BAR, 2 * BAR):
        until(stage, frame, audio)
        stage.send("/segue/deck/1/footswitch", 1)
    until(stage, 3 * BAR, audio)
    _, (take,), _ = dies(stage, tmp_path)
    assert take.job.verb == "loop"
    stage.send("/segue/deck/1/overdub")
    until(stage, 5 * BAR, audio)
    out = until(stage, 6 * BAR - 1000, audio)
    both = audio[:, BAR : 2 * BAR] + audio[:, 3 * BAR : 4 * BAR]
    np.testing.assert_allclose(out, both[:, : out.shape[1]], atol=1e-6)


def test_a_take_that_is_about_to_sound_begins_in_time(stage: Stage, tmp_path: Path) -> None:
    audio = played(12 * BAR, 5)
    until(stage, 2 * BAR, audio)
    stage.send("/segue/deck/1/continue", "id", 3, "beats", 4.0, "quant", "bar")
    while not any(t.state is State.ARMED for t in stage.conductor.session.world.takes.values()):
        until(stage, stage.frame + 256, audio)
    assert stage.frame < 3 * BAR
    _, (take,), _ = dies(stage, tmp_path)
    assert take.state is State.ARMED
    until(stage, 5 * BAR, audio)
    assert [(args[0], args[3]) for args in said(stage, "/segue/take")] == [(3, 3 * BAR)]
    assert [args[3] for args in said(stage, "/segue/job") if args[0] == 3] == ["playing", "done"]


def test_a_file_that_cannot_be_read_leaves_nothing(tmp_path: Path) -> None:
    world = World.fresh(RATE, 2, 120.0)
    (tmp_path / "state.json").write_text('{"bpm": 3}')
    assert restore(world, str(tmp_path / "state.json")) == Left([], [], {})
