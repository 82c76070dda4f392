"""Arithmetic of takes: entry, re-anchoring, joining."""

from itertools import pairwise

import numpy as np
from hypothesis import given
from hypothesis import strategies as st

from segue.server.tempo import Grid
from segue.server.timeline import ROUNDED, Pace, join, reanchored, sustained

RATE = 44_100


def _starves(t1: int, have: int, need: int, next_ready: int, pace: Pace) -> bool:
    """Plays block by block: whether the play head ever reaches a frame that is not made yet."""
    ready = next_ready
    for frame in range(t1, need, 100):
        while ready <= frame and have < need:
            have += pace.piece
            ready += pace.cost
        if frame >= have:
            return True
    return False


@given(st.integers(0, 5000), st.integers(1, 6000), st.integers(100, 30_000), st.integers(1, 4000), st.integers(500, 5000))
def test_a_sustained_take_never_starves(t1: int, ahead: int, length: int, cost: int, piece: int) -> None:
    pace = Pace(cost, piece)
    if sustained(t1, t1 + ahead, t1 + length, t1 + cost, pace):
        assert not _starves(t1, t1 + ahead, t1 + length, t1 + cost, pace)


def test_an_engine_slower_than_the_music_is_not_entered_early() -> None:
    assert not sustained(0, 3500, 20_000, 4000, Pace(4000, 3500))
    assert sustained(0, 20_000, 20_000, 4000, Pace(4000, 3500))


@given(st.floats(30, 240), st.integers(0, 10**6), st.integers(10_000, 10**6), st.integers(0, 3 * 10**6))
def test_a_prepared_take_moves_by_bars_or_beats_or_begins_at_its_entry(bpm: float, t0: int, made: int, wait: int) -> None:
    grid, t1 = Grid(RATE, bpm), t0 + wait
    need = made // 2
    moved = reanchored(t0, made, t1, need, grid)
    assert moved <= t1
    assert moved + made >= t1 + need
    quarters = 4 * (moved - t0) / grid.frames_per_beat
    assert moved == t1 or abs(quarters - round(quarters)) * grid.frames_per_beat / 4 <= ROUNDED


@given(st.floats(30, 240), st.integers(2, 7), st.integers(0, 10**6), st.sampled_from([0.25, 0.5, 1.0, 2.0, 3.0, 4.0, 8.0, 12.0]))
def test_a_take_that_is_late_by_beats_is_on_the_beat(bpm: float, meter: int, due: int, late: float) -> None:
    """All that was made from its due place on is needed, as where a take is as long as it was asked for."""
    grid, ahead, need = Grid(RATE, bpm, meter), RATE // 4, 3 * RATE
    t1 = grid.frame_of(grid.beat_at(due) + late)
    moved = reanchored(due - ahead, ahead + need, t1, need, grid)
    by = (moved - due + ahead) / grid.frames_per_beat
    assert moved + ahead + need >= t1 + need
    assert abs(by - late) * grid.frames_per_beat <= ROUNDED or (by > late and abs(4 * by - round(4 * by)) <= 1e-3)


@given(st.lists(st.integers(1, 50), min_size=1, max_size=6), st.integers(0, 100), st.integers(0, 200))
def test_join_is_a_slice_of_the_whole(lengths: list[int], start: int, length: int) -> None:
    whole = np.arange(1, sum(lengths) + 1, dtype=np.float32)[None].repeat(2, 0)
    edges = np.cumsum([0, *lengths])
    pieces = [(int(a), whole[:, a:b]) for a, b in pairwise(edges)]
    got = join(pieces, start, start + length)
    padded = np.concatenate([whole, np.zeros((2, 400), np.float32)], axis=1)
    np.testing.assert_array_equal(got, padded[:, start : start + length])
