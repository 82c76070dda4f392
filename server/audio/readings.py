"""How a stream does: its clock, counters, levels and decks; and what each deck listens to.

Who may call what is said at each method: "control" is the one thread of the control process that owns the decks, "audio" the
audio process, "feeder" its file thread, "any" any thread of any process. Decks count from 0, frames from the stream's start.
"""

from __future__ import annotations

from typing import Any

from segue.server.audio.mapped import Mapped, amplitude
from segue.server.audio.values import ClockPair, DeckState, Meter, Source, Tape


class Readings(Mapped):
    """What can be read off one stream."""

    def clock_pair(self) -> ClockPair:
        """The frame at which the last callback began, and the host's clocks at that moment; any."""
        h = self.header
        return self.steady(lambda: ClockPair(h.clock_frame, h.clock_monotonic, h.clock_realtime, h.clock_block))

    def counters(self) -> dict[str, int]:
        """All counters by name; any."""
        c = self.header.counters
        return {name: int(getattr(c, name)) for name, _ in self.ffi.typeof("segue_counters").fields}

    def count_restart(self) -> None:
        """Counts that the stream was opened again; audio."""
        self.header.counters.restarts += 1

    def meters(self, deck: int) -> Meter:
        """Levels of the last block; any."""
        d = self.deck(deck)
        return self.steady(lambda: Meter(d.input_peak, d.input_square, d.sounded_peak, d.sounded_square))

    @property
    def master_peak(self) -> float:
        """Peak of the last block of the stereo mix; any."""
        return float(self.header.master_peak)

    def deck_state(self, deck: int) -> DeckState:
        """What the deck does; any."""
        d = self.deck(deck)
        return self.steady(lambda: self._deck_state(d))

    def _deck_state(self, d: Any) -> DeckState:
        frame, tape = int(self.header.frame), d.tape
        moving = frame - tape.origin if tape.kind == Tape.PLAY else 0
        source = Source.SILENCE if d.to == 5 else Source(min(d.to, Source.LOOP))
        fading = frame - d.fade_start < d.fade_length
        return DeckState(frame, source, fading, d.take, bool(d.gate_open), Tape(tape.kind), tape.file, tape.position + moving)

    def gate_open(self, deck: int) -> bool:
        """Whether the input was above its gate within the last 50 ms; any."""
        return bool(self.deck(deck).gate_open)

    def silent_frames(self, deck: int) -> int:
        """Frames since the input was last above its gate; any."""
        return self.frame - int(self.deck(deck).loud_frame)

    def loop_ready(self, deck: int) -> bool:
        """Whether a fallback loop has been published; any."""
        return self.load(self.deck(deck), "loop_published") > 0

    @property
    def in_channels(self) -> int:
        """How many channels of the device are heard at all; any."""
        return int(self.header.in_channels)

    def inputs(self, deck: int) -> tuple[int, int]:
        """The device channels that a deck hears, from 0, -1 for none; any."""
        left, right = self.deck(deck).in_channel
        return int(left), int(right)

    def set_inputs(self, deck: int, pair: tuple[int, int]) -> None:
        """Lets a deck hear other channels from the next block on; control. Raises ValueError for one that is not open."""
        if not all(-1 <= channel < self.in_channels for channel in pair):
            raise ValueError(f"inputs: {self.in_channels} channels are open, got {max(pair) + 1}; choose one of these")
        self.deck(deck).in_channel[0], self.deck(deck).in_channel[1] = pair

    def set_gate(self, deck: int, dbfs: float) -> None:
        """Sets the peak level under which the input counts as silent; control."""
        self.deck(deck).gate_threshold = amplitude(dbfs)
