"""What the server itself answers, without asking the session: status, clock, meters, subscriptions. Control thread only."""

from __future__ import annotations

import json
from collections.abc import Callable
from typing import Protocol

import segue
from segue.server import reports, seen
from segue.server.audio.segment import Segment
from segue.server.audio.values import Command as Order
from segue.server.clock import Timebase
from segue.server.commands import ROOT, Command, CommandError, Kind, Spec, Value
from segue.server.events import Audience, Events
from segue.server.state import World

MARKS = 1 << 40  # ids from here on mark `sync` messages


class MidiMap(Protocol):
    """The MIDI controller's map, where there is MIDI."""

    def learn(self, address: str) -> None:
        """Bind the next message to an address. Raises CommandError."""

    def text(self, text: str | None) -> str:
        """The map, after it has been set to a text. Raises CommandError."""


class Waiting(Protocol):
    """Messages that wait for their time."""

    def __len__(self) -> int:
        """How many there are."""

    def clear(self) -> int:
        """Forgets them; how many there were."""


class Answers:
    """Questions in, replies out."""

    def __init__(
        self,
        segment: Segment,
        world: World,
        events: Events,
        clock: Timebase,
        waiting: Waiting,
        push: Callable[[Order], None],
    ) -> None:
        """waiting: what `clear_sched` forgets. push: gives the callback an order."""
        self.on_quit: Callable[[], None] = lambda: None
        self.door_stats: Callable[[], dict[str, int]] = dict
        self.surface: MidiMap | None = None
        self.on_watch: Callable[[str], None] = lambda route: None
        self._segment, self._world, self._events, self._clock = segment, world, events, clock
        self._waiting, self._push = waiting, push
        self._commands = 0
        self._dump = False
        self._synced: dict[int, tuple[str, Value]] = {}
        self._serial = 0
        self._table = self._table_of_answers()

    def heard(self, command: Command) -> None:
        """Counts a message, and prints it while `dump_osc` is on."""
        self._commands += 1
        if self._dump:
            print(command.address, *command.args, flush=True)

    def takes(self, spec: Spec) -> bool:
        """Whether a message is for the server itself."""
        return spec.kind is Kind.ACTION and spec.name in self._table

    def marked(self, mark: int) -> None:
        """The callback has reached a mark: whoever asked `sync` is told."""
        if mark in self._synced:
            route, number = self._synced.pop(mark)
            self._events.reply(route, f"{ROOT}/synced", number)

    def _table_of_answers(self) -> dict[str, Callable[[Command, dict[str, Value], int], None]]:
        events, world = self._events, self._world

        def status(command: Command, bound: dict[str, Value], at: int) -> None:
            report = reports.status(world, seen.moment(self._segment), self._segment, self._commands, len(self._waiting))
            report["door"] = self.door_stats()
            events.reply(command, f"{ROOT}/status", json.dumps(report))

        def clock(command: Command, bound: dict[str, Value], at: int) -> None:
            frame, rate = self._segment.frame, float(self._segment.rate)
            events.reply(command, f"{ROOT}/clock", frame, rate, self._clock.time_at(frame), types="hfd")

        def meters(command: Command, bound: dict[str, Value], at: int) -> None:
            for deck in world.decks:
                events.reply(command, f"{ROOT}/deck/{deck.number}/meters", *reports.levels(self._segment, deck.number))

        def sync(command: Command, bound: dict[str, Value], at: int) -> None:
            self._serial += 1
            self._synced[MARKS + self._serial] = (command.sender, bound.get("id", 0))
            self._push(Order.mark(at, id=MARKS + self._serial))

        def clear_sched(command: Command, bound: dict[str, Value], at: int) -> None:
            self._waiting.clear()

        def notify(command: Command, bound: dict[str, Value], at: int) -> None:
            port = bound.get("port")
            events.notify(command.sender, None if port is None else int(port))

        def midi_map(command: Command, bound: dict[str, Value], at: int) -> None:
            text = bound.get("text")
            events.reply(command, f"{ROOT}/midi/map", self._midi().text(None if text is None else str(text)))

        def join(audience: Audience) -> Callable[[Command, dict[str, Value], int], None]:
            return lambda command, bound, at: events.join(command.sender, audience, bool(bound.get("on", True)))

        def waveform(command: Command, bound: dict[str, Value], at: int) -> None:
            join(Audience.WATCHING)(command, bound, at)
            if bound.get("on", True):
                self.on_watch(command.sender)

        return {
            "ping": lambda command, bound, at: events.reply(command, f"{ROOT}/pong", *command.args),
            "status": status,
            "version": lambda command, bound, at: events.reply(command, f"{ROOT}/version", segue.__version__),
            "clock": clock,
            "notify": notify,
            "subscribe": join(Audience.SUBSCRIBED),
            "spectrum": join(Audience.SPECTRA),
            "waveform": waveform,
            "learn": lambda command, bound, at: self._midi().learn(str(bound.get("address") or "")),
            "map": midi_map,
            "meters": meters,
            "jobs": lambda command, bound, at: reports.jobs(events, command.sender, world),
            "dump_osc": lambda command, bound, at: setattr(self, "_dump", bool(bound.get("on", True))),
            "clear_sched": clear_sched,
            "sync": sync,
            "quit": lambda command, bound, at: self._quit(command),
        }

    def answer(self, spec: Spec, bound: dict[str, Value], command: Command, at: int) -> None:
        """Answers one message that takes effect at frame `at`."""
        try:
            self._table[spec.name](command, bound, at)
        except CommandError as error:
            self._events.fail(command, command.address, str(error), error.code)

    def _midi(self) -> MidiMap:
        if self.surface is None:
            raise CommandError("not-available", "the server does not listen to MIDI: start it with --midi")
        return self.surface

    def _quit(self, command: Command) -> None:
        self._events.reply(command, f"{ROOT}/quit")
        self.on_quit()
