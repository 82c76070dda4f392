"""Hits found where they are, and what a copy loses of them told in dB."""

from __future__ import annotations

import numpy as np
import pytest
from numpy.typing import NDArray

from segue.train.metrics.spectral import multi_resolution
from segue.train.metrics.transients import hits, transient_errors_db

RATE = 44_100
PLACES = [9_000, 31_234, 60_011, 88_888, 111_111]
Audio = NDArray[np.float32]


def struck(gain: float = 1.0, ahead: float = 0.0) -> Audio:
    """Decaying bursts at PLACES over a faint bed; `ahead`: the same burst backwards before each, as a bad codec smears it."""
    rng, out = np.random.default_rng(5), 0.001 * np.random.default_rng(6).standard_normal(3 * RATE)
    for at in PLACES:
        burst = rng.standard_normal(2_000) * np.exp(-np.arange(2_000) / 400)
        out[at : at + 2_000] += gain * 0.3 * burst
        out[at - 441 : at] += ahead * burst[:441][::-1]
    return np.stack([out, 0.5 * out]).astype(np.float32)


def test_hits_are_found_within_two_milliseconds() -> None:
    found = hits(struck(), RATE)
    assert len(found) == len(PLACES)
    assert np.abs(np.array(found) - PLACES).max() < 0.002 * RATE


def test_a_weaker_hit_is_told_in_decibels_and_what_is_ahead_of_it_apart() -> None:
    after, before = transient_errors_db(struck(), struck(gain=0.5), RATE)
    assert after == pytest.approx(-6.02, abs=0.1)
    after, before = transient_errors_db(struck(), struck(ahead=0.1), RATE)
    assert np.abs(after).max() < 1.0
    assert before.min() > 10


def test_what_has_no_hits_has_no_errors() -> None:
    after, before = transient_errors_db(np.zeros((2, RATE), np.float32), struck()[:, :RATE], RATE)
    assert len(after) == len(before) == 0


def test_the_multi_resolution_distance_is_nought_of_itself_and_grows_with_noise() -> None:
    x = struck()
    rng = np.random.default_rng(8)
    noise = rng.standard_normal(x.shape)
    assert multi_resolution(x, x) == 0
    assert 0 < multi_resolution(x, x + 0.001 * noise) < multi_resolution(x, x + 0.05 * noise)
