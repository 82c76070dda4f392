"""Measures against signals whose answer is known."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from numpy.typing import NDArray

from segue.engine.measure import (
    MEL_FLOOR,
    SILENCE_LUFS,
    k_weighting,
    likeness,
    log_mel,
    long_term_spectrum,
    loudness,
    loudness_step_lu,
    mel_distance,
    own_loudness_steps,
    shaped_noise,
    step_over_material,
)

RATE = 44_100


def sine(hertz: float, seconds: float = 2.0, rate: int = RATE, channels: int = 2) -> NDArray[np.float64]:
    t = np.arange(round(seconds * rate)) / rate
    return np.tile(np.sin(2 * np.pi * hertz * t), (channels, 1))


def noise(seconds: float = 3.0, seed: int = 0) -> NDArray[np.float64]:
    return 0.1 * np.random.default_rng(seed).standard_normal((2, round(seconds * RATE)))


@pytest.mark.parametrize("rate", [32_000, 44_100, 48_000, 96_000])
def test_loudness_of_the_standards_sine(rate: int) -> None:
    """BS.1770: 997 Hz at 0 dBFS in one channel is -3.01 LUFS, in two 0.0."""
    assert loudness(sine(997, 4, rate, 1), rate) == pytest.approx(-3.01, abs=0.05)
    assert loudness(sine(997, 4, rate), rate) == pytest.approx(0.0, abs=0.05)


def test_k_weighting_is_the_standards_at_48_khz() -> None:
    shelf, high_pass = k_weighting(48_000)
    table = [1.53512485958697, -2.69169618940638, 1.19839281085285, 1.0, -1.69065929318241, 0.73248077421585]
    np.testing.assert_allclose(shelf, table, atol=1e-6)
    np.testing.assert_allclose(high_pass, [1, -2, 1, 1, -1.99004745483398, 0.99007225036621], atol=1e-6)


@given(st.floats(-60, 20))
@settings(deadline=None, max_examples=20)
def test_a_gain_moves_loudness_by_itself(gain_db: float) -> None:
    x = noise(0.5)
    assert loudness(x * 10 ** (gain_db / 20), RATE) - loudness(x, RATE) == pytest.approx(gain_db, abs=1e-6)


def test_silence_has_a_loudness_too() -> None:
    assert loudness(np.zeros((2, RATE)), RATE) == SILENCE_LUFS
    assert loudness(np.zeros((2, 0)), RATE) == SILENCE_LUFS


def test_loudness_step() -> None:
    x = noise(4)
    assert loudness_step_lu(x, 2 * RATE, RATE) == pytest.approx(0, abs=0.3)
    x[:, 2 * RATE :] *= 2
    assert loudness_step_lu(x, 2 * RATE, RATE) == pytest.approx(6.02, abs=0.3)
    assert loudness_step_lu(x, RATE // 2, RATE) == pytest.approx(0, abs=0.5)  # less than a second before it


def test_own_loudness_steps_are_a_recordings_habit() -> None:
    assert own_loudness_steps(noise(6), RATE) < 0.3
    pulsing = noise(6) * np.repeat([1.0, 0.25] * 3, RATE)
    assert own_loudness_steps(pulsing, RATE) == pytest.approx(12.04, abs=0.5)
    assert own_loudness_steps(noise(1), RATE) == 0.0


def test_a_click_is_a_step_and_a_smooth_tone_is_not() -> None:
    x = sine(440)
    assert step_over_material(x, RATE, RATE) <= 1.0
    clicked = x.copy()
    clicked[:, RATE:] += 0.1
    assert step_over_material(clicked, RATE, RATE) > 20
    assert step_over_material(clicked, RATE + 300, RATE) == pytest.approx(1.0, abs=0.001)  # 7 ms away: neither seam nor material
    assert step_over_material(clicked, RATE + 2000, RATE) < 0.1  # there the click is material


def test_a_constant_has_no_step_and_a_jump_in_it_is_infinite() -> None:
    x = np.ones((2, 2 * RATE))
    assert step_over_material(x, RATE, RATE) == 0.0
    x[:, RATE:] = 2
    assert step_over_material(x, RATE, RATE) == float("inf")


def test_a_kink_in_slope_shows_at_the_exact_sample() -> None:
    x = np.abs(np.arange(2 * RATE) - RATE)[None] * 1.0
    assert step_over_material(x, RATE, RATE) == float("inf")
    assert step_over_material(x, RATE + 100, RATE) == 0.0  # beyond 2 ms, inside 10 ms


def test_log_mel_finds_the_tone() -> None:
    x = log_mel(sine(1000), RATE)
    assert x.shape == (80, 1 + (2 * RATE - 2048) // 512)
    top = 2595 * np.log10(1 + RATE / 2 / 700)
    expected = 2595 * np.log10(1 + 1000 / 700) / top * 81 - 1
    assert x.mean(axis=1).argmax() == pytest.approx(expected, abs=1)
    assert x.max() == pytest.approx(0, abs=0.5)
    assert log_mel(np.zeros((2, 100)), RATE).max() == np.log(MEL_FLOOR)


def test_mel_distance() -> None:
    x = noise()
    assert mel_distance(x, x, RATE) == 0.0
    assert mel_distance(x, np.e * x, RATE) == pytest.approx(1.0)
    assert mel_distance(x, noise(seed=1), RATE) < mel_distance(x, sine(440, 3), RATE)


def test_likeness_knows_a_copy() -> None:
    context, fresh = noise(2), noise(1, seed=5)
    assert likeness(context[:, 20_000:60_000], context, 0.5, RATE) == pytest.approx(1.0, abs=1e-6)
    assert likeness(-0.1 * context[:, 20_000:60_000], context, 0.5, RATE) == pytest.approx(1.0, abs=1e-6)
    assert likeness(fresh, context, 0.5, RATE) < 0.1
    assert likeness(np.zeros((2, 1000)), context, 0.5, RATE) == 0.0


def test_shaped_noise_has_the_contexts_spectrum_and_level() -> None:
    context = sine(1000, 3) * [[0.5], [0.1]] + 0.01 * noise(3)
    made = shaped_noise(context, 2 * RATE, np.random.default_rng(0))
    assert made.shape == (2, 2 * RATE)
    np.testing.assert_allclose(np.square(made).mean(axis=1), np.square(context).mean(axis=1), rtol=0.02)
    assert long_term_spectrum(made).argmax(axis=1).tolist() == long_term_spectrum(context).argmax(axis=1).tolist()
    assert likeness(made, context, 0.5, RATE) < 0.9


def test_long_term_spectrum_sums_to_the_mean_square() -> None:
    x = noise()
    np.testing.assert_allclose(long_term_spectrum(x).sum(axis=1), np.square(x).mean(axis=1))


def test_loudness_refuses_a_rate_too_low_for_its_filter() -> None:
    with pytest.raises(ValueError, match="got audio at 2000 Hz; K-weighting needs more than 3364"):
        loudness(np.zeros((2, 2000), np.float32), 2000)
