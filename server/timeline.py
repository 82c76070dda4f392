"""Where a take lies: absolute frames, and nothing but arithmetic on them.

A take's audio begins at t0, where its context ended, and is entered at t1 >= t0 at offset t1 - t0. Any thread may call.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from segue.server.jobs import Audio
from segue.server.tempo import Grid

# A commit is sent this many blocks before it sounds, so that the callback surely has it.
LEAD_BLOCKS = 2
# Share of a piece's expected cost added as a margin before it is counted on.
MARGIN = 0.15


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

    The take moves by whole bars, so that it stays on the beat; where no number of bars fits, it begins at t1.
    """
    bar = grid.beats_per_bar * grid.frames_per_beat
    bars = max(0, int(-(-(t1 + need - t0 - made) // bar)))
    moved = t0 + round(bars * bar)
    return moved if moved <= t1 else t1


def join(pieces: Sequence[tuple[int, Audio]], start: int, end: int) -> Audio:
    """Frames `start` to `end` of a take from its consecutive pieces (offset, audio), offsets from t0."""
    out = np.zeros((2, max(0, end - start)), np.float32)
    for offset, audio in pieces:
        low, high = max(start, offset), min(end, offset + audio.shape[1])
        if low < high:
            out[:, low - start : high - start] = audio[:, low - offset : high - offset]
    return out
