"""A player and recorder beside a server under test: our own callback as a second JACK client, so that neither drops a sample.

Its deck 1 plays a file to the server's input; its deck 2 hears the server's output, silently.
"""

from __future__ import annotations

import os
import subprocess
import time
from types import TracebackType

import numpy as np

from segue.server.audio.feeder import Feeder
from segue.server.audio.process import Keeper
from segue.server.audio.segment import Segment
from segue.server.audio.values import Command, FileState, Ring, Tape
from segue.server.config import Config
from segue.server.jobs import Audio

NAME = "tape"
PATIENCE_S = 20.0


class Player:
    """Plays one file and records what comes back. Use it as a context manager; JACK_DEFAULT_SERVER names the server."""

    def __init__(self, rate: int, block: int) -> None:
        """Opens a client of its own. Raises DeviceError."""
        settings = Config(segment=f"segue-tape-{os.getpid()}", rate=rate, block=block, host_api="JACK", client_name=NAME)
        self._keeper = Keeper(settings)
        self.segment: Segment = self._keeper.segment
        self._feeder = Feeder(self.segment)
        self._parts: list[Audio] = []
        self._recorded = 0
        self.first = 0  # our frame of the recording's first sample
        self.started = 0  # our frame at which the file began

    def __enter__(self) -> Player:
        self._keeper.open()
        self._feeder.start()
        self.segment.push(Command.set_gain(1, 0.0))
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None) -> None:
        self._feeder.close()
        self._keeper.close()

    def connect(self, server: str, heard_only: bool = False) -> None:
        """Our player into the server's first deck, the server's output into our recorder; nothing else of ours connected.

        heard_only: the server is only heard.
        """
        for port in _ports():
            if port.startswith(f"{NAME}:"):
                for other in _connected(port):
                    subprocess.run(["jack_disconnect", port, other], capture_output=True, check=False)
        for ours, theirs in () if heard_only else (("out_0", "in_0"), ("out_1", "in_1")):
            _unplug(f"{server}:{theirs}")
            _plug(f"{NAME}:{ours}", f"{server}:{theirs}")
        for ours, theirs in (("in_2", "out_0"), ("in_3", "out_1")):
            _plug(f"{server}:{theirs}", f"{NAME}:{ours}")

    def start(self, path: str) -> None:
        """Begins to record, then to play the file from its beginning."""
        ticket = self.segment.request_file(0, path)
        until = time.monotonic() + PATIENCE_S
        while (status := self.segment.file_status(0)).ticket != ticket or status.state is FileState.LOADING:
            if time.monotonic() > until:
                raise TimeoutError(f"{path}: not loaded after {PATIENCE_S:g} s")
            time.sleep(0.02)
        if status.state is not FileState.READY:
            raise ValueError(status.sentence)
        self.begin()
        self.started = self.segment.frame + self.segment.rate // 2
        self.segment.push(Command.feed(0, Tape.PLAY, self.started, 0, status.file))

    def begin(self) -> None:
        """Begins to record."""
        self._parts.clear()
        self.first = self._recorded = self.segment.frame

    def mute(self) -> None:
        """The performer stops, now."""
        self.segment.push(Command.set_gain(0, 0.0))

    def listen(self) -> None:
        """Takes what was recorded so far out of the ring; call it at least once a minute."""
        written = self.segment.written(Ring.INPUT, 1)
        if written > self._recorded:
            self._parts.append(self.segment.read(Ring.INPUT, 1, written, written - self._recorded))
            self._recorded = written

    def recording(self) -> Audio:
        """Everything recorded, `[2, n]`, from our frame `first` on."""
        self.listen()
        return np.concatenate(self._parts, axis=1)

    def origin(self, server: Segment) -> int:
        """The server's frame that is the recording's first sample.

        The two clients are a circle, which JACK opens where it was closed last: what the server plays reaches us a cycle late.
        """
        return self.first + self.offset(server) - self.segment.block

    def offset(self, server: Segment) -> int:
        """Server frame minus our frame of one and the same cycle."""
        found = []
        for _ in range(50):
            ours, theirs = self.segment.clock_pair(), server.clock_pair()
            lag = (theirs.realtime - ours.realtime) * 1e-9 * self.segment.rate
            # Within a cycle both callbacks run at almost the same time, and both count whole periods.
            period = max(1, ours.block)
            between = theirs.frame - ours.frame
            found.append(round((between - lag - between % period) / period) * period + between % period)
            time.sleep(0.003)
        return int(np.median(found))


def _ports() -> list[str]:
    return subprocess.run(["jack_lsp"], capture_output=True, text=True, check=True).stdout.split()


def _connected(port: str) -> list[str]:
    lines = subprocess.run(["jack_lsp", "-c", port], capture_output=True, text=True, check=True).stdout.splitlines()
    return [line.strip() for line in lines if line.startswith(" ")]


def _unplug(port: str) -> None:
    for other in _connected(port):
        subprocess.run(["jack_disconnect", other, port], capture_output=True, check=False)


def _plug(source: str, target: str) -> None:
    subprocess.run(["jack_connect", source, target], capture_output=True, check=True)
