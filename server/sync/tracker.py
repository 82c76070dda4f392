"""One tempo and one count of beats from estimates that differ: a change is believed when most of the last ones agree. Pure."""

from __future__ import annotations

from collections import deque
from dataclasses import dataclass
from statistics import median

from segue.server.sync.comb import Found

VOTES = 8  # estimates that are remembered
MOST = 5  # of them that have to agree
SAME = 0.02  # as a share: what counts as one tempo
SURE = 0.35  # estimates below this have no vote
NEAR = 0.2  # of a beat: what counts as one phase
PULL = 0.3  # of a phase error that one estimate makes up for


@dataclass(frozen=True)
class Heard:
    """At `frame` falls beat `beat`; frames are `period` apart. sure as in Found."""

    frame: float
    beat: int
    period: float
    sure: float


class Tracker:
    """Takes estimates in the order of their time."""

    def __init__(self) -> None:
        self._periods: deque[float] = deque(maxlen=VOTES)
        self._doubts = 0
        self.heard: Heard | None = None

    def take(self, found: Found | None, hop: int, frame: float) -> Heard | None:
        """found: an estimate, its beat a place `hop` frames a value after `frame`. What is believed now; None for no beat."""
        sure = 0.0 if found is None else found.sure
        self._periods.append(found.period * hop if found is not None and sure >= SURE else 0.0)
        period = self._agreed()
        if period is None or found is None or not self._periods[-1]:
            if not any(self._periods):
                self.heard = None
            return self.heard
        if abs(self._periods[-1] / period - 1.0) <= SAME:
            self._meet(frame + found.beat * hop, period, sure)
        return self.heard

    def _agreed(self) -> float | None:
        """The period of most, else the one before."""
        voting = [p for p in self._periods if p]
        best: list[float] = []
        for one in voting:
            alike = [p for p in voting if abs(p / one - 1.0) <= SAME]
            best = max(best, alike, key=len)
        known = self.heard.period if self.heard else None
        enough = MOST if known is not None else MOST - 2  # the first tempo is wanted soon
        if len(best) < enough:
            return known
        return float(median(best))

    def _meet(self, beat: float, period: float, sure: float) -> None:
        """Takes up where an estimate says a beat fell."""
        last = self.heard
        if last is None or abs(last.period / period - 1.0) > SAME:
            number = 0 if last is None else last.beat + round((beat - last.frame) / last.period)
            self.heard, self._doubts = Heard(beat, number, period, sure), 0
            return
        steps = round((beat - last.frame) / period)
        foretold = last.frame + steps * period
        error = beat - foretold
        if abs(error) > NEAR * period:
            self._doubts += 1
            if self._doubts < MOST - 1:
                error = 0.0
        else:
            self._doubts, error = 0, PULL * error
        self.heard = Heard(foretold + error, last.beat + steps, period, sure)
