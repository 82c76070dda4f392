"""The audio process: makes the segment, keeps the stream open, feeds the file decks.

It imports no sockets and no torch. Main thread only. What it needs to know of the world it is told once; afterwards it speaks
through the segment alone. The callback runs in a process of its own (host.py) wherever there is a device.
"""

from __future__ import annotations

import gc
import os
import subprocess
import sys
import time
from collections.abc import Callable, Sequence
from contextlib import suppress
from typing import Protocol

from segue.server.audio import device, priority
from segue.server.audio.core import make_core
from segue.server.audio.device import DeviceError
from segue.server.audio.feeder import Feeder
from segue.server.audio.host import HostSettings
from segue.server.audio.layout import Geometry
from segue.server.audio.null import NullStream
from segue.server.audio.segment import Segment
from segue.server.audio.values import StreamState
from segue.server.audio.wiring import needed, wired, wishes

LOOK_S = 0.05  # how often the stream is looked after
STALLED_S = 1.0  # no callback for so long: the stream is gone
OPEN_S = 10.0  # a device that takes longer to open has not opened
CLOSE_S = 3.0
BACKOFF_S = (0.25, 4.0)  # shortest and longest wait between attempts to open it again
NULL = "null"


class Settings(Protocol):
    """What the audio process has to know; `segue.server.config.Config` says it."""

    @property
    def segment(self) -> str:
        """Name of the shared memory."""

    @property
    def rate(self) -> int:
        """Hz, where the device leaves a choice."""

    @property
    def block(self) -> int:
        """Frames a callback, where the device leaves a choice."""

    @property
    def decks(self) -> int:
        """How many decks."""

    @property
    def cue(self) -> int:
        """The first of the two output channels of the cue pair, from 1; 0 for none."""

    @property
    def inputs(self) -> Sequence[str]:
        """Which input channels a deck hears, as `2=3,4`, where it is not the next pair."""

    @property
    def open_inputs(self) -> int:
        """How many input channels are opened at least."""

    @property
    def device(self) -> str | None:
        """Part of a device's name, `null`, or None."""

    @property
    def host_api(self) -> str | None:
        """Part of a host API's name, `null`, or None."""

    @property
    def client_name(self) -> str:
        """Our name in JACK."""


class Stream(Protocol):
    """What drives the core."""

    @property
    def active(self) -> bool:
        """Whether it runs."""

    def close(self, patience_s: float) -> None:
        """Ends it, by force after patience_s."""


class HostStream:
    """The process that drives the core from a device."""

    def __init__(self, settings: Settings, segment: Segment) -> None:
        """Starts it; `segment.stream_state` says RUNNING when the device is open."""
        host = HostSettings(segment.name, settings.host_api, settings.device, settings.block, settings.client_name, os.getpid())
        command = [sys.executable, "-m", "segue.server.audio.host", host.to_json()]
        self._process = subprocess.Popen(command, stdin=subprocess.DEVNULL, stdout=subprocess.DEVNULL)

    @property
    def active(self) -> bool:
        """Whether the process lives."""
        return self._process.poll() is None

    def close(self, patience_s: float) -> None:
        """Waits for it to end by itself, and ends it."""
        with suppress(subprocess.TimeoutExpired):
            self._process.wait(patience_s)
        self._process.kill()
        self._process.wait()


class Keeper:
    """Opens the stream, and opens it again when it went away."""

    def __init__(self, settings: Settings) -> None:
        """Looks for the device and makes the segment. Raises DeviceError or SharedMemoryError."""
        self._settings = settings
        self._null = NULL in (settings.device, settings.host_api)
        self.segment = Segment.create(self._geometry(), settings.segment)
        self._stream: Stream | None = None
        self._frame, self._moved = -1, 0.0
        self._wait, self._again = BACKOFF_S[0], 0.0

    def _geometry(self) -> Geometry:
        s = self._settings
        if self._null:
            said = wishes(s.inputs, s.decks)
            channels = max(2 * s.decks, needed(said), s.open_inputs)
            return Geometry(s.rate, s.block, s.decks, in_channels=channels, inputs=wired(s.decks, channels, said), cue=s.cue - 1)
        try:
            device.restart(s.client_name)
            plan = device.plan(s.host_api, s.device, s.rate, s.block)
            return device.geometry(plan, s.decks, cue=s.cue - 1, inputs=s.inputs, open_inputs=s.open_inputs)
        finally:
            device.release()

    def open(self) -> None:
        """Opens the stream and waits until it runs. Raises DeviceError."""
        segment, first = self.segment, self.segment.frame
        segment.set_stream_state(StreamState.STARTING)
        if self._null:
            self._stream = NullStream(segment, make_core(segment))
            segment.set_stream_state(StreamState.RUNNING, f"no device: {segment.rate} Hz, silence")
        else:
            self._stream = HostStream(self._settings, segment)
        deadline = time.monotonic() + OPEN_S
        while segment.frame == first and self._stream.active and time.monotonic() < deadline:
            time.sleep(LOOK_S)
        self._frame, self._moved = segment.frame, time.monotonic()
        if segment.frame == first:
            self._drop()
            raise DeviceError(segment.sentence or "audio: the device was opened and never asked for sound; choose another device")

    def look_after(self) -> None:
        """Notices that the stream is gone, and opens it again after a while."""
        now, frame = time.monotonic(), self.segment.frame
        if frame != self._frame:
            self._frame, self._moved, self._wait = frame, now, BACKOFF_S[0]
        if self._stream is not None and (not self._stream.active or now - self._moved > STALLED_S):
            self._drop()
            self.segment.set_stream_state(StreamState.LOST, "audio: the device went away; waiting for it")
            self._again = now + self._wait
        if self._stream is None and now >= self._again:
            self._reopen()

    def _reopen(self) -> None:
        try:
            self.open()
            self.segment.count_restart()
        except DeviceError as error:
            self.segment.set_stream_state(StreamState.LOST, str(error))
            self._wait = min(2 * self._wait, BACKOFF_S[1])
            self._again = time.monotonic() + self._wait

    def _drop(self, patience: bool = False) -> None:
        if self._stream is not None:
            self._stream.close(CLOSE_S if patience else 0.0)
        self._stream = None

    def close(self) -> None:
        """Ends the stream and removes the segment's name."""
        self.segment.ask_stop()
        self._drop(patience=True)
        self.segment.set_stream_state(StreamState.STOPPED)
        self.segment.unlink()
        self.segment.close()


def run_audio(
    settings: Settings, on_ready: Callable[[Segment], None] | None = None, keep: Callable[[], bool] | None = None
) -> None:
    """Serves until the segment asks for an end, or keep() returns False; returns when everything is given back.

    on_ready is called once, with the stream running. keep is called about twenty times a second, for whoever watches over
    other processes. Raises DeviceError or SharedMemoryError where it cannot start.
    """
    keeper = Keeper(settings)
    feeder = Feeder(keeper.segment)
    awake = None
    try:
        awake = priority.stay_awake()
        keeper.open()
        feeder.start()
        gc.collect()
        gc.freeze()
        if on_ready is not None:
            on_ready(keeper.segment)
        with suppress(KeyboardInterrupt):
            while not keeper.segment.stop_asked and (keep is None or keep()):
                keeper.look_after()
                time.sleep(LOOK_S)
    finally:
        feeder.close()
        keeper.close()
        if awake is not None:
            os.close(awake)
