"""What each deck will play next, counted down beat by beat, as `/segue/deck/N/next` tells it. Control thread only."""

from __future__ import annotations

import math

from segue.server.audio.segment import Segment
from segue.server.commands import ROOT
from segue.server.events import METER_RATE, Events
from segue.server.state import World
from segue.server.takes import State, Take


class Upcoming:
    """Tells every client when what is coming changes, or a beat less is left until then."""

    def __init__(self, segment: Segment, world: World, events: Events) -> None:
        self._segment, self._world, self._events = segment, world, events
        self._at = 0
        self._told: dict[int, tuple[str, int]] = {}

    def tick(self) -> None:
        """Looks 30 times a second at most."""
        now = self._segment.frame
        if now < self._at:
            return
        self._at = now + round(self._segment.rate / METER_RATE)
        for deck in self._world.decks:
            verb, beats = next_of(self._world, deck.number, now)
            known = (verb, math.ceil(beats - 1e-3))
            if known != self._told.get(deck.number, ("", 0)):
                self._told[deck.number] = known
                self._events.emit(f"{ROOT}/deck/{deck.number}/next", verb, float(beats))


def next_of(world: World, deck: int, now: int) -> tuple[str, float]:
    """The verb of the take that a deck enters first, and the beats until then; nothing and 0 where no entry is known."""
    coming = [(_entry(take), take) for take in world.pending(deck) if take.commit and _entry(take) > now]
    if not coming:
        return "", 0.0
    entry, take = min(coming, key=lambda one: one[0])
    return take.job.verb, max(0.0, world.grid.beat_at(entry) - world.grid.beat_at(now))


def _entry(take: Take) -> int:
    """The frame at which a take is to be entered, 0 where nobody knows."""
    if take.state is State.ARMED and take.entry is not None:
        return take.entry
    return take.due or 0
