"""One HTTP connection, which answers GET from memory or becomes a WebSocket. Runs on the event loop and never waits.

The bytes are read and written by the sans-IO half of `websockets`; one request a connection, no bodies, everything bounded.
"""

from __future__ import annotations

import asyncio
import ipaddress
from collections.abc import Callable
from dataclasses import dataclass, field
from http import HTTPStatus
from typing import Protocol
from urllib.parse import urlsplit

from websockets.datastructures import Headers
from websockets.frames import Frame, Opcode
from websockets.http11 import Request, Response
from websockets.protocol import State
from websockets.server import ServerProtocol

from segue.server.control.packets import MAX_BYTES

MAX_UNSENT = 1 << 20  # bytes a client may leave unread before it is let go
PATIENCE = 10.0  # seconds for a request to be complete, and for a connection that is to end to do so
_KEEP_OUT = {  # no other page may frame this one, none of its parts comes from elsewhere
    "Content-Security-Policy": "default-src 'self'; img-src 'self' data:; frame-ancestors 'none'; base-uri 'none'",
    "X-Content-Type-Options": "nosniff",
    "Referrer-Policy": "no-referrer",
    "Cache-Control": "no-store",
}


@dataclass(frozen=True)
class Page:
    """An answer to GET."""

    body: bytes
    kind: str = "text/plain; charset=utf-8"
    status: HTTPStatus = HTTPStatus.OK
    headers: dict[str, str] = field(default_factory=dict)


class Desk(Protocol):
    """Who answers: everything is called on the event loop and must be quick."""

    def get(self, target: str, accept: str) -> Page:
        """What lies at a path with its query; accept: the media types that the client takes."""

    def opened(self, connection: WebConnection) -> bool:
        """Whether there is room for one more."""

    def packet(self, connection: WebConnection, packet: bytes) -> None:
        """A binary message."""

    def text(self, connection: WebConnection, text: str) -> None:
        """A text message."""

    def bad(self, connection: WebConnection, sentence: str) -> None:
        """What came is no HTTP, or was not allowed."""

    def closed(self, connection: WebConnection) -> None:
        """It is gone."""


class WebConnection(asyncio.Protocol):
    """One client on HTTP or WebSocket."""

    def __init__(self, desk: Desk, own_names: Callable[[str], bool]) -> None:
        """own_names(host): whether a Host header may say this."""
        self._desk, self._own = desk, own_names
        self._protocol = ServerProtocol(max_size=MAX_BYTES)
        self._transport: asyncio.Transport | None = None
        self._timer: asyncio.TimerHandle | None = None
        self._parts: list[bytes] = []
        self._kind = Opcode.BINARY

    @property
    def is_websocket(self) -> bool:
        """Whether messages can be sent."""
        return self._transport is not None and self._protocol.state is State.OPEN

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        assert isinstance(transport, asyncio.Transport)
        self._transport = transport
        self._timer = asyncio.get_running_loop().call_later(PATIENCE, self._give_up)
        if not self._desk.opened(self):
            transport.abort()

    def data_received(self, data: bytes) -> None:
        if self._transport is None or self._transport.is_closing():
            return
        self._protocol.receive_data(data)
        if self._protocol.state is State.CONNECTING and self._protocol.handshake_exc is not None:
            self._desk.bad(self, f"no HTTP request: {self._protocol.handshake_exc}")
        for event in self._protocol.events_received():
            if isinstance(event, Request):
                self._request(event)
            elif isinstance(event, Frame):
                self._frame(event)
        self._flush()

    def eof_received(self) -> bool:
        self._protocol.receive_eof()
        self._flush()
        return False

    def connection_lost(self, exc: Exception | None) -> None:
        self._transport = None
        if self._timer is not None:
            self._timer.cancel()
        self._desk.closed(self)

    def write(self, packet: bytes) -> bool:
        """Whether a binary message was queued; a peer that does not read is let go."""
        return self._send(packet, self._protocol.send_binary)

    def write_text(self, text: str) -> bool:
        """Whether a text message was queued."""
        return self._send(text.encode(), self._protocol.send_text)

    def close(self) -> None:
        """Close after what was written has left."""
        if self._transport is not None:
            self._transport.close()

    def _send(self, data: bytes, send: Callable[[bytes], None]) -> bool:
        if not self.is_websocket or self._transport is None or self._transport.is_closing():
            return False
        if self._transport.get_write_buffer_size() > MAX_UNSENT:
            self._transport.abort()
            return False
        send(data)
        self._flush()
        return True

    def _flush(self) -> None:
        for chunk in self._protocol.data_to_send():
            if self._transport is None:
                return
            if chunk:
                self._transport.write(chunk)
            else:  # nothing more will be said
                self._transport.close()

    def _give_up(self) -> None:
        if self._transport is not None:
            self._transport.abort()

    def _request(self, request: Request) -> None:
        host = _one(request, "Host")
        if not self._own(host):  # a name that a foreign page had resolved to this machine
            self._refuse(f"host {host[:64]!r} is not a name of this server: use its address or localhost")
        elif "websocket" in _one(request, "Upgrade").lower():
            origin = _one(request, "Origin")
            if origin and urlsplit(origin).netloc.lower() != host.lower():
                self._refuse(f"pages of {origin[:64]!r} may not drive this server")
                return
            response = self._protocol.accept(request)
            self._protocol.send_response(response)
            if response.status_code == HTTPStatus.SWITCHING_PROTOCOLS and self._timer is not None:
                self._timer.cancel()
        elif getattr(request, "method", "GET") != "GET":  # older releases refuse other methods themselves
            self._answer(Page(b"only GET is answered\n", status=HTTPStatus.METHOD_NOT_ALLOWED, headers={"Allow": "GET"}))
        else:
            self._answer(self._desk.get(request.path, _one(request, "Accept")))

    def _refuse(self, sentence: str) -> None:
        self._desk.bad(self, sentence)
        self._answer(Page(f"{sentence}\n".encode(), status=HTTPStatus.FORBIDDEN))

    def _answer(self, page: Page) -> None:
        headers = Headers({"Content-Type": page.kind, "Content-Length": str(len(page.body)), "Connection": "close"})
        headers.update(_KEEP_OUT | page.headers)
        self._protocol.send_response(Response(page.status, page.status.phrase, headers, page.body))

    def _frame(self, frame: Frame) -> None:
        if frame.opcode in (Opcode.BINARY, Opcode.TEXT):
            self._kind, self._parts = frame.opcode, []
        elif frame.opcode is not Opcode.CONT:
            return  # pings are answered by the library
        self._parts.append(bytes(frame.data))
        if not frame.fin:
            return
        message = b"".join(self._parts)
        self._parts = []
        if self._kind is Opcode.BINARY:
            self._desk.packet(self, message)
        else:
            self._desk.text(self, message.decode("utf-8", "replace"))


def _one(request: Request, name: str) -> str:
    """A header's only value, or nothing."""
    values = request.headers.get_all(name)
    return values[0] if len(values) == 1 else ""


def own_names(*names: str) -> Callable[[str], bool]:
    """A test of Host headers: addresses in figures, localhost, and these names, with any port."""
    known = {"localhost", *(name.lower() for name in names)}

    def own(host: str) -> bool:
        try:
            name = (urlsplit(f"//{host}").hostname or "").lower()
        except ValueError:
            return False
        try:
            ipaddress.ip_address(name)
        except ValueError:
            return name in known
        return True

    return own
