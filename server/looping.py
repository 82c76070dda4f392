"""Looks after each deck's fallback loop: the last whole bars that sounded, in shared memory. Control thread only."""

from __future__ import annotations

from segue.server.audio.segment import Segment
from segue.server.audio.values import NotHeard, Ring, Source, Torn
from segue.server.fallback import HOLE_S, STALE, STRETCHES, WRAP_S, closed, sounds, whole_bars
from segue.server.state import Deck, World


class LoopKeeper:
    """Publishes a new loop whenever more, or newer, whole bars have sounded."""

    def __init__(self, segment: Segment, world: World) -> None:
        """segment: where the music is heard and the loop is kept."""
        self._segment, self._world = segment, world
        self._looped: dict[int, tuple[int, int]] = {}  # origin and length of each deck's loop
        self._looked_at: dict[int, list[tuple[int, int]]] = {}

    def look(self) -> None:
        """Renews what can be renewed; a few times a second."""
        for deck in self._world.decks:
            self._keep(deck)

    def _keep(self, deck: Deck) -> None:
        segment, number = self._segment, deck.number
        if deck.looping or segment.deck_state(number - 1).source in (Source.LOOP, Source.SILENCE):
            return
        found = list(whole_bars(self._world.grid, segment.written(Ring.SOUNDED, number - 1), deck.heard_from))
        if not found or self._looked_at.get(number) == found:
            return
        self._looked_at[number] = found
        # Fewer bars only where they are more than there is: the music may have begun, or stopped, a moment ago.
        last, most = self._looped.get(number, (0, found[0][1] if segment.loop_ready(number - 1) else 0))
        for origin, length in found[:1] + [bars for bars in found[1:] if bars[1] > most]:
            if (origin, length) == self._looped.get(number):
                return
            fresh = segment.loop_ready(number - 1) and origin < last + STALE * length
            stretches = round(length / (HOLE_S * segment.rate)) if fresh or length < found[0][1] else STRETCHES
            if origin - round(WRAP_S * segment.rate) >= deck.whole_from and self._made(number, origin, length, stretches):
                self._looped[number] = origin, length
                return

    def _made(self, number: int, origin: int, length: int, stretches: int) -> bool:
        segment, fade = self._segment, round(WRAP_S * self._segment.rate)
        try:
            audio = segment.read(Ring.SOUNDED, number - 1, origin + length, length + fade)
        except (NotHeard, Torn):
            return False
        return sounds(audio, stretches) and segment.publish_loop(number - 1, closed(audio, fade), origin)
