"""Plays to nobody in real time, on machines without audio: silence comes in, what goes out is dropped.

A thread of the audio process drives the core; everything else is as with a device.
"""

from __future__ import annotations

import threading
import time

from segue.server.audio import priority
from segue.server.audio.core import Core
from segue.server.audio.segment import Segment

HOPELESS_S = 0.5  # behind by more, it starts anew rather than catch up


class NullStream:
    """A stream without a device."""

    def __init__(self, segment: Segment, core: Core) -> None:
        """Starts at once; main thread of the audio process."""
        self._segment, self._core = segment, core
        self._stop = threading.Event()
        self._thread = threading.Thread(target=self._drive, name="segue null stream", daemon=True)
        self._thread.start()

    @property
    def active(self) -> bool:
        """Whether it runs; any thread."""
        return self._thread.is_alive()

    def close(self, patience_s: float = 5.0) -> None:
        """Ends it; main thread of the audio process."""
        self._stop.set()
        self._thread.join(max(1.0, patience_s))

    def _drive(self) -> None:
        priority.realtime(priority.AUDIO)
        block, period = self._segment.block, self._segment.block / self._segment.rate
        due = time.monotonic()
        while not self._stop.is_set():
            self._core.run(None, block)
            due += period
            wait = due - time.monotonic()
            if wait < -HOPELESS_S:
                due = time.monotonic()
            elif wait > 0:
                time.sleep(wait)
