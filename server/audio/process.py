"""The audio process: makes the segment, opens the stream, keeps it open, feeds the file decks. It imports no sockets and no torch.

Main thread only. What it needs to know of the world it is told once; afterwards it speaks through the segment alone.
"""

from __future__ import annotations

import gc
import time
from collections.abc import Callable
from contextlib import suppress
from typing import Protocol

from segue.server.audio import device
from segue.server.audio.core import Core, make_core
from segue.server.audio.device import DeviceError
from segue.server.audio.feeder import Feeder
from segue.server.audio.layout import Geometry
from segue.server.audio.null import NullStream
from segue.server.audio.segment import Segment
from segue.server.audio.values import StreamState

LOOK_S = 0.05  # how often the stream is looked after
STALLED_S = 1.0  # no callback for so long: the stream is gone
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

    def close(self) -> None:
        """Ends it."""


class Keeper:
    """Opens the stream, and opens it again when it went away."""

    def __init__(self, settings: Settings) -> None:
        """Looks for the device and makes the segment. Raises DeviceError or SharedMemoryError."""
        self._settings = settings
        self._null = NULL in (settings.device, settings.host_api)
        if self._null:
            geometry = Geometry(settings.rate, settings.block, settings.decks)
        else:
            device.restart(settings.client_name)
            geometry = device.geometry(self._plan(settings.rate), settings.decks)
        self.segment = Segment.create(geometry, settings.segment)
        self.core: Core = make_core(self.segment)
        self._stream: Stream | None = None
        self._frame, self._moved = -1, time.monotonic()
        self._wait, self._again = BACKOFF_S[0], 0.0

    def _plan(self, rate: int) -> device.Plan:
        return device.plan(self._settings.host_api, self._settings.device, rate, self._settings.block)

    def open(self) -> None:
        """Opens the stream. Raises DeviceError."""
        self._frame, self._moved = -1, time.monotonic()
        if self._null:
            self._stream = NullStream(self.segment, self.core)
            self.segment.set_stream_state(StreamState.RUNNING, f"no device: {self.segment.rate} Hz, silence")
            return
        plan, segment = self._plan(self.segment.rate), self.segment
        if plan.rate != segment.rate:
            raise DeviceError(f"audio: the device came back at {plan.rate} Hz, the stream is at {segment.rate} Hz; start again")
        self._stream = device.Stream(plan, segment, self.core)
        kind = "compiled" if self.core.compiled else "Python"
        words = f"{plan.output.name} ({plan.output.host_api}), {plan.rate} Hz, {plan.period} frames, {kind} callback"
        segment.set_stream_state(StreamState.RUNNING, words)

    def look_after(self) -> None:
        """Notices that the stream is gone, and opens it again after a while."""
        now, frame = time.monotonic(), self.segment.frame
        if frame != self._frame:
            self._frame, self._moved = frame, now
        if self._stream is not None and (not self._stream.active or now - self._moved > STALLED_S):
            self._lose(now)
        if self._stream is None and now >= self._again:
            self._reopen(now)

    def _lose(self, now: float) -> None:
        self.segment.set_stream_state(StreamState.LOST, "audio: the device went away; waiting for it")
        if self._stream is not None:
            self._stream.close()
        self._stream, self._wait = None, BACKOFF_S[0]
        self._again = now + self._wait

    def _reopen(self, now: float) -> None:
        try:
            if not self._null:
                device.restart(self._settings.client_name)
            self.open()
            self.segment.count_restart()
        except Exception as error:  # PortAudio may raise anything while its server comes and goes; the next attempt tells
            self.segment.set_stream_state(StreamState.LOST, str(error))
            self._wait = min(2 * self._wait, BACKOFF_S[1])
            self._again = now + self._wait

    def close(self) -> None:
        """Ends the stream and removes the segment's name."""
        if self._stream is not None:
            self._stream.close()
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
    try:
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
