"""The OSC door: UDP and TCP on one port number, datagrams to Commands and answers back. Runs on the event loop alone."""

from __future__ import annotations

import asyncio
import contextlib
import errno
import itertools
import logging
import socket
import struct
import sys
import time
from collections import Counter
from collections.abc import Callable, Sequence
from functools import lru_cache
from typing import Protocol

from segue.server.commands import PORT, Command, Value
from segue.server.control.packets import PacketError, decode, encode
from segue.server.control.tcp import Connection, OnHttp

RECEIVE_BUFFER = 8 << 20  # bytes asked of the kernel: tens of thousands of small messages while the loop is busy
BATCH = 64  # datagrams taken before other work of the loop has its turn
MAX_CONNECTIONS = 256  # on TCP, HTTP and WebSocket together
_MAX_DATAGRAM = 65535
# Not in Python's socket module; numbers of <asm-generic/socket.h>, which x86, ARM and RISC-V share.
_SO_TIMESTAMPNS, _SO_RXQ_OVFL, _SO_RCVBUFFORCE = 35, 40, 33
_LINUX = sys.platform == "linux"
_ANCILLARY = 128  # bytes: a timespec and a counter with their headers
_log = logging.getLogger(__name__)


class DoorError(OSError):
    """The door cannot be opened; str() is a sentence."""


class Peer(Protocol):
    """A client on a connection of its own."""

    def write(self, packet: bytes) -> bool:
        """Whether a packet was queued."""

    def close(self) -> None:
        """Close after what was written has left."""


class OscDoor:
    """Receives OSC, and answers by route.

    on_command(command) and on_bad(sender, sentence, code) are called on the event loop and must be quick. A sender is a route for
    `send`: "udp:HOST:PORT", or "tcp:NUMBER" for a connection. Addresses are handed on as they came, patterns too.
    """

    def __init__(
        self,
        on_command: Callable[[Command], None],
        on_bad: Callable[[str, str, str], None],
        host: str = "127.0.0.1",
        port: int = PORT,
        on_http: OnHttp | None = None,
    ) -> None:
        self.host, self.port, self.on_http = host, port, on_http
        self._on_command, self._on_bad = on_command, on_bad
        self._udp: socket.socket | None = None
        self._server: asyncio.Server | None = None
        self._connections: dict[str, Peer] = {}
        self._routes: dict[Peer, str] = {}
        self._numbers = itertools.count(1)
        self._count: Counter[str] = Counter()
        self._dropped = 0
        self._said: tuple[str, Sequence[Value], str | None, float | None] = ("", (), None, None)
        self._written = b""

    async def open(self) -> None:
        """Start to listen; port 0 becomes a free one. Raises DoorError."""
        loop = asyncio.get_running_loop()
        self._udp, tcp = _bound_pair(self.host, self.port)
        self.port = self._udp.getsockname()[1]
        _ask_kernel(self._udp)
        self._server = await loop.create_server(self._connection, sock=tcp)
        loop.add_reader(self._udp, self._drain)

    def close(self) -> None:
        """Stop to listen and let every client go."""
        for connection in list(self._routes):
            connection.close()
        if self._server is not None:
            self._server.close()
        if self._udp is not None:
            asyncio.get_running_loop().remove_reader(self._udp)
            self._udp.close()
        self._server = self._udp = None

    def send(
        self, route: str, address: str, args: Sequence[Value] = (), types: str | None = None, time: float | None = None
    ) -> None:
        """Send one message, in a bundle if it has a time (unix seconds). What cannot be sent is counted, never raised."""
        try:
            packet = self._packet_of(address, args, types, time)
            sent = self._send_udp(route, packet) if route.startswith("udp:") else self._send_tcp(route, packet)
        except (PacketError, OSError, ValueError, TypeError) as error:
            _log.debug("%s to %s was not sent: %s", address, route, error)
            sent = False
        self._count["sent" if sent else "unsent"] += 1

    def _packet_of(self, address: str, args: Sequence[Value], types: str | None, time: float | None) -> bytes:
        """One message; what is told to many is written once."""
        said = (address, args, types, time)
        if self._said[0] != address or self._said[1] is not args or self._said[2:] != said[2:]:
            self._written, self._said = encode(address, args, types, time), said
        return self._written

    def stats(self) -> dict[str, int]:
        """Counts since the door opened; `dropped` are datagrams the kernel had no room for."""
        names = ("received", "commands", "bad", "errors", "sent", "unsent", "refused")
        return {name: self._count[name] for name in names} | {"dropped": self._dropped, "connections": len(self._routes)}

    def _drain(self) -> None:
        for _ in range(BATCH):
            if self._udp is None:  # a command closed the door
                return
            try:
                data, ancillary, _, peer = self._udp.recvmsg(_MAX_DATAGRAM, _ANCILLARY)
            except BlockingIOError:
                return
            except OSError:  # an earlier answer met a closed port
                continue
            self._packet(_route(peer), data, self._arrival(ancillary))

    def _arrival(self, ancillary: list[tuple[int, int, bytes]]) -> float:
        """Unix seconds at which the kernel had the datagram."""
        arrival = 0.0
        for level, kind, data in ancillary:
            if level == socket.SOL_SOCKET and kind == _SO_TIMESTAMPNS:
                seconds, nanoseconds = struct.unpack("qq" if len(data) == 16 else "ll", data)
                arrival = seconds + nanoseconds * 1e-9
            elif level == socket.SOL_SOCKET and kind == _SO_RXQ_OVFL:
                self._dropped = int.from_bytes(data[:4], sys.byteorder)
        return arrival or time.time()

    def _packet(self, sender: str, data: bytes, arrival: float) -> None:
        self._count["received"] += 1
        try:
            messages = decode(data)
        except PacketError as error:
            self._bad(sender, str(error))
            return
        for address, args, when in messages:
            self._count["commands"] += 1
            try:
                self._on_command(Command(address, args, when, sender, arrival))
            except Exception:  # one message must not end the server
                self._count["errors"] += 1
                _log.exception("%s from %s failed", address, sender)

    def _bad(self, sender: str, sentence: str) -> None:
        self._count["bad"] += 1
        try:
            self._on_bad(sender, sentence, "bad-packet")
        except Exception:
            self._count["errors"] += 1
            _log.exception("answer to %s failed", sender)

    def _connection(self) -> Connection:
        return Connection(self.opened, self.packet, self.bad, self.closed, self.on_http)

    def opened(self, connection: Peer) -> bool:
        """Takes a connection in, unless there are too many."""
        if len(self._routes) >= MAX_CONNECTIONS:
            self._count["refused"] += 1
            return False
        route = f"tcp:{next(self._numbers)}"
        self._routes[connection], self._connections[route] = route, connection
        return True

    def closed(self, connection: Peer) -> None:
        """Forgets a connection."""
        route = self._routes.pop(connection, None)
        if route is not None:
            del self._connections[route]

    def packet(self, connection: Peer, packet: bytes) -> None:
        """A packet that came on a connection."""
        self._packet(self._routes[connection], packet, time.time())

    def bad(self, connection: Peer, sentence: str) -> None:
        """What came on a connection cannot be read."""
        self._bad(self._routes[connection], sentence)

    def route(self, connection: Peer) -> str:
        """Where `send` finds a connection."""
        return self._routes.get(connection, "tcp:0")

    def _send_udp(self, route: str, packet: bytes) -> bool:
        if self._udp is None:
            return False
        self._udp.sendto(packet, _peer(route))
        return True

    def _send_tcp(self, route: str, packet: bytes) -> bool:
        connection = self._connections.get(route)
        return connection is not None and connection.write(packet)


@lru_cache(maxsize=1024)
def _route(peer: tuple[str, int]) -> str:
    return f"udp:{peer[0]}:{peer[1]}"


@lru_cache(maxsize=1024)
def _peer(route: str) -> tuple[str, int]:
    host, _, port = route.removeprefix("udp:").rpartition(":")
    return host, int(port)


def _bound_pair(host: str, port: int) -> tuple[socket.socket, socket.socket]:
    """A UDP and a TCP socket on one port number; port 0 tries until both have one."""
    for attempt in itertools.count():
        udp = tcp = None
        try:
            family, *_, where = socket.getaddrinfo(host, port, type=socket.SOCK_DGRAM)[0]
            udp = socket.socket(family, socket.SOCK_DGRAM)
            udp.setblocking(False)
            udp.bind(where)
            tcp = socket.socket(family, socket.SOCK_STREAM)
            tcp.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)  # a server that restarts need not wait for old connections
            tcp.bind((host, udp.getsockname()[1]))
            tcp.listen(MAX_CONNECTIONS)
        except OSError as error:
            for opened in (udp, tcp):
                if opened is not None:
                    opened.close()
            if port or attempt == 16 or error.errno != errno.EADDRINUSE:
                raise DoorError(_why_not(host, port, error)) from None
        else:
            return udp, tcp
    raise AssertionError


def _why_not(host: str, port: int, error: OSError) -> str:
    if error.errno == errno.EADDRINUSE:
        return f"port {port} on {host} is in use: another segue? choose one with --port"
    if error.errno == errno.EACCES:
        return f"port {port} on {host} is not allowed to this user: choose one above 1023 with --port"
    return f"cannot listen on {host} port {port}: {error.strerror or error}; choose an address of this machine with --host"


def _ask_kernel(udp: socket.socket) -> None:
    """A large receive buffer, arrival stamps and a count of drops, as far as this system has them."""
    wishes = [(socket.SO_RCVBUF, RECEIVE_BUFFER)]
    if _LINUX:
        wishes += [(_SO_RCVBUFFORCE, RECEIVE_BUFFER), (_SO_TIMESTAMPNS, 1), (_SO_RXQ_OVFL, 1)]
    for option, value in wishes:
        with contextlib.suppress(OSError):
            udp.setsockopt(socket.SOL_SOCKET, option, value)
