"""The present as the session sees it, read from the stream's memory. Control thread only."""

from __future__ import annotations

from functools import cached_property

from segue.server.audio.segment import Segment
from segue.server.audio.values import Ring, Source
from segue.server.audio.wiring import text_of
from segue.server.state import Moment, World

SOURCES = {"dry": Source.DRY, "slot_a": Source.SLOT_A, "slot_b": Source.SLOT_B, "loop": Source.LOOP, "silence": Source.SILENCE}
NAMES = {source: name for name, source in SOURCES.items()}


def moment(segment: Segment) -> Moment:
    """The present."""
    return Moment(segment.frame, segment.block, tuple(SeenDeck(segment, n) for n in range(segment.decks)))


def wiring(segment: Segment, world: World) -> None:
    """Takes over which device channels there are, and which each deck hears."""
    world.in_channels = segment.in_channels
    for deck in world.decks:
        deck.values["inputs"] = text_of(segment.inputs(deck.number - 1))


class SeenDeck:
    """A deck's facts, each read when it is asked for first: a message has no time for those that it does not need."""

    def __init__(self, segment: Segment, deck: int) -> None:
        """deck: from 0 on."""
        self._segment, self._deck = segment, deck

    @cached_property
    def source(self) -> str:
        """What the deck plays."""
        return NAMES[self._segment.deck_state(self._deck).source]

    @cached_property
    def heard(self) -> int:
        """Frames written to `sounded`."""
        return self._segment.written(Ring.SOUNDED, self._deck)

    @cached_property
    def silent(self) -> int:
        """Frames since the input was loud."""
        return self._segment.silent_frames(self._deck)

    @cached_property
    def loop_ready(self) -> bool:
        """Whether a fallback loop stands ready."""
        return self._segment.loop_ready(self._deck)

    @cached_property
    def busy(self) -> tuple[bool, bool]:
        """Which play slots sound."""
        return self._segment.slot_sounds(self._deck, 0), self._segment.slot_sounds(self._deck, 1)
