"""The beat grid and the tap."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from segue.server.tempo import Grid, Taps

RATE = 44_100


@given(st.floats(20, 300), st.integers(1, 64), st.integers(0, 10**9))
def test_bars_do_not_accumulate_rounding(bpm: float, bars: int, start: int) -> None:
    grid = Grid(RATE, bpm)
    end = start
    for _ in range(bars):
        end += grid.length(end, grid.beats_per_bar)
    exact = start + bars * grid.beats_per_bar * grid.frames_per_beat
    assert abs(end - exact) <= 0.5 + 0.5 * bars
    assert abs(grid.length(start, bars * grid.beats_per_bar) - (exact - start)) <= 1.0


@given(st.floats(20, 300), st.sampled_from(["1/4", "beat", "bar", "2bar", "8bar"]), st.integers(0, 10**8))
def test_next_is_on_the_grid_and_not_before(bpm: float, quant: str, frame: int) -> None:
    grid = Grid(RATE, bpm, origin=123.4)
    place = grid.next(frame, quant)
    step = grid.step(quant)
    assert frame <= place <= frame + step * grid.frames_per_beat + 1
    beats = grid.beat_at(place) / step
    assert abs(beats - round(beats)) * step * grid.frames_per_beat <= 0.51


def test_off_is_at_once() -> None:
    assert Grid(RATE).next(777, "off") == 777


@given(st.floats(20, 300), st.floats(20, 300), st.integers(0, 10**8))
def test_a_new_tempo_keeps_the_beat_where_it_is(before: float, after: float, frame: int) -> None:
    grid = Grid(RATE, before)
    assert grid.with_bpm(after, frame).beat_at(frame) == pytest.approx(grid.beat_at(frame), abs=1e-4)


def test_four_taps_give_the_median_tempo() -> None:
    taps = Taps()
    for frame in (0, 22_050, 44_100, 66_300, 88_200):
        taps = taps.tapped(frame, RATE)
    assert taps.bpm(RATE) == pytest.approx(120.0, rel=0.004)


def test_a_pause_begins_a_new_count() -> None:
    taps = Taps().tapped(0, RATE).tapped(22_050, RATE).tapped(22_050 + 10 * RATE, RATE)
    assert taps.bpm(RATE) is None
