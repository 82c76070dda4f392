"""Hits of the bass in the middle of a transition: half as strong is 6 dB, and only what is low and sudden counts."""

from __future__ import annotations

import numpy as np
import pytest
from numpy.typing import NDArray

from segue.engine.shapes import crossfade
from segue.train.cases import Case
from segue.train.kicks import METRIC, kicks_db, rise, rows_of
from segue.train.systems import FADE, Way

RATE, SECONDS = 44_100, 3.0


def drum(hertz: float, offset_s: float = 0.0) -> NDArray[np.float32]:
    """A hit every half second, that rings for a tenth."""
    t = np.arange(round(SECONDS * RATE)) / RATE - offset_s
    hit = np.sin(2 * np.pi * hertz * (t % 0.5)) * np.exp(-(t % 0.5) / 0.1)
    return np.tile(0.3 * hit, (2, 1)).astype(np.float32)


def transition(one: NDArray[np.float32], two: NDArray[np.float32]) -> Case:
    return Case("transition", "a", one, one, two, crossfade(one, two), (one, two))


def test_half_as_strong_is_six_decibels() -> None:
    one = transition(drum(60), drum(60))
    assert kicks_db(one.truth, one, RATE) == pytest.approx(0.0, abs=0.01)
    assert kicks_db(one.truth / 2, one, RATE) == pytest.approx(-6.0, abs=0.1)
    assert kicks_db(np.zeros_like(one.truth), one, RATE) < -30


def test_a_crossfade_of_two_drums_keeps_both_weakened() -> None:
    one = transition(drum(60), drum(60, 0.25))
    assert one.middle is not None
    assert -1.0 < kicks_db(one.middle, one, RATE) < 4.0


def test_what_is_high_or_goes_on_is_no_hit() -> None:
    t = np.arange(round(SECONDS * RATE)) / RATE
    hum = np.tile(0.3 * np.sin(2 * np.pi * 100 * t), (2, 1)).astype(np.float32)
    assert rise(drum(3000), RATE) < 0.02 * rise(drum(60), RATE)
    assert rise(hum[:, RATE:], RATE) < 0.1 * rise(drum(60)[:, RATE:], RATE)


def test_ours_is_told_beside_the_crossfade_clip_by_clip() -> None:
    way = Way("transition")
    rows = {row.system: row for row in rows_of({FADE: [1.0, 3.0], way.name: [0.0, 2.0]}, way)}
    assert {row.metric for row in rows.values()} == {METRIC}
    assert rows[f"{way.name} - {FADE}"].value == pytest.approx(-1.0)
    assert rows[f"{way.name} - {FADE}"].spread == pytest.approx(0.0)


def test_only_transitions_have_two_tracks() -> None:
    with pytest.raises(ValueError, match="of two tracks"):
        kicks_db(drum(60), Case("continuation", "a", drum(60)), RATE)
