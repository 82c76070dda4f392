"""Files asked for, and what the feeder has answered and buffered. The feeder's own side is in feeder.py.

Who may call what is said at each method: "control" is the one thread of the control process that owns the decks, "audio" the
audio process, "feeder" its file thread, "any" any thread of any process. Decks count from 0, frames from the stream's start.
Audio is float32, [2, frames].
"""

from __future__ import annotations

import os
from typing import Any

import numpy as np

from segue.server.audio import layout
from segue.server.audio.mapped import Mapped
from segue.server.audio.rings import Audio, ring_read
from segue.server.audio.values import FileState, FileStatus, NotHeard


class Mailbox(Mapped):
    """The file requests and feeds of one stream."""

    def request_file(self, deck: int, path: str, position: int = 0) -> int:
        """Asks the feeder for a file, ready at `position` (frames of the stream's rate); "" ejects; control. Returns a ticket."""
        m = self.deck(deck).mailbox
        name = os.fsencode(path)
        if len(name) >= layout.constants()["SEGUE_PATH"]:
            raise ValueError(
                f"load: a path of at most {layout.constants()['SEGUE_PATH'] - 1} bytes, got {len(path.encode())}; move the file"
            )
        sequence = int(m.sequence) | 1
        self.store(m, "sequence", sequence)
        self.fence()
        m.path, m.position = name, position
        self.fence()
        self.store(m, "sequence", sequence + 1)
        return sequence + 1

    def file_status(self, deck: int) -> FileStatus:
        """The feeder's last answer; any. It is READY for a request when its ticket is the request's."""
        m = self.deck(deck).mailbox

        def look() -> FileStatus:
            sentence = self.ffi.string(m.sentence).decode(errors="replace")
            return FileStatus(m.ticket, FileState(m.state), m.file, m.length, m.cue, sentence)

        return self.steady(look, lambda: self.load(m, "answer"))

    def read_feed(self, deck: int, position: int, n: int) -> Audio:
        """A copy of n frames of the deck's file from `position` on, its future included; any.

        Raises NotHeard where they are not buffered now. Frames outside the file are silence.
        """
        d = self.deck(deck)
        for bank in (0, 1):
            b = d.bank[bank]
            if b.file != d.mailbox.file or b.file < 0:
                continue
            low, high = max(position, 0), min(position + n, int(b.length))
            start = max(int(b.start), self.load(b, "reserved") - int(self.header.feed_frames))
            if low < high and (low < start or high > self.load(b, "written")):
                continue
            out = np.zeros((2, n), np.float32)
            if low < high:
                view = self.view(d.feed_at[bank], int(self.header.feed_frames))
                out[:, low - position : high - position] = ring_read(view, low, high - low)
            self.fence()
            if low >= high or self.load(b, "reserved") - int(self.header.feed_frames) <= low:
                return out
        raise NotHeard(f"file: frames {position} to {position + n} are not buffered; read the file itself")

    def file_request(self, struct: Any) -> tuple[int, str, int] | None:
        """(ticket, path, position) of a deck's last request; None while it is being written; feeder."""
        m = struct.mailbox
        before = self.load(m, "sequence")
        path, position = self.ffi.string(m.path).decode(errors="surrogateescape"), int(m.position)
        self.fence()
        return (before, path, position) if before % 2 == 0 and before == self.load(m, "sequence") else None
