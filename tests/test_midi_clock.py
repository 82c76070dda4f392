"""MIDI clock: dejittered, through steps and ramps, start, stop and song position; and garbage."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from segue.server.sync.line import Phase
from segue.server.sync.midi_clock import SILENCE_S, TICKS, MidiClock

TICK, START, CONTINUE, STOP = b"\xf8", b"\xfa", b"\xfb", b"\xfc"


def errors(
    bpm_at: Callable[[float], float], low: float, high: float, seconds: float, steps: tuple[float, ...] = ()
) -> np.ndarray:
    """Seconds by which the clock is ahead of the truth, tick by tick, but for two beats after the beginning and each step."""
    rng, clock, time, tick, found = np.random.default_rng(1), MidiClock(), 0.0, 0, []
    while time < seconds:
        clock.feed(TICK, 100.0 + time + rng.uniform(low, high))
        bpm, now = bpm_at(time), clock.now(100.0 + time)
        if now is not None and not any(0.0 <= time - step < 120.0 / bpm for step in (0.0, *steps)):
            beats = now.beat - 1 / TICKS + (100.0 + time - now.time) * now.bpm / 60.0
            found.append((beats - tick / TICKS) * 60.0 / bpm)
        time += 60.0 / (TICKS * bpm_at(time + 30.0 / (TICKS * bpm)))
        tick += 1
    return np.array(found)


@pytest.mark.parametrize("jitter", [(0.0, 0.001), (-0.001, 0.001)])
def test_jitter_of_a_millisecond_is_filtered(jitter: tuple[float, float]) -> None:
    error = np.abs(errors(lambda t: 120.0, *jitter, 60.0))
    assert np.median(error) < 0.0006
    assert error.max() < 0.0015


def test_a_ramp_of_two_bpm_a_second_leaves_no_lag() -> None:
    assert abs(np.mean(errors(lambda t: 100.0 + 2.0 * t, -0.001, 0.001, 30.0))) < 0.0001
    assert np.abs(errors(lambda t: 100.0 + 2.0 * t, 0.0, 0.0, 30.0)).max() < 0.0003


def test_two_beats_after_a_step_it_is_there() -> None:
    steps = (10.0, 20.0, 30.0, 40.0)
    tempi = (120.0, 140.0, 90.0, 92.0, 175.0)
    error = np.abs(errors(lambda t: tempi[min(4, int(t // 10))], -0.001, 0.001, 50.0, steps))
    assert np.median(error) < 0.0005
    assert error.max() < 0.002


def ticks(clock: MidiClock, start: float, count: int) -> float:
    for n in range(count):
        clock.feed(TICK, start + n / 48.0)
    return start + count / 48.0


def beat(clock: MidiClock, time: float) -> float:
    now = clock.now(time)
    assert now is not None
    return now.beat + (time - now.time) * now.bpm / 60.0


def test_the_song_begins_at_the_tick_after_start_and_goes_on_where_it_is_told() -> None:
    clock = MidiClock()
    assert clock.now(0.0) is None
    time = ticks(clock, 100.0, 37)
    now = clock.now(time)
    assert now is not None
    assert now.phase is Phase.TEMPO
    clock.feed(START, time - 0.001)
    begun = time
    time = ticks(clock, time, 48)
    now = clock.now(time)
    assert now is not None
    assert (now.phase, now.jump, clock.playing) == (Phase.BARS, True, True)
    assert beat(clock, time) == pytest.approx((time - begun) * 2.0, abs=1e-6)
    now = clock.now(time)
    assert now is not None
    assert not now.jump  # told once
    clock.feed(STOP, time - 0.001)
    time = ticks(clock, time, 11)
    clock.feed(bytes([0xF2, 8, 1]), time - 0.002)  # 136 sixteenths: beat 34
    clock.feed(CONTINUE, time - 0.001)
    begun = time
    time = ticks(clock, time, 30)
    assert beat(clock, time) == pytest.approx(34.0 + (time - begun) * 2.0, abs=1e-6)


def test_stop_and_continue_without_a_position_go_on_where_it_stopped() -> None:
    clock = MidiClock()
    clock.feed(START, 99.9)
    time = ticks(clock, 100.0, 24)
    clock.feed(STOP, time - 0.001)
    time = ticks(clock, time, 100)
    clock.feed(CONTINUE, time - 0.001)
    clock.feed(TICK, time)
    assert beat(clock, time) == pytest.approx(1.0, abs=1e-6)


def test_ticks_at_random_have_no_tempo_and_a_steady_clock_is_believed_again() -> None:
    rng, clock, time, told = np.random.default_rng(3), MidiClock(), 100.0, 0
    for _ in range(400):
        time += rng.uniform(0.0, 0.045)  # 120 BPM on average
        clock.feed(TICK, time)
        told += clock.now(time) is not None
    assert told < 40
    time = ticks(clock, time + 1 / 48.0, 30)
    now = clock.now(time)
    assert now is not None
    assert now.bpm == pytest.approx(120.0, abs=0.5)


def test_silence_loses_it_and_it_comes_back() -> None:
    clock = MidiClock()
    time = ticks(clock, 100.0, 30)
    assert clock.now(time + SILENCE_S + 0.1) is None
    time = ticks(clock, time + 5.0, 30)
    now = clock.now(time)
    assert now is not None
    assert now.bpm == pytest.approx(120.0)


@given(st.lists(st.tuples(st.binary(max_size=4) | st.just(TICK), st.floats(0, 0.2) | st.floats(-1e6, 1e6)), max_size=80))
def test_any_messages_at_any_time_leave_a_tempo_or_none(messages: list[tuple[bytes, float]]) -> None:
    clock, time = MidiClock(), 1000.0
    for message, step in messages:
        time += step
        clock.feed(message, time)
        now = clock.now(time)
        assert now is None or (20.0 <= now.bpm <= 300.001 and np.isfinite([now.time, now.beat]).all())
