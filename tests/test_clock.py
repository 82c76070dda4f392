"""The sample clock: how well it finds frames behind late callbacks."""

import numpy as np

from segue.server.clock import SampleClock

RATE = 44_100
BLOCK = 256


def _run(seconds: float, true_rate: float, late_s: float, seed: int = 1) -> tuple[SampleClock, list[float]]:
    """A clock fed with callbacks that wake late by an exponential delay; errors in frames after 8 s."""
    rng = np.random.default_rng(seed)
    clock, errors = SampleClock(RATE), []
    for n in range(int(seconds * RATE / BLOCK)):
        frame = n * BLOCK
        truth = 1000.0 + frame / true_rate
        clock.update(frame, truth + rng.exponential(late_s))
        if truth > 1008.0:
            errors.append(clock.frame_at(truth) - frame)
    return clock, errors


def test_locks_within_a_sample_under_late_callbacks() -> None:
    _, errors = _run(30.0, RATE * (1 + 30e-6), 60e-6)
    assert np.percentile(np.abs(errors), 95) < 1.0


def test_follows_the_device_rate() -> None:
    clock, _ = _run(40.0, RATE * (1 + 80e-6), 20e-6)
    assert abs(clock.rate / (RATE * (1 + 80e-6)) - 1) < 10e-6


def test_lost_periods_anchor_again_and_do_not_slew() -> None:
    clock, _ = _run(10.0, RATE, 20e-6)
    frame = int(10.0 * RATE)
    clock.update(frame, 1010.5)  # half a second of periods was lost
    assert clock.anchors == 2
    assert abs(clock.frame_at(1010.5) - frame) < 1.0


def test_time_and_frame_are_inverse() -> None:
    clock, _ = _run(9.0, RATE, 10e-6)
    assert abs(clock.frame_at(clock.time_at(123_456)) - 123_456) < 1e-3


def test_a_single_lost_period_is_made_up_for_at_once_at_the_known_rate() -> None:
    rate = RATE * (1 + 50e-6)
    clock, _ = _run(20.0, rate, 60e-6)
    rng = np.random.default_rng(2)
    first, lost = int(20.0 * RATE / BLOCK), BLOCK / RATE
    for n in range(first, first + 40):
        truth = 1000.0 + n * BLOCK / rate + lost
        clock.update(n * BLOCK, truth + rng.exponential(60e-6))
    assert (clock.anchors, clock.steps) == (1, 1)
    assert abs(clock.frame_at(truth) - n * BLOCK) < 0.0001 * RATE
    assert abs(clock.rate / rate - 1) < 20e-6
