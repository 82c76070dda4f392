"""MIDI: the map, the Commands it makes, and a real JACK server with a real sender."""

from __future__ import annotations

import os
import queue
import shutil
import signal
import subprocess
import threading
import time
from collections.abc import Iterator
from itertools import islice, pairwise

import pytest
from hypothesis import given
from hypothesis import strategies as st

from segue.server.binding import is_release
from segue.server.commands import Command, addresses
from segue.server.control import midi
from segue.server.control.midi import MidiDoor
from segue.server.control.midi_map import Binding, MidiError, default_map, dump_map, parse_map
from segue.server.control.midi_translate import Translator
from segue.server.control.packets import decode, encode
from segue.server.control.patterns import resolve

PATIENCE = 10.0
TABLE = addresses()
TRANSLATOR = Translator(default_map())
BYTE = st.integers(0, 127)


@pytest.mark.parametrize(
    ("message", "address", "args"),
    [
        ((0x90, 36, 100), "/segue/deck/1/continue", (1,)),
        ((0x95, 37, 1), "/segue/deck/1/transition", (1,)),
        ((0x90, 43, 1), "/segue/deck/1/stop", (1,)),
        ((0x90, 44, 1), "/segue/deck/2/continue", (1,)),
        ((0x90, 51, 1), "/segue/deck/2/stop", (1,)),
        ((0x90, 36, 0), "/segue/deck/1/continue", (0,)),
        ((0x80, 36, 64), "/segue/deck/1/continue", (0,)),
        ((0xB0, 20, 127), "/segue/deck/1/gain", (1.0,)),
        ((0xB0, 25, 0), "/segue/deck/2/k", (0.0,)),
        ((0xB0, 120, 0), "/segue/panic", (1,)),
        ((0xBF, 123, 0), "/segue/panic", (1,)),
    ],
)
def test_the_default_map_makes_the_commands_of_osc(message, address, args):
    (command,) = TRANSLATOR.commands(message)
    over_osc = decode(encode(address, args))[0]
    assert command == Command(over_osc.address, over_osc.args)
    assert (resolve(command, TABLE) == []) == (message[0] < 0xB0 and args == (0,))


@given(st.lists(st.integers(0, 255), max_size=5))
def test_any_bytes_make_commands_that_the_table_takes(message):
    for command in TRANSLATOR.commands(message):
        resolve(command, TABLE)


@given(BYTE, BYTE)
def test_a_controller_stays_within_the_range_of_its_value(number, amount):
    for spec, deck in TABLE.values():
        if spec.kind.value == "value":
            one = Binding("control", number, spec.address.format(deck=deck))
            made = Translator([one]).commands((0xB0, number, amount))
            words = spec.args[0].type == "s" and not spec.args[0].choices
            assert [len(resolve(command, TABLE)) for command in made] == ([] if words else [1])


def test_a_pedal_is_down_from_64_on():
    pedal = Translator([Binding("control", 64, "/segue/deck/1/continue")])
    assert [pedal.commands((0xB0, 64, amount))[0].args for amount in (0, 63, 64, 127)] == [(0,), (0,), (1,), (1,)]
    assert is_release(TABLE["/segue/deck/1/continue"][0], (0,))


def test_a_channel_limits_a_binding():
    one = Translator([Binding("note", 60, "/segue/deck/1/loop", channel=10)])
    assert one.commands((0x99, 60, 1)) != []
    assert one.commands((0x90, 60, 1)) == []


def test_the_map_survives_its_text():
    assert parse_map(dump_map(default_map())) == default_map()
    assert parse_map("") == ()
    assert len({(one.kind, one.number) for one in default_map()}) == len(default_map())


@pytest.mark.parametrize(
    ("text", "sentence"),
    [
        ("{", "MIDI map is no YAML"),
        ("note: 36", "MIDI map is a list"),
        ("- {address: /segue/panic}", "entry 1: has to name a note or a control or a program"),
        (
            "- {note: 36, address: /segue/panic}\n- {note: 128, address: /segue/panic}",
            "entry 2: note is a whole number from 0 to 127, got 128",
        ),
        ("- {note: 36, address: /segue/zap}", "entry 1: unknown address '/segue/zap'"),
        ("- {note: 36, address: /segue/panic, chanel: 1}", "entry 1: no key chanel"),
        ("- {note: 36, address: /segue/panic, channel: 17}", "channel is a whole number from 1 to 16, got 17"),
        ("- {control: 36, address: /segue/tempo, low: a}", "low is a number, got 'a'"),
    ],
)
def test_a_bad_map_is_a_sentence(text, sentence):
    with pytest.raises(MidiError, match=sentence):
        parse_map(text)


@pytest.mark.parametrize("arguments", [{"ports": "("}, {"api": "windows"}])
def test_bad_settings_are_sentences(arguments):
    with pytest.raises(MidiError):
        MidiDoor(lambda command: None, **arguments)


def test_a_machine_without_midi_runs_on_and_says_so_once(monkeypatch):
    monkeypatch.setenv("JACK_DEFAULT_SERVER", "nobody")
    monkeypatch.delenv("XDG_RUNTIME_DIR", raising=False)
    monkeypatch.setattr(midi, "POLL", 0.01)
    said: list[str] = []
    door = MidiDoor(lambda command: None, api="jack", say=said.append)
    looked = threading.Event()
    look, times = door._look, iter(range(5))

    def counted() -> None:
        look()
        if next(times, None) is None:
            looked.set()

    monkeypatch.setattr(door, "_look", counted)
    door.open()
    assert looked.wait(PATIENCE)
    door.close()
    assert len(said) == 1
    assert said[0].startswith("no MIDI: ")


@pytest.fixture
def jack_process(monkeypatch) -> Iterator[tuple[str, int]]:
    """A JACK server of our own on its dummy driver: its name and its process."""
    if shutil.which("jackd") is None:
        pytest.skip("jackd is missing: apt-get install jackd2")
    pytest.importorskip("rtmidi", reason="python-rtmidi is missing: pip install segue[midi]")
    name = f"midi{os.getpid()}"
    monkeypatch.setenv("JACK_DEFAULT_SERVER", name)
    monkeypatch.delenv("XDG_RUNTIME_DIR", raising=False)
    # Long periods: JACK drops the events of a client that misses one, and this machine may be busy.
    command = ["jackd", "-n", name, "-r", "-d", "dummy", "-r", "44100", "-p", "2048"]
    server = subprocess.Popen(command, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
    try:
        until = time.monotonic() + PATIENCE
        while not midi.jack_runs():
            assert server.poll() is None, "jackd ended"
            assert time.monotonic() < until, "jackd has no socket"
            time.sleep(0.02)
        yield name, server.pid
    finally:
        server.terminate()
        server.wait(PATIENCE)


@pytest.fixture
def jack_server(jack_process) -> str:
    return jack_process[0]


class Sender:
    """A JACK client with one MIDI output."""

    def __init__(self, server: str) -> None:
        jack = pytest.importorskip("jack", reason="JACK-Client is missing: pip install segue[dev]")
        self.client = jack.Client("pads", no_start_server=True, servername=server)
        self.port = self.client.midi_outports.register("out")
        self.waiting: queue.SimpleQueue[bytes] = queue.SimpleQueue()
        self.client.set_process_callback(self._process)
        self.client.activate()

    def _process(self, frames: int) -> None:
        self.port.clear_buffer()
        offset = 0
        while not self.waiting.empty() and offset < frames:
            self.port.write_midi_event(offset, self.waiting.get())
            offset += 1

    def until_heard(self, heard: queue.SimpleQueue[Command], message: bytes) -> None:
        """Send until it arrives: JACK makes a connection only cycles after it was asked for."""
        until = time.monotonic() + PATIENCE
        while heard.empty():
            assert time.monotonic() < until, "JACK did not connect"
            self.waiting.put(message)
            time.sleep(0.02)

    def close(self) -> None:
        self.client.deactivate()
        self.client.close()


def test_a_jack_client_plays_the_verbs_and_may_come_and_go(jack_server, monkeypatch):
    monkeypatch.setattr(midi, "POLL", 0.05)
    heard: queue.SimpleQueue[Command] = queue.SimpleQueue()
    said: queue.SimpleQueue[str] = queue.SimpleQueue()
    door = MidiDoor(heard.put, ports="pads", api="jack", say=said.put)
    door.open()
    try:
        assert door.ports == []
        for _ in range(2):  # the second time it comes back
            sender = Sender(jack_server)
            assert said.get(timeout=PATIENCE).startswith("MIDI in: pads")
            sender.until_heard(heard, b"\x90\x32\x01")
            before = time.time()
            for message in (b"\x90\x24\x64", b"\x80\x24\x00", b"\xb0\x14\x7f", b"\xf8", b"\xb0\x7b\x00"):
                sender.waiting.put(message)
            everything = iter(lambda: heard.get(timeout=PATIENCE), None)
            commands = list(islice((c for c in everything if c.address != "/segue/deck/2/generate"), 4))
            assert [(c.address, c.args) for c in commands] == [
                ("/segue/deck/1/continue", (1,)),
                ("/segue/deck/1/continue", (0,)),
                ("/segue/deck/1/gain", (1.0,)),
                ("/segue/panic", (1,)),
            ]
            assert all(before <= c.arrival <= time.time() for c in commands)
            assert commands[0].sender.startswith("midi:pads")
            sender.close()
            assert said.get(timeout=PATIENCE).startswith("MIDI gone: pads")
            while not heard.empty():
                heard.get()
    finally:
        door.close()


def test_a_clock_on_jack_is_heard_to_the_sample(jack_server, monkeypatch):
    """Ticks written at known places of JACK's periods come with those places' times, which RtMidi does not tell."""
    jack_clock = pytest.importorskip("segue.server.control.jack_clock")
    if not jack_clock.available():
        pytest.skip("the compiled reader is missing: set up again with a compiler")
    monkeypatch.setattr(jack_clock, "POLL", 0.05)
    heard: list[tuple[bytes, float]] = []
    clock = jack_clock.JackClock(lambda message, time: heard.append((message, time)), "pads")
    sender = TickSender(jack_server)
    clock.open()
    try:
        until = time.monotonic() + PATIENCE
        while len(heard) < 150:
            assert time.monotonic() < until, "no ticks came"
            clock.drain()
            time.sleep(0.005)
        assert {message for message, _ in heard} == {b"\xf8", b"\xf2\x01\x02"}  # the notes between them are not its business
        ticks = [when for message, when in heard if message == b"\xf8"]
        assert abs(time.time() - ticks[-1]) < 1.0
        intervals = [(b - a) * 44_100 for a, b in pairwise(ticks)]
        assert abs(sorted(intervals)[len(intervals) // 2] - TickSender.EVERY) < 8  # JACK's clock goes at its own pace, nearly
    finally:
        sender.close()
        clock.close()


def test_a_clock_on_jack_is_on_time_again_soon_after_lost_periods(jack_process, monkeypatch):
    """JACK's own map of frames to times was 200 ms off then, and took seconds to find back."""
    jack_clock = pytest.importorskip("segue.server.control.jack_clock")
    if not jack_clock.available():
        pytest.skip("the compiled reader is missing: set up again with a compiler")
    monkeypatch.setattr(jack_clock, "POLL", 0.05)
    heard: list[float] = []
    clock = jack_clock.JackClock(lambda message, when: heard.append(when) if message == b"\xf8" else None, "pads")
    sender = TickSender(jack_process[0])
    clock.open()

    def listen(seconds: float) -> None:
        until = time.monotonic() + seconds
        while time.monotonic() < until:
            clock.drain()
            time.sleep(0.005)

    try:
        until = time.monotonic() + PATIENCE
        while len(heard) < 50:
            assert time.monotonic() < until, "no ticks came"
            listen(0.1)
        os.kill(jack_process[1], signal.SIGSTOP)
        time.sleep(0.2)
        os.kill(jack_process[1], signal.SIGCONT)
        listen(0.2)
        known = len(heard)
        listen(0.4)
        sender.silent = True
        listen(0.3)
        sent = sender.times[-len(heard) :]
        late = [when - meant for when, meant in zip(heard, sent, strict=True)][known:]
        assert len(late) > 15
        assert abs(sorted(late)[len(late) // 2]) < 0.02
    finally:
        os.kill(jack_process[1], signal.SIGCONT)
        sender.close()
        clock.close()


class TickSender:
    """A JACK client that sends a clock's tick every 600 frames, wherever in a period that is."""

    EVERY = 600

    def __init__(self, server: str) -> None:
        jack = pytest.importorskip("jack", reason="JACK-Client is missing: pip install segue[dev]")
        self.client = jack.Client("pads", no_start_server=True, servername=server)
        self.port = self.client.midi_outports.register("out")
        self.next = 0
        self.silent = False
        self.times: list[float] = []  # at which the ticks sound
        self.client.set_process_callback(self._process)
        self.client.activate()

    def _process(self, frames: int) -> None:
        self.port.clear_buffer()
        now = time.time()
        while self.next < frames and not self.silent:
            self.times.append(now + self.next / 44_100)
            self.port.write_midi_event(self.next, b"\xf8")
            self.port.write_midi_event(self.next, b"\x90\x24\x64")
            if not self.next % 7:
                self.port.write_midi_event(self.next, b"\xf2\x01\x02")
            self.next += self.EVERY
        self.next = max(0, self.next - frames)

    def close(self) -> None:
        self.client.deactivate()
        self.client.close()
