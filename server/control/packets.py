"""OSC packets to messages and back: bytes in, bytes out, no socket, and a bound on everything a stranger may send.

The types are those of OSC 1.0 and 1.1. python-osc is the oracle in the tests and not the decoder here, because it drops the tags
`I S c`, forgets which bundles said "immediately", follows blobs of negative size, nests without limit, and reads bytes one by one
(one hostile 64 kB datagram holds its caller for 5 ms, and this caller is the event loop).
"""

from __future__ import annotations

import math
import struct
from collections.abc import Callable, Iterator, Sequence
from typing import Any, NamedTuple

from segue.server.commands import Value

MAX_BYTES = 65536  # of one packet; a UDP datagram is smaller anyway
MAX_DEPTH = 8  # bundles within bundles
MAX_MESSAGES = 1024  # in one packet
MAX_ARGS = 256  # of one message
NTP_TO_UNIX = 2_208_988_800  # seconds from 1900-01-01, where OSC time begins, to 1970-01-01 (RFC 868)
NTP_ERA = 2**32  # seconds; a tag under half of it lies in the era that begins in 2036 (RFC 4330, section 3)
IMMEDIATELY = 1  # OSC 1.0: "63 zero bits followed by a one"
_BUNDLE = b"#bundle\0"


class PacketError(ValueError):
    """Bytes that are no OSC packet, or a value that has no OSC type; str() is a sentence."""


class Message(NamedTuple):
    """One message: time is in unix seconds, None for "immediately"."""

    address: str
    args: tuple[Value, ...]
    time: float | None


def decode(data: bytes) -> list[Message]:
    """All messages of one packet, in order, each with the time tag of the innermost bundle that holds it.

    Arrays are flattened, since no command takes one. Raises PacketError.
    """
    if len(data) > MAX_BYTES:
        raise PacketError(f"packet of {len(data)} bytes: at most {MAX_BYTES} are taken")
    if data[:1] == b"/":  # the common case, kept short
        message, end = read_message(data, 0, None)
        if end != len(data):
            raise PacketError(f"{len(data) - end} bytes too many after {message.address}")
        return [message]
    found: list[Message] = []
    for message in _packet(data, None, 0):
        if len(found) == MAX_MESSAGES:
            raise PacketError(f"bundle of more than {MAX_MESSAGES} messages: send several")
        found.append(message)
    return found


def _packet(data: bytes, time: float | None, depth: int) -> Iterator[Message]:
    if data.startswith(_BUNDLE):
        yield from _bundle(data, depth + 1)
    elif data[:1] == b"/":
        message, end = read_message(data, 0, time)
        if end != len(data):
            raise PacketError(f"{len(data) - end} bytes too many after {message.address}")
        yield message
    else:
        raise PacketError(f"packet begins with {data[:8]!r}: OSC begins with an address like /segue/ping or with #bundle")


def _bundle(data: bytes, depth: int) -> Iterator[Message]:
    if depth > MAX_DEPTH:
        raise PacketError(f"bundles nested more than {MAX_DEPTH} deep")
    if len(data) < 16:
        raise PacketError("bundle without a time tag")
    time = unix_time(int.from_bytes(data[8:16], "big"))
    at = 16
    while at < len(data):
        size = int.from_bytes(data[at : at + 4], "big")
        at += 4
        if size == 0 or size % 4 or at + size > len(data):
            raise PacketError(f"bundle element of {size} bytes where {max(0, len(data) - at)} are left")
        yield from _packet(data[at : at + size], time, depth)
        at += size


def read_message(data: bytes, at: int, time: float | None) -> tuple[Message, int]:
    """The message that begins at data[at], and where it ends. Raises PacketError, also when it is not all there."""
    address, at = _string(data, at)
    if at == len(data):  # senders from before OSC 1.0 leave the type tags away
        return Message(address, (), time), at
    tags, at = _string(data, at)
    if tags[:1] != ",":
        raise PacketError(f"{address}: type tags begin with a comma, got {tags[:16]!r}")
    if len(tags) > MAX_ARGS + 1:
        raise PacketError(f"{address}: {len(tags) - 1} arguments, at most {MAX_ARGS} are taken")
    args: list[Value] = []
    for tag in tags[1:]:
        if tag in _CONSTANTS:
            args.append(_CONSTANTS[tag])
        elif tag in _READERS:
            value, at = _READERS[tag](data, at)
            args.append(value)
        elif tag not in "[]":
            raise PacketError(f"{address}: no argument type {tag!r}, OSC knows {' '.join(_READERS)} {' '.join(_CONSTANTS)} [ ]")
    return Message(address, tuple(args), time), at


def _string(data: bytes, at: int) -> tuple[str, int]:
    end = data.find(0, at)
    after = (end + 4) & ~3
    if end < 0 or after > len(data):
        raise PacketError("text in the packet does not end")
    try:
        return data[at:end].decode(), after
    except UnicodeDecodeError:
        raise PacketError(f"text {data[at : min(end, at + 32)]!r} is not UTF-8") from None


def _blob(data: bytes, at: int) -> tuple[bytes, int]:
    size, at = _int32(data, at)
    after = at + (size + 3 & ~3)
    if size < 0 or after > len(data):
        raise PacketError(f"blob of {size} bytes where {len(data) - at} are left")
    return data[at : at + size], after


def _fixed(form: str) -> Callable[[bytes, int], tuple[Any, int]]:
    layout = struct.Struct(form)

    def read(data: bytes, at: int) -> tuple[Any, int]:
        try:
            return layout.unpack_from(data, at)[0], at + layout.size
        except struct.error:
            raise PacketError(f"arguments end after {len(data)} bytes, {layout.size} more were announced") from None

    return read


_int32, _uint32, _uint64 = _fixed(">i"), _fixed(">I"), _fixed(">Q")


def _char(data: bytes, at: int) -> tuple[str, int]:
    code, at = _uint32(data, at)
    if code > 0x10FFFF or 0xD800 <= code < 0xE000:
        raise PacketError(f"no character has the number {code}")
    return chr(code), at


def _tag(data: bytes, at: int) -> tuple[float | None, int]:
    tag, at = _uint64(data, at)
    return unix_time(tag), at


_CONSTANTS: dict[str, Value] = {"T": True, "F": False, "I": True, "N": None}  # I is OSC 1.1's impulse: a button pressed
_READERS: dict[str, Callable[[bytes, int], tuple[Value, int]]] = {
    "i": _int32,
    "f": _fixed(">f"),
    "s": _string,
    "b": _blob,
    "h": _fixed(">q"),
    "d": _fixed(">d"),
    "t": _tag,
    "S": _string,
    "c": _char,
    "r": _uint32,
    "m": _fixed(">4s"),
}


def unix_time(tag: int) -> float | None:
    """Unix seconds of a 64-bit OSC time tag, None for "immediately" (and for 0, which some senders mean by it)."""
    if tag <= IMMEDIATELY:
        return None
    seconds = tag / 2**32
    return seconds + (NTP_ERA if seconds < NTP_ERA / 2 else 0) - NTP_TO_UNIX


def time_tag(time: float | None) -> int:
    """The OSC time tag of unix seconds; raises PacketError outside of 1968 to 2104."""
    if time is None:
        return IMMEDIATELY
    if not math.isfinite(time) or not NTP_ERA / 2 <= time + NTP_TO_UNIX < 1.5 * NTP_ERA:
        raise PacketError(f"time {time!r} has no OSC time tag: unix seconds between 1968 and 2104 have")
    whole = math.floor(time)
    return (whole + NTP_TO_UNIX) % NTP_ERA << 32 | int((time - whole) * 2**32)


def encode(address: str, args: Sequence[Value] = (), types: str | None = None, time: float | None = None) -> bytes:
    """One message as a packet; within a bundle if it has a time.

    types: one tag an argument, by default from the values (T F i h f s b N; an int over 32 bits is an h). Raises PacketError.
    """
    tags = "".join(map(_type_of, args)) if types is None else types
    if len(tags) != len(args) or len(tags) > MAX_ARGS:
        raise PacketError(f"{address}: {len(args)} arguments for the type tags {tags!r}, at most {MAX_ARGS}")
    message = _padded(address) + _padded("," + tags) + b"".join(map(_written, tags, args))
    return message if time is None else bundle([message], time)


def bundle(packets: Sequence[bytes], time: float | None = None) -> bytes:
    """Packets as one bundle, at unix seconds or "immediately"."""
    sized = (len(packet).to_bytes(4, "big") + packet for packet in packets)
    return _BUNDLE + time_tag(time).to_bytes(8, "big") + b"".join(sized)


def _type_of(value: Value) -> str:
    if value is None:
        return "N"
    if isinstance(value, bool):
        return "T" if value else "F"
    if isinstance(value, int):
        return "i" if -(2**31) <= value < 2**31 else "h"
    return "f" if isinstance(value, float) else "s" if isinstance(value, str) else "b"


def _written(tag: str, value: Any) -> bytes:
    try:
        return b"" if tag in _CONSTANTS else _WRITERS[tag](value)
    except (struct.error, TypeError, ValueError, KeyError, OverflowError):
        raise PacketError(f"{value!r} cannot be sent as OSC type {tag!r}") from None


def _padded(text: str) -> bytes:
    try:
        raw = text.encode()
    except UnicodeEncodeError:
        raise PacketError(f"{text!r} is not text that OSC can carry") from None
    if b"\0" in raw:
        raise PacketError(f"{text!r} holds a zero, which ends text in OSC")
    return raw + bytes(4 - len(raw) % 4)


def _sized(value: bytes) -> bytes:
    return struct.pack(">i", len(value)) + value + bytes(-len(value) % 4)


def _packed(form: str) -> Callable[[Any], bytes]:
    layout = struct.Struct(form)
    return lambda value: layout.pack(value)


_WRITERS: dict[str, Callable[[Any], bytes]] = {
    "i": _packed(">i"),
    "f": _packed(">f"),
    "s": _padded,
    "b": _sized,
    "h": _packed(">q"),
    "d": _packed(">d"),
    "t": lambda value: time_tag(value).to_bytes(8, "big"),
    "S": _padded,
    "c": lambda value: ord(value).to_bytes(4, "big"),
    "r": _packed(">I"),
    "m": _packed(">4s"),
}
