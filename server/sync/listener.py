"""Listens to a deck's input for tempo and beats: `python -m segue.server.sync.listener SEGMENT DECK`, a process of its own.

Says what it believes on standard output, twice a second: a line of JSON, [frame, beat, BPM], or null for no beat. It yields to
everything else (nice 10, one thread), reads the stream's memory, and ends with the process that started it.
"""

from __future__ import annotations

import contextlib
import json
import os
import sys
import time

import numpy as np
from numpy.typing import NDArray

from segue.server.audio.memory import SharedMemoryError
from segue.server.audio.segment import Segment
from segue.server.audio.values import NotHeard, Ring, Torn
from segue.server.sync.comb import find
from segue.server.sync.onsets import HOP, ONSET, WINDOW, envelope, flattened
from segue.server.sync.tracker import Heard, Tracker

EVERY_S = 0.5
LEFT_S = 8.0  # of audio that it makes up for when it was kept from hearing
MEMORY_S = 16.0  # of the envelope that is looked at
QUIET = 1e-4  # RMS below which there is nothing to hear
NICE = 10


class Listener:
    """Turns the newest audio into what is believed; `hear` in order of time."""

    def __init__(self, rate: int) -> None:
        """rate: frames a second."""
        self._rate = rate
        self._flux = np.zeros(0)
        self._next = 0  # frame at which the next window begins
        self._tracker = Tracker()

    def wanted(self, written: int) -> tuple[int, int]:
        """From which frame to which audio is wanted, of what has been written."""
        if written - self._next > LEFT_S * self._rate:  # too much was missed: what was heard no longer joins
            self._flux, self._next = np.zeros(0), max(0, written - round(EVERY_S * self._rate))
        hops = max(0, (written - self._next - WINDOW) // HOP)
        return self._next, self._next + WINDOW + hops * HOP if hops else self._next

    def hear(self, audio: NDArray[np.float32]) -> Heard | None:
        """Takes audio `[2, n]` from where it was wanted; what is believed now."""
        fresh = envelope(audio, self._rate)
        if float(np.sqrt(np.mean(np.square(audio)))) < QUIET:
            fresh = np.zeros_like(fresh)
        self._next += fresh.size * HOP
        self._flux = np.concatenate([self._flux, fresh])[-round(MEMORY_S * self._rate / HOP) :]
        found = find(flattened(self._flux, self._rate), self._rate / HOP)
        return self._tracker.take(found, HOP, self._next - self._flux.size * HOP + ONSET)


def line(heard: Heard | None, rate: int) -> str:
    """What is said of it."""
    return json.dumps(None if heard is None else [heard.frame, heard.beat, 60.0 * rate / heard.period])


def main(name: str, deck: int) -> int:
    """Listens until nobody hears it."""
    with contextlib.suppress(OSError):
        os.nice(NICE)
    try:
        segment = Segment.attach(name)
    except SharedMemoryError as error:
        print(f"segue: {error}", file=sys.stderr)
        return 2
    parent, listener = os.getppid(), Listener(segment.rate)
    try:
        while os.getppid() == parent:
            start, end = listener.wanted(segment.written(Ring.INPUT, deck - 1))
            if end > start:
                with contextlib.suppress(NotHeard, Torn):
                    print(line(listener.hear(segment.read(Ring.INPUT, deck - 1, end, end - start)), segment.rate), flush=True)
            time.sleep(EVERY_S)
    except (BrokenPipeError, KeyboardInterrupt):
        sys.stdout = open(os.devnull, "w")  # noqa: SIM115 - so that the interpreter's own flush meets no broken pipe
    finally:
        segment.close()
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1], int(sys.argv[2])))
