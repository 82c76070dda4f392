"""Where a take lies: absolute frames, and nothing but arithmetic on them.

A take's audio begins at t0, where its context ended, and is entered at t1 >= t0 at offset t1 - t0. Any thread may call.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from segue.server.jobs import Audio
from segue.server.tempo import Grid

# A commit is sent this many blocks before it sounds, so that the callback surely has it.
LEAD_BLOCKS = 2
# Share of a piece's expected cost added as a margin before it is counted on.
MARGIN = 0.15
# Frames by which places of the grid, each rounded to a frame, are further apart than their beats.
ROUNDED = 2


@dataclass(frozen=True)
class Pace:
    """How fast the engine is: `cost` frames of time for each piece of `piece` frames of new audio."""

    cost: int
    piece: int


def sustained(t1: int, have: int, need: int, next_ready: int, pace: Pace) -> bool:
    """Whether a take entered at t1 never runs dry before frame `need`.

    have: first frame not made yet. next_ready: when the piece after it is expected. Piece k covers `pace.piece` more
    frames and comes `pace.cost` after piece k - 1.
    """
    if have <= t1:
        return False
    ready = next_ready + round(MARGIN * pace.cost)
    while have < need:
        if ready > have:
            return False
        have += pace.piece
        ready += pace.cost
    return True


def reanchored(t0: int, made: int, t1: int, need: int, grid: Grid) -> int:
    """A new t0 for a prepared take of `made` frames that is entered at t1 and must last `need` frames from there.

    The take moves by whole bars, else by whole beats, else by quarters of them, so that it stays on the beat; where none fits,
    it begins at t1.
    """
    missing = t1 + need - t0 - made
    for beats in (float(grid.beats_per_bar), 1.0, 0.25):
        unit = beats * grid.frames_per_beat
        moved = t0 + max(missing, round(math.ceil((missing - ROUNDED) / unit) * unit)) if missing > 0 else t0
        if moved <= t1:
            return moved
    return t1


def join(pieces: Sequence[tuple[int, Audio]], start: int, end: int) -> Audio:
    """Frames `start` to `end` of a take from its consecutive pieces (offset, audio), offsets from t0."""
    out = np.zeros((2, max(0, end - start)), np.float32)
    for offset, audio in pieces:
        low, high = max(start, offset), min(end, offset + audio.shape[1])
        if low < high:
            out[:, low - start : high - start] = audio[:, low - offset : high - offset]
    return out
