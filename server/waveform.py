"""The waveform of what sounded and of what is coming, as small blobs for whoever watches. Control thread only."""

from __future__ import annotations

from collections.abc import Mapping

import numpy as np
from numpy.typing import NDArray

from segue.server import seen
from segue.server.audio.segment import Segment
from segue.server.audio.values import NotHeard, Ring, Torn
from segue.server.commands import ROOT
from segue.server.events import METER_RATE, Audience, Events
from segue.server.jobs import Audio
from segue.server.state import World
from segue.server.takes import State, Take

COLUMN = 512  # frames
KEPT_S = 30.0  # seconds of columns for those who come later
CAUGHT_UP = 16  # columns at once; what fell behind further is left out
TAKE_TYPES = "isshhhb"
WAVE_TYPES = "hib"
SOURCES: Mapping[str, int] = {"dry": 0, "slot_a": 1, "slot_b": 1, "loop": 2, "silence": 3}
SHOWN = frozenset({State.QUEUED, State.RUNNING, State.READY, State.ARMED, State.PLAYING, State.LATE})


class Waveforms:
    """Columns of every deck, while somebody watches."""

    def __init__(self, segment: Segment, world: World, events: Events) -> None:
        self._segment, self._world, self._events = segment, world, events
        self._at = 0  # the frame at which columns are sent next
        self._next = [0] * segment.decks  # the first frame that has no column yet
        self._kept = [bytearray() for _ in range(segment.decks)]  # columns that end at _next
        self._told: dict[int, tuple[object, ...]] = {}
        self._outlines: dict[int, list[bytes]] = {}
        self._grid: tuple[float, float, float, int] | None = None

    def tick(self) -> None:
        """Sends what is new, 30 times a second at most; nothing where nobody watches."""
        now = self._segment.frame
        if now < self._at or not self._events.wanted(Audience.WATCHING):
            return
        self._at = now + round(self._segment.rate / METER_RATE)
        self._tell_grid()
        for deck in range(1, self._segment.decks + 1):
            self._tell_columns(deck)
        self._tell_takes()

    def show(self, route: str) -> None:
        """Tells a new watcher what is known."""
        if self._grid is not None:
            self._events.reply(route, f"{ROOT}/grid", *self._grid, types="fdfi")
        for deck, columns in enumerate(self._kept, 1):
            first = self._next[deck - 1] - COLUMN * (len(columns) // 3)
            self._events.reply(route, f"{ROOT}/deck/{deck}/wave", first, COLUMN, bytes(columns), types=WAVE_TYPES)
        self._told.clear()  # so that all takes are told again

    def _tell_grid(self) -> None:
        grid = self._world.grid
        known = (float(grid.rate), grid.origin, grid.bpm, grid.beats_per_bar)
        if known != self._grid:
            self._grid = known
            self._events.emit(f"{ROOT}/grid", *known, types="fdfi", to=Audience.WATCHING)

    def _tell_columns(self, deck: int) -> None:
        at, end = deck - 1, self._segment.written(Ring.SOUNDED, deck - 1) // COLUMN * COLUMN
        count = min((end - self._next[at]) // COLUMN, CAUGHT_UP)
        if count <= 0:
            return
        try:
            audio = self._segment.read(Ring.SOUNDED, at, end, count * COLUMN)
        except (NotHeard, Torn):  # the stream began anew
            return
        if end - count * COLUMN != self._next[at]:
            self._kept[at].clear()
        self._next[at] = end
        source = SOURCES.get(seen.moment(self._segment).deck(deck).source, 0)
        columns = np.concatenate((extremes(audio), np.full((count, 1), source, np.uint8)), axis=1).tobytes()
        kept = self._kept[at]
        kept += columns
        del kept[: max(0, len(kept) - 3 * round(KEPT_S * self._segment.rate / COLUMN))]
        self._events.emit(
            f"{ROOT}/deck/{deck}/wave", end - count * COLUMN, COLUMN, columns, types=WAVE_TYPES, to=Audience.WATCHING
        )

    def _tell_takes(self) -> None:
        takes = {n: take for n, take in self._world.takes.items() if take.state in SHOWN and take.job.verb != "capture"}
        for number in [n for n in self._told if n not in takes]:
            self._tell_gone(number)
        for number, take in takes.items():
            start = take.entry if take.entry is not None else take.due if take.due is not None else 0
            end = take.exit if take.entry is not None else start + take.length
            known = (take.state, start, end, take.t0, len(take.pieces))
            if known == self._told.get(number):
                continue
            self._told[number] = known
            args = (take.number, take.job.verb, take.state.value, start, end, take.t0, self._outline(number, take))
            self._events.emit(f"{ROOT}/deck/{take.job.deck}/coming", *args, types=TAKE_TYPES, to=Audience.WATCHING)

    def _tell_gone(self, number: int) -> None:
        del self._told[number]
        self._outlines.pop(number, None)
        take = self._world.takes.get(number)
        if take is not None:
            args = (take.number, take.job.verb, take.state.value, 0, 0, 0, b"")
            self._events.emit(f"{ROOT}/deck/{take.job.deck}/coming", *args, types=TAKE_TYPES, to=Audience.WATCHING)

    def _outline(self, number: int, take: Take) -> bytes:
        """Columns of two bytes from t0 on."""
        outlines = self._outlines.setdefault(number, [])
        outlines += [extremes(whole(audio)).tobytes() for _, audio in take.pieces[len(outlines) :]]
        return b"".join(outlines)


def whole(audio: Audio) -> Audio:
    """`[2, n]` cut to whole columns."""
    return audio[:, : audio.shape[1] // COLUMN * COLUMN]


def extremes(audio: Audio) -> NDArray[np.uint8]:
    """Lowest and highest sample of each column of `[2, n * COLUMN]`: `[n, 2]`, 128 is zero, 1 and 255 are full scale."""
    columns = audio.reshape(2, -1, COLUMN)
    pairs = np.stack((columns.min(axis=(0, 2)), columns.max(axis=(0, 2))), axis=1)
    scaled: NDArray[np.uint8] = (np.clip(np.nan_to_num(pairs), -1.0, 1.0) * 127 + 128.5).astype(np.uint8)
    return scaled
