"""The source of tempo that hears the music: starts the listener, reads what it says, starts it again. Control thread only."""

from __future__ import annotations

import json
import os
import subprocess
import sys
import time
from collections.abc import Iterator

from segue.server.sync.line import Line, Phase, Playing, SourceState

AGAIN_S = 2.0  # before a listener that ended is started again
LONGEST = 4096  # bytes that are read at a time


class Listening:
    """Hears a deck from its making until `close`."""

    def __init__(self, segment: str, deck: int = 1) -> None:
        """segment: the name of the stream's memory."""
        self._argv = [sys.executable, "-m", "segue.server.sync.listener", segment, str(deck)]
        self._rest = b""
        self._line: Line | None = None
        self._state = SourceState("waiting", "no beat was heard yet")
        self._start_at = 0.0
        self._process: subprocess.Popen[bytes] | None = None

    def poll(self) -> Iterator[Line | SourceState | Playing]:
        """What it believes, whenever it has said so."""
        self._keep()
        fresh = self._read()
        yield self._state
        if fresh and self._line is not None:
            yield self._line

    def close(self) -> None:
        """Ends the listener."""
        if self._process is not None:
            self._process.kill()
            self._process.wait()
            if self._process.stdout is not None:
                self._process.stdout.close()
        self._process = None

    def _keep(self) -> None:
        if self._process is not None and self._process.poll() is not None:
            self.close()
            self._state = SourceState("lost", "the listener ended: starting it again")
        if self._process is None and time.monotonic() >= self._start_at:
            self._start_at = time.monotonic() + AGAIN_S
            threads = {name: "1" for name in ("OMP_NUM_THREADS", "OPENBLAS_NUM_THREADS", "MKL_NUM_THREADS")}
            self._process = subprocess.Popen(self._argv, stdout=subprocess.PIPE, env={**os.environ, **threads})
            assert self._process.stdout is not None
            os.set_blocking(self._process.stdout.fileno(), False)

    def _read(self) -> bool:
        if self._process is None or self._process.stdout is None:
            return False
        try:
            *lines, self._rest = (self._rest + os.read(self._process.stdout.fileno(), LONGEST)).split(b"\n")
        except BlockingIOError:
            return False
        for text in lines:
            self._take(text)
        return bool(lines)

    def _take(self, text: bytes) -> None:
        said = json.loads(text)
        if said is None:
            waiting = self._line is None
            silent = SourceState("lost", "no beat is heard: the last tempo goes on")
            self._line, self._state = None, self._state if waiting else silent
            return
        frame, beat, bpm = said
        self._line, self._state = Line(frame, beat, bpm, Phase.BEATS), SourceState("locked")
