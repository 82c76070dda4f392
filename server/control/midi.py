"""The MIDI door: listens to every input there is, also to those that are plugged in later.

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
from functools import partial
from typing import Any

from segue.server.commands import DECKS, Command
from segue.server.control.midi_map import Binding, MidiError, Translator, default_map

POLL = 1.0  # seconds between two looks for new ports
SYSTEM = 0xF0  # status bytes from here on are messages to everyone: the clock's among them
_OWN = "segue in"
_log = logging.getLogger(__name__)


class MidiDoor:
    """Listens to every MIDI input whose name matches, also to those that appear later.

    on_command(command): called from any thread. ports: regular expression, searched in port names. api: alsa, jack, or None for
    what this machine has. on_clock(message, time): told the messages of a MIDI clock, also from any thread. say(sentence): told once
    whether there is MIDI at all, and which ports come and go.
    """

    def __init__(
        self,
        on_command: Callable[[Command], None],
        bindings: Sequence[Binding] | None = None,
        ports: str = ".*",
        api: str | None = None,
        decks: int = DECKS,
        on_clock: Callable[[bytes, float], None] | None = None,
        say: Callable[[str], None] = _log.info,
    ) -> None:
        try:
            self._pattern = re.compile(ports)
        except re.error as error:
            raise MidiError(f"MIDI port pattern {ports!r} is no regular expression: {error}") from None
        if api not in (None, "alsa", "jack"):
            raise MidiError(f"no MIDI system {api!r}: alsa and jack are, or none for what is there")
        self._translator = Translator(default_map(decks) if bindings is None else bindings, decks)
        self._on_command, self._on_clock, self._api, self._say = on_command, on_clock, api, say
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
        if self._on_clock is not None:
            port.ignore_types(timing=False)
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
        if self._on_clock is not None and event[0] and event[0][0] >= SYSTEM:
            self._on_clock(bytes(event[0]), arrival)
            return
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
