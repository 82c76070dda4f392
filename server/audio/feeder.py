"""Keeps the file decks' feeds filled: ahead of the play head, and around the place that was asked for.

One thread of the audio process, or step() by hand on a stepped clock. Each deck has two banks: one plays while the other is
filled at the next place, so that a jump falls on the exact frame. Requests come through the deck's mailbox.
"""

from __future__ import annotations

import os
import threading
from dataclasses import dataclass

from segue.server.audio import layout
from segue.server.audio.files import FileError, FileReader
from segue.server.audio.layout import clipped
from segue.server.audio.rings import ring_write
from segue.server.audio.segment import Segment
from segue.server.audio.track import Track, TrackReader, open_track, read_region
from segue.server.audio.values import FileState, Tape

__all__ = ["Feeder", "FileError", "read_region"]

BEHIND_S = 1.0  # kept behind the play head, and filled before a cue
READY_S = 2.0  # filled after a cue before it counts as ready
CHUNK_S = 0.5  # filled at once
REST_S = 0.005


@dataclass
class _Bank:
    reader: FileReader | TrackReader
    cue: int


class _Deck:
    """One deck's file."""

    def __init__(self, segment: Segment, deck: int) -> None:
        self._segment, self._d = segment, segment.header.deck[deck]
        self._rate, self._capacity = segment.rate, int(segment.header.feed_frames)
        self._seen = 0
        self._path, self._stamp, self._file, self._files = "", (0.0, 0), -1, 0
        self._banks: dict[int, _Bank] = {}

    def step(self) -> bool:
        """Does what is due; whether there was anything."""
        request = self._segment.file_request(self._d)
        if request is not None and request[0] != self._seen:
            if self._segment.frame - self._d.tape_start < self._d.tape_fade:
                return False  # the bank that fades out is still read
            self._seen, path, position = request
            self._serve(path, position)
            return True
        try:
            return self._recover() or any([self._top_up(k) for k in list(self._banks)])
        except FileError as error:
            self._banks.clear()
            self._answer(self._seen, FileState.FAILED, 0, str(error))
            return True

    def _serve(self, path: str, position: int) -> None:
        if not path:
            self._eject()
            return
        try:
            file = Track.parse(path).path
            stamp = (os.stat(file).st_mtime, os.stat(file).st_size) if os.path.isfile(file) else (0.0, 0)
            if path != self._path or stamp != self._stamp or self._file < 0:
                self._load(path, stamp, position)
            self._cue(position)
        except FileError as error:
            self._answer(self._seen, FileState.FAILED, position, str(error))
            return
        self._answer(self._seen, FileState.READY, position)

    def _load(self, path: str, stamp: tuple[float, int], position: int) -> None:
        self._answer(self._seen, FileState.LOADING, position)
        open_track(path, self._rate).close()  # raises where it cannot be read, before the old file is let go
        self._files += 1
        self._path, self._stamp, self._file = path, stamp, self._files

    def _eject(self) -> None:
        for bank in self._banks.values():
            bank.reader.close()
        self._banks.clear()
        self._path, self._file = "", -1
        self._answer(self._seen, FileState.EMPTY, 0)

    def _busy(self) -> int | None:
        """The bank that the callback reads, if any."""
        tape = self._d.tape
        if tape.kind == Tape.LIVE or self._d.bank[tape.bank & 1].file != tape.file:
            return None
        return int(tape.bank & 1)

    def _cue(self, position: int) -> None:
        ready = min(position + round(READY_S * self._rate), self._length())
        for k, bank in self._banks.items():
            b = self._d.bank[k]
            if b.file == self._file and max(b.start, b.reserved - self._capacity) <= position and ready <= b.written:
                bank.cue = max(position, 0) if k != self._busy() else bank.cue
                return
        self._fill_anew(0 if self._busy() == 1 else 1 if self._busy() == 0 else 0, position)

    def _length(self) -> int:
        lengths = [bank.reader.length for k, bank in self._banks.items() if self._d.bank[k].file == self._file]
        return lengths[0] if lengths else 2**62

    def _fill_anew(self, k: int, position: int) -> None:
        b, old = self._d.bank[k], self._banks.pop(k, None)
        if old is not None:
            old.reader.close()
        reader = open_track(self._path, self._rate)
        start = min(max(0, position - round(BEHIND_S * self._rate)), reader.length)
        reader.seek(start)
        self._segment.store(b, "file", -1)
        self._segment.fence()
        b.length, b.start = reader.length, start
        self._segment.store(b, "reserved", start)
        self._segment.store(b, "written", start)
        self._banks[k] = _Bank(reader, min(max(position, 0), reader.length))
        while b.written < min(position + round(READY_S * self._rate), reader.length):
            self._write(k)
        self._segment.fence()
        self._segment.store(b, "file", self._file)

    def _write(self, k: int) -> None:
        b, reader = self._d.bank[k], self._banks[k].reader
        n = min(round(CHUNK_S * self._rate), self._capacity // 4, b.length - b.written)
        audio = reader.read(n)
        self._segment.store(b, "reserved", b.written + n)
        self._segment.fence()
        ring_write(self._segment.view(self._d.feed_at[k], self._capacity), b.written, audio)
        self._segment.store(b, "written", b.written + n)

    def _head(self, k: int) -> int:
        """The first frame of a bank that is still needed."""
        tape = self._d.tape
        if self._busy() != k:
            return self._banks[k].cue
        moved = self._segment.frame - tape.origin if tape.kind == Tape.PLAY else 0
        return int(tape.position + moved)

    def _top_up(self, k: int) -> bool:
        b = self._d.bank[k]
        kept = self._head(k) - round(BEHIND_S * self._rate)
        chunk = min(round(CHUNK_S * self._rate), self._capacity // 4)
        if b.written >= b.length or b.written + chunk > kept + self._capacity:
            return False
        self._write(k)
        return True

    def _recover(self) -> bool:
        """Fills a bank where the play head stands though nobody asked for that place."""
        tape, now = self._d.tape, self._segment.frame
        if tape.kind != Tape.PLAY or tape.file != self._file or now - self._d.tape_start < self._d.tape_fade:
            return False
        position = tape.position + now - tape.origin
        held = [b for b in self._d.bank if b.file == self._file and b.start <= position <= b.written + self._rate]
        if held or not 0 <= position < self._length():
            return False
        self._fill_anew(1 - int(tape.bank & 1), position)
        return True

    def _answer(self, ticket: int, state: FileState, cue: int, sentence: str = "") -> None:
        m, fields = self._d.mailbox, layout.constants()
        sequence = int(m.answer) | 1
        self._segment.store(m, "answer", sequence)
        self._segment.fence()
        m.ticket, m.state, m.cue, m.file = ticket, state, cue, self._file
        m.length = self._length() if self._banks and self._file >= 0 else 0
        m.sentence = clipped(sentence, fields["SEGUE_SENTENCE"])
        self._segment.fence()
        self._segment.store(m, "answer", sequence + 1)

    def close(self) -> None:
        for bank in self._banks.values():
            bank.reader.close()


class Feeder:
    """The feeds of all decks."""

    def __init__(self, segment: Segment) -> None:
        """Any thread; nothing happens before start() or step()."""
        self._decks = [_Deck(segment, deck) for deck in range(segment.decks)]
        self._stop = threading.Event()
        self._thread: threading.Thread | None = None

    def start(self) -> None:
        """Serves from a thread of its own; audio process's main thread."""
        self._thread = threading.Thread(target=self._serve, name="segue feeder", daemon=True)
        self._thread.start()

    def step(self) -> bool:
        """One round: answers requests and fills a little; whether there was anything. One thread at a time."""
        return any([deck.step() for deck in self._decks])

    def close(self) -> None:
        """Ends the thread and closes the files; whoever started it."""
        self._stop.set()
        if self._thread is not None:
            self._thread.join(5.0)
        for deck in self._decks:
            deck.close()

    def _serve(self) -> None:
        while not self._stop.is_set():
            if not self.step():
                self._stop.wait(REST_S)
