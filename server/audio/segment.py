"""The shared segment as Python sees it: what decks hear and may play, files, the command queue and the log.

Who may call what is said at each method: "control" is the one thread of the control process that owns the decks, "audio" the
audio process, "feeder" its file thread, "any" any thread of any process. Decks count from 0, frames from the stream's start.
Audio is float32, [2, frames].
"""

from __future__ import annotations

import numpy as np

from segue.server.audio import layout
from segue.server.audio.mailbox import Mailbox
from segue.server.audio.playable import Playable
from segue.server.audio.readings import Readings
from segue.server.audio.rings import Audio, ring_read
from segue.server.audio.values import Applied, Command, NotHeard, Op, Ring, Status, StreamState, Torn


class Segment(Playable, Readings, Mailbox):
    """One stream's memory, with all that may be asked of it."""

    # Rings.

    def written(self, ring: Ring, deck: int) -> int:
        """How many frames have been written: the newest is one less; any."""
        return self.load(self.deck(deck), "input_written" if ring is Ring.INPUT else "sounded_written")

    def read(self, ring: Ring, deck: int, end_frame: int, n: int) -> Audio:
        """A copy of the n frames before end_frame; any.

        Raises NotHeard for frames that are yet to come or lie before the stream, Torn for frames that were overwritten.
        """
        d = self.deck(deck)
        name = "input" if ring is Ring.INPUT else "sounded"
        capacity = int(self.header.ring_frames)
        written = self.load(d, f"{name}_written")
        if end_frame > written or n > end_frame:
            raise NotHeard(f"{name}: frames {end_frame - n} to {end_frame} asked for, 0 to {written} heard; wait for them")
        view = self.view(d.input_at if ring is Ring.INPUT else d.sounded_at, capacity)
        copy = ring_read(view, end_frame - n, n) if n <= capacity else np.empty((2, 0), np.float32)
        self.fence()
        if self.load(d, f"{name}_reserved") > end_frame - n + capacity:
            raise Torn(
                f"{name}: frames {end_frame - n} to {end_frame} are gone, the last {capacity} are kept; ask sooner or for fewer"
            )
        return copy

    # Commands and what became of them.

    def push(self, command: Command) -> bool:
        """Queues a command; control. False, and counted, if the queue is full: try again in a block."""
        h = self.header
        head = int(h.queue_head)
        if head - self.load(self.header, "queue_tail") >= layout.constants()["SEGUE_QUEUE"]:
            h.counters.queue_refusals += 1
            return False
        c = h.queue[head % layout.constants()["SEGUE_QUEUE"]]
        c.frame, c.id, c.take, c.position, c.fade = command.frame, command.id, command.take, command.position, command.fade
        c.op, c.deck, c.source, c.curve, c.gain = command.op, command.deck, command.source, command.curve, command.gain
        self.store(self.header, "queue_head", head + 1)
        return True

    @property
    def log_index(self) -> int:
        """How many lines the log has had; any."""
        return self.load(self.header, "log_count")

    def applied(self, since_index: int) -> list[Applied]:
        """The log from line since_index on, less what was overwritten; any. Ask next from the last line's index + 1."""
        size = layout.constants()["SEGUE_LOG"]
        count = self.log_index
        rows = [self._applied(i, size) for i in range(max(since_index, count - size), count)]
        self.fence()
        lost = max(0, self.log_index + 1 - size - max(since_index, count - size))
        return rows[lost:]

    def _applied(self, i: int, size: int) -> Applied:
        a = self.header.log[i % size]
        return Applied(a.id, a.scheduled, a.applied, a.take, Op(a.op or Op.MARK), a.deck, a.source, Status(a.status), i)

    # Life of the stream.

    @property
    def stream_state(self) -> StreamState:
        """Whether the stream runs; any."""
        return StreamState(self.header.stream_state)

    @property
    def sentence(self) -> str:
        """The audio process's last word about the stream; any."""
        return str(self.ffi.string(self.header.sentence).decode(errors="replace"))

    def set_stream_state(self, state: StreamState, sentence: str = "") -> None:
        """Says how the stream is; audio."""
        self.header.sentence = layout.clipped(sentence, layout.constants()["SEGUE_SENTENCE"])
        self.header.stream_state = state

    @property
    def stop_asked(self) -> bool:
        """Whether the audio process was asked to end; audio."""
        return bool(self.header.stop)

    def ask_stop(self) -> None:
        """Asks the audio process to end; control."""
        self.header.stop = 1
