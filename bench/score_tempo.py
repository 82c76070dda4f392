"""Where the tempo comes from in `segue.bench.score`: scene after scene, on a thread of its own, and a witness of the beat.

Peers join, ramp, leave and vanish; clocks jitter and stop; values that are no tempo are sent. Processes are ended by their ids.
"""

from __future__ import annotations

import random
import subprocess
import sys
import tempfile
import threading
import time
from collections.abc import Callable
from pathlib import Path
from queue import SimpleQueue
from typing import Any

import numpy as np

from segue.bench.phase_peers import tempo
from segue.clients.python import Client, Event
from segue.server.tempo import STEEPEST

SCENE_S = 20.0
RAMP_S = 0.1  # between two tempi of a ramp
BAD_TEMPI = (0.0, float("nan"), 10_000.0, -5.0, float("inf"))
SETTLED_BEATS = 2.0 / STEEPEST + 2.0  # after the source was taken the grid makes up for half a bar at most, so steeply
MOVED_S = 0.5  # after the performer moved the beat: what was told before is not judged
STEP_BPM = 3.0
EXACT_US, TRIES = 50, 10  # two clocks are compared within so long, tried so often
FAR_MS = 3.0
SHOWN = 20


class Tempo(threading.Thread):
    """Plays scenes until `stop`; `peers` and `scenes` count."""

    def __init__(self, port: int, seed: int) -> None:
        """port: the server's."""
        super().__init__(name="score tempo", daemon=True)
        self._client = Client(port=port, listen=False)
        self._random, self._over = random.Random(seed), threading.Event()
        self._processes: list[subprocess.Popen[bytes]] = []
        self._folder = tempfile.TemporaryDirectory()
        self.scenes: dict[str, int] = {}
        self.joined = self.left = self.vanished = 0
        self.link_since: float | None = None
        self.failed = ""

    def run(self) -> None:
        """One scene after another."""
        scenes: tuple[Callable[[], None], ...] = (
            self._ramp,
            self._link,
            self._midi,
            self._bad,
            self._peers,
            self._tap,
            self._noisy,
            self._audio,
        )
        try:
            while not self._over.is_set():
                for scene in scenes:
                    if not self._over.is_set():
                        name = scene.__name__.strip("_")
                        self.scenes[name] = self.scenes.get(name, 0) + 1
                        scene()
                        self._source("internal")
        except Exception as error:  # the report says so; the music goes on without scenes
            self.failed = f"{type(error).__name__}: {error}"
        finally:
            for process in self._processes:
                self._vanish(process)

    def stop(self) -> None:
        """Ends the scene that is on, and everybody in it."""
        self._over.set()
        self.join()
        self._client.close()
        self._folder.cleanup()

    def _source(self, name: str) -> None:
        self.link_since = time.time() if name == "link" else None
        self._client.send("/segue/sync/source", name)

    def _wait(self, seconds: float) -> None:
        self._over.wait(seconds)

    def _peer(self, kind: str, jitter: float = 0.001) -> subprocess.Popen[bytes]:
        out = str(Path(self._folder.name) / f"truth{self.joined}.json")
        argv = [sys.executable, "-m", "segue.bench.phase_peers", kind, out, str(-jitter), str(jitter), str(self.joined)]
        process = subprocess.Popen(argv, stdin=subprocess.PIPE)
        self._processes.append(process)
        self.joined += 1
        return process

    def _leave(self, process: subprocess.Popen[bytes]) -> None:
        assert process.stdin is not None
        process.stdin.close()
        try:
            process.wait(10.0)
        except subprocess.TimeoutExpired:
            self._vanish(process)
            return
        self._processes.remove(process)
        self.left += 1

    def _vanish(self, process: subprocess.Popen[bytes]) -> None:
        process.kill()
        process.wait()
        if process in self._processes:
            self._processes.remove(process)
        self.vanished += 1

    def _ramp(self) -> None:
        begun = time.monotonic()
        while (at := time.monotonic() - begun) < SCENE_S and not self._over.is_set():
            self._client.send("/segue/tempo", tempo(at + 10.0)[1])
            self._wait(RAMP_S)

    def _link(self) -> None:
        peer = self._peer("link")
        self._source("link")
        self._wait(1.5 * SCENE_S)
        self._leave(peer)
        self._wait(3.0)

    def _peers(self) -> None:
        first = self._peer("link")
        self._source("link")
        self._wait(0.3 * SCENE_S)
        second = self._peer("link")
        self._wait(0.4 * SCENE_S)
        self._vanish(first)
        self._wait(0.3 * SCENE_S)
        self._leave(second)

    def _midi(self) -> None:
        self._clock(0.001)

    def _noisy(self) -> None:
        self._clock(0.015)

    def _clock(self, jitter: float) -> None:
        master = self._peer("midi", jitter)
        self._wait(3.0)
        self._source("midi")
        self._wait(SCENE_S)
        self._vanish(master)
        self._wait(4.0)

    def _bad(self) -> None:
        for value in BAD_TEMPI:
            self._client.send("/segue/tempo", value)
            self._wait(0.3)
        self._client.send("/segue/tempo", "fast")
        self._wait(SCENE_S / 4)

    def _tap(self) -> None:
        self._source("tap")
        for gap in (0.5, 0.51, 0.49, 0.5, 0.5, 0.001, 0.001, 3.5, 0.5, 0.5, 0.5):
            self._client.send("/segue/tap")
            self._wait(gap + self._random.uniform(0.0, 0.01))
        self._wait(SCENE_S / 4)

    def _audio(self) -> None:
        self._source("audio")
        self._wait(1.5 * SCENE_S)


class Witness:
    """A Link peer of its own, which leads nobody: how far the server's beats lie from the session's, ms.

    A performer who nudges the beat, or says where a bar begins, wants it elsewhere than the session has it, until a source is
    taken again: a nudge counts as what it is, and from a downbeat on the beats are judged by the first of them.
    """

    def __init__(self) -> None:
        import link

        self._peer: Any = link.Link(120.0)
        self._peer.enabled = True
        self._bpm, self._stepped = 120.0, 0.0
        self._since: float | None = None
        self._moves: SimpleQueue[tuple[float, float | None]] = SimpleQueue()
        self._shift, self._unknown, self._moved = 0.0, False, 0.0
        self.moves = 0
        self.errors: list[tuple[float, float]] = []  # when, ms

    def move(self, address: str, args: tuple[Any, ...]) -> None:
        """A command of the performer's, before it is sent. Any thread."""
        if address in ("/segue/nudge", "/segue/downbeat"):
            self._moves.put((time.time(), float(args[0]) if args else None))

    def hear(self, event: Event, since: float | None) -> None:
        """A beat of the server's, tagged with its time; since: when Link was taken for the source. One thread."""
        if event.time is None:
            return
        if since != self._since:
            self._since, self._shift, self._unknown = since, 0.0, False
        self._take_moves()
        state, now = self._peer.captureAppSessionState(), time.time()
        bpm = float(state.tempo())
        if abs(bpm - self._bpm) > STEP_BPM:
            self._stepped = now
        self._bpm = bpm
        if since is None or now - max(since, self._stepped) < SETTLED_BEATS * 60.0 / bpm or not self._peer.numPeers():
            return
        if event.time - self._moved < MOVED_S:
            return
        error = float(state.beatAtTime(self._micros(event.time), 4.0)) - self._shift
        error -= round(error)
        if self._unknown:
            self._shift, self._unknown = self._shift + error, False
            return
        self.errors.append((now, 6e4 / bpm * error))

    def _take_moves(self) -> None:
        while not self._moves.empty():
            at, beats = self._moves.get()
            if self._since is not None and at > self._since:
                self._moved, self.moves = at, self.moves + 1
                self._shift, self._unknown = self._shift + (beats or 0.0), self._unknown or beats is None

    def _micros(self, at: float) -> int:
        """Link's time of a unix time; whoever is held up between the two clocks looks again."""
        for _ in range(TRIES):
            before, now = self._peer.clock().micros(), time.time()
            after = self._peer.clock().micros()
            if after - before <= EXACT_US:
                break
        return int(before + after) // 2 + round((at - now) * 1e6)

    def close(self) -> None:
        """Leaves."""
        self._peer.enabled = False

    def report(self) -> dict[str, Any]:
        """Median, 95 %, most, and the median's change from the first third to the last, ms; where it was far off, s.

        moves: how often the performer moved the beat while Link was the source.
        """
        if not self.errors:
            return {"beats": 0, "moves": self.moves}
        size, ms = np.abs([e for _, e in self.errors]), np.array([e for _, e in self.errors])
        third = max(1, len(ms) // 3)
        far = [round(at - self.errors[0][0], 1) for at, error in self.errors if abs(error) > FAR_MS]
        return {
            "beats": len(ms),
            "moves": self.moves,
            "median_ms": round(float(np.median(size)), 3),
            "p95_ms": round(float(np.quantile(size, 0.95)), 3),
            "max_ms": round(float(size.max()), 3),
            "over_3_ms": len(far),
            "over_at_s": far[:SHOWN],
            "drift_ms": round(float(np.median(ms[-third:]) - np.median(ms[:third])), 3),
        }
