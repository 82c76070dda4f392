"""MIDI clock: from jittering ticks to a steady line of beats. Pure; any one thread.

A delay-locked loop over the ticks, as in `clock.py`, of third order: it follows a tempo that ramps without lagging behind. Its
gains begin as those of a least-squares fit of all ticks so far and stop falling at MEMORY ticks (an expanding-memory filter,
E. Brookner, "Tracking and Kalman filtering made easy", 1998, table 7.2). Ticks that twice come elsewhere than foretold mean
another tempo: then the fit begins anew with the last few.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Sequence
from dataclasses import dataclass

from segue.server.sync.line import Phase
from segue.server.tempo import FASTEST, SLOWEST

TICKS = 24  # a quarter note (MIDI 1.0)
SIXTEENTH = 6  # ticks; the unit of a song position
CLOCK, START, CONTINUE, STOP, POSITION = 0xF8, 0xFA, 0xFB, 0xFC, 0xF2
MEMORY = 48  # ticks
CURVED = 24  # from so many ticks on the fit bends
FRESH = 5  # ticks with which it begins anew
STEADY = 8  # ticks that have to fit before it is believed: a clock that only jitters has no tempo
SURPRISE_S = 0.0025  # more than jitter of 1 ms, twice, makes
SHORTEST, LONGEST = 60.0 / (FASTEST * TICKS), 60.0 / (SLOWEST * TICKS)
SILENCE_S = 0.5  # without a tick: the clock is lost


@dataclass(frozen=True)
class Ticks:
    """Where the clock is: at `time`, in seconds, it is at `beat`; `bpm`; jump as in Line."""

    time: float
    beat: float
    bpm: float
    phase: Phase
    jump: bool


class MidiClock:
    """Takes the clock's messages as they arrive; `now` says where it is."""

    def __init__(self) -> None:
        self._count = 0  # ticks of the song, or since we hear it
        self._arrivals: deque[float] = deque(maxlen=FRESH)
        self._time = self._period = self._bend = 0.0  # of the tick: when, how long to the next, by how much that changes
        self._fitted = 0
        self._surprises = 0
        self._last: float | None = None
        self._known = False  # whether the song's position is
        self._starting = False
        self._jump = False
        self._next = 0
        self.playing: bool | None = None

    def feed(self, message: Sequence[int], time: float) -> None:
        """One message that was meant for `time`, in seconds; others than a clock's do nothing."""
        match list(message):
            case [0xF8]:
                self._tick(time)
            case [0xFA]:
                self._next, self._starting, self.playing = 0, True, True
            case [0xFB]:
                self._starting, self.playing = self._known or self._next > 0, True
            case [0xFC]:
                self.playing = False
                self._next = self._count + 1
            case [0xF2, low, high] if low < 128 and high < 128:
                self._next = (low + 128 * high) * SIXTEENTH
                self._known = True

    def _tick(self, time: float) -> None:
        if self._last is not None and time < self._last:
            return
        gap = None if self._last is None else time - self._last
        self._last = time
        self._count += 1
        if self._starting:  # the first tick after a start is the song's beginning, or its position
            self._count, self._starting, self._known, self._jump = self._next, False, True, True
        if gap is None or gap > SILENCE_S:
            self._arrivals.clear()
            self._fitted = 0
        self._arrivals.append(time)
        if self._fitted < FRESH - 1:
            self._fit()
        else:
            self._follow(time)

    def _fit(self) -> None:
        """A straight line through the last few arrivals, by least squares."""
        n = len(self._arrivals)
        self._fitted, self._surprises, self._bend = n, 0, 0.0
        if n < 2:
            self._time = self._arrivals[-1]
            return
        middle, mean = (n - 1) / 2.0, sum(self._arrivals) / n
        spread = sum((i - middle) ** 2 for i in range(n))
        self._period = sum((i - middle) * (t - mean) for i, t in enumerate(self._arrivals)) / spread
        self._time = mean + middle * self._period

    def _follow(self, time: float) -> None:
        foretold = self._time + self._period + 0.5 * self._bend
        error = time - foretold
        if abs(error) > SURPRISE_S:
            self._surprises += 1
            if self._surprises == 2:
                self._fit()
                return
        else:
            self._surprises = 0
        self._fitted = min(self._fitted + 1, MEMORY)
        n = self._fitted - 1
        self._time, self._period = foretold, self._period + self._bend
        if self._fitted < CURVED:
            self._time += 2.0 * (2 * n + 1) / ((n + 1) * (n + 2)) * error
            self._period += 6.0 / ((n + 1) * (n + 2)) * error
            self._bend = 0.0
            return
        cube = (n + 1) * (n + 2) * (n + 3)
        self._time += 3.0 * (3 * n * n + 3 * n + 2) / cube * error
        self._period += 18.0 * (2 * n + 1) / cube * error
        self._bend += 60.0 / cube * error

    def now(self, time: float) -> Ticks | None:
        """Where the clock is, or None: too few ticks, none for a while, or a tempo that is no tempo. Tells a jump once."""
        steady = self._fitted >= STEADY and SHORTEST <= self._period <= LONGEST
        if not steady or self._last is None or time - self._last > SILENCE_S:
            return None
        jump, self._jump = self._jump, False
        phase = Phase.BARS if self._known else Phase.TEMPO
        return Ticks(self._time, self._count / TICKS, 60.0 / (TICKS * self._period), phase, jump)

    @property
    def heard(self) -> bool:
        """Whether there was ever a tick."""
        return self._last is not None
