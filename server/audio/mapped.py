"""The memory of one stream, mapped: its header laid out and checked, its fields read and written in order, its areas as arrays.

Who may call what is said at each method: "control" is the one thread of the control process that owns the decks, "audio" the
audio process, "feeder" its file thread, "any" any thread of any process. Decks count from 0, frames from the stream's start.
"""

from __future__ import annotations

import time
from collections.abc import Callable
from typing import Any, Self, TypeVar

import numpy as np

from segue.server.audio import layout, memory
from segue.server.audio.layout import Geometry
from segue.server.audio.memory import SharedMemoryError
from segue.server.audio.rings import Audio

T = TypeVar("T")

FADE_S = 0.005  # seconds: fade of a panic, and of an exit that had no time for its own
GATE_DBFS = -50.0
GATE_HOLD_S = 0.05  # after a hit; a wrong guess between two hits is put right by the next, which brings dry back
PATIENCE_S = 0.05  # a writer that died half-way leaves its sequence odd; readers then take what is there
FAR_PAST = -(2**62)


class Mapped:
    """One stream's memory, in this process."""

    def __init__(self, shared: memory.Memory) -> None:
        """Wraps memory that is laid out already; use create or attach."""
        self.name = shared.name
        self.memory = shared
        self.ffi = layout.ffi()
        core = layout.compiled()
        self._lib: Any = core.lib if core else None
        self._buffer = self.ffi.from_buffer(shared.map)
        self.header: Any = self.ffi.cast("segue_header *", self._buffer)
        self._views: dict[tuple[int, int], Audio] = {}

    @classmethod
    def create(cls, geometry: Geometry, name: str) -> Self:
        """New memory under `name`; audio. Raises SharedMemoryError with a sentence."""
        decks, cue, size = layout.areas(geometry)
        segment = cls(memory.create(name, size))
        segment._lay_out(geometry, decks, cue, size)
        segment.pin()
        return segment

    @classmethod
    def attach(cls, name: str) -> Self:
        """The memory that the audio process made; any. Raises SharedMemoryError with a sentence."""
        segment = cls(memory.attach(name))
        found = (segment.header.magic, segment.header.layout)
        if found != (layout.constants()["SEGUE_MAGIC"], layout.ffi().sizeof("segue_header")):
            segment.close()
            raise SharedMemoryError(f"shared memory: {name} is not a stream of this version of segue, or not ready; try again")
        return segment

    def _lay_out(self, g: Geometry, decks: list[layout.Areas], cue: int, size: int) -> None:
        h = self.header
        h.bytes, h.rate, h.block, h.decks = size, g.rate, g.block, g.decks
        h.in_channels, h.out_channels, h.per_deck_out = g.in_channels, g.out_channels, g.per_deck_out
        h.ring_frames, h.slot_frames, h.loop_frames, h.feed_frames = g.ring, g.slot, g.loop, g.feed
        h.cue_frames, h.cue_at, h.cue_channel = g.cue_frames, cue, g.cue
        h.fade_frames = round(FADE_S * g.rate)
        points = layout.constants()["SEGUE_CURVE"]
        h.curve[0 : points + 1] = np.sin(np.linspace(0.0, np.pi / 2, points + 1)).tolist()
        h.dry_gain.after = h.generated_gain.after = 1.0
        for deck, area in enumerate(decks):
            d = h.deck[deck]
            d.input_at, d.sounded_at, d.scratch_at = area.input, area.sounded, area.scratch
            d.slot_at, d.loop_at, d.feed_at, d.in_channel = area.slot, area.loop, area.feed, g.inputs[deck]
            d.loud_frame, d.gain.after = FAR_PAST, 1.0
            d.gate_hold = round(GATE_HOLD_S * g.rate)
            for bank in d.bank:
                bank.file = -1
            d.gate_threshold = amplitude(GATE_DBFS)
        self.fence()
        h.layout = layout.ffi().sizeof("segue_header")
        h.magic = layout.constants()["SEGUE_MAGIC"]

    def close(self) -> None:
        """Lets go of the memory in this process; whoever opened it. The object is of no use afterwards."""
        self._views.clear()
        self.header = None
        self.ffi.release(self._buffer)
        self.memory.close()

    def pin(self) -> bool:
        """Maps every page and locks it in memory where the system allows; before the stream starts, by whoever drives it."""
        return self.memory.lock()

    def unlink(self) -> None:
        """Removes the name at a clean end; audio."""
        self.memory.unlink()

    @property
    def rate(self) -> int:
        """Frames a second; any."""
        return int(self.header.rate)

    @property
    def block(self) -> int:
        """The most frames that are processed at once; any."""
        return int(self.header.block)

    @property
    def decks(self) -> int:
        """How many decks; any."""
        return int(self.header.decks)

    @property
    def slot_frames(self) -> int:
        """How many frames a play slot holds; any."""
        return int(self.header.slot_frames)

    @property
    def loop_frames(self) -> int:
        """How long a fallback loop may be; any."""
        return int(self.header.loop_frames)

    @property
    def frame(self) -> int:
        """The next frame to be processed; any."""
        return self.load(self.header, "frame")

    # Fields and areas. Whoever owns the field, or any to read it.

    def deck(self, deck: int) -> Any:
        """The struct of a deck; any. Raises IndexError."""
        if not 0 <= deck < self.header.decks:
            raise IndexError(f"segment: no deck {deck}; there are {self.header.decks}, from 0")
        return self.header.deck[deck]

    def struct(self, kind: str) -> Any:
        """A pointer to a fresh struct of core.h; any."""
        return self.ffi.new(f"{kind} *")

    def view(self, offset: int, frames: int) -> Audio:
        """The memory itself from a byte on, as [2, frames]; any."""
        key = (int(offset), int(frames))
        if key not in self._views:
            flat = np.frombuffer(self.memory.map, np.float32, 2 * key[1], key[0])
            self._views[key] = flat.reshape(2, key[1])
        return self._views[key]

    def load(self, struct: Any, name: str) -> int:
        """An ordered read of one 64-bit field; any."""
        if self._lib is not None:
            return int(self._lib.segue_load(self.ffi.addressof(struct, name)))
        return int(getattr(struct, name))

    def store(self, struct: Any, name: str, value: int) -> None:
        """An ordered write of one 64-bit field; whoever owns it."""
        if self._lib is not None:
            self._lib.segue_store(self.ffi.addressof(struct, name), value)
        else:
            setattr(struct, name, value)

    def fence(self) -> None:
        """Keeps what was done before it before what is done after it; any."""
        if self._lib is not None:
            self._lib.segue_fence()

    def steady(self, look: Callable[[], T], sequence: Callable[[], int] | None = None) -> T:
        """look() at a moment when nothing changes under it; any. sequence: odd while something does."""
        sequence = sequence or (lambda: self.load(self.header, "sequence"))
        deadline = time.monotonic() + PATIENCE_S
        while True:
            before = sequence()
            seen = look()
            self.fence()
            if (before % 2 == 0 and sequence() == before) or time.monotonic() > deadline:
                return seen
            time.sleep(0)


def amplitude(dbfs: float) -> float:
    """A level as a factor."""
    return float(10.0 ** (dbfs / 20.0))
