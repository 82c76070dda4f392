"""What the callback plays when a slot ends: exits on their frame, the ladder, the loop's phase, what passes beside them."""

from __future__ import annotations

import numpy as np
import pytest
from audio import CORES, SMALL, drive, noise, stream

from segue.server.audio.values import Bus, Command, Curve, Op, Policy, Source, Status, Tape

pytestmark = pytest.mark.parametrize("compiled", CORES)
A, B = 0, 1  # slots
RATE = SMALL["rate"]
HOLD = round(0.3 * RATE)  # the gate's


@pytest.mark.parametrize("policy", Policy)
@pytest.mark.parametrize("playing", [False, True])
@pytest.mark.parametrize("looped", [False, True])
def test_a_slot_is_left_on_its_frame_without_anybodys_help(compiled: bool, policy: Policy, playing: bool, looped: bool) -> None:
    with stream(compiled) as (s, core):
        x = noise(8, 3900)
        x[2:] = 0.0
        if not playing:
            x[:, 200:] = 0.0
        ones = np.ones((2, 3500), np.float32)
        s.write_slot(0, A, 100, ones)
        s.write_slot(0, B, 100, 2 * ones)
        s.publish_slot(0, A, 1, 100, 3600, 3001, 77, policy)
        s.publish_slot(0, B, 2, 100, 3600)
        if looped:
            s.publish_loop(0, 4 * np.ones((2, 90), np.float32), 0)
        s.push(Command.play(0, Source.SLOT_A, 150, take=1))
        out = drive(s, core, x)
        ladder = Source.LOOP if looped and not playing else Source.DRY
        went = {
            Policy.LADDER: ladder, Policy.DRY: Source.DRY, Policy.SILENCE: Source.SILENCE, Policy.SLOT_OTHER: Source.SLOT_B,
            Policy.LOOP: Source.LOOP if looped else ladder,
        }[policy]  # fmt: skip
        assert (out[:, 150:3001] == 1).all()
        expected = {Source.DRY: x[:2], Source.SILENCE: 0 * x[:2], Source.SLOT_B: 2 + 0 * x[:2], Source.LOOP: 4 + 0 * x[:2]}[went]
        last = 3600 if went is Source.SLOT_B else 3900
        np.testing.assert_array_equal(out[:, 3078:last], expected[:, 3078:last])
        line = s.applied(0)[1]
        assert (line.op, line.applied, line.scheduled, line.source, line.take) == (Op.EXIT, 3001, 3001, went, 1)
        assert s.counters()["underruns"] == (1 if went is Source.SLOT_B else 0)


def test_an_exit_fits_before_the_end_of_the_slot(compiled: bool) -> None:
    with stream(compiled) as (s, core):
        x = np.zeros((4, 1500), np.float32)
        s.write_slot(0, A, 0, np.ones((2, 1000), np.float32))
        s.publish_loop(0, np.ones((2, 100), np.float32), 0)
        s.publish_slot(0, A, 1, 0, 1000, 950, 200, Policy.LADDER, Curve.LINEAR)  # would end at 1150
        s.push(Command.play(0, Source.SLOT_A, 0))
        out = drive(s, core, x)
        np.testing.assert_allclose(out, 1.0, atol=1e-6)
        assert s.applied(0)[1].applied == 800
        assert s.counters()["underruns"] == 0


def test_a_slot_that_ends_before_its_fade_is_gone_by_then_and_nothing_is_missing(compiled: bool) -> None:
    with stream(compiled) as (s, core):
        s.write_slot(0, A, 0, np.ones((2, 1000), np.float32))
        s.publish_slot(0, A, 1, 0, 1000, 850, 150, Policy.DRY)
        s.push(Command.play(0, Source.SLOT_A, 0))
        s.push(Command.play(0, Source.DRY, 852, 150))  # two frames after its exit, and so two frames too long
        out = drive(s, core, np.zeros((4, 1280), np.float32))
        assert np.abs(np.diff(out[:, 850:])).max() < 2 * np.pi / 2 / 148  # a quarter of a sine, no step
        assert not out[:, 1000:].any()
        assert s.counters()["underruns"] == 0


def test_a_live_input_passes_beside_a_loop_and_a_file_does_not(compiled: bool) -> None:
    with stream(compiled) as (s, core):
        x, fade = np.full((4, 1600), 0.25, np.float32), 100
        x[2:] = 0.5
        for deck in (0, 1):
            s.publish_loop(deck, np.ones((2, 90), np.float32), 0)
            s.push(Command.play(deck, Source.LOOP, 200, fade))
        s.push(Command.set_gain(0, 1.0, 400, fade, bus=Bus.THRU))
        s.push(Command.feed(1, Tape.PLAY, 700, file=1, fade=fade))  # a file that nobody has loaded: silence
        s.push(Command.set_gain(0, 0.0, 1000, fade, bus=Bus.THRU))
        s.push(Command.play(0, Source.DRY, 1200, fade))
        s.push(Command.set_gain(0, 1.0, 1400, fade, bus=Bus.THRU))  # it is heard already
        out = drive(s, core, x)[0]
        expected = {150: 0.75, 350: 2.0, 550: 2.75, 850: 2.25, 1150: 2.0, 1350: 1.25, 1550: 1.25}
        assert {place: float(out[place]) for place in expected} == pytest.approx(expected)
        assert np.abs(np.diff(out)).max() < 0.04  # and no step anywhere


def test_a_take_that_is_extended_goes_on(compiled: bool) -> None:
    with stream(compiled) as (s, core):
        take = noise(9, 2000, 2)
        s.write_slot(0, A, 0, take[:, :500])
        s.publish_slot(0, A, 1, 0, 500, 400, 50)
        s.push(Command.play(0, Source.SLOT_A, 0))
        x = np.zeros((4, 1900), np.float32)
        first = drive(s, core, x[:, :256])
        s.write_slot(0, A, 500, take[:, 500:])
        s.publish_slot(0, A, 1, 0, 2000, 1950, 50)
        rest = drive(s, core, x[:, 256:])
        np.testing.assert_array_equal(np.hstack([first, rest]), take[:, :1900])
        assert s.counters()["underruns"] == 0


def test_a_slot_without_that_frame_is_refused_by_the_ladder(compiled: bool) -> None:
    with stream(compiled) as (s, core):
        s.publish_slot(0, A, 1, 5000, 5100)
        s.push(Command.play(0, Source.SLOT_A, 100, id=3))
        x = noise(10, 300)
        x[2:] = 0
        out = drive(s, core, x)
        np.testing.assert_array_equal(out, x[:2])
        line = s.applied(0)[0]
        assert (line.status, line.source) == (Status.REDIRECTED, Source.DRY)
        assert s.counters()["underruns"] == 1


def test_the_loop_stays_on_its_grid(compiled: bool) -> None:
    with stream(compiled) as (s, core):
        loop = noise(11, 333, 2)
        assert s.publish_loop(0, loop, 1000)
        s.push(Command.play(0, Source.LOOP, 501))
        out = drive(s, core, np.zeros((4, 2000), np.float32))
        np.testing.assert_array_equal(out[:, 501:], loop[:, (np.arange(501, 2000) - 1000) % 333])


def test_a_loop_that_sounds_is_never_overwritten(compiled: bool) -> None:
    with stream(compiled) as (s, core):
        loops = [np.full((2, 100), level, np.float32) for level in (1.0, 2.0, 3.0)]
        assert s.publish_loop(0, loops[0], 0)
        s.push(Command.play(0, Source.LOOP, 0))
        quiet = np.zeros((4, 64), np.float32)
        assert (drive(s, core, quiet) == 1).all()
        assert s.publish_loop(0, loops[1], 0)
        assert (drive(s, core, quiet) == 1).all()
        assert not s.publish_loop(0, loops[2], 0)  # would overwrite the half that plays
        s.push(Command.play(0, Source.LOOP, 128))
        assert (drive(s, core, quiet) == 2).all()
        assert s.publish_loop(0, loops[2], 0)
