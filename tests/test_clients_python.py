"""The Python client against the real door and the real events, with a small server that answers by the table."""

from __future__ import annotations

import argparse
import ast
import asyncio
import json
import keyword
import socket
import threading
import time
from pathlib import Path

import pytest

from segue.clients.python import Client, Deck, SegueError
from segue.clients.python import client as client_module
from segue.clients.python import send as send_module
from segue.server.commands import SPECS, Command, CommandError, Kind, addresses
from segue.server.control.osc import OscDoor
from segue.server.control.patterns import resolve
from segue.server.events import Events

PATIENCE = 5.0


class Server(threading.Thread):
    """Door, table and events on a thread; every verb is played at once, `generate` fails, `freeze` never answers."""

    def __init__(self) -> None:
        super().__init__(daemon=True)
        self.commands: list[tuple[str, int | None, dict[str, object]]] = []
        self.times: list[float | None] = []
        self.values: dict[str, object] = {}
        self.table = addresses()
        self.ready = threading.Event()
        self.port = 0

    def run(self) -> None:
        asyncio.run(self._serve())

    async def _serve(self) -> None:
        self._loop, self._over = asyncio.get_running_loop(), asyncio.Event()
        self.door = OscDoor(self._on_command, lambda *a: None, port=0)
        await self.door.open()
        self.events = Events(self.door.send, snapshot=lambda route: self.events.reply(route, "/segue/engine", "ready", ""))
        self.port = self.door.port
        self.ready.set()
        await self._over.wait()
        self.door.close()

    def stop(self) -> None:
        self._loop.call_soon_threadsafe(self._over.set)
        self.join(PATIENCE)

    def _on_command(self, command: Command) -> None:
        try:
            for spec, deck, bound in resolve(command, self.table):
                self.commands.append((spec.name, deck, bound))
                self.times.append(command.time)
                self._answer(command, spec.name, spec.kind, deck, bound)
        except CommandError as error:
            self.events.fail(command, command.address, str(error), error.code)

    def _answer(self, command: Command, name: str, kind: Kind, deck: int | None, bound: dict[str, object]) -> None:
        if kind is Kind.VALUE:
            for value in bound.values():
                self.values[command.address] = value
            if not bound:
                self.events.reply(command, command.address, self.values.get(command.address, 0.0))
        elif name == "notify":
            self.events.notify(command.sender, bound.get("port"))
        elif name == "ping":
            self.events.reply(command, "/segue/pong", *command.args)
        elif name == "sync":
            self.events.reply(command, "/segue/synced", bound.get("id", 0))
        elif name == "status":
            self.events.reply(command, "/segue/status", json.dumps({"sample_rate": 44100, "engine": "ready"}))
        elif name == "load":  # a file is looked at first
            self._loop.call_later(0.1, self._loaded, command, bound["path"])
        elif kind is Kind.VERB and "id" in bound:
            ends = {"generate": ["failed"], "vary": ["running"]}.get(
                name, ["queued", "running", "ready", "armed", "playing", "done"]
            )
            for state in ends:
                self.events.emit("/segue/job", bound["id"], deck, name, state, 0.5, "no memory" if state == "failed" else "")

    def _loaded(self, command: Command, path: object) -> None:
        if path == "nowhere.wav":
            self.events.fail(command, command.address, "load: nowhere.wav is no file", "bad-file")
        elif path:
            self.events.emit(command.address.replace("load", "file"), path, 24.0)


@pytest.fixture
def server():
    thread = Server()
    thread.start()
    assert thread.ready.wait(PATIENCE)
    yield thread
    thread.stop()


@pytest.fixture
def client(server):
    with Client(port=server.port, timeout=PATIENCE) as made:
        yield made


def test_verbs_become_messages_with_options(server, client):
    number = client.deck(1).continue_(beats=8, seed=3)
    client.deck(2).transition(to=1, quant="bar")
    client.deck(1).load("a b.wav")
    client.deck(1).undo()
    client.sync(5)
    assert server.commands[1:5] == [
        ("continue", 1, {"beats": 8.0, "seed": 3, "id": number}),
        ("transition", 2, {"to": 1, "quant": "bar", "id": number + 1}),
        ("load", 1, {"path": "a b.wav"}),
        ("undo", 1, {}),
    ]


def test_values_are_set_and_asked(server, client):
    assert client.deck(2).gain(0.5) == 0.5
    assert client.deck(2).gain() == 0.5
    client.tempo(128.0)
    assert client.tempo() == 128.0


def test_a_lease_begins_at_once_and_ends_with_the_client(server):
    with Client(port=server.port, timeout=PATIENCE) as client:
        assert client.wait("/segue/engine").args == ("ready", "")
        client.ping()
        assert server.events.clients == 1
    with Client(port=server.port, listen=False, timeout=PATIENCE) as quiet:
        assert quiet.ping(1, "x") == (1, "x")
        assert server.events.clients == 0


def test_the_lease_is_renewed(server, monkeypatch):
    monkeypatch.setattr(client_module, "RENEW", 0.05)
    monkeypatch.setattr(client_module, "_POLL", 0.02)
    with Client(port=server.port, timeout=PATIENCE) as client:
        for _ in range(3):
            client.wait("/segue/notify")


def test_jobs_are_waited_for_and_failures_raise(server, client):
    client.ping()
    assert client.job(client.deck(1).continue_(), "playing", PATIENCE).args[3] == "playing"
    assert client.job(client.deck(1).continue_(), "done", PATIENCE).args[3] == "done"
    with pytest.raises(SegueError, match="failed: no memory"):
        client.job(client.deck(1).generate(), timeout=PATIENCE)
    with pytest.raises(SegueError, match=r"beats lies between 0\.25 and 256 beat, got 1000") as error:
        client.job(client.deck(1).continue_(beats=1000), timeout=PATIENCE)
    assert error.value.code == 2
    with pytest.raises(SegueError, match=r"was not done within 0\.05 s"):
        client.job(client.deck(1).vary(), timeout=0.05)


def test_a_failure_answers_the_question(client):
    with pytest.raises(SegueError, match="there is no deck 9: decks are 1 to 2") as error:
        client.deck(9).gain()
    assert error.value.code == 3


def test_status_is_a_dictionary(client):
    assert client.status() == {"sample_rate": 44100, "engine": "ready"}


def test_a_time_becomes_a_bundle(server, client):
    at = time.time() + 1
    client.send("/segue/deck/1/stop", at=at)
    client.sync()
    assert server.times[[name for name, *_ in server.commands].index("stop")] == pytest.approx(at, abs=1e-6)


def test_events_can_be_iterated_and_waited_for_out_of_order(server, client):
    client.wait("/segue/engine")
    client.ping()
    number = client.deck(1).loop()
    assert client.wait(lambda event: event.args[3:4] == ("done",)).args[0] == number
    states = [event.args[3] for event in client.events(timeout=0.3) if event.address == "/segue/job"]
    assert states == ["queued", "running", "ready", "armed", "playing"]


def test_silence_and_nobody_are_sentences(client):
    with pytest.raises(SegueError, match=r"/segue/beat did not come from 127\.0\.0\.1 port \d+ within 0\.05 s"):
        client.wait("/segue/beat", 0.05)
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as free:
        free.bind(("127.0.0.1", 0))
        with (
            Client(port=free.getsockname()[1], listen=False) as alone,
            pytest.raises(SegueError, match=r"no answer within 0\.05 s"),
        ):
            alone.ping(timeout=0.05)
        port = free.getsockname()[1]
    started = time.monotonic()
    with (
        Client(port=port, listen=False) as refused,
        pytest.raises(SegueError, match="nothing listens there; is `segue serve` running"),
    ):
        refused.ping(timeout=PATIENCE)
    assert time.monotonic() - started < PATIENCE


@pytest.mark.parametrize(("address", "arg"), [("segue/ping", 1), ("/x", 2**80), ("/x", object()), ("/x", "\ud800")])
def test_what_osc_cannot_carry_is_a_sentence(client, address, arg):
    with pytest.raises(SegueError, match="cannot be written as OSC"):
        client.send(address, arg)


def test_a_closed_client_says_so(server):
    client = Client(port=server.port)
    client.close()
    client.close()
    with pytest.raises(SegueError, match="this client is closed"):
        client.ping()


def test_an_unknown_host_is_a_sentence():
    with pytest.raises(SegueError, match="no way to"):
        Client("256.256.256.256")


def test_the_client_imports_nothing_of_the_server():
    for file in Path(client_module.__file__).parent.glob("*.py"):
        for node in ast.walk(ast.parse(file.read_text())):
            names = [a.name for a in node.names] if isinstance(node, ast.Import) else [getattr(node, "module", None) or ""]
            assert not any(name.startswith(("segue.server", "segue.engine", "torch", "numpy")) for name in names)


def send(server: Server, *argv: str) -> int:
    parser = argparse.ArgumentParser()
    parser.add_argument("--json", action="store_true")
    send_module.add_arguments(parser)
    return send_module.run(parser.parse_args([*argv, "--port", str(server.port), "--timeout", "5"]))


def test_send_prints_the_answer(server, capsys):
    assert send(server, "deck/1/gain", "0.25") == 0
    assert capsys.readouterr().out == ""
    assert send(server, "/segue/deck/1/gain") == 0
    assert capsys.readouterr().out == "/segue/deck/1/gain 0.25\n"
    assert send(server, "deck/1/continue", "beats", "4", "--wait", "playing", "--json") == 0
    (event,) = json.loads(capsys.readouterr().out)["events"]
    assert event["args"][1:4] == [1, "continue", "playing"]


def test_send_says_why_not(server, capsys):
    assert send(server, "deck/7/gain", "0.25") == 1
    assert "there is no deck 7" in capsys.readouterr().out
    assert send(server, "deck/1/generate", "--wait", "done") == 1
    assert "no memory" in capsys.readouterr().err


def test_send_waits_for_what_becomes_of_a_file(server, capsys):
    assert send(server, "deck/2/load", "a.wav") == 0
    assert capsys.readouterr().out == "/segue/deck/2/file a.wav 24.0\n"
    assert send(server, "deck/2/load", "nowhere.wav") == 1
    assert "nowhere.wav is no file" in capsys.readouterr().out
    assert send(server, "deck/2/load", "") == 0
    assert capsys.readouterr().out == ""


@pytest.mark.parametrize(("text", "value"), [("3", 3), ("-3", -3), ("0.5", 0.5), ("1e3", 1000.0), ("bar", "bar"), ("1/4", "1/4")])
def test_send_reads_numbers_as_numbers(text, value):
    assert send_module.parsed(text) == value


class Recorded:
    """What a deck sends, instead of a client."""

    def __init__(self) -> None:
        self.sent: list[Command] = []

    def send(self, address: str, *args: object, at: float | None = None) -> None:
        self.sent.append(Command(address, args, at))

    def new_job(self, address: str) -> int:
        return 1

    def set_or_ask(self, address: str, value: object) -> object:
        raise AssertionError("a verb sets nothing")


@pytest.mark.parametrize("spec", [spec for spec in SPECS if spec.kind is Kind.VERB], ids=lambda spec: spec.name)
def test_every_option_of_every_verb_can_be_given(spec):
    """Also one that is named as the client names its own things."""
    owner = Recorded()
    examples = {"s": "x", "b": True}
    given = {
        arg.name: arg.choices[0] if arg.choices else examples.get(arg.type, max(1, arg.low or 0))
        for arg in (*spec.args, *spec.options)
    }
    words = {name + "_" * keyword.iskeyword(name): value for name, value in given.items()}
    getattr(Deck(owner, 2), spec.name + "_" * keyword.iskeyword(spec.name))(**words)
    (command,) = owner.sent
    ((found, deck, bound),) = resolve(command, addresses())
    assert (found, deck, bound) == (spec, 2, given)
