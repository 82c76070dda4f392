"""The beat grid: continuity through every change, places, lengths; and the tap."""

from __future__ import annotations

import math
from itertools import pairwise

import pytest
from hypothesis import given
from hypothesis import strategies as st

from segue.server.tempo import CORRECTION_S, STEEPEST, Grid, Taps

RATE = 44_100
BPM = st.floats(20, 300)


@given(BPM, st.integers(1, 64), st.integers(0, 10**9))
def test_bars_do_not_accumulate_rounding(bpm: float, bars: int, start: int) -> None:
    grid = Grid(RATE, bpm)
    end = start
    for _ in range(bars):
        end += grid.length(end, grid.beats_per_bar)
    exact = start + bars * grid.beats_per_bar * grid.frames_per_beat
    assert abs(end - exact) <= 0.5 + 0.5 * bars
    assert abs(grid.length(start, bars * grid.beats_per_bar) - (exact - start)) <= 1.0


@given(BPM, st.sampled_from(["1/4", "beat", "bar", "2bar", "8bar"]), st.integers(0, 10**8))
def test_next_is_on_the_grid_and_not_before(bpm: float, quant: str, frame: int) -> None:
    grid = Grid(RATE, bpm, origin=123.4)
    place = grid.next(frame, quant)
    step = grid.step(quant)
    assert frame <= place <= frame + step * grid.frames_per_beat + 1
    beats = grid.beat_at(place) / step
    assert abs(beats - round(beats)) * step * grid.frames_per_beat <= 0.51
    assert grid.frame_of(grid.next_beat(frame, quant)) == place


def test_off_is_at_once() -> None:
    assert Grid(RATE).next(777, "off") == 777


@st.composite
def travelled(draw: st.DrawFn) -> tuple[Grid, list[int]]:
    """A grid after some changes of tempo and of source, and the frames at which they were made."""
    grid, frame, frames = Grid(RATE, draw(BPM), origin=draw(st.floats(0, 1e5))), 50_000, []
    for _ in range(draw(st.integers(1, 12))):
        frame += draw(st.integers(1, 300_000))
        bpm = draw(BPM)
        if draw(st.booleans()):
            grid = grid.with_bpm(bpm, frame)
        else:
            grid = grid.following(frame, grid.beat_at(frame) + draw(st.floats(-2, 2)), bpm)
        frames.append(frame)
    return grid, frames


@given(travelled())
def test_through_all_changes_the_grid_is_continuous_and_rises(made: tuple[Grid, list[int]]) -> None:
    grid, frames = made
    for before, after in pairwise(grid.knots):
        assert after.frame > before.frame
        assert after.beat == pytest.approx(before.beat + (after.frame - before.frame) * before.bpm / (60.0 * RATE), abs=1e-6)
    for frame in range(frames[0] - 1000, frames[-1] + 400_000, 9973):
        assert grid.place_of(grid.beat_at(frame)) == pytest.approx(frame, abs=1e-3)


@given(travelled(), st.integers(1, 16))
def test_n_bars_are_the_difference_of_two_rounded_frames_through_ramps(made: tuple[Grid, list[int]], bars: int) -> None:
    grid, frames = made
    first = math.ceil(grid.beat_at(frames[0]) / 4) * 4
    places = [grid.frame_of(first + 4.0 * n) for n in range(bars + 1)]
    assert sum(b - a for a, b in pairwise(places)) == grid.frame_of(first + 4.0 * bars) - grid.frame_of(first)
    assert all(abs(place - grid.place_of(first + 4.0 * n)) <= 0.5 for n, place in enumerate(places))
    # From a rounded frame, at up to fifteen times the tempo: half a frame becomes as much more.
    assert grid.length_before(places[-1], 4.0 * bars) == pytest.approx(places[-1] - places[0], abs=8.5)


@given(BPM, BPM, st.integers(0, 10**8))
def test_a_new_tempo_keeps_the_past_and_the_beat_where_they_are(before: float, after: float, frame: int) -> None:
    grid = Grid(RATE, before)
    other = grid.with_bpm(after, frame)
    assert other.beat_at(frame) == pytest.approx(grid.beat_at(frame), abs=1e-4)
    assert other.beat_at(frame - 100_000) == pytest.approx(grid.beat_at(frame - 100_000), abs=1e-4)
    assert other.beat_at(frame + RATE) == pytest.approx(grid.beat_at(frame) + after / 60.0, abs=1e-4)


@given(BPM, BPM, st.floats(-2, 2), st.integers(0, 10**8))
def test_a_source_is_met_without_a_jump_and_in_bounded_time(own: float, bpm: float, error: float, frame: int) -> None:
    grid = Grid(RATE, own)
    beat = grid.beat_at(frame) + error
    met = grid.following(frame, beat, bpm)
    assert met.beat_at(frame + 1) - met.beat_at(frame) == pytest.approx(bpm / (60.0 * RATE), rel=STEEPEST + 1e-3)
    seconds = max(CORRECTION_S, abs(error) * 60.0 / (bpm * STEEPEST)) + 0.001
    there = frame + seconds * RATE
    assert met.beat_at(there) == pytest.approx(beat + seconds * bpm / 60.0, abs=1e-4)
    assert met.bpm == bpm


@given(st.integers(0, 10**7), st.integers(1, 12), st.integers(1, 12))
def test_downbeat_and_another_meter(frame: int, bar: int, other: int) -> None:
    grid = Grid(RATE, 97.0, beats_per_bar=bar).with_downbeat(frame)
    assert (grid.beat_at(frame) + 0.5e-6) % bar < 1e-6
    changed = grid.with_meter(other, frame)
    assert (changed.beat_at(frame) + 0.5e-6) % other < 1e-6


def test_the_past_is_forgotten_in_the_end() -> None:
    grid = Grid(RATE)
    for n in range(20_000):
        grid = grid.with_bpm(120.0 + n % 7, n * 4410)
    assert len(grid.knots) < 700


def test_four_taps_give_the_median_tempo() -> None:
    taps = Taps()
    for frame in (0, 22_050, 44_100, 66_300, 88_200):
        taps = taps.tapped(frame, RATE)
    assert taps.bpm(RATE) == pytest.approx(120.0, rel=0.004)


def test_a_pause_begins_a_new_count() -> None:
    taps = Taps().tapped(0, RATE).tapped(22_050, RATE).tapped(22_050 + 10 * RATE, RATE)
    assert taps.bpm(RATE) is None


def test_taps_stay_within_the_range_of_tempo() -> None:
    assert Taps().tapped(0, RATE).tapped(10, RATE).bpm(RATE) == 300.0
