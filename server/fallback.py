"""Keeps the loop of the last whole bars that sounded ready in shared memory, so that a deck never has to fall silent."""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np

from segue.server.jobs import Audio
from segue.server.tempo import Grid

BARS = 2  # bars kept where so many were heard
LONGEST_S = 12.0
SHORTEST_S = 0.25
WRAP_S = 0.010  # crossfade baked in where the loop closes
QUIET = 10.0 ** (-50.0 / 20.0)  # RMS under which a stretch counts as silence
EVERY = 8  # samples: a look at one of so many is enough, and this runs between messages
STRETCHES = 8  # each eighth of a loop has to sound
HOLE_S = 0.025  # and where it can be had, each stretch of this length
STALE = 4  # loops of music without such holes are kept for so many of their lengths


def whole_bars(grid: Grid, heard: int, heard_from: int) -> Iterator[tuple[int, int]]:
    """(origin, length) of the last whole bars before frame `heard`, longest first, then of single beats.

    A crossfade's worth of audio before the origin is left in hand for the wrap.
    """
    earliest = heard_from + round(WRAP_S * grid.rate)
    beat = grid.beat_at(heard)
    for beats in (*(grid.beats_per_bar * n for n in range(BARS, 0, -1)), 2, 1):
        unit = grid.beats_per_bar if beats >= grid.beats_per_bar else 1
        end = grid.frame_of(beat // unit * unit)
        origin = grid.frame_of(beat // unit * unit - beats)
        length = end - origin
        if origin >= earliest and end <= heard and SHORTEST_S * grid.rate <= length <= LONGEST_S * grid.rate:
            yield origin, length


def sounds(audio: Audio, stretches: int = STRETCHES) -> bool:
    """Whether every stretch of `[2, n]` audio is above silence: a loop with a hole in it is no help."""
    audio = audio[:, ::EVERY]
    usable = audio[:, : audio.shape[1] // stretches * stretches]
    power = np.square(usable, dtype=np.float64).reshape(2, stretches, -1).mean(axis=(0, 2))
    return bool((power > QUIET**2).all())


def closed(audio: Audio, fade: int) -> Audio:
    """`[2, fade + n]` audio to a loop of n frames: its end is faded into what came before its beginning."""
    before, loop = audio[:, :fade], audio[:, fade:].copy()
    # A raised cosine: its slope is zero at both ends, so that the fade adds no corner of its own.
    ramp = np.sin(0.5 * np.pi * (np.arange(fade, dtype=np.float32) + 0.5) / fade) ** 2
    loop[:, -fade:] = loop[:, -fade:] * (1.0 - ramp) + before * ramp
    return loop
