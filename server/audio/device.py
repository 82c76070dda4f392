"""Audio devices through PortAudio: which there are, which one is meant, and the stream that drives our callback.

The host API is always named: a default device may be an emulation of another (ALSA's `jack` plug-in cost 1 to 6 ms).
On JACK, PortAudio connects our ports to those of the device that was chosen; other connections are the user's to make.
Main thread of the audio process only; the callback itself runs in PortAudio's thread.
"""

from __future__ import annotations

import os
from collections.abc import Callable, Sequence
from contextlib import suppress
from dataclasses import dataclass
from types import ModuleType
from typing import Any

from segue.server.audio.core import CompiledCore, Core
from segue.server.audio.jack import jack_period, name_client
from segue.server.audio.layout import Geometry
from segue.server.audio.rings import Audio
from segue.server.audio.segment import Segment
from segue.server.audio.wiring import needed, wired, wishes

PREFERRED = ("JACK", "ASIO", "Core Audio", "WASAPI", "ALSA", "OSS")
INSTALL = "install PortAudio (Debian and Ubuntu: apt-get install libportaudio2)"
SILENT = "start JACK (jackd -d dummy needs no sound card), or play silently with --device null"


class DeviceError(OSError):
    """No stream on that device; str() is a sentence."""


@dataclass(frozen=True)
class Device:
    """One of PortAudio's devices; rate: its own, in Hz."""

    index: int
    name: str
    host_api: str
    inputs: int
    outputs: int
    rate: int


@dataclass(frozen=True)
class Plan:
    """What will be opened. period: frames a callback, as far as the host API tells."""

    output: Device
    input: Device | None
    rate: int
    period: int


def portaudio() -> ModuleType:
    """sounddevice, which loads PortAudio. Raises DeviceError with what to install."""
    os.environ.setdefault("JACK_NO_START_SERVER", "1")  # to look for a server is not to start one
    try:
        import sounddevice
    except OSError as error:
        raise DeviceError(f"audio: {error}; {INSTALL}") from None
    module: ModuleType = sounddevice
    return module


def restart(client_name: str) -> None:
    """Lets PortAudio look again at what is there; JACK will know us as client_name."""
    sd = portaudio()
    release()
    name_client(sd._libname, client_name)
    sd._initialize()


def release() -> None:
    """Lets go of PortAudio, and with it of our client at the JACK server."""
    with suppress(DeviceError):
        sd = portaudio()
        while sd._initialized:  # it counts; terminating once too often is an error
            sd._terminate()


def devices() -> list[Device]:
    """All devices of all host APIs."""
    sd = portaudio()
    apis = [str(api["name"]) for api in sd.query_hostapis()]
    return [
        Device(
            int(d["index"]), str(d["name"]), apis[d["hostapi"]], int(d["max_input_channels"]), int(d["max_output_channels"]),
            round(d["default_samplerate"]),
        )
        for d in sd.query_devices()
    ]  # fmt: skip


def choose(
    found: list[Device], host_api: str | None, name: str | None, defaults: dict[str, tuple[int, int]]
) -> tuple[Device, Device]:
    """(output, input) by part of a host API's and of a device's name, in any case; input may equal output and have no inputs.

    defaults: for each host API its default input's and output's index, -1 for none. Raises DeviceError.
    """
    usable = [d for d in found if d.outputs > 0 and (host_api or "").lower() in d.host_api.lower()]
    named = [d for d in usable if (name or "").lower() in d.name.lower()]
    if not named:
        asked = " ".join(word for word in (host_api, name) if word)
        there = ", ".join(f"{d.name} ({d.host_api})" for d in found if d.outputs) or "none"
        called = f" that is called {asked}" if asked else ""
        raise DeviceError(f"audio: no output device{called}; there are: {there}; {SILENT}")
    best = min(named, key=lambda d: (_rank(d.host_api), d.index != defaults.get(d.host_api, (-1, -1))[1]))
    return best, _input_beside(best, found, defaults)


def _rank(host_api: str) -> int:
    return next((i for i, word in enumerate(PREFERRED) if word.lower() in host_api.lower()), len(PREFERRED))


def _input_beside(output: Device, found: list[Device], defaults: dict[str, tuple[int, int]]) -> Device:
    if output.inputs:
        return output
    default = defaults.get(output.host_api, (-1, -1))[0]
    return next((d for d in found if d.index == default and d.inputs), output)


def plan(host_api: str | None, name: str | None, rate: int, block: int) -> Plan:
    """What to open for those wishes. A device that refuses the rate is run at its own. Raises DeviceError."""
    sd = portaudio()
    defaults = {str(a["name"]): (int(a["default_input_device"]), int(a["default_output_device"])) for a in sd.query_hostapis()}
    output, beside = choose(devices(), host_api, name, defaults)
    period = block
    if "JACK" in output.host_api:
        rate, period = output.rate, jack_period() or block
    else:
        try:
            sd.check_output_settings(output.index, channels=2, dtype="float32", samplerate=rate)
        except (sd.PortAudioError, ValueError):
            rate = output.rate
    return Plan(output, beside if beside.inputs else None, rate, period)


def geometry(
    p: Plan, decks: int, per_deck_out: bool = False, cue: int = -1, inputs: Sequence[str] = (), open_inputs: int = 0
) -> Geometry:
    """The segment's sizes for a plan; cue: first of the cue pair's channels, from 0. Raises DeviceError, and ValueError.

    inputs: which channels a deck hears, as `2=3,4`, where it is not the next pair. open_inputs: as many at least are opened.
    """
    said, there = wishes(inputs, decks), p.input.inputs if p.input else 0
    if needed(said) > there:
        which = p.input.name if p.input else p.output.name
        raise DeviceError(f"audio: input {needed(said)} is to be heard, {which} has {there}; choose others, or another device")
    opened = min(there, max(2 * decks, needed(said), open_inputs))
    channels = max(2 * decks if per_deck_out else 2, cue + 2)
    if p.output.outputs < channels:
        raise DeviceError(f"audio: {channels} outputs are needed, {p.output.name} has {p.output.outputs}; choose another device")
    wires = wired(decks, opened, said)
    counts = {"in_channels": opened, "out_channels": channels}
    return Geometry(p.rate, p.period, decks, **counts, inputs=wires, per_deck_out=per_deck_out, cue=cue)


class Stream:
    """An open stream that drives a core."""

    def __init__(self, p: Plan, segment: Segment, core: Core) -> None:
        """Opens and starts. Raises DeviceError."""
        sd, h = portaudio(), segment.header
        self.plan = p
        callback, userdata = pointers(core) if isinstance(core, CompiledCore) else (python_callback(core, segment), None)
        # Told a size, PortAudio puts a buffer of its own between JACK's period and ours, which costs a block.
        size = 0 if "JACK" in p.output.host_api else p.period
        settings: dict[str, Any] = {"samplerate": p.rate, "blocksize": size, "callback": callback, "userdata": userdata}
        settings |= {} if userdata is not None else {"wrap_callback": "array"}
        pair = (p.input.index, p.output.index) if p.input and h.in_channels else p.output.index
        channels = (h.in_channels, h.out_channels) if isinstance(pair, tuple) else h.out_channels
        kind = "duplex" if isinstance(pair, tuple) else "output"
        try:
            self._stream = sd._StreamBase(
                kind, device=pair, channels=channels, dtype="float32", latency="low", clip_off=True, dither_off=True, **settings
            )
            self._stream.start()
        except (sd.PortAudioError, ValueError) as error:
            asked = f"{p.output.name} ({p.output.host_api}) refused {p.rate} Hz with {p.period} frames"
            raise DeviceError(f"audio: {asked}: {error}; choose another device") from None

    @property
    def active(self) -> bool:
        """Whether PortAudio still calls back, as far as it knows."""
        return bool(self._stream.active)

    def close(self) -> None:
        """Stops at once."""
        with suppress(Exception):  # the server may be gone already
            self._stream.abort()
        with suppress(Exception):
            self._stream.close()


def pointers(core: CompiledCore) -> tuple[Any, Any]:
    """The compiled callback and its userdata as sounddevice's own cffi wants them."""
    import _sounddevice

    ffi = _sounddevice.ffi
    return ffi.cast("PaStreamCallback *", core.callback), ffi.cast("void *", core.userdata)


def python_callback(core: Core, segment: Segment) -> Callable[..., None]:
    """A callback in Python, for the twin."""

    def callback(*arguments: Any) -> None:
        *heard, out, frames, _, status = arguments
        if status:
            segment.header.counters.status_xruns += 1
        block: Audio | None = heard[0].T if heard else None
        out[:] = core.run(block, frames).T

    return callback
