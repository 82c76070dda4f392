"""What clients are told and how often: leases, subscriptions, failures, meters. Knows routes, no sockets. On the event loop."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterable
from dataclasses import dataclass, field
from enum import Enum
from typing import Protocol

from segue.server.commands import CODES, ROOT, Command, CommandError, Value

LEASE = 30.0  # seconds a client is told things without asking again
MAX_CLIENTS = 256
FAILURES = 20  # sentences a second to one route; more are only counted
METER_RATE = 30.0  # Hz
MAX_KEPT = 1024  # addresses whose last news are kept
MAX_SENTENCE = 400  # characters; a datagram stays within one Ethernet frame
_WINDOW = 1.0  # second over which failures are counted


class Audience(Enum):
    """Which of the clients with a lease: all, or those that asked at this address for more."""

    ALL = "notify"
    SUBSCRIBED = "subscribe"  # to meters and beats
    WATCHING = "waveform"
    SPECTRA = "spectrum"


class News(Protocol):
    """Who hears of everything that is told to all, and needs no lease."""

    def __call__(
        self, address: str, args: tuple[Value, ...], types: str | None = None, time: float | None = None, by: str = ""
    ) -> None:
        """by: the sender that set a value."""


class Send(Protocol):
    """How a message leaves: `OscDoor.send` is one."""

    def __call__(
        self, route: str, address: str, args: tuple[Value, ...] = (), types: str | None = None, time: float | None = None
    ) -> None: ...


@dataclass
class _Lease:
    target: str
    until: float
    wants: set[Audience] = field(default_factory=lambda: {Audience.ALL})


@dataclass
class _Failures:
    since: float
    sent: int = 0
    held_back: int = 0


class Events:
    """Answers to one sender, news to all that asked for them.

    send: takes the message away. clock: seconds, monotone. snapshot(route): answers a new client with the state.
    """

    def __init__(
        self, send: Send, clock: Callable[[], float] = time.monotonic, snapshot: Callable[[str], None] | None = None
    ) -> None:
        self._send, self._clock = send, clock
        self.snapshot = snapshot
        self._leases: dict[str, _Lease] = {}
        self._failures: dict[str, _Failures] = {}
        self._meters: dict[str, tuple[Value, ...]] = {}
        self._shown: dict[str, tuple[Value, ...]] = {}
        self._meters_at = float("-inf")
        self._changed: dict[str, tuple[tuple[Value, ...], str]] = {}
        self._last: dict[str, tuple[Value, ...]] = {}
        self.on_news: News | None = None

    def wanted(self, audience: Audience) -> bool:
        """Whether anybody asked for this."""
        return any(audience in lease.wants for lease in self._leases.values())

    def last(self, address: str) -> tuple[Value, ...] | None:
        """What was told at an address last, levels too."""
        return self._meters.get(address, self._last.get(address))

    @property
    def clients(self) -> int:
        """How many leases run."""
        return len(self._leases)

    def notify(self, sender: str, port: int | None = None) -> None:
        """Lease events to a sender for 30 s, to another port of its host if one is given; 0 ends the lease.

        Raises CommandError when too many clients listen already.
        """
        self._expire()
        if port == 0:
            self._leases.pop(sender, None)
            self._send(sender, f"{ROOT}/notify", (0.0,))
            return
        target = _redirected(sender, port)
        fresh = sender not in self._leases or self._leases[sender].target != target
        self._lease(sender).target = target
        self.reply(sender, f"{ROOT}/notify", LEASE)
        if fresh and self.snapshot is not None:
            self.snapshot(sender)

    def join(self, sender: str, audience: Audience, on: bool = True) -> None:
        """Send this to a sender too while its lease runs; begins one. Raises CommandError as `notify` does."""
        self._expire()
        wants = self._lease(sender).wants
        (wants.add if on else wants.discard)(audience)
        self.reply(sender, f"{ROOT}/{audience.value}", int(on))

    def leases(self) -> list[tuple[str, str, bool]]:
        """Who listens: (sender, where it wants its answers, whether meters too), for `resume`.

        Connections end with the process: only who is reached without one is named.
        """
        kept = [(sender, lease) for sender, lease in self._leases.items() if sender.startswith("udp:")]
        return [(sender, lease.target, Audience.SUBSCRIBED in lease.wants) for sender, lease in kept]

    def resume(self, leases: Iterable[tuple[str, str, bool]]) -> None:
        """Goes on with the leases of a process that died; each gets a snapshot, as a new client does."""
        for sender, target, meters in leases:
            wants = {Audience.ALL, Audience.SUBSCRIBED} if meters else {Audience.ALL}
            self._leases[sender] = _Lease(target, self._clock() + LEASE, wants)
            if self.snapshot is not None:
                self.snapshot(sender)

    def reply(self, to: Command | str, address: str, *args: Value, types: str | None = None, time: float | None = None) -> None:
        """Send to the one who asked, where it wants its answers."""
        self._send(self._target(to), address, args, types, time)

    def emit(
        self, address: str, *args: Value, types: str | None = None, time: float | None = None, to: Audience = Audience.ALL
    ) -> None:
        """Send to every client with a lease, or only to those that asked for more; to one target once."""
        self._expire()
        self._tell(address, args, types, time, [lease for lease in self._leases.values() if to in lease.wants])

    def changed(self, address: str, *args: Value, by: str) -> None:
        """Note that a sender has set a value; `tick` tells everyone else the latest."""
        self._changed[address] = (args, by)

    def _tell(
        self,
        address: str,
        args: tuple[Value, ...],
        types: str | None,
        time: float | None,
        leases: Iterable[_Lease],
        by: str = "",
    ) -> None:
        for target in dict.fromkeys(lease.target for lease in leases):
            self._send(target, address, args, types, time)
        if len(self._last) < MAX_KEPT or address in self._last:
            self._last[address] = args
        if self.on_news is not None:
            self.on_news(address, args, types, time, by)

    def meters(self, address: str, *levels: float) -> None:
        """Note the levels at an address; `tick` sends the latest. A level that stays at zero is sent once."""
        self._meters[address] = levels

    def tick(self) -> None:
        """Send what has become due: meters, and how many failures were held back. Call it 30 times a second or more."""
        now = self._clock()
        self._summarise(now)
        if now - self._meters_at < (1 - 1e-6) / METER_RATE:
            return
        self._meters_at = now
        self._tell_changes()
        for address, levels in self._meters.items():
            if any(levels) or any(self._shown.get(address, ())):
                self.emit(address, *levels, to=Audience.SUBSCRIBED)
                self._shown[address] = levels

    def _tell_changes(self) -> None:
        self._expire()
        changes, self._changed = self._changed, {}
        for address, (args, by) in changes.items():
            self._tell(address, args, None, None, [lease for sender, lease in self._leases.items() if sender != by], by)

    def fail(self, to: Command | str, address: str, sentence: str, code: str) -> None:
        """Say to the sender what could not be done and why; over 20 a second are counted and said in one line."""
        route = to.sender if isinstance(to, Command) else to
        if self._may_fail(route):
            self._send_failure(route, address, sentence, CODES.get(code, 0))

    def late(self, to: Command | str, address: str, seconds: float) -> None:
        """Say to the sender that its message came this many seconds after its time; shares the limit of `fail`."""
        route = to.sender if isinstance(to, Command) else to
        if self._may_fail(route):
            self.reply(route, f"{ROOT}/late", address, float(seconds))

    def _lease(self, sender: str) -> _Lease:
        lease = self._leases.get(sender)
        if lease is None:
            if len(self._leases) >= MAX_CLIENTS:
                raise CommandError(
                    "queue-full", f"{MAX_CLIENTS} clients listen already: one has to leave or fall silent for {LEASE:g} s"
                )
            lease = self._leases[sender] = _Lease(sender, 0.0)
        lease.until = self._clock() + LEASE
        return lease

    def _expire(self) -> None:
        now = self._clock()
        for sender in [sender for sender, lease in self._leases.items() if lease.until < now]:
            del self._leases[sender]

    def _target(self, to: Command | str) -> str:
        route = to.sender if isinstance(to, Command) else to
        lease = self._leases.get(route)
        return route if lease is None or lease.until < self._clock() else lease.target

    def _may_fail(self, route: str) -> bool:
        now = self._clock()
        window = self._failures.get(route)
        if window is None or now - window.since >= _WINDOW:
            self._summarise(now)
            if len(self._failures) >= MAX_CLIENTS:
                return False  # many senders at once are a flood: those who came first are answered
            window = self._failures[route] = _Failures(now)
        window.sent += 1
        window.held_back += window.sent > FAILURES
        return window.sent <= FAILURES

    def _summarise(self, now: float) -> None:
        over = [(route, window) for route, window in self._failures.items() if now - window.since >= _WINDOW]
        for route, window in over:
            del self._failures[route]
            if window.held_back:
                self._send_failure(route, "", f"{window.held_back} more messages failed", 0)

    def _send_failure(self, route: str, address: str, sentence: str, code: int) -> None:
        if len(sentence) > MAX_SENTENCE:
            sentence = sentence[: MAX_SENTENCE - 3] + "..."
        self.reply(route, f"{ROOT}/fail", address[:MAX_SENTENCE], sentence, code)


def _redirected(sender: str, port: int | None) -> str:
    kind, _, rest = sender.partition(":")
    if port is None or kind != "udp":
        return sender
    return f"udp:{rest.rpartition(':')[0]}:{port}"
