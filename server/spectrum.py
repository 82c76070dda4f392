"""The spectrum of what comes in and of what sounds, as small blobs for whoever asked. Control thread only."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from segue.server import seen
from segue.server.audio.segment import Segment
from segue.server.audio.values import NotHeard, Ring, Torn
from segue.server.bands import FLOOR_DB, levels
from segue.server.commands import ROOT
from segue.server.events import Audience, Events
from segue.server.jobs import Audio
from segue.server.waveform import SOURCES

COLUMN = 2048  # frames from one column to the next
WINDOW = 2 * COLUMN
BANDS = 48
CAUGHT_UP = 4  # columns at once; what fell behind further is left out
SPECTRUM_TYPES = "shiib"
RINGS = {"input": Ring.INPUT, "output": Ring.SOUNDED}


class Spectra:
    """Columns of every deck's two memories, while somebody watches; nothing is computed while nobody does."""

    def __init__(self, segment: Segment, events: Events) -> None:
        self._segment, self._events = segment, events
        self._next = {(name, deck): 0 for name in RINGS for deck in range(segment.decks)}  # the end of the newest column

    def tick(self) -> None:
        """Sends the columns that have become whole."""
        if not self._events.wanted(Audience.SPECTRA):
            return
        for name, deck in self._next:
            self._tell(name, deck)

    def _tell(self, name: str, deck: int) -> None:
        end = self._segment.written(RINGS[name], deck) // COLUMN * COLUMN
        count = min((end - self._next[name, deck]) // COLUMN, CAUGHT_UP)
        self._next[name, deck] = end
        if count <= 0:  # also where the stream began anew
            return
        try:
            audio = self._segment.read(RINGS[name], deck, end, (count - 1) * COLUMN + WINDOW)
        except (NotHeard, Torn):
            return
        played = seen.moment(self._segment).deck(deck + 1).source if name == "output" else "dry"
        sources = np.full((count, 1), SOURCES.get(played, 0), np.uint8)
        columns = np.concatenate((sources, columns_of(audio, self._segment.rate)), axis=1).tobytes()
        first = end - (count - 1) * COLUMN - (WINDOW + COLUMN) // 2  # a column lies around the middle of its window
        address = f"{ROOT}/deck/{deck + 1}/spectrum"
        self._events.emit(address, name, first, COLUMN, BANDS, columns, types=SPECTRUM_TYPES, to=Audience.SPECTRA)


def columns_of(audio: Audio, rate: int) -> NDArray[np.uint8]:
    """Levels of `[2, (n - 1) * COLUMN + WINDOW]`: `[n, BANDS]`, lowest band first, 0 is the floor, 255 a sine of full scale."""
    mono = np.nan_to_num(audio.mean(axis=0), posinf=1.0, neginf=-1.0).clip(-1.0, 1.0)
    windows = np.lib.stride_tricks.sliding_window_view(mono, WINDOW)[::COLUMN]
    shares = 1.0 - levels(windows, rate, BANDS) / FLOOR_DB
    scaled: NDArray[np.uint8] = (shares.clip(0.0, 1.0) * 255 + 0.5).astype(np.uint8)
    return scaled
