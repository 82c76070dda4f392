"""The MIDI door: notes and controllers to the Commands that OSC would make, by a small table.

Threads: RtMidi calls back on threads of its own, one more looks for ports once a second; both call `on_command`, which therefore
must take calls from any thread (`loop.call_soon_threadsafe`). Nothing here waits for the event loop.
"""

from __future__ import annotations

import contextlib
import glob
import importlib
import logging
import os
import re
import sys
import threading
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import partial
from typing import Any

import yaml

from segue.server.commands import DECKS, ROOT, Arg, Command, Kind, Spec, Value, addresses

POLL = 1.0  # seconds between two looks for new ports
CHANNEL_MODE = 120  # controllers from here on are channel mode messages (MIDI 1.0): they act whatever their value
NOTE_VERBS = ("continue", "transition", "infill", "vary", "loop", "style", "generate", "stop")
FIRST_NOTE = 36  # the lowest pad of most controllers; a deck has eight
CONTROL_VALUES = (("gain", 0.0, 1.0), ("k", 0.0, 1.0), ("xi", 0.0, 0.3), ("beats", 1.0, 32.0))
FIRST_CONTROL = 20  # 20 to 31 are undefined in MIDI 1.0, free to use
ALL_SOUND_OFF, ALL_NOTES_OFF = 120, 123
_NOTE_OFF, _NOTE_ON, _CONTROL = 0x80, 0x90, 0xB0
_OWN = "segue in"
_log = logging.getLogger(__name__)


class MidiError(ValueError):
    """A MIDI map that cannot be used; str() is a sentence."""


@dataclass(frozen=True)
class Binding:
    """One line of the map. kind is note or control, channel 1 to 16 or None for all; low and high are the values at 0 and 127."""

    kind: str
    number: int
    address: str
    channel: int | None = None
    low: float | None = None
    high: float | None = None


def default_map(decks: int = DECKS) -> tuple[Binding, ...]:
    """Eight notes and four controllers a deck from 36 and 20 on; "all sound off" and "all notes off" are panic."""
    notes = [
        Binding("note", FIRST_NOTE + len(NOTE_VERBS) * (deck - 1) + at, f"{ROOT}/deck/{deck}/{verb}")
        for deck in range(1, decks + 1)
        for at, verb in enumerate(NOTE_VERBS)
    ]
    controls = [
        Binding("control", FIRST_CONTROL + len(CONTROL_VALUES) * (deck - 1) + at, f"{ROOT}/deck/{deck}/{name}", None, low, high)
        for deck in range(1, decks + 1)
        for at, (name, low, high) in enumerate(CONTROL_VALUES)
    ]
    return (*notes, *controls, *(Binding("control", number, f"{ROOT}/panic") for number in (ALL_SOUND_OFF, ALL_NOTES_OFF)))


def dump_map(bindings: Sequence[Binding]) -> str:
    """The map as YAML, a line a binding; `parse_map` reads it."""
    lines = []
    for one in bindings:
        extras = {"channel": one.channel, "low": one.low, "high": one.high}
        pairs = {one.kind: one.number, "address": one.address} | {k: v for k, v in extras.items() if v is not None}
        lines.append("- {" + ", ".join(f"{key}: {value}" for key, value in pairs.items()) + "}\n")
    return "".join(lines)


def parse_map(text: str, decks: int = DECKS) -> tuple[Binding, ...]:
    """The bindings in a YAML list. Raises MidiError with the number of the line that is wrong."""
    try:
        lines = yaml.safe_load(text) or []
    except yaml.YAMLError as error:
        raise MidiError(f"MIDI map is no YAML: {str(error).splitlines()[0]}") from None
    if not isinstance(lines, list):
        raise MidiError("MIDI map is a list, with lines such as - {note: 36, address: /segue/deck/1/continue}")
    known = addresses(decks=decks)
    return tuple(_binding(number, line, known) for number, line in enumerate(lines, 1))


def _binding(at: int, line: object, known: dict[str, tuple[Spec, int | None]]) -> Binding:
    if not isinstance(line, dict) or len({"note", "control"} & set(line)) != 1:
        raise MidiError(f"MIDI map, entry {at}: has to name a note or a control, got {line!r:.80}")
    unknown = set(line) - {"note", "control", "address", "channel", "low", "high"}
    if unknown:
        raise MidiError(f"MIDI map, entry {at}: no key {sorted(map(str, unknown))[0]}; note control address channel low high are")
    kind = "note" if "note" in line else "control"
    _whole(at, kind, line[kind], 0, 127)
    if "channel" in line:
        _whole(at, "channel", line["channel"], 1, 16)
    for key in ("low", "high"):
        if not isinstance(line.get(key, 0), (int, float)):
            raise MidiError(f"MIDI map, entry {at}: {key} is a number, got {line[key]!r:.40}")
    if line.get("address") not in known:
        raise MidiError(f"MIDI map, entry {at}: unknown address {line.get('address')!r:.80}; segue commands lists them")
    return Binding(kind, line[kind], line["address"], line.get("channel"), line.get("low"), line.get("high"))


def _whole(at: int, key: str, value: object, low: int, high: int) -> None:
    if not isinstance(value, int) or not low <= value <= high:
        raise MidiError(f"MIDI map, entry {at}: {key} is a whole number from {low} to {high}, got {value!r:.40}")


class Translator:
    """MIDI bytes to Commands; pure."""

    def __init__(self, bindings: Sequence[Binding], decks: int = DECKS) -> None:
        self._specs = addresses(decks=decks)
        self._bindings: dict[tuple[str, int], list[Binding]] = {}
        for one in bindings:
            self._bindings.setdefault((one.kind, one.number), []).append(one)

    def commands(self, message: Sequence[int], sender: str = "", arrival: float | None = None) -> list[Command]:
        """What a message asks for: (1,) presses, (0,) lets go, as a button over OSC would; a controller of a value sets it."""
        if len(message) < 3 or max(message[1:3]) > 127 or message[0] & 0xF0 not in (_NOTE_OFF, _NOTE_ON, _CONTROL):
            return []
        status, channel = message[0] & 0xF0, (message[0] & 0x0F) + 1
        kind = "control" if status == _CONTROL else "note"
        amount = 0 if status == _NOTE_OFF else message[2]
        return [
            Command(one.address, (self._value(one, amount),), None, sender, arrival)
            for one in self._bindings.get((kind, message[1]), ())
            if one.channel in (None, channel)
        ]

    def _value(self, one: Binding, amount: int) -> Value:
        spec = self._specs[one.address][0]
        if spec.kind is Kind.VALUE:
            return _scaled(one, spec.args[0], amount)
        if one.kind == "control":
            return int(one.number >= CHANNEL_MODE or amount >= 64)  # a pedal is down from 64 on
        return int(amount > 0)


def _scaled(one: Binding, arg: Arg, amount: int) -> Value:
    share = amount / 127
    if arg.choices:
        return arg.choices[round(share * (len(arg.choices) - 1))]
    low = one.low if one.low is not None else arg.low if arg.low is not None else 0.0
    high = one.high if one.high is not None else arg.high if arg.high is not None else 1.0
    value = low + (high - low) * share
    return round(value) if arg.type in "ib" else value


class MidiDoor:
    """Listens to every MIDI input whose name matches, also to those that appear later.

    on_command(command): called from any thread. ports: regular expression, searched in port names. api: alsa, jack, or None for
    what this machine has. say(sentence): told once whether there is MIDI at all, and which ports come and go.
    """

    def __init__(
        self,
        on_command: Callable[[Command], None],
        bindings: Sequence[Binding] | None = None,
        ports: str = ".*",
        api: str | None = None,
        decks: int = DECKS,
        say: Callable[[str], None] = _log.info,
    ) -> None:
        try:
            self._pattern = re.compile(ports)
        except re.error as error:
            raise MidiError(f"MIDI port pattern {ports!r} is no regular expression: {error}") from None
        if api not in (None, "alsa", "jack"):
            raise MidiError(f"no MIDI system {api!r}: alsa and jack are, or none for what is there")
        self._translator = Translator(default_map(decks) if bindings is None else bindings, decks)
        self._on_command, self._api, self._say = on_command, api, say
        self._inputs: dict[str, Any] = {}
        self._probe: Any = None
        self._missing = ""
        self._server: list[tuple[str, int]] = []
        self._over = threading.Event()
        self._thread = threading.Thread(target=self._watch, name="segue midi ports", daemon=True)
        self.received = 0

    def open(self) -> None:
        """Open the ports that are there and look for others from now on. Never fails: without MIDI, `say` is told so once."""
        self._look()
        self._thread.start()

    def close(self) -> None:
        """Close every port."""
        self._over.set()
        if self._thread.is_alive():
            self._thread.join()
        self._forget()

    @property
    def ports(self) -> list[str]:
        """Names of the ports that are open."""
        return list(self._inputs)

    def _watch(self) -> None:
        while not self._over.wait(POLL):
            self._look()

    def _look(self) -> None:
        """Open what has come, close what has gone."""
        try:
            rtmidi = _rtmidi()
            system = _system(rtmidi, self._api)  # first, since asking a system that has gone can block
            server = _jack_sockets() if system == rtmidi.API_UNIX_JACK else []
            if server != self._server:
                self._forget()
                self._server = server
            if self._probe is None:
                self._probe = rtmidi.MidiIn(system, name="segue")
            names = [name for name in self._probe.get_ports() if _OWN not in name and self._pattern.search(name)]
            for name in [known for known in self._inputs if known not in names]:
                self._close(name)
            for name in [name for name in names if name not in self._inputs]:
                self._open(rtmidi.MidiIn(system, name="segue"), name)
            self._missing = ""
        except (OSError, ImportError, ValueError) as error:  # RtMidi's errors are OSErrors and ValueErrors
            self._forget()
            if str(error) != self._missing:
                self._missing = str(error)
                self._say(f"no MIDI: {error}")

    def _open(self, port: Any, name: str) -> None:
        port.set_callback(partial(self._arrived, f"midi:{name}"))
        port.open_port(self._probe.get_ports().index(name), _OWN)
        self._inputs[name] = port
        self._say(f"MIDI in: {name}")

    def _close(self, name: str) -> None:
        port = self._inputs.pop(name)
        with contextlib.suppress(OSError):
            port.cancel_callback()
            port.close_port()
            port.delete()
        self._say(f"MIDI gone: {name}")

    def _forget(self) -> None:
        for name in list(self._inputs):
            self._close(name)
        self._probe = None

    def _arrived(self, sender: str, event: tuple[list[int], float], data: object = None) -> None:
        arrival = time.time()
        self.received += 1
        for command in self._translator.commands(event[0], sender, arrival):
            try:
                self._on_command(command)
            except Exception:  # RtMidi's thread has nobody to catch it
                _log.exception("%s from %s failed", command.address, sender)


def _rtmidi() -> Any:
    try:
        return importlib.import_module("rtmidi")
    except ImportError:
        raise ImportError('python-rtmidi is not installed: pip install "segue[midi]"') from None


def _system(rtmidi: Any, api: str | None) -> int:
    """RtMidi's number of the MIDI system. The file system is asked, because libraries of a missing one print. Raises OSError."""
    if sys.platform != "linux":
        return int(rtmidi.API_UNSPECIFIED)
    if api != "jack" and os.path.exists("/dev/snd/seq"):
        return int(rtmidi.API_LINUX_ALSA)
    if api != "alsa" and _jack_runs():
        return int(rtmidi.API_UNIX_JACK)
    lacks = {"alsa": "no ALSA sequencer (/dev/snd/seq)", "jack": "no JACK server runs"}
    raise OSError(lacks[api] if api else f"{lacks['alsa']} and {lacks['jack']}")


def _jack_runs() -> bool:
    """Whether the JACK server that a client would find is there."""
    return bool(_jack_sockets())


def _jack_sockets() -> list[tuple[str, int]]:
    """Socket files of the JACK server and their inodes, which a new server renews: jack2 in /dev/shm, PipeWire in the session."""
    name = glob.escape(os.environ.get("JACK_DEFAULT_SERVER", "default"))
    session = glob.escape(os.environ.get("XDG_RUNTIME_DIR", "/nowhere"))
    found = []
    for path in sorted(glob.glob(f"/dev/shm/jack_{name}_[0-9]*") + glob.glob(f"{session}/pipewire-0")):
        with contextlib.suppress(OSError):
            found.append((path, os.stat(path).st_ino))
    return found
