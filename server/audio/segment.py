"""The shared segment: rings, play slots, loops, file feeds, the command queue and the log, as Python sees them.

Who may call what is said at each method: "control" is the one thread of the control process that owns the decks, "audio" the
audio process, "feeder" its file thread, "any" any thread of any process. Decks count from 0, frames from the stream's start.
Audio is float32, [2, frames].
"""

from __future__ import annotations

import os
import time
from collections.abc import Callable
from typing import Any, TypeVar

import numpy as np
from numpy.typing import NDArray

from segue.server.audio import layout, memory
from segue.server.audio.layout import Geometry
from segue.server.audio.memory import SharedMemoryError
from segue.server.audio.values import (
    FOREVER,
    Applied,
    ClockPair,
    Command,
    Curve,
    DeckState,
    FileState,
    FileStatus,
    Meter,
    NotHeard,
    Op,
    Policy,
    Ring,
    SlotState,
    Source,
    Status,
    StreamState,
    Tape,
    TooNear,
    Torn,
)

__all__ = ["Geometry", "NotHeard", "Ring", "Segment", "SharedMemoryError", "TooNear", "Torn"]

Audio = NDArray[np.float32]
T = TypeVar("T")

FADE_S = 0.005  # seconds: fade of a panic, and of an exit that had no time for its own
GATE_DBFS = -50.0
GATE_HOLD_S = 0.05  # after a hit; a wrong guess between two hits is put right by the next, which brings dry back
PATIENCE_S = 0.05  # a writer that died half-way leaves its sequence odd; readers then take what is there
FAR_PAST = -(2**62)


class Segment:
    """One stream's memory."""

    def __init__(self, shared: memory.Memory) -> None:
        """Wraps memory that is laid out already; use create or attach."""
        self._memory = shared
        self.name = shared.name
        self._ffi = layout.ffi()
        core = layout.compiled()
        self._lib: Any = core.lib if core else None
        self._buffer = self._ffi.from_buffer(shared.map)
        self.header: Any = self._ffi.cast("segue_header *", self._buffer)
        self._views: dict[tuple[int, int], Audio] = {}
        self._cued = 0  # where the next audition is written

    @classmethod
    def create(cls, geometry: Geometry, name: str) -> Segment:
        """New memory under `name`; audio. Raises SharedMemoryError with a sentence."""
        decks, cue, size = layout.areas(geometry)
        segment = cls(memory.create(name, size))
        segment._lay_out(geometry, decks, cue, size)
        segment.pin()
        return segment

    @classmethod
    def attach(cls, name: str) -> Segment:
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
            self.set_gate(deck, GATE_DBFS)
        self._fence()
        h.layout = layout.ffi().sizeof("segue_header")
        h.magic = layout.constants()["SEGUE_MAGIC"]

    def close(self) -> None:
        """Lets go of the memory in this process; whoever opened it. The object is of no use afterwards."""
        self._views.clear()
        self.header = None
        self._ffi.release(self._buffer)
        self._memory.close()

    def pin(self) -> bool:
        """Maps every page and locks it in memory where the system allows; before the stream starts, by whoever drives it."""
        return self._memory.lock()

    def unlink(self) -> None:
        """Removes the name at a clean end; audio."""
        self._memory.unlink()

    # Geometry. Any thread.

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
        return self._load("frame")

    # Rings.

    def written(self, ring: Ring, deck: int) -> int:
        """How many frames have been written: the newest is one less; any."""
        return self._load("input_written" if ring is Ring.INPUT else "sounded_written", self._deck(deck))

    def read(self, ring: Ring, deck: int, end_frame: int, n: int) -> Audio:
        """A copy of the n frames before end_frame; any.

        Raises NotHeard for frames that are yet to come or lie before the stream, Torn for frames that were overwritten.
        """
        d = self._deck(deck)
        name = "input" if ring is Ring.INPUT else "sounded"
        capacity = int(self.header.ring_frames)
        written = self._load(f"{name}_written", d)
        if end_frame > written or n > end_frame:
            raise NotHeard(f"{name}: frames {end_frame - n} to {end_frame} asked for, 0 to {written} heard; wait for them")
        view = self._view(d.input_at if ring is Ring.INPUT else d.sounded_at, capacity)
        copy = ring_read(view, end_frame - n, n) if n <= capacity else np.empty((2, 0), np.float32)
        self._fence()
        if self._load(f"{name}_reserved", d) > end_frame - n + capacity:
            raise Torn(
                f"{name}: frames {end_frame - n} to {end_frame} are gone, the last {capacity} are kept; ask sooner or for fewer"
            )
        return copy

    # Play slots.

    def write_slot(self, deck: int, slot: int, first_frame: int, audio: Audio) -> None:
        """Copies audio to where frame first_frame lies in slot 0 or 1; control. Publish afterwards.

        Raises TooNear for frames that the deck may be about to play, and ValueError for more than the slot holds.
        """
        d, n, capacity = self._deck(deck), audio.shape[1], self.slot_frames
        if n > capacity or first_frame < 0:
            raise ValueError(
                f"slot: at most {capacity} frames from frame 0 on, got {n} from {first_frame}; write a shorter window"
            )
        if self._slot_sounds(d, slot):
            soonest = self.frame + 2 * self.block
            if first_frame < soonest and first_frame < int(d.slot[slot].last):  # what was never published is not played
                raise TooNear(
                    f"slot: frame {first_frame} may be sounding, {soonest} is the first that may be written; write later frames"
                )
            if first_frame + n - capacity > self.frame:
                raise TooNear(f"slot: {n} frames at {first_frame} would overwrite what is to be played; write them in {n} frames")
        ring_write(self._view(d.slot_at[slot], capacity), first_frame, audio)

    def publish_slot(
        self,
        deck: int,
        slot: int,
        take_id: int,
        first: int,
        last: int,
        exit_frame: int = FOREVER,
        exit_fade: int = 0,
        exit_policy: Policy = Policy.LADDER,
        curve: Curve = Curve.POWER,
    ) -> None:
        """Says that frames [first, last) may sound, after they were written, and how the deck leaves them; control.

        May be called again at any time to extend last and exit_frame. Where last comes before the end of the exit's fade,
        the exit is early enough to fit. Raises TooNear where a sounding slot would lose frames that are about to be played.
        """
        d = self._deck(deck)
        if last - first > self.slot_frames or exit_fade < 0 or first > last:
            raise ValueError(
                f"slot: at most {self.slot_frames} frames and a fade of 0 or more, got {first} to {last}, fade {exit_fade}"
            )
        head = self.frame
        if self._slot_sounds(d, slot) and not (first <= head and last >= head + 2 * self.block) and last < d.slot[slot].last:
            raise TooNear(
                f"slot: it sounds at frame {head}, so it keeps what lies before {head + 2 * self.block}, got {first} to {last}"
            )
        s = d.slot[slot]
        sequence = int(s.sequence) | 1
        self._store("sequence", sequence, s)
        self._fence()
        s.take, s.first, s.last = take_id, first, last
        s.exit_frame, s.exit_fade, s.policy, s.curve = exit_frame, exit_fade, exit_policy, curve
        self._fence()
        self._store("sequence", sequence + 1, s)

    def clear_slot(self, deck: int, slot: int) -> None:
        """Says that nothing of a slot may sound, before other audio is written there; control."""
        self.publish_slot(deck, slot, 0, 0, 0)

    def slot_state(self, deck: int, slot: int) -> SlotState:
        """What was published last; control."""
        s = self._deck(deck).slot[slot]
        return SlotState(s.take, s.first, s.last, s.exit_frame, s.exit_fade, Policy(s.policy))

    def read_slot(self, deck: int, slot: int) -> Audio:
        """A copy of what was published last; control."""
        s = self._deck(deck).slot[slot]
        return ring_read(self._view(self._deck(deck).slot_at[slot], self.slot_frames), int(s.first), int(s.last - s.first))

    def slot_sounds(self, deck: int, slot: int) -> bool:
        """Whether the deck plays the slot, or fades out of it; any."""
        return self._slot_sounds(self._deck(deck), slot)

    def _slot_sounds(self, d: Any, slot: int) -> bool:
        return self._sounds(d, 1 + slot)

    def _sounds(self, d: Any, voice: int) -> bool:
        fading = self.frame - d.fade_start < d.fade_length
        return bool(d.to == voice or (fading and d.voice[voice].weight != 0.0))

    # The fallback loop.

    def publish_loop(self, deck: int, audio: Audio, origin: int) -> bool:
        """Makes audio, whose first frame belongs at frame `origin`, the deck's loop; control. Its wrap is faded by the caller.

        Returns False, with nothing done, while the deck still plays the loop before the last.
        """
        d, n = self._deck(deck), audio.shape[1]
        if not 0 < n <= self.loop_frames:
            raise ValueError(f"loop: 1 to {self.loop_frames} frames, got {n}; take fewer bars")
        generation = int(d.loop_published) + 1
        half = generation & 1
        if self._sounds(d, 3 + half):
            return False
        self._view(d.loop_at[half], self.loop_frames)[:, :n] = audio
        d.loop[half].length, d.loop[half].origin = n, origin
        self._store("loop_published", generation, d)
        return True

    def read_loop(self, deck: int) -> tuple[int, Audio]:
        """The origin of the loop that was published last, and a copy of it; control."""
        d = self._deck(deck)
        half = self._load("loop_published", d) & 1
        length = int(d.loop[half].length)
        return int(d.loop[half].origin), self._view(d.loop_at[half], self.loop_frames)[:, :length].copy()

    # The cue pair.

    @property
    def cue_frames(self) -> int:
        """How many frames can be auditioned at once, 0 where there is no cue pair; any."""
        return int(self.header.cue_frames) // 2

    def write_cue(self, audio: Audio) -> int:
        """Puts at most `cue_frames` frames beside those that may be sounding, and says where, for Command.cue; control."""
        n = audio.shape[1]
        if not 0 < n <= self.cue_frames:
            raise ValueError(f"cue: 1 to {self.cue_frames} frames, got {n}; give fewer, or start the server with a cue pair")
        position, self._cued = self._cued, (self._cued + self.cue_frames) % (2 * self.cue_frames)
        ring_write(self._view(self.header.cue_at, int(self.header.cue_frames)), position, audio)
        return position

    # Commands and what became of them.

    def push(self, command: Command) -> bool:
        """Queues a command; control. False, and counted, if the queue is full: try again in a block."""
        h = self.header
        head = int(h.queue_head)
        if head - self._load("queue_tail") >= layout.constants()["SEGUE_QUEUE"]:
            h.counters.queue_refusals += 1
            return False
        c = h.queue[head % layout.constants()["SEGUE_QUEUE"]]
        c.frame, c.id, c.take, c.position, c.fade = command.frame, command.id, command.take, command.position, command.fade
        c.op, c.deck, c.source, c.curve, c.gain = command.op, command.deck, command.source, command.curve, command.gain
        self._store("queue_head", head + 1)
        return True

    @property
    def log_index(self) -> int:
        """How many lines the log has had; any."""
        return self._load("log_count")

    def applied(self, since_index: int) -> list[Applied]:
        """The log from line since_index on, less what was overwritten; any. Ask next from the last line's index + 1."""
        size = layout.constants()["SEGUE_LOG"]
        count = self.log_index
        rows = [self._applied(i, size) for i in range(max(since_index, count - size), count)]
        self._fence()
        lost = max(0, self.log_index + 1 - size - max(since_index, count - size))
        return rows[lost:]

    def _applied(self, i: int, size: int) -> Applied:
        a = self.header.log[i % size]
        return Applied(a.id, a.scheduled, a.applied, a.take, Op(a.op or Op.MARK), a.deck, a.source, Status(a.status), i)

    # State.

    def clock_pair(self) -> ClockPair:
        """The frame at which the last callback began, and the host's clocks at that moment; any."""
        h = self.header
        return self._steady(lambda: ClockPair(h.clock_frame, h.clock_monotonic, h.clock_realtime, h.clock_block))

    def counters(self) -> dict[str, int]:
        """All counters by name; any."""
        c = self.header.counters
        return {name: int(getattr(c, name)) for name, _ in self._ffi.typeof("segue_counters").fields}

    def count_restart(self) -> None:
        """Counts that the stream was opened again; audio."""
        self.header.counters.restarts += 1

    def meters(self, deck: int) -> Meter:
        """Levels of the last block; any."""
        d = self._deck(deck)
        return self._steady(lambda: Meter(d.input_peak, d.input_square, d.sounded_peak, d.sounded_square))

    @property
    def master_peak(self) -> float:
        """Peak of the last block of the stereo mix; any."""
        return float(self.header.master_peak)

    def deck_state(self, deck: int) -> DeckState:
        """What the deck does; any."""
        d = self._deck(deck)
        return self._steady(lambda: self._deck_state(d))

    def _deck_state(self, d: Any) -> DeckState:
        frame, tape = int(self.header.frame), d.tape
        moving = frame - tape.origin if tape.kind == Tape.PLAY else 0
        source = Source.SILENCE if d.to == 5 else Source(min(d.to, Source.LOOP))
        fading = frame - d.fade_start < d.fade_length
        return DeckState(frame, source, fading, d.take, bool(d.gate_open), Tape(tape.kind), tape.file, tape.position + moving)

    def gate_open(self, deck: int) -> bool:
        """Whether the input was above its gate within the last 50 ms; any."""
        return bool(self._deck(deck).gate_open)

    def silent_frames(self, deck: int) -> int:
        """Frames since the input was last above its gate; any."""
        return self.frame - int(self._deck(deck).loud_frame)

    def loop_ready(self, deck: int) -> bool:
        """Whether a fallback loop has been published; any."""
        return self._load("loop_published", self._deck(deck)) > 0

    @property
    def in_channels(self) -> int:
        """How many channels of the device are heard at all; any."""
        return int(self.header.in_channels)

    def inputs(self, deck: int) -> tuple[int, int]:
        """The device channels that a deck hears, from 0, -1 for none; any."""
        left, right = self._deck(deck).in_channel
        return int(left), int(right)

    def set_inputs(self, deck: int, pair: tuple[int, int]) -> None:
        """Lets a deck hear other channels from the next block on; control. Raises ValueError for one that is not open."""
        if not all(-1 <= channel < self.in_channels for channel in pair):
            raise ValueError(f"inputs: {self.in_channels} channels are open, got {max(pair) + 1}; choose one of these")
        self._deck(deck).in_channel[0], self._deck(deck).in_channel[1] = pair

    def set_gate(self, deck: int, dbfs: float) -> None:
        """Sets the peak level under which the input counts as silent; control."""
        self._deck(deck).gate_threshold = 10.0 ** (dbfs / 20.0)

    # Life of the stream.

    @property
    def stream_state(self) -> StreamState:
        """Whether the stream runs; any."""
        return StreamState(self.header.stream_state)

    @property
    def sentence(self) -> str:
        """The audio process's last word about the stream; any."""
        return str(self._ffi.string(self.header.sentence).decode(errors="replace"))

    def set_stream_state(self, state: StreamState, sentence: str = "") -> None:
        """Says how the stream is; audio."""
        self.header.sentence = clipped(sentence, layout.constants()["SEGUE_SENTENCE"])
        self.header.stream_state = state

    @property
    def stop_asked(self) -> bool:
        """Whether the audio process was asked to end; audio."""
        return bool(self.header.stop)

    def ask_stop(self) -> None:
        """Asks the audio process to end; control."""
        self.header.stop = 1

    # Files. The feeder's side of these is in feeder.py.

    def request_file(self, deck: int, path: str, position: int = 0) -> int:
        """Asks the feeder for a file, ready at `position` (frames of the stream's rate); "" ejects; control. Returns a ticket."""
        m = self._deck(deck).mailbox
        name = os.fsencode(path)
        if len(name) >= layout.constants()["SEGUE_PATH"]:
            raise ValueError(
                f"load: a path of at most {layout.constants()['SEGUE_PATH'] - 1} bytes, got {len(path.encode())}; move the file"
            )
        sequence = int(m.sequence) | 1
        self._store("sequence", sequence, m)
        self._fence()
        m.path, m.position = name, position
        self._fence()
        self._store("sequence", sequence + 1, m)
        return sequence + 1

    def file_status(self, deck: int) -> FileStatus:
        """The feeder's last answer; any. It is READY for a request when its ticket is the request's."""
        m = self._deck(deck).mailbox

        def look() -> FileStatus:
            sentence = self._ffi.string(m.sentence).decode(errors="replace")
            return FileStatus(m.ticket, FileState(m.state), m.file, m.length, m.cue, sentence)

        return self._steady(look, lambda: self._load("answer", m))

    def read_feed(self, deck: int, position: int, n: int) -> Audio:
        """A copy of n frames of the deck's file from `position` on, its future included; any.

        Raises NotHeard where they are not buffered now. Frames outside the file are silence.
        """
        d = self._deck(deck)
        for bank in (0, 1):
            b = d.bank[bank]
            if b.file != d.mailbox.file or b.file < 0:
                continue
            low, high = max(position, 0), min(position + n, int(b.length))
            start = max(int(b.start), self._load("reserved", b) - int(self.header.feed_frames))
            if low < high and (low < start or high > self._load("written", b)):
                continue
            out = np.zeros((2, n), np.float32)
            if low < high:
                view = self._view(d.feed_at[bank], int(self.header.feed_frames))
                out[:, low - position : high - position] = ring_read(view, low, high - low)
            self._fence()
            if low >= high or self._load("reserved", b) - int(self.header.feed_frames) <= low:
                return out
        raise NotHeard(f"file: frames {position} to {position + n} are not buffered; read the file itself")

    # Inside.

    def _deck(self, deck: int) -> Any:
        if not 0 <= deck < self.header.decks:
            raise IndexError(f"segment: no deck {deck}; there are {self.header.decks}, from 0")
        return self.header.deck[deck]

    def struct(self, kind: str) -> Any:
        """A pointer to a fresh struct of core.h; any."""
        return self._ffi.new(f"{kind} *")

    def view(self, offset: int, frames: int) -> Audio:
        """The memory itself as [2, frames]; audio."""
        return self._view(offset, frames)

    def store(self, struct: Any, name: str, value: int) -> None:
        """An ordered write of one 64-bit field; audio, feeder."""
        self._store(name, value, struct)

    def fence(self) -> None:
        """Keeps what was written before it before what is written after it; audio, feeder."""
        self._fence()

    def file_request(self, struct: Any) -> tuple[int, str, int] | None:
        """(ticket, path, position) of a deck's last request; None while it is being written; feeder."""
        m = struct.mailbox
        before = self._load("sequence", m)
        path, position = self._ffi.string(m.path).decode(errors="surrogateescape"), int(m.position)
        self._fence()
        return (before, path, position) if before % 2 == 0 and before == self._load("sequence", m) else None

    def _view(self, offset: int, frames: int) -> Audio:
        key = (int(offset), int(frames))
        if key not in self._views:
            flat = np.frombuffer(self._memory.map, np.float32, 2 * key[1], key[0])
            self._views[key] = flat.reshape(2, key[1])
        return self._views[key]

    def _load(self, name: str, struct: Any = None) -> int:
        struct = self.header if struct is None else struct
        if self._lib is not None:
            return int(self._lib.segue_load(self._ffi.addressof(struct, name)))
        return int(getattr(struct, name))

    def _store(self, name: str, value: int, struct: Any = None) -> None:
        struct = self.header if struct is None else struct
        if self._lib is not None:
            self._lib.segue_store(self._ffi.addressof(struct, name), value)
        else:
            setattr(struct, name, value)

    def _fence(self) -> None:
        if self._lib is not None:
            self._lib.segue_fence()

    def _steady(self, look: Callable[[], T], sequence: Callable[[], int] | None = None) -> T:
        """look() at a moment when nothing changes under it."""
        sequence = sequence or (lambda: self._load("sequence"))
        deadline = time.monotonic() + PATIENCE_S
        while True:
            before = sequence()
            seen = look()
            self._fence()
            if (before % 2 == 0 and sequence() == before) or time.monotonic() > deadline:
                return seen
            time.sleep(0)


def ring_read(view: Audio, frame: int, n: int) -> Audio:
    """A copy of n frames of a ring [2, capacity] from `frame` on."""
    capacity = view.shape[1]
    place = frame % capacity
    head = min(n, capacity - place)
    out = np.empty((2, n), np.float32)
    out[:, :head] = view[:, place : place + head]
    out[:, head:] = view[:, : n - head]
    return out


def ring_write(view: Audio, frame: int, audio: Audio) -> None:
    """Copies audio into a ring [2, capacity] at `frame`."""
    capacity, n = view.shape[1], audio.shape[1]
    place = frame % capacity
    head = min(n, capacity - place)
    view[:, place : place + head] = audio[:, :head]
    view[:, : n - head] = audio[:, head:]


def clipped(text: str, size: int) -> bytes:
    """Text as UTF-8 that fits a C string of `size` bytes."""
    return text.encode()[: size - 1].decode(errors="ignore").encode()
