"""What is heard in `segue.bench.score`: a recorder's sound beside what the server's timeline says that it plays.

A thread takes both out of their memories a few times a second; what is kept of them is the power of each 5 ms.
"""

from __future__ import annotations

import threading
from dataclasses import dataclass, field
from typing import Any

import numpy as np
from numpy.typing import NDArray
from scipy.ndimage import minimum_filter1d

from segue.bench.tape import Player
from segue.server.audio.segment import Segment
from segue.server.audio.values import NotHeard, Ring, Source, Tape, Torn
from segue.server.jobs import Audio

GAP_S, GAP_DB = 0.005, -40.0  # a gap: so long, and so much below what is to sound
FLOOR_DB = -60.0  # what is to sound counts from this level on
AROUND = 4  # windows on either side within which all is to sound: a rest or a beginning is no gap
LISTEN_S = 0.5
SILENT_DB = -70.0
SHOWN = 10

Floats = NDArray[np.float64]


def powers(audio: Audio, window: int) -> Floats:
    """Mean square of each whole window of `[2, n]`."""
    n = audio.shape[1] // window
    return np.asarray(np.square(audio[:, : n * window], dtype=np.float64).reshape(2, n, window).mean(axis=(0, 2)))


def least_around(power: Floats, around: int = AROUND) -> Floats:
    """The least of each window and so many on either side."""
    found: Floats = minimum_filter1d(power, 2 * around + 1, mode="constant", cval=0.0) if len(power) else power
    return found


def gaps(heard: Floats, expected: Floats) -> NDArray[np.int64]:
    """Windows in which the recorder has far less than is to sound there and all around."""
    sure = least_around(expected)
    return np.flatnonzero((sure > 10 ** (FLOOR_DB / 10)) & (heard < sure * 10 ** (GAP_DB / 10)))


def due(played: Floats, files: list[Floats]) -> Floats:
    """Where sound is due: what the performer plays, but for the rests of a file that plays in their place. All as powers."""
    rests = [power < 10 ** (SILENT_DB / 10) for power in files]
    return np.where(np.any(rests, axis=0), 0.0, played) if rests else played


def longest_run(flags: NDArray[np.bool_]) -> tuple[int, int]:
    """(first, length) of the longest run of True; (0, 0) where there is none."""
    edges = np.flatnonzero(np.diff(np.concatenate([[0], flags.astype(np.int8), [0]])))
    runs = [(int(a), int(b - a)) for a, b in zip(edges[::2], edges[1::2], strict=True)]
    return max(runs, key=lambda run: run[1], default=(0, 0))


@dataclass
class Heard:
    """Power of each window, and how many of the recorder's frames a window has."""

    window: int
    out: list[Floats] = field(default_factory=list)
    expected: list[Floats] = field(default_factory=list)
    played: list[Floats] = field(default_factory=list)

    def report(self, rate: int) -> dict[str, Any]:
        """Gaps, and the longest silence while the performer played."""
        empty = np.zeros(0)
        out, expected, played = (np.concatenate([empty, *one]) for one in (self.out, self.expected, self.played))
        found = gaps(out, expected)
        first, length = longest_run((out < 10 ** (SILENT_DB / 10)) & (played > 10 ** (FLOOR_DB / 10)))
        second = self.window / rate
        return {
            "heard_s": round(len(out) * second, 1),
            "gaps": int(np.count_nonzero(np.diff(found, prepend=-2 * AROUND) > AROUND)),
            "gap_windows": len(found),
            "gaps_at_s": [round(float(at) * second, 2) for at in found[:SHOWN]],
            "longest_silence_s": round(length * second, 3),
            "longest_silence_at_s": round(first * second, 2),
        }


class Ear(threading.Thread):
    """Listens until `stop`."""

    def __init__(self, player: Player, server: Segment) -> None:
        super().__init__(name="score ear", daemon=True)
        self._player, self._server = player, server
        self._over = threading.Event()
        self._offset = self._begun_offset = player.offset(server)
        self._lost = self._begun_lost = self._lost_now()
        self._at = player.segment.frame
        self.heard = Heard(round(GAP_S * server.rate))
        self.torn = 0
        self._plays: set[int] = set()

    def run(self) -> None:
        """Takes what was heard again and again."""
        while not self._over.wait(LISTEN_S):
            self.listen()

    def stop(self) -> None:
        """Ends it, with what was heard up to now."""
        self._over.set()
        self.join()
        self.listen()

    def _lost_now(self) -> int:
        return sum(s.counters()["gap_xruns"] + s.counters()["status_xruns"] for s in (self._player.segment, self._server))

    def _passing(self) -> set[int]:
        """The decks that pass on a file as it is."""
        states = [self._server.deck_state(deck) for deck in range(self._server.decks)]
        return {k for k, state in enumerate(states) if state.tape is Tape.PLAY and state.source is Source.DRY}

    def listen(self) -> None:
        """Takes whole windows out of the memories. Where periods were lost the two frames are compared anew."""
        if (lost := self._lost_now()) != self._lost:
            self._lost, self._offset = lost, self._player.offset(self._server)
        ours, theirs, window = self._player.segment, self._server, self.heard.window
        # The server's sound reaches the recorder a cycle late.
        shift = self._offset - ours.block
        ready = min(ours.written(Ring.INPUT, 1), min(theirs.written(Ring.SOUNDED, d) for d in range(theirs.decks)) - shift)
        n = (ready - self._at) // window * window
        if n <= 0:
            return
        end, plays = self._at + n, self._passing()
        try:
            out = ours.read(Ring.INPUT, 1, end, n)
            sounded = [theirs.read(Ring.SOUNDED, d, end + shift, n) for d in range(theirs.decks)]
            played = powers(theirs.read(Ring.INPUT, 0, end + shift, n), window)
            files = [powers(theirs.read(Ring.INPUT, d, end + shift, n), window) for d in plays | self._plays]
        except (NotHeard, Torn):
            self.torn += 1
        else:
            self.heard.out.append(powers(out, window))
            self.heard.expected.append(np.sum([powers(one, window) for one in sounded], axis=0))
            self.heard.played.append(due(played, files))
        self._at, self._plays = end, plays

    def report(self) -> dict[str, Any]:
        """What was heard; drift: by how many frames the two clients' counts moved against each other.

        Where JACK lost whole periods of one of them, these are told apart.
        """
        moved = self._player.offset(self._server) - self._begun_offset
        block = self._server.block
        lost = round(moved / block) * block if self._lost_now() != self._begun_lost else 0
        counted = {"drift_frames": moved - lost, "lost_between_frames": lost, "torn_reads": self.torn}
        return self.heard.report(self._server.rate) | counted
