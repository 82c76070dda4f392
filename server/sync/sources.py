"""The sources of tempo behind one door: which is in use, and what it says, as lines over frames.

Control thread only, but `feed`, which any thread may call. A source that is not in use costs nothing, except that the MIDI
clock's position is always counted.
"""

from __future__ import annotations

import time as host
from collections.abc import Callable, Iterator
from queue import SimpleQueue
from typing import Protocol, TypeAlias

from segue.server.sync.line import Line, Phase, Playing, SourceState
from segue.server.sync.link import LinkMissingError, LinkPeer
from segue.server.sync.midi_clock import SILENCE_S, MidiClock

News: TypeAlias = Line | SourceState | Playing


class Timebase(Protocol):
    """Host time to frames and back."""

    def frame_at(self, time: float) -> float:
        """The frame at a host time in seconds."""

    def time_at(self, frame: float) -> float:
        """The host time at a frame."""


class Source(Protocol):
    """One source in use."""

    def poll(self) -> Iterator[News]:
        """What is new."""

    def close(self) -> None:
        """Ends it."""


class Heard:
    """The MIDI clock."""

    def __init__(self, clock: MidiClock, frame_at: Callable[[float], float]) -> None:
        self._clock, self._frame_at = clock, frame_at
        self._steady = -SILENCE_S  # when it last was

    def poll(self) -> Iterator[News]:
        """Where the clock is."""
        ticks = self._clock.now(host.time())
        if ticks is None and host.monotonic() - self._steady > SILENCE_S:  # a new tempo needs some ticks
            none = "no MIDI clock, or none that is steady and between 20 and 300 BPM: the last tempo goes on"
            yield SourceState("lost", none) if self._clock.heard else SourceState("waiting", "no MIDI clock was heard yet")
        elif ticks is not None:
            self._steady = host.monotonic()
            yield SourceState("locked")
            yield Line(self._frame_at(ticks.time), ticks.beat, ticks.bpm, ticks.phase, ticks.jump)
        if self._clock.playing is not None:
            yield Playing(self._clock.playing)

    def close(self) -> None:
        """It goes on being counted."""


class Linked:
    """An Ableton Link session."""

    def __init__(self, peer: LinkPeer, frame_at: Callable[[float], float]) -> None:
        self.peer, self._frame_at = peer, frame_at

    def poll(self) -> Iterator[News]:
        """Where the session is. Alone it goes on at the last tempo."""
        now = self.peer.read()
        yield SourceState("locked", f"{now.peers} other{'' if now.peers == 1 else 's'}" if now.peers else "nobody else is there")
        yield Line(self._frame_at(now.time), now.beat, now.bpm, Phase.BARS)
        yield Playing(now.playing)

    def close(self) -> None:
        """Leaves the session."""
        self.peer.close()


class Missing:
    """A source that this machine does not have."""

    def __init__(self, sentence: str) -> None:
        self._sentence = sentence

    def poll(self) -> Iterator[News]:
        """Why."""
        yield SourceState("missing", self._sentence)

    def close(self) -> None:
        """Nothing to end."""


class Sources:
    """Holds the source in use."""

    def __init__(self, clock: Timebase, latency: float = 0.0, listen: Callable[[], Source] | None = None) -> None:
        """latency: seconds between the output port and the ear: what is heard at a time left us so much before.

        listen: makes the source that hears the music.
        """
        self._clock, self._latency, self._listen = clock, latency, listen
        self._midi = MidiClock()
        self._messages: SimpleQueue[tuple[bytes, float]] = SimpleQueue()
        self._source: Source | None = None
        self.name = "internal"

    def feed(self, message: bytes, time: float) -> None:
        """A message of a MIDI clock, meant for a host time in seconds. Any thread."""
        self._messages.put((message, time))

    def use(self, name: str, bpm: float, beat: float, frame: int, bar: int) -> None:
        """Takes another source. The grid is `bpm` fast and at `beat` at `frame`; bar: its beats."""
        self.close()
        self.name = name
        if name == "midi":
            self._source = Heard(self._midi, self._frame_at)
        elif name == "audio" and self._listen is not None:
            self._source = self._listen()
        elif name == "link":
            try:
                self._source = Linked(LinkPeer(bpm, beat, self._time_at(frame), bar), self._frame_at)
            except LinkMissingError as error:
                self._source = Missing(str(error))

    def set_tempo(self, bpm: float, frame: int) -> None:
        """Tells the session."""
        if isinstance(self._source, Linked):
            self._source.peer.set_tempo(bpm, self._time_at(frame))

    def start(self, on: bool, frame: int) -> None:
        """Tells the session."""
        if isinstance(self._source, Linked):
            self._source.peer.start(on, self._time_at(frame))

    def poll(self) -> list[News]:
        """What the source in use has to say."""
        while not self._messages.empty():
            self._midi.feed(*self._messages.get())
        return [] if self._source is None else list(self._source.poll())

    def close(self) -> None:
        """Lets the source go."""
        if self._source is not None:
            self._source.close()
        self._source, self.name = None, "internal"

    def _frame_at(self, time: float) -> float:
        return self._clock.frame_at(time - self._latency)

    def _time_at(self, frame: float) -> float:
        return self._clock.time_at(frame) + self._latency
