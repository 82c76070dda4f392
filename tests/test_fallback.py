"""The loop of the last whole bars."""

import numpy as np

from segue.server.fallback import closed, sounds, whole_bars
from segue.server.tempo import Grid

GRID = Grid(44_100, 120.0)
BAR = 88_200


def test_takes_the_last_two_whole_bars_on_the_grid() -> None:
    assert next(whole_bars(GRID, 5 * BAR + 1000, 0)) == (3 * BAR, 2 * BAR)


def test_takes_what_there_is_early_on() -> None:
    assert next(whole_bars(GRID, 2 * BAR + 10, 500)) == (BAR, BAR)
    assert next(whole_bars(GRID, 44_100 + 10, 0)) == (22_050, 22_050)
    assert list(whole_bars(GRID, 10_000, 0)) == []


def test_offers_less_where_the_most_may_not_sound() -> None:
    lengths = [length for _, length in whole_bars(GRID, 5 * BAR + 1000, 0)]
    assert lengths == [2 * BAR, BAR, BAR // 2, BAR // 4]


def test_a_hole_disqualifies_a_loop() -> None:
    rng = np.random.default_rng(1)
    audio = rng.normal(0, 0.1, (2, 8000)).astype(np.float32)
    assert sounds(audio)
    audio[:, 7000:] = 0.0
    assert not sounds(audio)


def test_a_closed_loop_goes_round_without_a_step() -> None:
    n, fade = 44_100, 441
    t = np.arange(n + fade)
    audio = np.sin(2 * np.pi * 313.7 * t / 44_100)[None].repeat(2, 0).astype(np.float32)
    loop = closed(audio, fade)
    twice = np.concatenate([loop, loop], axis=1)
    second = np.abs(np.diff(twice, 2))[0]
    material = np.abs(np.diff(audio, 2)).max()
    # The fade itself bends a full-scale sine by (pi / 2 fade)^2 at most, a tenth of the sine's own curvature.
    assert second[n - 100 : n + 100].max() <= material * 1.1
    np.testing.assert_array_equal(loop[:, : n - fade], audio[:, fade:n])
