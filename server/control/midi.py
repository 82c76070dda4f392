"""The MIDI door: listens to every input there is and lights every output, also those that are plugged in later.

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
from segue.server.control.midi_map import Binding, MidiError, default_map
from segue.server.control.midi_translate import Translator

POLL = 1.0  # seconds between two looks for new ports
SYSTEM = 0xF0  # status bytes from here on are messages to everyone: the clock's among them
_OWN = "segue in"
_OWN_OUT = "segue out"
_log = logging.getLogger(__name__)


class MidiDoor:
    """Listens to every MIDI input whose name matches, also to those that appear later.

    on_command(command): called from any thread. ports: regular expression, searched in port names. api: alsa, jack, or None for
    what this machine has. on_clock(message, time): told the messages of a MIDI clock, from any thread. say(sentence): told once
    whether there is MIDI at all, and which ports come and go. takes(message): whether a message is used up by it and is to be
    carried out no more. on_output(): an output was opened, which knows nothing yet. Both from any thread.
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
        takes: Callable[[Sequence[int]], bool] = lambda message: False,
        on_output: Callable[[], None] = lambda: None,
    ) -> None:
        try:
            self._pattern = re.compile(ports)
        except re.error as error:
            raise MidiError(f"MIDI port pattern {ports!r} is no regular expression: {error}") from None
        if api not in (None, "alsa", "jack"):
            raise MidiError(f"no MIDI system {api!r}: alsa and jack are, or none for what is there")
        self.translator = Translator(default_map(decks) if bindings is None else bindings, decks)
        self._on_command, self._on_clock, self._api, self._say = on_command, on_clock, api, say
        self._takes, self._on_output = takes, on_output
        self._inputs: dict[str, Any] = {}
        self._outputs: dict[str, Any] = {}
        self._probe: Any = None
        self._out_probe: Any = None
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

    def send(self, messages: Sequence[bytes]) -> None:
        """Send to every output; what cannot be sent is left out. From the event loop."""
        for port in tuple(self._outputs.values()):
            with contextlib.suppress(OSError, ValueError):
                for message in messages:
                    port.send_message(message)

    @property
    def outputs(self) -> list[str]:
        """Names of the outputs that are open."""
        return list(self._outputs)

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
            self._look_out(rtmidi, system)
            self._missing = ""
        except (OSError, ImportError, ValueError) as error:  # RtMidi's errors are OSErrors and ValueErrors
            self._forget()
            if str(error) != self._missing:
                self._missing = str(error)
                self._say(f"no MIDI: {error}")

    def _look_out(self, rtmidi: Any, system: int) -> None:
        if self._out_probe is None:
            self._out_probe = rtmidi.MidiOut(system, name="segue")
        names = [name for name in self._out_probe.get_ports() if _OWN not in name and self._pattern.search(name)]
        for name in [known for known in self._outputs if known not in names]:
            self._close_out(name)
        for name in [name for name in names if name not in self._outputs]:
            port = rtmidi.MidiOut(system, name="segue")
            port.open_port(self._out_probe.get_ports().index(name), _OWN_OUT)
            self._outputs[name] = port
            self._on_output()

    def _close_out(self, name: str) -> None:
        port = self._outputs.pop(name)
        with contextlib.suppress(OSError):
            port.close_port()
            port.delete()

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
        for name in list(self._outputs):
            self._close_out(name)
        self._probe = self._out_probe = None

    def _arrived(self, sender: str, event: tuple[list[int], float], data: object = None) -> None:
        arrival = time.time()
        self.received += 1
        if self._on_clock is not None and event[0] and event[0][0] >= SYSTEM:
            self._on_clock(bytes(event[0]), arrival)
            return
        if self._takes(event[0]):
            return
        for command in self.translator.commands(event[0], sender, arrival):
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
    if api != "alsa" and jack_runs():
        return int(rtmidi.API_UNIX_JACK)
    lacks = {"alsa": "no ALSA sequencer (/dev/snd/seq)", "jack": "no JACK server runs"}
    raise OSError(lacks[api] if api else f"{lacks['alsa']} and {lacks['jack']}")


def jack_runs() -> bool:
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
