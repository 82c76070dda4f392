"""The process in which the callback runs: it opens the device, and is simply replaced when the device goes away.

PortAudio waits ten minutes for a JACK server that has died before it closes a stream, and libjack may take its process with it;
so nothing else lives here. Run as `python -m segue.server.audio.host SETTINGS`, JSON that HostSettings describes. Main thread.
"""

from __future__ import annotations

import gc
import json
import os
import signal
import sys
import time
from dataclasses import asdict, dataclass

from segue.server.audio import device, priority
from segue.server.audio.core import make_core
from segue.server.audio.device import DeviceError
from segue.server.audio.memory import SharedMemoryError
from segue.server.audio.segment import Segment
from segue.server.audio.values import StreamState

LOOK_S = 0.05
REFUSED, LOST = 2, 3  # exit codes: could not open, went away


@dataclass(frozen=True)
class HostSettings:
    """Which memory and which device; parent: the process without which this one has no purpose."""

    segment: str
    host_api: str | None
    device: str | None
    block: int
    client_name: str
    parent: int

    def to_json(self) -> str:
        """The one argument."""
        return json.dumps(asdict(self))


def serve(settings: HostSettings, segment: Segment) -> int:
    """Drives the segment's core from the device until one of them ends; the exit code. Raises DeviceError."""
    device.restart(settings.client_name)
    plan = device.plan(settings.host_api, settings.device, segment.rate, settings.block)
    if plan.rate != segment.rate:
        raise DeviceError(
            f"audio: the device runs at {plan.rate} Hz, the stream at {segment.rate} Hz; set it back or start again"
        )
    priority.realtime(priority.AUDIO, inherited=True)  # PortAudio asks for none on ALSA
    segment.pin()  # a page fault in the callback costs more than the callback
    core = make_core(segment)
    stream = device.Stream(plan, segment, core)
    kind = "compiled" if core.compiled else "Python"
    where = f"{plan.output.name} ({plan.output.host_api})"
    segment.set_stream_state(StreamState.RUNNING, f"{where}, {plan.rate} Hz, {plan.period} frames, {kind} callback")
    gc.collect()
    gc.freeze()
    while not segment.stop_asked and os.getppid() == settings.parent:
        if not stream.active:
            return LOST  # and without closing it: see above
        time.sleep(LOOK_S)
    stream.close()
    if os.getppid() != settings.parent:
        segment.unlink()  # its creator was killed and cannot
    return 0


def main() -> None:
    """Leaves without the exit handlers, which would wait for the server that is gone."""
    signal.signal(signal.SIGINT, signal.SIG_IGN)  # Ctrl-C is the parent's to answer
    settings = HostSettings(**json.loads(sys.argv[1]))
    try:
        segment = Segment.attach(settings.segment)
    except SharedMemoryError as error:
        print(f"segue: {error}", file=sys.stderr)
        os._exit(REFUSED)
    try:
        code = serve(settings, segment)
    except DeviceError as error:
        segment.set_stream_state(StreamState.LOST, str(error))
        code = REFUSED
    os._exit(code)


if __name__ == "__main__":
    main()
