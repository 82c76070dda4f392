"""What the callback does with commands: dry to the bit without any, each on its frame, fades, gains, panic, floods."""

from __future__ import annotations

import numpy as np
import pytest
from audio import CORES, SMALL, drive, noise, stream

from segue.server.audio.values import NOW, Bus, Command, Curve, Op, Ring, Source, Status

pytestmark = pytest.mark.parametrize("compiled", CORES)
A, B = 0, 1  # slots
RATE = SMALL["rate"]
HOLD = round(0.3 * RATE)  # the gate's
PANIC = round(0.005 * RATE)


def second_differences(x: np.ndarray) -> np.ndarray:
    return np.abs(np.diff(x, 2, axis=1))


def test_dry_is_the_input_to_the_bit(compiled: bool) -> None:
    with stream(compiled) as (s, core):
        x = noise(1, 3000)
        x[2:] = 0.0  # deck 2 hears nothing
        out = drive(s, core, x)
        assert out.tobytes() == x[:2].tobytes()


def test_with_outputs_of_their_own_all_decks_are_dry_to_the_bit(compiled: bool) -> None:
    with stream(compiled, per_deck_out=True) as (s, core):
        x = noise(2, 1000)
        x[0, 5] = -0.0
        assert drive(s, core, x).tobytes() == x.tobytes()


def test_the_master_is_the_sum_of_the_decks(compiled: bool) -> None:
    with stream(compiled) as (s, core):
        x = noise(3, 500)
        np.testing.assert_array_equal(drive(s, core, x), x[:2] + x[2:])


@pytest.mark.parametrize("offset", range(65))
def test_a_command_is_applied_on_its_frame(compiled: bool, offset: int) -> None:
    with stream(compiled) as (s, core):
        take = noise(4, 1000, 2)
        s.write_slot(0, A, 200, take)
        s.publish_slot(0, A, 7, 200, 1200)
        frame = 256 + offset
        s.push(Command.play(0, Source.SLOT_A, frame, id=5, take=7))
        x = noise(5, 512)
        x[2:] = 0.0
        out = drive(s, core, x)
        np.testing.assert_array_equal(out[:, :frame], x[:2, :frame])
        np.testing.assert_array_equal(out[:, frame:], take[:, frame - 200 : 512 - 200])
        (line,) = s.applied(0)
        assert (line.id, line.scheduled, line.applied, line.late, line.take, line.status) == (
            5,
            frame,
            frame,
            0,
            7,
            Status.APPLIED,
        )
        state = s.deck_state(0)
        assert (state.source, state.take, state.fading) == (Source.SLOT_A, 7, False)


def test_a_command_in_the_past_is_applied_at_once_and_counted(compiled: bool) -> None:
    with stream(compiled) as (s, core):
        drive(s, core, noise(6, 128))
        s.push(Command.mark(100, id=1))
        s.push(Command.mark(NOW, id=2))
        drive(s, core, noise(6, 64))
        late, now = s.applied(0)
        assert (late.id, late.applied, late.late) == (1, 128, 28)
        assert (now.id, now.scheduled, now.late) == (2, 128, 0)
        assert s.counters()["late"] == 1


def test_commands_keep_the_order_of_their_frames_then_of_arrival(compiled: bool) -> None:
    with stream(compiled) as (s, core):
        for number, frame in enumerate([90, 30, 90, 10, 30]):
            s.push(Command.mark(frame, id=number))
        drive(s, core, noise(7, 128))
        assert [(line.id, line.applied) for line in s.applied(0)] == [(3, 10), (1, 30), (4, 30), (0, 90), (2, 90)]


@pytest.mark.parametrize("curve", Curve)
def test_a_fade_keeps_power_or_sum(compiled: bool, curve: Curve) -> None:
    with stream(compiled) as (s, core):
        ones = np.ones((2, 2000), np.float32)
        s.write_slot(0, A, 0, 2 * ones)
        s.publish_slot(0, A, 1, 0, 2000)
        s.push(Command.play(0, Source.SLOT_A, 100, 400, curve=curve))
        x = np.vstack([ones[:, :600], 0 * ones[:, :600]])
        heard = drive(s, core, x)[0].astype(np.float64)
        place = (np.arange(400) + 0.5) / 400
        rise, fall = (place, 1 - place) if curve is Curve.LINEAR else (np.sin(np.pi / 2 * place), np.cos(np.pi / 2 * place))
        np.testing.assert_allclose(heard[100:500], 2 * rise + fall, atol=1e-6)
        np.testing.assert_allclose(rise + fall if curve is Curve.LINEAR else rise**2 + fall**2, 1.0)
        assert (heard[:100] == 1).all()
        assert (heard[500:] == 2).all()


def test_a_new_fade_in_a_fade_starts_from_the_present_mix(compiled: bool) -> None:
    with stream(compiled) as (s, core):
        t = np.arange(3000) / RATE
        x, a, b = (np.float32(0.3) * np.sin(2 * np.pi * f * t + p).astype(np.float32) for f, p in ((50, 0), (60, 1), (70, 2)))
        for slot, audio in ((A, a), (B, b)):
            s.write_slot(0, slot, 0, np.vstack([audio, audio]))
            s.publish_slot(0, slot, slot, 0, 3000)
        for frame, source in ((300, Source.SLOT_A), (500, Source.SLOT_B), (650, Source.DRY), (700, Source.SLOT_A)):
            s.push(Command.play(0, source, frame, 600))
        out = drive(s, core, np.vstack([x, x, 0 * x, 0 * x]))
        step_of_sines = (2 * np.pi * 70 / RATE) ** 2 * 0.3
        assert second_differences(out)[:, 250:1500].max() < 6 * step_of_sines  # a step of 1 % would be 10 times that
        np.testing.assert_array_equal(out[0, 1300:], a[1300:])


def test_going_back_to_a_source_that_fades_out_never_exceeds_it(compiled: bool) -> None:
    with stream(compiled) as (s, core):
        ones = np.vstack([np.ones((2, 1000), np.float32), np.zeros((2, 1000), np.float32)])
        s.push(Command.play(0, Source.SILENCE, 100, 200))
        s.push(Command.play(0, Source.DRY, 200, 200))
        out = drive(s, core, ones)
        assert out.max() == 1.0
        assert (np.diff(out[0, 200:400]) >= 0).all()


def test_gains_are_ramped_on_their_frame(compiled: bool) -> None:
    with stream(compiled) as (s, core):
        x = np.ones((4, 600), np.float32)
        x[2:] = 0
        s.push(Command.set_gain(0, 0.5, 100, 50))
        s.push(Command.set_gain(0, 0.0, 300, 0, bus=Bus.DRY))
        s.push(Command.set_gain(0, 3.0, 0, 0, bus=Bus.GENERATED))
        out = drive(s, core, x)
        np.testing.assert_allclose(out[0, 100:150], 1 - 0.5 * (np.arange(50) + 0.5) / 50, atol=1e-6)
        for part, level in ((out[:, :100], 1), (out[:, 150:300], 0.5), (out[:, 300:], 0)):
            assert (part == level).all()
        np.testing.assert_array_equal(s.read(Ring.SOUNDED, 0, 600, 600), x[:2])  # sounded is before all gains


@pytest.mark.parametrize("playing", [False, True])
def test_panic_ends_every_take_within_its_fade(compiled: bool, playing: bool) -> None:
    with stream(compiled) as (s, core):
        x = noise(12, HOLD + 2000)
        if not playing:
            x[:] = 0.0
        for deck in (0, 1):
            s.write_slot(deck, A, 0, np.ones((2, 4000), np.float32))
            s.publish_slot(deck, A, 1, 0, 4000)
            s.push(Command.play(deck, Source.SLOT_A, 0))
        s.push(Command.play(0, Source.SLOT_B, 3000, id=9))
        s.push(Command.panic(1003, id=4))
        out = drive(s, core, x)
        after = out[:, 1003 + PANIC :]
        np.testing.assert_array_equal(after, (x[:2] + x[2:])[:, 1003 + PANIC :] if playing else 0 * after)
        assert s.applied(0)[2].status is Status.CANCELLED
        assert s.applied(0)[2].id == 9


def test_after_a_panic_in_silence_the_performer_is_heard_again(compiled: bool) -> None:
    with stream(compiled) as (s, core):
        s.push(Command.panic(0))
        x = np.zeros((4, 1000), np.float32)
        x[:2, 500:] = noise(13, 500, 2)
        out = drive(s, core, x)
        assert s.deck_state(0).source is Source.DRY
        np.testing.assert_array_equal(out[:, 700:], x[:2, 700:])


def test_cancelled_commands_never_happen(compiled: bool) -> None:
    with stream(compiled) as (s, core):
        s.push(Command.play(0, Source.SILENCE, 100, id=3))
        s.push(Command.cancel(3))
        s.push(Command.cancel(4))
        x = noise(14, 200)
        x[2:] = 0
        np.testing.assert_array_equal(drive(s, core, x), x[:2])
        assert [(line.op, line.status) for line in s.applied(0)] == [
            (Op.PLAY, Status.CANCELLED), (Op.CANCEL, Status.APPLIED), (Op.CANCEL, Status.NOT_FOUND),
        ]  # fmt: skip


def test_a_flood_is_applied_in_order_and_in_bounded_parts(compiled: bool) -> None:
    with stream(compiled) as (s, core):
        sent = 0
        for _ in range(20):
            while s.push(Command.set_gain(0, 1.0, id=sent + 1)):
                sent += 1
            drive(s, core, noise(15, 64))
        drive(s, core, noise(15, 64 * 4))
        lines = s.applied(sent - 4000)
        assert [line.id for line in lines] == list(range(sent - 3999, sent + 1))
        assert sent == 1024 + 19 * 256
        assert s.counters()["pending_overflows"] == 0


def test_what_is_too_much_is_refused_and_counted(compiled: bool) -> None:
    with stream(compiled) as (s, core):
        pushed = [s.push(Command.mark(10_000 + i, id=i)) for i in range(1030)]
        assert pushed.count(False) == 6
        assert s.counters()["queue_refusals"] == 6
        drive(s, core, noise(15, 64))
        assert s.push(Command.mark(10_000, id=-1))  # what is drained in a block is bounded: a quarter of the queue is free now
        drive(s, core, noise(15, 4 * 64))
        assert s.counters()["pending_overflows"] == 1
        (refused,) = s.applied(0)
        assert (refused.id, refused.status) == (-1, Status.REFUSED)
        assert s.push(Command(Op.PLAY, deck=77))
        assert s.push(Command(Op.PLAY, source=12))
        drive(s, core, noise(15, 64))
        assert s.counters()["refused"] == 2
