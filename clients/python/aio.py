"""The client for asyncio: the same verbs and values, with answers to be awaited. Everything runs on one event loop."""

from __future__ import annotations

import asyncio
import contextlib
import itertools
import json
import random
from collections import deque
from collections.abc import AsyncIterator, Awaitable, Callable
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


class AsyncClient(ServerMethods):
    """Speaks to one server: `async with AsyncClient() as segue`. Sending never waits; `await segue.tempo()` asks.

    timeout: seconds to wait for answers.
    """

    def __init__(self, host: str = "127.0.0.1", port: int = PORT, *, timeout: float = 5.0) -> None:
        self.host, self.port, self.timeout = host, port, timeout
        self._events: deque[Event] = deque(maxlen=KEPT)
        self._news = asyncio.Event()
        self._transport: asyncio.DatagramTransport | None = None
        self._lease: asyncio.Task[None] | None = None
        self._jobs = itertools.count(random.Random().randrange(1, 2**30))
        self._asked_for: dict[int, str] = {}
        self._met = False

    async def __aenter__(self) -> AsyncClient:
        loop = asyncio.get_running_loop()
        try:
            where = (self.host, self.port)
            self._transport, _ = await loop.create_datagram_endpoint(lambda: _Inbox(self._heard), remote_addr=where)
        except (OSError, OverflowError) as error:
            raise SegueError(f"no way to {self.host} port {self.port}: {error}") from None
        self.send("/segue/notify")
        self._lease = loop.create_task(self._renew())
        return self

    async def __aexit__(self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None) -> None:
        if self._lease is not None:
            self._lease.cancel()
            with contextlib.suppress(asyncio.CancelledError):
                await self._lease
        if self._transport is not None:
            self.send("/segue/notify", 0)
            self._transport.close()
            self._transport = None

    def send(self, address: str, *args: Any, at: float | None = None) -> None:
        """Send one message, in a bundle tagged `at` (unix seconds) if given. Raises SegueError for what OSC cannot carry."""
        if self._transport is None:
            raise SegueError("this client is closed: enter it with `async with`")
        self._transport.sendto(packet_of(address, args, at))

    def deck(self, number: int) -> Deck:
        """Deck 1, 2, ..."""
        return Deck(self, number)

    async def wait(self, what: str | Callable[[Event], bool], timeout: float | None = None) -> Event:
        """The oldest event not taken yet with this address, or for which this is true. Raises SegueError after `timeout` s."""
        seconds = self.timeout if timeout is None else timeout
        event = await self._next((lambda e: e.address == what) if isinstance(what, str) else what, seconds)
        if event is None:
            name = what if isinstance(what, str) else "the event that was waited for"
            raise SegueError(f"{name} did not come from {self.host} port {self.port} within {seconds:g} s")
        return event

    async def ask(self, address: str, *args: Any, timeout: float | None = None) -> Event:
        """Send, and wait for the answer. Raises SegueError when it is a failure, or none came."""
        seconds = self.timeout if timeout is None else timeout
        reply = REPLIES.get(address, address)

        def answer(event: Event) -> bool:
            return event.address == reply or is_failure(event, address)

        event = None
        if await self._has_met(seconds):
            self._forget(answer)
            self.send(address, *args)
            event = await self._next(answer, seconds)
        if event is None:
            where = f"{address} to {self.host} port {self.port}"
            raise SegueError(f"{where}: no answer within {seconds:g} s; is `segue serve` running?")
        if is_failure(event, address):
            raise SegueError(str(event.args[1]), int(event.args[2]))
        return event

    async def _has_met(self, seconds: float) -> bool:
        """Whether the state that a new listener is told has come: a value in it is no answer to what is asked later."""
        if not self._met:
            self.send("/segue/ping", MEETING)
            self._met = await self._next(is_meeting, seconds) is not None
        return self._met

    async def ping(self, *args: Any, timeout: float | None = None) -> tuple[Any, ...]:
        """What was sent, once the server has answered."""
        return (await self.ask("/segue/ping", *args, timeout=timeout)).args

    async def status(self, timeout: float | None = None) -> dict[str, Any]:
        """The state of everything, by name."""
        return dict(json.loads((await self.ask("/segue/status", timeout=timeout)).args[0]))

    async def job(self, number: int, state: str = "done", timeout: float = 30.0) -> Event:
        """Wait until a job is in this state or a later one. Raises SegueError with the reason if it went wrong."""
        enough, asked = STATES[STATES.index(state) :], self._asked_for.get(number, "")

        def settled(event: Event) -> bool:
            if event.address == "/segue/job" and event.args[0] == number:
                return event.args[3] in (*enough, *ENDED_BADLY)
            return is_failure(event, asked)

        event = await self._next(settled, timeout)
        if event is None:
            raise SegueError(f"job {number} was not {state} within {timeout:g} s")
        if event.address == "/segue/fail":
            raise SegueError(str(event.args[1]), int(event.args[2]))
        if event.args[3] in ENDED_BADLY:
            raise SegueError(f"job {number} {event.args[3]}: {event.args[5]}")
        return event

    async def events(self) -> AsyncIterator[Event]:
        """Every event as it comes, until the client is left."""
        while self._transport is not None:
            event = await self._next(lambda event: True, RENEW)
            if event is not None:
                yield event

    def new_job(self, address: str) -> int:
        """A number that this client has not used yet, for the job which a verb at this address begins."""
        number = next(self._jobs)
        self._asked_for[number] = address
        self._asked_for.pop(number - KEPT, None)
        self._forget(lambda event: is_failure(event, address))
        return number

    def set_or_ask(self, address: str, value: Any) -> Any:
        """Sends a value and returns it, or returns what is to be awaited for it."""
        if value is None:
            return self._first(address)
        self.send(address, value)
        return value

    async def _first(self, address: str) -> Any:
        return (await self.ask(address)).args[0]

    def _action(self, name: str, *args: Any) -> None:
        self.send(f"/segue/{name}", *given(args))

    def _asked(self, name: str, *args: Any) -> Any:
        async def answer() -> tuple[Any, ...]:
            return (await self.ask(f"/segue/{name}", *given(args))).args

        return answer()

    def _value(self, name: str, value: Any) -> Any:
        return self.set_or_ask(f"/segue/{name}", value)

    def _heard(self, data: bytes) -> None:
        self._events.extend(events_in(data))
        self._news.set()

    async def _next(self, test: Callable[[Event], bool], seconds: float) -> Event | None:
        until = asyncio.get_running_loop().time() + seconds
        while True:
            for event in self._events:
                if test(event):
                    self._events.remove(event)
                    return event
            self._news.clear()
            left = until - asyncio.get_running_loop().time()
            if left <= 0 or not await _within(self._news.wait(), left):
                return None

    def _forget(self, test: Callable[[Event], bool]) -> None:
        kept = [event for event in self._events if not test(event)]
        self._events.clear()
        self._events.extend(kept)

    async def _renew(self) -> None:
        while True:
            await asyncio.sleep(RENEW)
            self.send("/segue/notify")


class _Inbox(asyncio.DatagramProtocol):
    """Hands on what arrives; a port that refuses is one where the server is not up yet."""

    def __init__(self, heard: Callable[[bytes], None]) -> None:
        self._heard = heard

    def datagram_received(self, data: bytes, addr: object) -> None:
        self._heard(data)


async def _within(what: Awaitable[Any], seconds: float) -> bool:
    try:
        await asyncio.wait_for(what, seconds)
    except TimeoutError:
        return False
    return True
