"""MIDI clocks on JACK, to the sample: what they send is noted by a compiled client, and read here.

JACK says at which of its frames a message is meant; a clock of ours says when that frame is, as for the stream, so that both find
back at once where JACK loses periods.
Threads: `drain` on the control thread; one more looks for ports once a second. JACK's own thread runs no Python.
"""

from __future__ import annotations

import importlib
import re
import threading
import time
from collections.abc import Callable
from typing import Any

from segue.server.clock import SampleClock
from segue.server.control.midi import POLL, jack_runs

NAME = "segue clock"


def available() -> bool:
    """Whether the compiled client is there; without it RtMidi hears the clock, to the period only."""
    try:
        importlib.import_module("segue.server.control._jack_clock")
    except ImportError:
        return False
    return True


class JackClock:
    """Hears every MIDI output on JACK whose name matches, also those that appear later."""

    def __init__(self, feed: Callable[[bytes, float], None], ports: str = ".*") -> None:
        """feed(message, time): the message and the host time in seconds that it is meant for. ports: a regular expression."""
        module: Any = importlib.import_module("segue.server.control._jack_clock")
        self._lib, self._ffi = module.lib, module.ffi
        self._feed, self._pattern = feed, re.compile(ports)
        self._frame, self._usec, self._data = (self._ffi.new(what) for what in ("uint64_t *", "uint64_t *", "uint8_t[3]"))
        self._client: Any = None
        self._clock = SampleClock(48_000)  # until a server says its rate
        self._lock = threading.Lock()  # of the client's life
        self._over = threading.Event()
        self._thread = threading.Thread(target=self._watch, name="segue clock ports", daemon=True)

    def open(self) -> None:
        """Listens from now on; never fails."""
        self._thread.start()

    def close(self) -> None:
        """Lets JACK go."""
        self._over.set()
        if self._thread.is_alive():
            self._thread.join()
        self._leave()

    def drain(self) -> None:
        """Hands on what has come."""
        if self._client is None or not self._lock.acquire(blocking=False):
            return
        try:
            if self._client is None:
                return
            offset = time.time() - self._lib.jack_clock_now(self._client) * 1e-6
            while self._lib.jack_clock_period(self._client, self._frame, self._usec):
                self._clock.update(self._frame[0], self._usec[0] * 1e-6)
            while size := self._lib.jack_clock_next(self._client, self._frame, self._data):
                self._feed(bytes(self._data[0:size]), offset + self._clock.time_at(self._frame[0]))
        finally:
            self._lock.release()

    def _watch(self) -> None:
        while True:
            self._look()
            if self._over.wait(POLL):
                return

    def _look(self) -> None:
        if self._client is not None and self._lib.jack_clock_gone(self._client):
            self._leave()
        if self._client is None and jack_runs():
            client = self._lib.jack_clock_open(NAME.encode())
            if client != self._ffi.NULL:
                with self._lock:
                    self._client, self._clock = client, SampleClock(self._lib.jack_clock_rate(client))
        if self._client is not None:
            self._connect()

    def _connect(self) -> None:
        names = self._lib.jack_clock_ports(self._client)
        if names == self._ffi.NULL:
            return
        at = 0
        while names[at] != self._ffi.NULL:
            if self._pattern.search(self._ffi.string(names[at]).decode(errors="replace")):
                self._lib.jack_clock_connect(self._client, names[at])
            at += 1
        self._lib.jack_clock_forget(self._client, names)

    def _leave(self) -> None:
        with self._lock:
            client, self._client = self._client, None
        if client is not None:
            self._lib.jack_clock_close(client)
