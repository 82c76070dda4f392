"""One TCP connection to the OSC door, which may turn out to speak HTTP. Runs on the event loop."""

from __future__ import annotations

import asyncio
from collections.abc import Callable

from segue.server.control.framing import Unframer
from segue.server.control.packets import PacketError

MAX_UNSENT = 1 << 20  # bytes a client may leave unread before it is let go
NOT_IMPLEMENTED = b"HTTP/1.1 501 Not Implemented\r\nContent-Length: 0\r\nConnection: close\r\n\r\n"

OnHttp = Callable[[], asyncio.Protocol]  # makes who goes on with the connection


class Connection(asyncio.Protocol):
    """One client on TCP. Runs on the event loop."""

    def __init__(
        self,
        on_open: Callable[[Connection], bool],
        on_packet: Callable[[Connection, bytes], None],
        on_bad: Callable[[Connection, str], None],
        on_close: Callable[[Connection], None],
        on_http: OnHttp | None,
    ) -> None:
        self._on_open, self._on_packet, self._on_bad, self._on_close, self._on_http = (
            on_open,
            on_packet,
            on_bad,
            on_close,
            on_http,
        )
        self._unframer = Unframer()
        self._transport: asyncio.Transport | None = None
        self._seen = False

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        assert isinstance(transport, asyncio.Transport)
        self._transport = transport
        if not self._on_open(self):
            transport.abort()

    def data_received(self, data: bytes) -> None:
        if not self._seen and data[:1].isalpha():
            self._hand_over(data)
            return
        self._seen = True
        try:
            packets = self._unframer.feed(data)
        except PacketError as error:
            self._on_bad(self, str(error))
            self.close()
            return
        for packet in packets:
            self._on_packet(self, packet)

    def connection_lost(self, exc: Exception | None) -> None:
        self._on_close(self)
        self._transport = None

    def write(self, packet: bytes) -> bool:
        """Whether it was queued; a peer that does not read is let go."""
        if self._transport is None or self._transport.is_closing():
            return False
        if self._transport.get_write_buffer_size() > MAX_UNSENT:
            self._transport.abort()
            return False
        self._transport.write(self._unframer.frame(packet))
        return True

    def close(self) -> None:
        """Close after what was written has left."""
        if self._transport is not None:
            self._transport.close()

    def _hand_over(self, first: bytes) -> None:
        transport = self._transport
        assert transport is not None
        if self._on_http is None:
            transport.write(NOT_IMPLEMENTED)
            transport.close()
            return
        self._on_close(self)  # before it is opened as another: a client takes one place
        self._transport = None
        following = self._on_http()
        transport.set_protocol(following)
        following.connection_made(transport)
        following.data_received(first)
