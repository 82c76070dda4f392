"""HTTP, OSCQuery and WebSocket on the OSC port: stock clients are answered, foreign pages and garbage are not."""

from __future__ import annotations

import asyncio
import contextlib
import json
import random
import threading
import time
from collections.abc import AsyncIterator, Callable, Coroutine
from typing import Any

import pytest
from websockets.asyncio.client import ClientConnection, connect
from websockets.exceptions import ConnectionClosed

from segue.server.commands import ROOT, SPECS, Command, Kind, Value
from segue.server.control import discovery
from segue.server.control.desk import WebDesk, files
from segue.server.control.http import WebConnection, own_names
from segue.server.control.osc import MAX_CONNECTIONS, OscDoor
from segue.server.control.oscquery import Tree
from segue.server.control.packets import decode, encode

PATIENCE = 10.0


class House:
    """A door with its desk, and what came through."""

    def __init__(self) -> None:
        self.commands: list[Command] = []
        self.bad: list[str] = []
        self.values: dict[str, tuple[Value, ...]] = {f"{ROOT}/deck/1/gain": (0.5,), f"{ROOT}/tempo": (120.0,)}
        self.door = OscDoor(self.command, lambda sender, sentence, code: self.bad.append(sentence), port=0)
        self.tree = Tree(SPECS, 2, self.values.get)
        self.desk = WebDesk(self.door, self.tree, files())
        own = own_names("stage.local")
        self.door.on_http = lambda: WebConnection(self.desk, own)

    def command(self, command: Command) -> None:
        self.commands.append(command)
        if command.address == f"{ROOT}/ping":
            self.door.send(command.sender, f"{ROOT}/pong", command.args)

    @property
    def url(self) -> str:
        return f"ws://127.0.0.1:{self.door.port}/"

    async def get(
        self, path: str, *headers: str, method: str = "GET", host: str = "127.0.0.1"
    ) -> tuple[int, dict[str, str], bytes]:
        reader, writer = await asyncio.open_connection("127.0.0.1", self.door.port)
        lines = [f"{method} {path} HTTP/1.1", f"Host: {host}:{self.door.port}", *headers, "", ""]
        writer.write("\r\n".join(lines).encode())
        answer = await asyncio.wait_for(reader.read(), PATIENCE)
        writer.close()
        head, _, body = answer.partition(b"\r\n\r\n")
        first, *rest = head.decode().split("\r\n")
        return int(first.split()[1]), {k.lower(): v for k, v in (line.split(": ", 1) for line in rest)}, body

    async def ask_nothing(self) -> None:
        """A request that there is no room for: the connection ends without an answer."""
        with contextlib.suppress(ConnectionError):
            reader, writer = await asyncio.open_connection("127.0.0.1", self.door.port)
            writer.write(b"GET / HTTP/1.1\r\nHost: localhost\r\n\r\n")
            assert await asyncio.wait_for(reader.read(), PATIENCE) == b""
            writer.close()

    async def ask(self, path: str) -> Any:
        status, headers, body = await self.get(path)
        assert (status, headers["content-type"]) == (200, "application/json")
        return json.loads(body)


@contextlib.asynccontextmanager
async def opened() -> AsyncIterator[House]:
    house = House()
    await house.door.open()
    try:
        yield house
    finally:
        house.door.close()


def run(talk: Callable[[House], Coroutine[Any, Any, None]]) -> None:
    async def whole() -> None:
        async with opened() as house:
            await talk(house)

    asyncio.run(asyncio.wait_for(whole(), 3 * PATIENCE))


async def heard(socket: ClientConnection) -> tuple[str, tuple[Value, ...]]:
    data = await asyncio.wait_for(socket.recv(), PATIENCE)
    assert isinstance(data, bytes)
    message = decode(data)[0]
    return message.address, message.args


def test_the_tree_holds_the_whole_table():
    async def talk(house: House) -> None:
        root = await house.ask("/")
        assert root["CONTENTS"]["segue"]["CONTENTS"]["deck"]["CONTENTS"].keys() == {"1", "2"}
        for spec in SPECS:
            node = await house.ask(spec.address.format(deck=2))
            assert node["FULL_PATH"] == spec.address.format(deck=2)
            assert node["DESCRIPTION"]
            for at, arg in enumerate(spec.args):
                if arg.choices:
                    assert node["RANGE"][at] == {"VALS": list(arg.choices)}
                elif arg.low is not None:
                    assert node["RANGE"][at]["MIN"] == arg.low
                if arg.unit:
                    assert node["UNIT"][at] == arg.unit
            if spec.kind is Kind.VALUE:
                assert (node["TYPE"], node["ACCESS"]) == (spec.types, 3)

    run(talk)


def test_attributes_host_info_and_what_is_not_there():
    async def talk(house: House) -> None:
        assert await house.ask("/segue/deck/1/gain?VALUE") == {"VALUE": [0.5]}
        assert await house.ask("/segue/deck/1/gain?RANGE") == {"RANGE": [{"MIN": 0, "MAX": 4}]}
        assert await house.ask("/segue/deck/1/gain?TYPE") == {"TYPE": "f"}
        assert (await house.get("/segue/deck/1/continue?VALUE"))[0] == 204
        assert (await house.get("/segue/deck/1/gain?COLOUR"))[0] == 400
        assert (await house.get("/segue/nothing"))[0] == 404
        assert (await house.get("/../../etc/passwd"))[0] == 404
        info = await house.ask("/?HOST_INFO")
        assert (info["NAME"], info["OSC_PORT"], info["OSC_TRANSPORT"]) == ("segue", house.door.port, "UDP")
        assert info["EXTENSIONS"]["LISTEN"]
        assert info["EXTENSIONS"]["PATH_CHANGED"]
        assert (await house.get("/", method="POST"))[0] == 405

    run(talk)


def test_a_stock_client_reads_every_value():
    """It asks for values one by one: of nodes that can only be written it has no picture."""
    stock = pytest.importorskip("pythonoscquery.osc_query_client", reason="python-oscquery is missing: pip install segue[dev]")
    zeroconf = pytest.importorskip("zeroconf")
    values = {spec.address.format(deck=2): spec.args[0] for spec in SPECS if spec.kind is Kind.VALUE}

    async def talk(house: House) -> None:
        house.values.update({address: (arg.default,) for address, arg in values.items()})
        kind = "_oscjson._tcp.local."
        about = zeroconf.ServiceInfo(kind, f"x.{kind}", parsed_addresses=["127.0.0.1"], port=house.door.port)
        client = stock.OSCQueryClient(about)
        info = await asyncio.to_thread(client.get_host_info)
        assert (info.name, info.osc_port, info.osc_transport) == ("segue", house.door.port, "UDP")
        for address, arg in values.items():
            node = await asyncio.to_thread(client.query_node, address)
            found = {attribute.name: value for attribute, value in node.attributes.items()}
            assert (found["FULL_PATH"], found["VALUE"], found["ACCESS"]) == (address, [arg.default], 3)
        assert await asyncio.to_thread(client.query_node, "/segue/nothing") is None

    run(talk)


def test_listen_tells_the_value_at_once_and_every_change_until_ignore():
    async def talk(house: House) -> None:
        async with connect(house.url) as socket:
            address = f"{ROOT}/deck/1/gain"
            await socket.send(json.dumps({"COMMAND": "LISTEN", "DATA": address}))
            assert await heard(socket) == (address, (0.5,))
            house.desk.news(address, (0.25,))
            house.desk.news(f"{ROOT}/tempo", (90.0,))  # nobody listens to that
            assert await heard(socket) == (address, (0.25,))
            house.desk.limit(f"{ROOT}/deck/1/seek", 12.5)
            changed = json.loads(await asyncio.wait_for(socket.recv(), PATIENCE))
            assert changed == {"COMMAND": "PATH_CHANGED", "DATA": f"{ROOT}/deck/1/seek"}
            assert (await house.ask("/segue/deck/1/seek"))["RANGE"][0]["MAX"] == 12.5
            await socket.send(json.dumps({"COMMAND": "IGNORE", "DATA": address}))
            await socket.send(encode(f"{ROOT}/ping", (1,)))
            assert await heard(socket) == (f"{ROOT}/pong", (1,))
            house.desk.news(address, (0.75,))
            await socket.send(encode(f"{ROOT}/ping", (2,)))
            assert await heard(socket) == (f"{ROOT}/pong", (2,))

    run(talk)


def test_osc_in_binary_messages_is_osc():
    async def talk(house: House) -> None:
        async with connect(house.url) as socket:
            await socket.send([encode(f"{ROOT}/pi"[:8]), encode(f"{ROOT}/ping", ("two", 3))[8:]])  # in two fragments
            await socket.send(encode(f"{ROOT}/ping", ("x", 2.5)))
            assert (await heard(socket))[0] == f"{ROOT}/pong"
        assert house.commands[-1].address == f"{ROOT}/ping"
        assert house.commands[-1].sender.startswith("tcp:")

    run(talk)


@pytest.mark.parametrize(
    ("host", "origin", "allowed"),
    [
        ("127.0.0.1", None, True),
        ("localhost", "http://localhost:{port}", True),
        ("stage.local", "http://stage.local:{port}", True),
        ("192.168.1.5", "http://192.168.1.5:{port}", True),
        ("127.0.0.1", "http://evil.example", False),
        ("127.0.0.1", "http://127.0.0.1:1", False),
        ("127.0.0.1", "null", False),
        ("evil.example", "http://evil.example:{port}", False),  # a name that somebody had resolved to this machine
        ("evil.example", None, False),
    ],
)
def test_only_the_own_page_may_drive_the_server(host, origin, allowed):
    async def talk(house: House) -> None:
        upgrade = [
            "Upgrade: websocket",
            "Connection: Upgrade",
            "Sec-WebSocket-Version: 13",
            "Sec-WebSocket-Key: AAAAAAAAAAAAAAAAAAAAAA==",
        ]
        reader, writer = await asyncio.open_connection("127.0.0.1", house.door.port)
        shown = [f"Origin: {origin.format(port=house.door.port)}"] if origin else []
        lines = ["GET / HTTP/1.1", f"Host: {host}:{house.door.port}", *upgrade, *shown, "", ""]
        writer.write("\r\n".join(lines).encode())
        first = await asyncio.wait_for(reader.readline(), PATIENCE)
        writer.close()
        assert first.startswith(b"HTTP/1.1 101" if allowed else b"HTTP/1.1 403")
        assert len(house.bad) == (not allowed)
        assert (await house.get("/?HOST_INFO", host=host))[0] == (403 if host.startswith("evil") else 200)

    run(talk)


def test_the_page_is_for_browsers_and_comes_from_memory():
    async def talk(house: House) -> None:
        status, headers, body = await house.get("/", "Accept: text/html,*/*")
        assert (status, headers["content-type"]) == (200, "text/html; charset=utf-8")
        assert "default-src 'self'" in headers["content-security-policy"]
        for name in ("app.js", "style.css"):
            assert f"/web/{name}".encode() in body
            assert (await house.get(f"/web/{name}"))[0] == 200
        assert json.loads((await house.get("/", "Accept: */*"))[2])["FULL_PATH"] == "/"

    run(talk)


def test_garbage_of_every_kind_is_survived_and_counted():
    noise = random.Random(3)

    async def pour(house: House, data: bytes) -> None:
        with contextlib.suppress(ConnectionError):
            reader, writer = await asyncio.open_connection("127.0.0.1", house.door.port)
            writer.write(data)
            writer.write_eof()
            await asyncio.wait_for(reader.read(), PATIENCE)
            writer.close()

    async def talk(house: House) -> None:
        starts = [
            b"GET / HTTP/1.1\r\n",
            b"POST / HTTP/1.1\r\nContent-Length: 5\r\n\r\nhello",
            b"HELO\r\n",
            b"GET " + b"a" * 20000,
        ]
        for _ in range(40):
            await pour(house, noise.choice(starts) + noise.randbytes(noise.randint(0, 300)))
        await pour(house, b"GET / HTTP/1.1\r\n" + b"X: y\r\n" * 5000 + b"\r\n")
        async with connect(house.url) as socket:
            for text in ("", "[", "1", '{"COMMAND": "LISTEN"}', '{"COMMAND": "LISTEN", "DATA": {}}', "[" * 4000, "x" * 5000):
                await socket.send(text)
            for _ in range(50):
                await socket.send(noise.randbytes(noise.randint(1, 60)))
            await socket.send(encode(f"{ROOT}/ping", (7,)))
            assert await heard(socket) == (f"{ROOT}/pong", (7,))
            with contextlib.suppress(ConnectionClosed):  # over the bound
                await socket.send(bytes(1 << 20))
                await socket.recv()
            assert socket.close_code == 1009
        assert len(house.bad) > 50
        assert house.door.stats()["errors"] == 0
        assert house.door.stats()["connections"] == 0
        assert (await house.ask("/?HOST_INFO"))["NAME"] == "segue"

    run(talk)


def test_two_hundred_clients_and_no_more_than_there_is_room_for():
    async def talk(house: House) -> None:
        async with contextlib.AsyncExitStack() as stack:
            sockets = [await stack.enter_async_context(connect(house.url)) for _ in range(200)]
            for number, socket in enumerate(sockets):
                await socket.send(encode(f"{ROOT}/ping", (number,)))
            assert [(await heard(socket))[1] for socket in sockets] == [(n,) for n in range(200)]
            idle = [await asyncio.open_connection("127.0.0.1", house.door.port) for _ in range(MAX_CONNECTIONS - 200)]
            await house.ask_nothing()
            assert house.door.stats()["refused"] > 0
            for _, writer in idle:
                writer.close()

    run(talk)


def test_a_reader_that_does_not_read_is_let_go():
    async def talk(house: House) -> None:
        async with connect(house.url, max_queue=1, close_timeout=0.2) as socket:
            await socket.send(encode(f"{ROOT}/ping"))
            await heard(socket)
            route = house.commands[-1].sender
            for _ in range(400):
                house.door.send(route, "/x", (bytes(60000),))
                await asyncio.sleep(0)
            assert house.door.stats()["connections"] == 0
            assert house.door.stats()["unsent"] > 0

    run(talk)


def test_a_zeroconf_browser_finds_the_server():
    zeroconf = pytest.importorskip("zeroconf", reason="zeroconf is missing: pip install segue[discovery]")
    said: list[str] = []
    announcer = discovery.Announcer("segue", "127.0.0.1", 7399, said.append)
    began = time.monotonic()
    announcer.open()
    assert time.monotonic() - began < 0.2  # registering takes longer than that
    try:
        if not announcer.announced.wait(PATIENCE):
            pytest.skip(f"no multicast here: {said}")
        found: dict[str, int | None] = {}
        complete = threading.Event()

        def changed(zeroconf: Any, service_type: str, name: str, state_change: Any) -> None:
            info = zeroconf.get_service_info(service_type, name)
            if info is not None and name.startswith("segue on ") and info.port == 7399:
                found[service_type] = info.port
            if len(found) == 2:
                complete.set()

        with zeroconf.Zeroconf(interfaces=["127.0.0.1"]) as browser:
            zeroconf.ServiceBrowser(browser, list(discovery.KINDS), handlers=[changed])
            assert complete.wait(PATIENCE)
    finally:
        announcer.close()


def test_only_what_others_can_reach_is_announced():
    assert [discovery.worth_announcing(host) for host in ("127.0.0.1", "localhost", "::1", "0.0.0.0", "192.168.1.5")] == [
        False,
        False,
        False,
        True,
        True,
    ]
