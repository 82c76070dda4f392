"""What goes over the wire, for both clients: messages to packets, packets to events."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any, NamedTuple

from pythonosc.osc_bundle import OscBundle
from pythonosc.osc_bundle_builder import OscBundleBuilder
from pythonosc.osc_message import OscMessage
from pythonosc.osc_message_builder import BuildError, OscMessageBuilder

PORT = 7348
RENEW = 5.0  # seconds between renewals of the lease, which lasts 30; a server that came back is heard after one of them
KEPT = 4096  # events kept until somebody asks for them; the oldest go first
STATES = ("queued", "running", "ready", "armed", "playing", "done")
MEETING = "segue client"  # sent in a ping after the lease was asked for; what comes before the answer is the state
ENDED_BADLY = ("cancelled", "failed", "late", "dropped")


class Event(NamedTuple):
    """One message from the server; time is in unix seconds, None unless it came in a bundle with one."""

    address: str
    args: tuple[Any, ...]
    time: float | None = None


class SegueError(RuntimeError):
    """The server said no, or nothing; str() is a sentence, code the number in /segue/fail, 0 where there was none."""

    def __init__(self, sentence: str, code: int = 0) -> None:
        super().__init__(sentence)
        self.code = code


def packet_of(address: str, args: tuple[Any, ...], at: float | None) -> bytes:
    """One message, in a bundle tagged with unix seconds if given. Raises SegueError for what OSC cannot carry."""
    try:
        if not address.startswith("/"):
            raise BuildError("an address begins with /")
        builder = OscMessageBuilder(address)
        for arg in args:
            builder.add_arg(arg)
        message = builder.build()
        if at is None:
            return message.dgram
        bundle = OscBundleBuilder(at)  # type: ignore[arg-type]
        bundle.add_content(message)
        return bundle.build().dgram
    except Exception as error:  # python-osc lets those of struct and of its parts through
        raise SegueError(f"{address} {args!r:.99} cannot be written as OSC: {error}") from None


def events_in(data: bytes, at: float | None = None) -> Iterator[Event]:
    """The messages of a packet; nothing for what cannot be read."""
    try:
        if OscBundle.dgram_is_bundle(data):
            bundle = OscBundle(data)
            time_tag = bundle.timestamp or None
            for content in bundle:
                yield from events_in(content.dgram, time_tag)
        else:
            message = OscMessage(data)
            yield Event(message.address, tuple(message.params), at)
    except Exception:  # somebody else's packet: python-osc raises several kinds
        return


def is_failure(event: Event, address: str) -> bool:
    """Whether the server says that what was sent to this address could not be done."""
    return event.address == "/segue/fail" and len(event.args) == 3 and event.args[0] == address


def is_meeting(event: Event) -> bool:
    """Whether the server has told a new listener everything."""
    return event.address == "/segue/pong" and event.args == (MEETING,)


def parsed(text: str) -> int | float | str:
    """A number where the text is one."""
    for kind in (int, float):
        try:
            return kind(text)
        except ValueError:
            continue
    return text
