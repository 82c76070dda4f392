"""Beats on beats, as arithmetic: factor and place from beats that are known, octaves, bars, limits, and too few of them."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from segue.server.aligning import PAIRS, UNSTRETCHED, Beats, aligned

RATE = 44_100


def beats(bpm: float, first: float, n: int, downbeat: int | None = None) -> Beats:
    return Beats([first * RATE + i * 60.0 * RATE / bpm for i in range(n)], downbeat)


def falls(place: float, factor: float, t0: float, frame: float) -> float:
    """The frame of the stream on which a frame of the file falls."""
    return t0 + (frame - place) * factor


@given(st.floats(80, 160), st.floats(0.93, 1.07), st.floats(0, 0.6), st.floats(0, 2), st.floats(3, 60))
def test_every_beat_falls_on_a_beat(bpm: float, ratio: float, out: float, into: float, wanted: float) -> None:
    outgoing, incoming = beats(bpm, 10.0 + out, 32), beats(bpm * ratio, into, 300)
    t0 = 10.0 * RATE
    found = aligned(outgoing, incoming, t0, wanted * RATE, 0.08)
    assert found is not None
    assert found.matched
    assert found.factor == pytest.approx(ratio, rel=1e-6) or abs(ratio - 1.0) < 2e-4
    assert found.error < 1.0 + 32 * 0.5 * RATE * 2e-4
    period = 60.0 * RATE / bpm
    first = min(incoming.frames, key=lambda frame: abs(frame - wanted * RATE))
    off = (falls(found.place, found.factor, t0, first) - outgoing.frames[0]) / period
    assert abs(off - round(off)) < 0.01
    assert abs(found.place - wanted * RATE) < 1.6 * period  # nearest to where it was wanted


def test_beyond_the_limit_the_tempo_stays_and_the_beats_meet_in_the_middle() -> None:
    outgoing, incoming = beats(100.0, 0.0, 9), beats(120.0, 0.0, 200)
    found = aligned(outgoing, incoming, 0.0, 20.0 * RATE, 0.08)
    assert found is not None
    assert (found.matched, found.factor) == (False, 1.0)
    assert found.ratio == pytest.approx(1.2)
    middle = outgoing.frames[4]
    assert min(abs(falls(found.place, 1.0, 0.0, frame) - middle) for frame in incoming.frames) < 0.01 * RATE


@pytest.mark.parametrize(
    ("out", "into", "factor"), [(87.0, 174.0, 1.0), (172.0, 88.0, 88.0 / 86.0), (90.0, 182.0, 182.0 / 180.0)]
)
def test_twice_the_tempo_is_the_same_tempo(out: float, into: float, factor: float) -> None:
    found = aligned(beats(out, 0.3, 16), beats(into, 0.1, 400), 0.0, 10.0 * RATE, 0.08)
    assert found is not None
    assert found.matched
    assert found.factor == pytest.approx(factor, rel=1e-6)


def test_bars_fall_on_bars_where_both_are_known() -> None:
    outgoing, incoming = beats(120.0, 10.25, 16, downbeat=2), beats(123.0, 0.1, 200, downbeat=1)
    found = aligned(outgoing, incoming, 10.0 * RATE, 31.0 * RATE, 0.08)
    assert found is not None
    downbeat = outgoing.frames[2]
    (number,) = [
        j for j, f in enumerate(incoming.frames) if abs(falls(found.place, found.factor, 10.0 * RATE, f) - downbeat) < 50
    ]
    assert number % 4 == 1


def test_beats_that_waver_are_met_on_the_average() -> None:
    rng = np.random.default_rng(3)
    wavering = [frame + rng.normal(0, 0.005 * RATE) for frame in beats(120.0, 0.0, 32).frames]
    found = aligned(Beats(wavering), beats(124.0, 0.0, 200), 0.0, 0.0, 0.08)
    assert found is not None
    assert found.factor == pytest.approx(124.0 / 120.0, rel=1e-3)
    assert 0.002 * RATE < found.error < 0.008 * RATE


def test_a_place_before_the_file_is_none_and_few_beats_are_too_few() -> None:
    outgoing = beats(120.0, 1.9, 16)
    found = aligned(outgoing, beats(120.0, 0.05, 100), 0.0, 0.0, 0.08)
    assert found is not None
    assert found.place >= 0.0
    assert aligned(beats(120.0, 0.0, PAIRS - 1), beats(120.0, 0.0, 100), 0.0, 0.0, 0.08) is None
    assert aligned(outgoing, beats(120.0, 0.0, PAIRS - 1), 0.0, 0.0, 0.08) is None


def test_without_a_stretcher_nothing_is_stretched() -> None:
    found = aligned(beats(120.0, 0.0, 16), beats(120.3, 0.0, 100), 0.0, 0.0, UNSTRETCHED, stretch=False)
    assert found is not None
    assert (found.factor, found.matched) == (1.0, True)
