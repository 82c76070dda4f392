"""Seams: what was there goes on, the power stays, nothing that sounded is touched."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy import signal

from segue.engine.level import BOUND_DB, Level, level_step_db
from segue.engine.measure import step_over_material
from segue.engine.seam import carried_on, joined, joined_before

RATE = 44_100


def tone(hertz: float, seconds: float = 1.0, phase: float = 0.0) -> np.ndarray[tuple[int, ...], np.dtype[np.float32]]:
    t = np.arange(round(seconds * RATE)) / RATE
    return np.tile(np.sin(2 * np.pi * hertz * t + phase), (2, 1)).astype(np.float32)


def white(seconds: float, seed: int = 0) -> np.ndarray[tuple[int, ...], np.dtype[np.float32]]:
    return (0.1 * np.random.default_rng(seed).standard_normal((2, round(seconds * RATE)))).astype(np.float32)


def test_a_tone_goes_on_in_phase() -> None:
    x = tone(440, 0.5)
    expected = tone(440, 0.6)[:, x.shape[1] :][:, :200]
    assert np.abs(carried_on(x, 200) - expected).max() < 0.1


def test_noise_and_silence_do_not_go_on_for_ever() -> None:
    assert np.abs(carried_on(white(0.5), 4000)[:, -100:]).max() < 0.02
    assert not carried_on(np.zeros((2, 5000), np.float32), 100).any()
    assert not carried_on(white(0.5)[:, :3], 100).any()


@pytest.mark.parametrize("begun_s", [0.009, 0.015])
def test_a_note_that_has_just_begun_goes_on_as_itself(begun_s: float) -> None:
    """After a bright note comes a dull one: what is expected bends as that does, and does not leap as the bright one did."""
    began = round(begun_s * RATE)
    bright = np.tile(signal.sawtooth(2 * np.pi * 880 * np.arange(RATE // 2) / RATE), (2, 1)).astype(np.float32)
    dull = tone(700)[:, : began + 88]
    expected = carried_on(np.concatenate([bright, dull[:, :began]], axis=1), 88)
    whole = np.concatenate([dull[:, :began], expected], axis=1)
    bend, own = (np.abs(np.diff(sound, n=2)).max() for sound in (whole[:, began - 2 :], dull))
    assert bend < 3 * own


@given(st.integers(0, 20), st.integers(1, 3000))
@settings(deadline=None, max_examples=20)
def test_what_is_carried_on_never_exceeds_what_was(seed: int, samples: int) -> None:
    x = white(0.2, seed)
    peak = np.abs(x[:, -4096:]).max(axis=1, keepdims=True)
    assert (np.abs(carried_on(x, samples)) <= peak * 1.0001).all()


@pytest.mark.parametrize("hertz", [110.0, 1000.0])
def test_a_jump_of_phase_is_no_step(hertz: float) -> None:
    before = tone(hertz) + 0.02 * white(1.0)
    new = tone(hertz, phase=2.0) + 0.02 * white(1.0, 1)
    plain = np.concatenate([before, new], axis=1)
    seamless = np.concatenate([before, joined(before, new, 882)], axis=1)
    assert step_over_material(plain, RATE, RATE) > 3
    assert step_over_material(seamless, RATE, RATE) <= 1.0


def test_power_stays_whether_alike_or_not() -> None:
    """A tone into itself keeps its level, noise into other noise too: no bump, no hole."""
    x = tone(300, 2.0)
    alike = joined(x[:, :RATE], x[:, RATE:], 882)[:, :882]
    assert np.abs(alike).max() == pytest.approx(1.0, abs=0.1)
    rows = [joined(white(0.3, s), white(0.3, s + 50), 882)[:, 441:882] for s in range(20)]
    assert float(np.std(rows)) == pytest.approx(0.1, rel=0.1)


def test_only_the_fade_changes() -> None:
    before, new = white(0.5), white(0.5, 1)
    out = joined(before, new, 500)
    assert np.array_equal(out[:, 500:], new[:, 500:])
    assert not np.array_equal(out[:, :500], new[:, :500])
    assert np.array_equal(joined(before, new, 0), new)
    assert np.array_equal(joined(before[:, :0], new, 500), new)


def test_backwards_is_the_mirror_image() -> None:
    new, after = white(0.5), white(0.5, 1)
    mirrored = joined(after[:, ::-1], new[:, ::-1], 500)[:, ::-1]
    assert np.array_equal(joined_before(new, after, 500), mirrored)
    heard = np.concatenate([joined_before(tone(440), tone(440, phase=2.0), 882), tone(440, phase=2.0)], axis=1)
    assert step_over_material(heard + 0.02 * white(2.0), RATE, RATE) <= 1.0


def test_level_step_is_bounded_and_ignores_silence() -> None:
    x = white(1.0)
    assert level_step_db(1.5 * x, x, RATE) == pytest.approx(3.52, abs=0.01)
    assert level_step_db(100 * x, x, RATE) == BOUND_DB
    assert level_step_db(x, 100 * x, RATE) == -BOUND_DB
    assert level_step_db(0 * x, x, RATE) == level_step_db(x, 0 * x, RATE) == 0.0


def test_level_moves_evenly_in_decibels() -> None:
    gain = Level(-6.0, 6.0).apply(np.ones((2, 101), np.float32))[0]
    np.testing.assert_allclose(20 * np.log10(gain), np.linspace(-6, 6, 101), atol=1e-5)
