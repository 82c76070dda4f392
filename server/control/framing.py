"""OSC packets out of a stream of bytes, in whichever framing the first byte names, and into it."""

from __future__ import annotations

from enum import Enum

from pythonosc import slip

from segue.server.control.packets import MAX_BYTES, PacketError, read_message


class Framing(Enum):
    """How packets are told apart, known from the first byte of the connection."""

    UNKNOWN = "unknown"
    LENGTH = "length"  # OSC 1.0: a 32-bit length before each packet; under 16 MB its first byte is 0
    SLIP = "slip"  # OSC 1.1: RFC 1055 with an END on both sides
    BARE = "bare"  # nothing between: a message ends where its type tags say; SLIP without a first END begins alike


class Unframer:
    """Bytes in, packets out."""

    def __init__(self) -> None:
        self.framing = Framing.UNKNOWN
        self._held = bytearray()

    def feed(self, data: bytes) -> list[bytes]:
        """Packets that are complete now. Raises PacketError when the stream is none of ours; it cannot be read on after that."""
        self._held += data
        if self.framing is Framing.UNKNOWN and self._held:
            self.framing = _framing(self._held[0])
        packets: list[bytes] = []
        while (packet := self._next()) is not None:
            if packet:
                packets.append(packet)
        if len(self._held) > MAX_BYTES * 2 + 4:  # every byte of a packet may be escaped
            raise PacketError(f"no packet ends within {len(self._held)} bytes: at most {MAX_BYTES} are taken")
        return packets

    def frame(self, packet: bytes) -> bytes:
        """The packet as this peer wants it."""
        if self.framing is Framing.LENGTH:
            return len(packet).to_bytes(4, "big") + packet
        return packet if self.framing is Framing.BARE else slip.encode(packet)

    def _next(self) -> bytes | None:
        if self.framing is Framing.LENGTH:
            return self._take_counted()
        if self.framing is Framing.SLIP:
            return self._take_slip()
        return self._take_bare() if self.framing is Framing.BARE else None

    def _take(self, end: int, skip: int = 0) -> bytes:
        packet = bytes(self._held[skip:end])
        del self._held[:end]
        return packet

    def _take_counted(self) -> bytes | None:
        if len(self._held) < 4:
            return None
        size = int.from_bytes(self._held[:4], "big")
        if size > MAX_BYTES:
            raise PacketError(f"packet of {size} bytes announced: at most {MAX_BYTES} are taken")
        return None if len(self._held) < 4 + size else self._take(4 + size, 4)

    def _take_slip(self) -> bytes | None:
        end = self._held.find(slip.END)
        if end < 0:
            return None
        try:
            return slip.decode(self._take(end + 1))
        except slip.ProtocolError:
            raise PacketError("bytes after SLIP's escape are neither 220 nor 221") from None

    def _take_bare(self) -> bytes | None:
        end = _end_of_message(self._held)
        if end is None and slip.END in self._held:
            self.framing = Framing.SLIP
            return self._take_slip()
        return None if end is None else self._take(end)


def _end_of_message(held: bytearray) -> int | None:
    if held[:1] != b"/":
        return None
    comma = (held.find(0) + 4) & ~3
    if held[comma : comma + 1] != b",":  # without type tags nothing says where it ends
        return None
    try:
        return read_message(bytes(held), 0, None)[1]
    except PacketError:
        return None


def _framing(first: int) -> Framing:
    if first == 0:
        return Framing.LENGTH
    if first == slip.END[0]:
        return Framing.SLIP
    if first in b"/#":
        return Framing.BARE
    raise PacketError(f"stream begins with byte {first}: 0 for lengths, 192 for SLIP, / or # for OSC")
