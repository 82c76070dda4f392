"""Contexts that were read last: one that a performer has frozen is asked for again when the rings have long forgotten it.

Any thread.
"""

from __future__ import annotations

import threading
from typing import Protocol

from segue.server.audio.values import NotHeard, Ring
from segue.server.jobs import Audio

KEPT = 16  # contexts: of 6 s each 34 MB


class RingReader(Protocol):
    """The part of a segment that inference needs."""

    def read(self, ring: Ring, deck: int, end_frame: int, n: int) -> Audio:
        """n frames that end at a frame. Raises NotHeard where they are not there."""


class Remembering:
    """A reader of rings that knows the last KEPT of its answers by heart."""

    def __init__(self, rings: RingReader) -> None:
        """rings: whom it asks first."""
        self._rings = rings
        self._kept: dict[tuple[Ring, int, int, int], Audio] = {}
        self._lock = threading.Lock()

    def read(self, ring: Ring, deck: int, end_frame: int, n: int) -> Audio:
        """n frames that end at a frame. Raises NotHeard where they are gone and were not read before."""
        key = (ring, deck, end_frame, n)
        try:
            audio = self._rings.read(ring, deck, end_frame, n)
        except NotHeard:
            if key not in self._kept:
                raise
            audio = self._kept[key]
        with self._lock:
            self._kept.pop(key, None)
            self._kept[key] = audio
            if len(self._kept) > KEPT:
                del self._kept[next(iter(self._kept))]
        return audio
