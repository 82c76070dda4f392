"""A peer of an Ableton Link session: tempo, beats and start and stop, shared with whoever else is on the network.

Control thread only; Link's own threads never call us. It brings its own clock, which runs raw: it is compared with the host's at
every reading. Needs the extra `link` (LinkPython-extern; the library inside is GPL-2.0-or-later, so nothing here is loaded before
somebody asks for Link).
"""

from __future__ import annotations

import importlib
import time as host
from dataclasses import dataclass
from typing import Any


class LinkMissingError(RuntimeError):
    """There is no Link on this machine; str() is a sentence."""


@dataclass(frozen=True)
class Session:
    """At host `time`, in seconds, the session is at `beat`, `bpm` fast; peers: others in it; playing: its transport."""

    time: float
    beat: float
    bpm: float
    peers: int
    playing: bool


class LinkPeer:
    """In a session from its making until `close`."""

    def __init__(self, bpm: float, beat: float, time: float, quantum: int) -> None:
        """Brings a tempo, and a beat at a host time, which count where nobody else is there; quantum: beats a bar.

        Raises LinkMissingError.
        """
        try:
            module: Any = importlib.import_module("link")
        except ImportError:
            raise LinkMissingError('Ableton Link is not installed: pip install "segue[link]"') from None
        self._quantum = float(quantum)
        self._link: Any = module.Link(bpm)
        state = self._link.captureSessionState()
        state.forceBeatAtTime(beat, self._micros(time), self._quantum)
        self._link.commitSessionState(state)
        self._link.startStopSyncEnabled = True
        self._link.enabled = True

    def _micros(self, time: float) -> int:
        return int(self._link.clock().micros() + round((time - host.time()) * 1e6))

    def read(self) -> Session:
        """The session now."""
        state = self._link.captureSessionState()
        before = self._link.clock().micros()
        time = host.time()
        micros = (before + self._link.clock().micros()) // 2
        beat = state.beatAtTime(micros, self._quantum)
        return Session(time, beat, state.tempo(), self._link.numPeers(), state.isPlaying())

    def set_tempo(self, bpm: float, time: float) -> None:
        """The session's tempo from a host time on, for everyone."""
        state = self._link.captureSessionState()
        state.setTempo(bpm, self._micros(time))
        self._link.commitSessionState(state)

    def start(self, on: bool, time: float) -> None:
        """Starts or stops everyone at a host time."""
        state = self._link.captureSessionState()
        state.setIsPlaying(on, self._micros(time))
        self._link.commitSessionState(state)

    def close(self) -> None:
        """Leaves the session."""
        self._link.enabled = False
