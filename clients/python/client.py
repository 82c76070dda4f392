"""The client that waits: sends OSC, keeps the lease, collects what the server says. A thread of its own receives."""

from __future__ import annotations

import contextlib
import itertools
import json
import random
import socket
import threading
import time
from collections import deque
from collections.abc import Callable, Iterator
from types import TracebackType
from typing import Any

from .deck import Deck, given
from .methods import REPLIES, ServerMethods
from .wire import (
    ENDED_BADLY,
    KEPT,
    MEETING,
    PORT,
    RENEW,
    STATES,
    Event,
    SegueError,
    events_in,
    is_failure,
    is_meeting,
    packet_of,
)

_POLL = 0.2  # seconds after which the receiving thread looks whether it is to end


class Client(ServerMethods):
    """Speaks to one server. Every method may be called from any thread.

    listen: lease the server's events; without it only answers to what is sent arrive. timeout: seconds to wait for answers.
    """

    def __init__(self, host: str = "127.0.0.1", port: int = PORT, *, listen: bool = True, timeout: float = 5.0) -> None:
        self.host, self.port, self.timeout = host, port, timeout
        self._socket = _connected(host, port)
        self._events: deque[Event] = deque(maxlen=KEPT)
        self._news = threading.Condition()
        self._refusals = 0
        self._closed = threading.Event()
        self._listen, self._met = listen, False
        self._jobs = itertools.count(random.Random().randrange(1, 2**30))
        self._asked_for: dict[int, str] = {}
        self._thread = threading.Thread(target=self._receive, name="segue client", daemon=True)
        if listen:  # before anything else that is sent, so that no answer is missed
            self.send("/segue/notify")
        self._thread.start()

    def __enter__(self) -> Client:
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None) -> None:
        self.close()

    def close(self) -> None:
        """End the lease and the receiving thread."""
        if self._closed.is_set():
            return
        if self._listen:
            self.send("/segue/notify", 0)
        self._closed.set()
        self._thread.join()
        self._socket.close()

    def send(self, address: str, *args: Any, at: float | None = None) -> None:
        """Send one message, in a bundle tagged `at` (unix seconds) if given. Raises SegueError for what OSC cannot carry."""
        if self._closed.is_set():
            raise SegueError("this client is closed: make a new one")
        packet = packet_of(address, args, at)
        try:
            self._socket.send(packet)
        except ConnectionRefusedError:  # what an earlier message met; this one was not sent
            with contextlib.suppress(ConnectionRefusedError):
                self._socket.send(packet)
        except OSError as error:
            raise SegueError(f"{address} cannot be sent to {self.host} port {self.port}: {error.strerror or error}") from None

    def deck(self, number: int) -> Deck:
        """Deck 1, 2, ..."""
        return Deck(self, number)

    def wait(self, what: str | Callable[[Event], bool], timeout: float | None = None) -> Event:
        """The oldest event not taken yet with this address, or for which this is true; taken out of the events kept.

        Raises SegueError after `timeout` seconds.
        """
        seconds = self.timeout if timeout is None else timeout
        event = self._next(_test(what), seconds)
        if event is None:
            name = what if isinstance(what, str) else "the event that was waited for"
            raise SegueError(f"{name} did not come from {self.host} port {self.port} within {seconds:g} s")
        return event

    def ask(self, address: str, *args: Any, timeout: float | None = None) -> Event:
        """Send, and wait for the answer. Raises SegueError when it is a failure, or none came, or nobody listens."""
        seconds = self.timeout if timeout is None else timeout
        reply = REPLIES.get(address, address)
        refusals, event = self._refusals, None
        if self._has_met(seconds, refusals):
            self._forget(lambda event: event.address == reply or is_failure(event, address))
            self.send(address, *args)
            event = self._next(lambda e: e.address == reply or is_failure(e, address), seconds, refusals)
        if event is None:
            silent = "nothing listens there" if self._refusals > refusals else f"no answer within {seconds:g} s"
            raise SegueError(f"{address} to {self.host} port {self.port}: {silent}; is `segue serve` running?")
        if is_failure(event, address):
            raise SegueError(str(event.args[1]), int(event.args[2]))
        return event

    def _has_met(self, seconds: float, refusals: int) -> bool:
        """Whether the state that a new listener is told has come: a value in it is no answer to what is asked later."""
        if self._listen and not self._met:
            self.send("/segue/ping", MEETING)
            self._met = self._next(is_meeting, seconds, refusals) is not None
        return self._met or not self._listen

    def ping(self, *args: Any, timeout: float | None = None) -> tuple[Any, ...]:
        """What was sent, once the server has answered."""
        return self.ask("/segue/ping", *args, timeout=timeout).args

    def status(self, timeout: float | None = None) -> dict[str, Any]:
        """The state of everything, by name."""
        return dict(json.loads(self.ask("/segue/status", timeout=timeout).args[0]))

    def job(self, number: int, state: str = "done", timeout: float = 30.0) -> Event:
        """Wait until a job is in this state or a later one. Raises SegueError with the reason if it went wrong."""
        enough = STATES[STATES.index(state) :]

        def settled(event: Event) -> bool:
            if event.address != "/segue/job" or event.args[0] != number:
                return False
            return event.args[3] in (*enough, *ENDED_BADLY)

        asked = self._asked_for.get(number, "")
        event = self._next(lambda e: settled(e) or is_failure(e, asked), timeout)
        if event is None:
            raise SegueError(f"job {number} was not {state} within {timeout:g} s")
        if event.address == "/segue/fail":
            raise SegueError(str(event.args[1]), int(event.args[2]))
        if event.args[3] in ENDED_BADLY:
            raise SegueError(f"job {number} {event.args[3]}: {event.args[5]}")
        return event

    def events(self, timeout: float | None = None) -> Iterator[Event]:
        """Every event as it comes, until none has come for `timeout` seconds or the client is closed."""
        while not self._closed.is_set():
            event = self._next(lambda event: True, timeout if timeout is not None else _POLL)
            if event is not None:
                yield event
            elif timeout is not None:
                return

    def __iter__(self) -> Iterator[Event]:
        return self.events()

    def new_job(self, address: str) -> int:
        """A number that this client has not used yet, for the job which a verb at this address begins."""
        number = next(self._jobs)
        self._asked_for[number] = address
        self._asked_for.pop(number - KEPT, None)
        self._forget(lambda event: is_failure(event, address))
        return number

    def _action(self, name: str, *args: Any) -> None:
        self.send(f"/segue/{name}", *given(args))

    def _asked(self, name: str, *args: Any) -> tuple[Any, ...]:
        return self.ask(f"/segue/{name}", *given(args)).args

    def _value(self, name: str, value: Any) -> Any:
        return self.set_or_ask(f"/segue/{name}", value)

    def set_or_ask(self, address: str, value: Any) -> Any:
        """Sends a value and returns it, or asks for it where it is None."""
        if value is None:
            return self.ask(address).args[0]
        self.send(address, value)
        return value

    def _next(self, test: Callable[[Event], bool], seconds: float, refusals: int | None = None) -> Event | None:
        """Take the oldest event that passes; None after so many seconds, or once the port refused more often than said."""
        until = time.monotonic() + seconds
        with self._news:
            while True:
                for event in self._events:
                    if test(event):
                        self._events.remove(event)
                        return event
                left = until - time.monotonic()
                if left <= 0 or self._closed.is_set() or (refusals is not None and self._refusals > refusals):
                    return None
                self._news.wait(left)

    def _forget(self, test: Callable[[Event], bool]) -> None:
        with self._news:
            kept = [event for event in self._events if not test(event)]
            self._events.clear()
            self._events.extend(kept)

    def _receive(self) -> None:
        renewed = time.monotonic()
        while not self._closed.is_set():
            if self._listen and time.monotonic() - renewed >= RENEW:
                renewed = time.monotonic()
                with contextlib.suppress(SegueError):
                    self.send("/segue/notify")
            try:
                found = list(events_in(self._socket.recv(65536)))
            except TimeoutError:
                continue
            except ConnectionRefusedError:
                found = []
                self._refusals += 1  # ICMP said so
            except OSError:
                time.sleep(_POLL)
                continue
            with self._news:
                self._events.extend(found)
                self._news.notify_all()
        with self._news:
            self._news.notify_all()


def _connected(host: str, port: int) -> socket.socket:
    try:
        family, kind, *_, where = socket.getaddrinfo(host, port, type=socket.SOCK_DGRAM)[0]
        made = socket.socket(family, kind)
        made.connect(where)
    except (OSError, OverflowError) as error:
        raise SegueError(f"no way to {host} port {port}: {error}") from None
    made.settimeout(_POLL)
    return made


def _test(what: str | Callable[[Event], bool]) -> Callable[[Event], bool]:
    return (lambda event: event.address == what) if isinstance(what, str) else what
