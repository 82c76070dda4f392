"""Host time to frames: a filter over the clock pairs that the audio callback publishes.

Callbacks wake late, never early, so the pair least late among the last ones is nearest the truth (a minimum envelope);
a second-order delay-locked loop then follows its phase and rate: F. Adriaensen, "Using a DLL to filter time", 2005.
Threads: all calls from the control thread.
"""

from __future__ import annotations

import math
import time as host
from collections import deque
from typing import Protocol

ENVELOPE = 32  # pairs the minimum is taken over
FAST_HZ, FAST_S = 1.0, 3.0  # loop bandwidth while it locks
SLOW_HZ = 0.2
LOST_S = 0.010  # a phase error beyond this means lost periods or a stepped clock: anchor again
STEP_S = 0.001  # so late is no whole envelope of callbacks by chance: a few periods were lost


class Timebase(Protocol):
    """Host time to frames; `SampleClock` live, exact arithmetic offline."""

    def frame_at(self, time: float) -> float:
        """The frame at a unix time in seconds."""

    def time_at(self, frame: float) -> float:
        """The unix time in seconds at a frame."""

    def present(self) -> float:
        """The frame at this very moment: a block that begins at or before it may be under way."""


class SampleClock:
    """Fits time = t0 + (frame - f0) / rate to (frame, host seconds) pairs."""

    def __init__(self, rate: int) -> None:
        """rate: nominal frames a second."""
        self._rate = float(rate)
        self._period = 1.0 / rate  # seconds a frame, as fitted
        self._frame = 0.0
        self._time = 0.0
        self._start: float | None = None
        self._pairs: deque[tuple[int, float]] = deque(maxlen=ENVELOPE)
        self.anchors = self.steps = 0

    @property
    def locked(self) -> bool:
        """Whether at least one pair was seen."""
        return self._start is not None

    @property
    def rate(self) -> float:
        """Frames a second of host time, as fitted."""
        return 1.0 / self._period

    def update(self, frame: int, time: float) -> None:
        """Takes one pair: the frame at which a callback began, and the host time in seconds of that moment."""
        if self._pairs and frame <= self._pairs[-1][0]:
            return
        if self._start is None or abs(time - self.time_at(frame)) > LOST_S:
            self._anchor(frame, time)
            return
        self._pairs.append((frame, time))
        best_frame, best_time = min(self._pairs, key=lambda p: p[1] - self.time_at(p[0]))
        error = best_time - self.time_at(best_frame)
        if error < -STEP_S or (error > STEP_S and len(self._pairs) == ENVELOPE):
            self._step(frame, error)
            return
        elapsed = (frame - self._frame) * self._period
        bandwidth = FAST_HZ if time - self._start < FAST_S else SLOW_HZ
        omega = min(2.0 * math.pi * bandwidth * elapsed, 0.5)
        now = self.time_at(frame)
        self._frame, self._time = float(frame), now + math.sqrt(2.0) * omega * error
        if elapsed > 0.0:
            self._period *= 1.0 + omega * omega * error / elapsed
        nominal = 1.0 / self._rate
        self._period = min(max(self._period, nominal * 0.999), nominal * 1.001)

    def _step(self, frame: int, error: float) -> None:
        """Another phase at the rate that is known: periods were lost, shorter together than LOST_S."""
        self._frame, self._time = float(frame), self.time_at(frame) + error
        self._pairs.clear()
        self.steps += 1

    def _anchor(self, frame: int, time: float) -> None:
        self._pairs.clear()
        self._pairs.append((frame, time))
        self._frame, self._time, self._period = float(frame), time, 1.0 / self._rate
        self._start = time
        self.anchors += 1

    def time_at(self, frame: float) -> float:
        """Host seconds at a frame."""
        return self._time + (frame - self._frame) * self._period

    def frame_at(self, time: float) -> float:
        """The (fractional) frame at a host time in seconds."""
        return self._frame + (time - self._time) / self._period

    def present(self) -> float:
        """The (fractional) frame at this moment."""
        return self.frame_at(host.time())
