"""What the callback makes of its input: gates, meters, files, numbers that are none, blocks lost or too long."""

from __future__ import annotations

import numpy as np
import pytest
from audio import CORES, SMALL, drive, noise, stream

from segue.server.audio.values import NOW, Command, Policy, Source, Tape

pytestmark = pytest.mark.parametrize("compiled", CORES)
A, B = 0, 1  # slots
RATE = SMALL["rate"]
HOLD = round(0.3 * RATE)  # the gate's


def test_no_number_that_is_none_gets_out(compiled: bool) -> None:
    with stream(compiled) as (s, core):
        take = noise(16, 1000, 2)
        take[:, ::7], take[:, 1::7] = np.nan, np.inf
        s.write_slot(0, A, 0, take)
        s.publish_slot(0, A, 1, 0, 1000, 500, 100, Policy.LOOP)
        s.publish_loop(0, take[:, :400], 0)
        s.push(Command.play(0, Source.SLOT_A, 200, 100))
        x = noise(17, 900)
        x[:, ::5], x[:, 1::5] = -np.inf, np.nan
        out = drive(s, core, x)
        assert np.isfinite(out).all()
        assert np.abs(out).max() > 0.5
        assert s.counters()["nonfinite"] > 1000


def test_the_gate_opens_at_once_and_closes_after_its_hold(compiled: bool) -> None:
    with stream(compiled) as (s, core):
        x = np.zeros((4, 64 * 60), np.float32)
        drive(s, core, x[:, :64])
        assert not s.gate_open(0)
        x[1, 64] = 0.01
        drive(s, core, x[:, 64:128])
        assert s.gate_open(0)
        assert not s.gate_open(1)
        drive(s, core, x[:, 128:])
        assert not s.gate_open(0)
        s.set_gate(0, -30.0)
        x[1, 64] = 0.03
        drive(s, core, x[:, 64:128])
        assert not s.gate_open(0)


def test_a_deck_that_fell_back_to_its_loop_is_dry_again_when_the_performer_plays(compiled: bool) -> None:
    with stream(compiled) as (s, core):
        s.write_slot(0, A, 0, noise(18, 4000, 2))
        s.publish_slot(0, A, 1, 0, 4000, 3000, 0, Policy.LADDER)
        s.publish_loop(0, noise(19, 1000, 2), 0)
        s.push(Command.play(0, Source.SLOT_A, 0, 0))
        silence = np.zeros((4, 64 * 100), np.float32)
        drive(s, core, silence)
        assert s.deck_state(0).source is Source.LOOP
        x = noise(20, 64 * 100)
        x[2:] = 0.0  # deck 2 hears nothing
        out = drive(s, core, x)
        assert s.deck_state(0).source is Source.DRY
        fade = 64 + s.header.fade_frames
        np.testing.assert_array_equal(out[:, fade:], x[:2, fade:])


def test_a_loop_that_was_asked_for_stays_though_the_performer_plays(compiled: bool) -> None:
    with stream(compiled) as (s, core):
        s.publish_loop(0, noise(19, 1000, 2), 0)
        s.push(Command.play(0, Source.LOOP, 0, 0))
        drive(s, core, noise(20, 64 * 100))
        assert s.deck_state(0).source is Source.LOOP


def test_meters_say_what_is_there(compiled: bool) -> None:
    with stream(compiled) as (s, core):
        x = np.full((4, 64), 0.25, np.float32)
        x[0, 3] = -0.5
        drive(s, core, x)
        meter = s.meters(0)
        assert (meter.input_peak, meter.sounded_peak) == (0.5, 0.5)
        assert meter.input_square == pytest.approx(np.square(x[:2]).mean())
        assert s.master_peak == 0.5


def test_a_file_deck_plays_its_bank_and_falls_silent_outside_the_file(compiled: bool) -> None:
    with stream(compiled) as (s, core):
        d, file = s.header.deck[0], noise(18, 300, 2)
        s.view(d.feed_at[1], s.header.feed_frames)[:, :300] = file
        d.bank[1].file, d.bank[1].length, d.bank[1].reserved, d.bank[1].written = 4, 300, 300, 300
        s.push(Command.feed(0, Tape.PLAY, 100, -50, 4))
        out = drive(s, core, np.zeros((4, 600), np.float32))
        np.testing.assert_array_equal(out[:, 150:450], file)
        assert not out[:, :150].any()
        assert not out[:, 450:].any()
        assert s.counters()["feed_underruns"] == 0
        assert s.deck_state(0).position == 450
        s.push(Command.feed(0, Tape.PLAY, NOW, 0, 5))
        drive(s, core, np.zeros((4, 64), np.float32))
        assert s.counters()["feed_underruns"] == 64


def test_lost_blocks_are_counted_and_late_callbacks_are_not(compiled: bool) -> None:
    with stream(compiled) as (s, core):
        rng, gap, period = np.random.default_rng(0), 0, 64 * 10**9 // RATE
        for block in range(400):
            gap = 5 * period if block >= 150 else 0
            core.process(None, 10**12 + block * period + gap + int(rng.exponential(0.3 * period)), 64)
        counters = s.counters()
        assert (counters["gap_xruns"], counters["lost_frames"]) == (1, 5 * 64)


def test_a_block_longer_than_the_segments_is_processed_in_parts(compiled: bool) -> None:
    with stream(compiled) as (s, core):
        x = noise(19, 1000)
        x[2:] = 0
        s.push(Command.mark(333, id=1))
        np.testing.assert_array_equal(core.process(x, 0), x[:2])
        assert s.applied(0)[0].applied == 333
        assert s.clock_pair().block == 1000
