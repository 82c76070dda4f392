"""Which beats are to be told now: each once, ahead of its time, through jumps of the grid. Pure."""

from __future__ import annotations

import math
from collections.abc import Iterator

from segue.server.tempo import Grid

AHEAD_S = 0.1  # beats are told so long before they fall


class Beats:
    """Remembers which beat was told last."""

    def __init__(self) -> None:
        self._told: int | None = None

    def due(self, grid: Grid, frame: int) -> Iterator[tuple[int, int]]:
        """Beats that fall within AHEAD_S after `frame` and were not told yet, with their frames."""
        last = math.floor(grid.beat_at(frame + AHEAD_S * grid.rate))
        first = math.ceil(grid.beat_at(frame))
        if self._told is not None and first - 1 <= self._told <= last + 1:
            first = max(first, self._told + 1)
        elif self._told is None:
            first = last + 1  # what falls so soon after the beginning would come too late
        for beat in range(first, last + 1):
            yield beat, grid.frame_of(beat)
        self._told = last
