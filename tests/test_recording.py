"""Loops, layers and phrases as a performer makes them: late or early presses, one footswitch, undo, latency."""

from __future__ import annotations

import numpy as np
import pytest
from fake_runner import RATE
from numpy.typing import NDArray
from staged import played, said, until

from segue.server.control.midi_map import Binding
from segue.server.control.midi_translate import Translator
from segue.server.fallback import WRAP_S
from segue.server.recording import HOLD_S
from segue.server.stage import Stage

Audio = NDArray[np.float32]
BAR = 2 * RATE  # at 120 BPM
BLOCK = 256
WRAP = round(WRAP_S * RATE)
SETTLED = 4 * BLOCK + WRAP  # after the end of a recording all of it has been read


def state(stage: Stage, verb: str) -> list[object]:
    return [args[3] for args in said(stage, "/segue/job") if args[2] == verb]


def switch(stage: Stage, audio: Audio, down: int, up: int | None = None) -> None:
    """The footswitch goes down at one frame and up at another."""
    until(stage, down, audio)
    stage.send("/segue/deck/1/footswitch", 1)
    until(stage, up or down + 4 * BLOCK, audio)
    stage.send("/segue/deck/1/footswitch", 0)


def loop_of(audio: Audio, first: int, n: int, at: int, frames: int) -> Audio:
    """What a loop of audio's frames [first, first + n) plays in frames [at, at + frames)."""
    return audio[:, first + (np.arange(at, at + frames) - first) % n]


def same(out: Audio, wanted: Audio, at: int, first: int, n: int) -> None:
    """Equal everywhere but in the crossfade before the loop goes round."""
    place = (np.arange(at, at + out.shape[1]) - first) % n
    inside = place < n - WRAP
    np.testing.assert_allclose(out[:, inside], wanted[:, inside], atol=1e-6)
    assert inside.sum() > 0.9 * out.shape[1]


@pytest.mark.parametrize(("early", "late"), [(0, 3000), (3000, 0), (2000, 2000)])
def test_a_footswitch_makes_a_loop_of_whole_bars_however_late_or_early_it_is_pressed(stage: Stage, early: int, late: int) -> None:
    audio = played(8 * BAR, 1)
    stage.send("/segue/deck/1/quant", "bar")
    stage.send("/segue/deck/1/xfade", 0.0)
    switch(stage, audio, BAR + late)
    switch(stage, audio, 3 * BAR - early)
    until(stage, 3 * BAR + max(0, SETTLED - early), audio)
    begun = stage.frame
    out = until(stage, begun + 3 * BAR, audio)
    same(out, loop_of(audio, BAR, 2 * BAR, begun, 3 * BAR), begun, BAR, 2 * BAR)
    assert state(stage, "loop") == ["running", "ready", "armed", "playing"]


def test_a_loop_that_is_closed_early_enters_on_its_beat(stage: Stage) -> None:
    audio = played(6 * BAR, 2)
    stage.send("/segue/deck/1/quant", "bar")
    stage.send("/segue/deck/1/xfade", 0.0)
    switch(stage, audio, BAR)
    switch(stage, audio, 2 * BAR - 5000)
    begun = stage.frame
    silence = np.zeros_like(audio)
    out = np.concatenate([until(stage, 2 * BAR, audio), until(stage, 2 * BAR + 4000, silence)], axis=1)
    np.testing.assert_allclose(out[:, 2 * BAR - begun :], audio[:, BAR : BAR + 4000], atol=1e-6)  # from its very first sample
    np.testing.assert_array_equal(out[:, : 2 * BAR - begun], audio[:, begun : 2 * BAR])
    (take,) = said(stage, "/segue/take")
    assert take[3] == 2 * BAR


def looping(stage: Stage, audio: Audio) -> None:
    """A loop of frames BAR to 2 BAR goes round."""
    stage.send("/segue/deck/1/quant", "bar")
    stage.send("/segue/deck/1/xfade", 0.0)
    switch(stage, audio, BAR)
    switch(stage, audio, 2 * BAR)
    until(stage, 2 * BAR + SETTLED, audio)


def test_an_overdub_is_a_layer_that_undo_takes_off_and_redo_brings_back(stage: Stage) -> None:
    audio = played(20 * BAR, 3)
    looping(stage, audio)
    until(stage, 4 * BAR + 2500, audio)  # pressed late: the layer begins at the bar
    stage.send("/segue/deck/1/overdub")
    until(stage, 5 * BAR, audio)
    at_once = until(stage, 5 * BAR + 1000, audio)
    both = loop_of(audio, BAR, BAR, 5 * BAR, 1000) + audio[:, 4 * BAR : 4 * BAR + 1000]
    np.testing.assert_allclose(at_once[:, WRAP:], both[:, WRAP:], atol=1e-6)  # in time from its beginning on
    until(stage, 5 * BAR + 1000 + SETTLED, audio)
    begun = stage.frame
    out = until(stage, begun + 2 * BAR, audio)
    both = loop_of(audio, BAR, BAR, begun, 2 * BAR) + loop_of(audio, 4 * BAR, BAR, begun, 2 * BAR)
    same(out, both, begun, BAR, BAR)
    for verb, layered in (("undo", False), ("redo", True), ("undo", False)):
        stage.send(f"/segue/deck/1/{verb}")
        until(stage, (stage.frame // BAR + 1) * BAR + SETTLED, audio)
        begun = stage.frame
        out = until(stage, begun + BAR, audio)
        wanted = loop_of(audio, BAR, BAR, begun, BAR)
        same(out, wanted + loop_of(audio, 4 * BAR, BAR, begun, BAR) if layered else wanted, begun, BAR, BAR)
    assert said(stage, "/segue/fail") == []


def test_layers_pile_up(stage: Stage) -> None:
    audio = played(20 * BAR, 4)
    looping(stage, audio)
    for bar in (4, 6, 8):
        until(stage, bar * BAR + 100, audio)
        stage.send("/segue/deck/1/overdub")
    until(stage, 9 * BAR + SETTLED, audio)
    begun = stage.frame
    out = until(stage, begun + BAR, audio)
    wanted = sum((loop_of(audio, bar * BAR, BAR, begun, BAR) for bar in (4, 6, 8)), loop_of(audio, BAR, BAR, begun, BAR))
    same(out, wanted, begun, BAR, BAR)


def test_an_overdub_needs_a_loop_and_can_be_cancelled(stage: Stage) -> None:
    audio = played(9 * BAR, 5)
    until(stage, BAR, audio)
    stage.send("/segue/deck/1/overdub")
    assert "plays no loop" in str(said(stage, "/segue/fail")[0][1])
    stage.sent.clear()
    until(stage, BAR, audio)
    stage.send("/segue/deck/1/quant", "bar")
    switch(stage, audio, 2 * BAR)
    switch(stage, audio, 3 * BAR)
    until(stage, 4 * BAR, audio)
    stage.send("/segue/deck/1/overdub")
    until(stage, 4 * BAR + 5000, audio)
    stage.send("/segue/deck/1/cancel")
    until(stage, 6 * BAR, audio)
    assert state(stage, "overdub") == ["running", "cancelled"]
    begun = stage.frame
    out = until(stage, begun + BAR, audio)
    same(out, loop_of(audio, 2 * BAR, BAR, begun, BAR), begun, 2 * BAR, BAR)


def test_a_footswitch_records_closes_and_plays_on(stage: Stage) -> None:
    audio = played(20 * BAR, 6)
    stage.send("/segue/deck/1/beats", 4.0)
    looping(stage, audio)
    switch(stage, audio, 4 * BAR + 1000)
    until(stage, 8 * BAR, audio)
    assert state(stage, "continue")[-1] in ("playing", "done")
    assert "playing" in state(stage, "continue")
    assert said(stage, "/segue/deck/1/state")[-1][0] in ("slot_a", "slot_b")
    switch(stage, audio, 9 * BAR, 9 * BAR + round((HOLD_S + 0.1) * RATE))  # records anew, and drops that: held
    assert state(stage, "loop")[-1] == "cancelled"


def test_a_long_press_takes_back_what_the_press_did(stage: Stage) -> None:
    audio, held = played(20 * BAR, 7), round((HOLD_S + 0.05) * RATE)
    stage.send("/segue/deck/1/quant", "bar")
    switch(stage, audio, BAR)
    switch(stage, audio, 2 * BAR, 2 * BAR + held)  # closed, and left again
    until(stage, 4 * BAR, audio)
    assert said(stage, "/segue/deck/1/state")[-1] == ("dry",)
    stage.send("/segue/deck/1/redo")
    until(stage, 6 * BAR, audio)
    assert said(stage, "/segue/deck/1/state")[-1] == ("loop",)
    stage.send("/segue/deck/1/overdub")
    until(stage, 8 * BAR, audio)
    switch(stage, audio, 8 * BAR + 10, 8 * BAR + held)  # `continue` is dropped, and the layer with it
    until(stage, 10 * BAR, audio)
    assert "cancelled" in state(stage, "continue")
    begun = stage.frame
    out = until(stage, begun + BAR, audio)
    same(out, loop_of(audio, BAR, BAR, begun, BAR), begun, BAR, BAR)


def test_a_short_press_is_no_long_one_and_a_pad_that_only_presses_works(stage: Stage) -> None:
    audio = played(9 * BAR, 8)
    stage.send("/segue/deck/1/quant", "bar")
    for frame in (BAR, 2 * BAR):
        until(stage, frame, audio)
        stage.send("/segue/deck/1/footswitch")
    until(stage, 4 * BAR, audio)
    assert said(stage, "/segue/deck/1/state")[-1] == ("loop",)


@pytest.mark.parametrize(
    ("bound", "down", "up"),
    [
        (Binding("note", 60, "/segue/deck/1/footswitch"), (0x90, 60, 100), (0x80, 60, 0)),
        (Binding("note", 60, "/segue/deck/1/footswitch", momentary=True), (0x90, 60, 100), (0x90, 60, 0)),
        (Binding("control", 64, "/segue/deck/1/footswitch"), (0xB0, 64, 127), (0xB0, 64, 0)),
    ],
)
def test_midi_pads_and_pedals_press_and_let_go(
    stage: Stage, bound: Binding, down: tuple[int, int, int], up: tuple[int, int, int]
) -> None:
    translator, audio = Translator([bound]), played(9 * BAR, 12)
    stage.send("/segue/deck/1/quant", "bar")

    def strike(message: tuple[int, int, int], frame: int) -> None:
        until(stage, frame, audio)
        for command in translator.commands(message, "stage", stage.frame / RATE):
            stage.conductor.handle(command)

    for press in (BAR, 2 * BAR):
        strike(down, press)
        strike(up, press + 4000)
    until(stage, 3 * BAR, audio)
    assert said(stage, "/segue/deck/1/state")[-1] == ("loop",)
    strike(down, 4 * BAR)
    strike(up, 4 * BAR + round((HOLD_S + 0.1) * RATE))
    until(stage, 6 * BAR, audio)
    assert state(stage, "continue")[-1] == "cancelled"
    assert said(stage, "/segue/deck/1/state")[-1] == ("dry",)
    assert said(stage, "/segue/fail") == []


@pytest.mark.parametrize("press", [2500, -2500])
def test_a_captured_phrase_ends_at_the_bar_that_was_meant(stage: Stage, press: int) -> None:
    audio = played(9 * BAR, 9)
    until(stage, 3 * BAR + press, audio)
    stage.send("/segue/deck/1/capture", "beats", 8.0, "quant", "bar")
    until(stage, 4 * BAR, audio)
    take = stage.conductor.session.world.phrase(1)
    assert take is not None
    np.testing.assert_array_equal(take.pieces[0][1], audio[:, BAR : 3 * BAR])


LATENCY = 1234  # frames


def delayed(audio: Audio, frames: int) -> Audio:
    return np.concatenate([np.zeros((2, frames), np.float32), audio], axis=1)[:, : audio.shape[1]]


def test_what_is_played_to_the_beat_comes_in_late_and_closes_on_the_beat(stage: Stage) -> None:
    stage.conductor.session.world.latency = LATENCY
    audio = played(20 * BAR, 10)
    heard = delayed(audio, LATENCY)
    looping(stage, heard)
    until(stage, 2 * BAR + SETTLED + LATENCY, heard)
    begun = stage.frame
    same(until(stage, begun + BAR, heard), loop_of(audio, BAR, BAR, begun, BAR), begun, BAR, BAR)
    until(stage, 4 * BAR, heard)
    stage.send("/segue/deck/1/overdub")
    until(stage, 5 * BAR + SETTLED + LATENCY, heard)
    begun = stage.frame
    both = loop_of(audio, BAR, BAR, begun, BAR) + loop_of(audio, 4 * BAR, BAR, begun, BAR)
    same(until(stage, begun + BAR, heard), both, begun, BAR, BAR)


def test_a_phrase_is_captured_as_it_was_played_and_a_take_as_it_sounded(stage: Stage) -> None:
    world = stage.conductor.session.world
    world.latency = LATENCY
    audio = played(20 * BAR, 11)
    heard = delayed(audio, LATENCY)
    until(stage, 3 * BAR + 10, heard)
    stage.send("/segue/deck/1/capture", "beats", 4.0, "quant", "bar")
    until(stage, 4 * BAR, heard)
    phrase = world.phrase(1)
    assert phrase is not None
    np.testing.assert_array_equal(phrase.pieces[0][1], audio[:, 2 * BAR : 3 * BAR])
    stage.send("/segue/deck/1/continue", "beats", 16.0, "quant", "bar", "xfade", 0.0)
    sounded = until(stage, 8 * BAR, heard)
    (take,) = said(stage, "/segue/take")
    start = int(str(take[3]))
    stage.send("/segue/deck/1/capture", "beats", 4.0, "quant", "bar")
    until(stage, 9 * BAR, heard)
    phrase = world.phrase(1)
    assert phrase is not None
    assert start < 8 * BAR < start + 4 * BAR
    np.testing.assert_array_equal(phrase.pieces[0][1], sounded[:, 7 * BAR - 4 * BAR : 8 * BAR - 4 * BAR])
