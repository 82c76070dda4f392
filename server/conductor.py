"""The conductor: gives commands their frames, asks the session, and carries out what it wants on segment, engine and clients.

Control thread only. It knows no socket and no event loop: the live server and the offline renderer both drive it.
"""

from __future__ import annotations

import contextlib
import json
from collections.abc import Callable, Iterable
from dataclasses import dataclass
from typing import Any, Protocol

import segue
from segue.server import effects as fx
from segue.server import reports, seen, settings
from segue.server.analysing import Analyst, AtOnce
from segue.server.audio.segment import Segment
from segue.server.audio.values import Bus, Curve, Op, Policy, Ring, TooNear
from segue.server.audio.values import Command as Order
from segue.server.commands import CODES, ROOT, Command, CommandError, Kind, Spec, Value, addresses
from segue.server.contexts import lead
from segue.server.control.patterns import resolve
from segue.server.events import Audience, Events
from segue.server.files import FileDecks, Moved
from segue.server.jobs import WorkerEvent
from segue.server.loading import Loading, Ready
from segue.server.looping import LoopKeeper
from segue.server.recording import follow
from segue.server.scheduler import QueueFullError, Scheduler
from segue.server.session import Session
from segue.server.showlog import ShowLog
from segue.server.state import Moment
from segue.server.sync.sources import Sources
from segue.server.takes import State
from segue.server.verbs import TASKS
from segue.server.worker import Worker

FARTHEST_S = 60.0  # how far ahead a time tag may lie
HASTE_S = 0.0003  # what a message needs from its arrival to the callback's queue
HELD_BLOCKS = 8  # the most that a message without a tag can be put off
BUS_FADE_S = 0.005
HANDOVER_S = 0.25  # how long before its frame a message is handed to the callback
FALLBACK_S = 0.25  # how often the fallback loop is looked after
MARKS = 1 << 40  # ids from here on mark `sync` messages
SERIALS = 1 << 32  # ids from here on belong to commands that no take waits for

POLICIES = {"ladder": Policy.LADDER, "dry": Policy.DRY, "loop": Policy.LOOP, "silence": Policy.SILENCE}


class Timebase(Protocol):
    """Host time to frames; `SampleClock` live, exact arithmetic offline."""

    def frame_at(self, time: float) -> float:
        """The frame at a unix time in seconds."""

    def time_at(self, frame: float) -> float:
        """The unix time in seconds at a frame."""

    def present(self) -> float:
        """The frame at this very moment: a block that begins at or before it may be under way."""


class MidiMap(Protocol):
    """The MIDI controller's map, where there is MIDI."""

    def learn(self, address: str) -> None:
        """Bind the next message to an address. Raises CommandError."""

    def text(self, text: str | None) -> str:
        """The map, after it has been set to a text. Raises CommandError."""


@dataclass(frozen=True)
class Delays:
    """latency: seconds from the output port to the ear, taken off tags. allowance: seconds that untagged messages are given."""

    latency: float = 0.0
    allowance: float = 0.0


class Conductor:
    """Commands in, sound and answers out."""

    def __init__(
        self,
        segment: Segment,
        session: Session,
        events: Events,
        clock: Timebase,
        log: ShowLog,
        delays: Delays = Delays(),
        analyst: Analyst | None = None,
    ) -> None:
        """Everything that it speaks to. analyst: finds out what files are; without one that is done while everything waits."""
        self.session, self.events = session, events
        self.worker: Worker | None = None
        self.sources: Sources | None = None
        self.on_quit: Callable[[], None] = lambda: None
        self.door_stats: Callable[[], dict[str, int]] = dict
        self.surface: MidiMap | None = None
        self.on_watch: Callable[[str], None] = lambda route: None
        self.commands = 0
        self._segment, self._clock, self._log, self._delays = segment, clock, log, delays
        self._files = FileDecks(segment)
        self.loading = Loading(self._files, analyst or AtOnce(segment.rate), segment.rate)
        self._table = addresses(decks=len(session.world.decks))
        self._waiting: Scheduler[tuple[Spec, int | None, dict[str, Value], Command, int]] = Scheduler()
        self._applied = segment.log_index
        self._synced: dict[int, tuple[str, Value]] = {}
        self._serial = SERIALS
        self._untagged = 0  # the frame of the last message without a tag
        self._fallback_at = 0
        seen.wiring(segment, session.world)
        self._loops = LoopKeeper(segment, session.world)
        session.world.longest_loop = segment.loop_frames
        self._dump = False
        self._told: set[int] = set()
        session.world.cue = segment.cue_frames
        self._do = self._table_of_effects()
        self._answers = self._table_of_answers()

    # -- in

    def handle(self, command: Command) -> None:
        """One message from a front door. Never raises for what it says."""
        self.commands += 1
        if self._dump:
            print(command.address, *command.args, flush=True)
        try:
            meant = resolve(command, self._table)
            at = self._frame_of(command)
        except CommandError as error:
            self.events.fail(command, command.address, str(error), error.code)
            return
        for spec, deck, bound in meant:
            self._take_up(spec, deck, bound, command, at)

    def _frame_of(self, command: Command) -> int:
        """The frame at which a message takes effect: its tag's, or one block after it arrived."""
        now, block, rate = self._segment.frame, self._segment.block, self._segment.rate
        if command.time is None:
            arrived = now if command.arrival is None else round(self._clock.frame_at(command.arrival))
            # Too near the callback that is about to run: at the first frame of the one after it.
            soonest = now + block if self._clock.present() + HASTE_S * rate > now else now
            at = max(arrived + block + round(self._delays.allowance * rate), soonest)
            # And never before the message that came before it, which may have needed that block.
            # A clock that jumped, or periods that were lost, hold nothing back for long.
            self._untagged = min(max(at, self._untagged), now + HELD_BLOCKS * block)
            return self._untagged
        at = round(self._clock.frame_at(command.time - self._delays.latency))
        if at > now + FARTHEST_S * rate:
            ahead = (at - now) / rate
            raise CommandError("too-far-ahead", f"the time tag lies {ahead:.0f} s ahead; {FARTHEST_S:g} s at most: send it later")
        if at < now:
            self.events.late(command, command.address, (now - at) / rate)
            return now + block
        return at

    def _take_up(self, spec: Spec, deck: int | None, bound: dict[str, Value], command: Command, at: int) -> None:
        try:
            settings.unlocked(self.session.world, spec, bound)
        except CommandError as error:
            self.events.fail(command, command.address, str(error), error.code)
            return
        if spec.kind is Kind.ACTION and spec.name in self._answers:
            self._answer(spec, bound, command, at)
            return
        early = round(HANDOVER_S * self._segment.rate) + self._preparation(spec, deck, bound)
        if command.time is None or at - early <= self._segment.frame:
            self._carry_out(spec, deck, bound, command, at)
            return
        try:
            self._waiting.add(at - early, (spec, deck, bound, command, at))
        except QueueFullError as error:
            self.events.fail(command, command.address, str(error), "queue-full")

    def _preparation(self, spec: Spec, deck: int | None, bound: dict[str, Value]) -> int:
        """Frames that a verb's take needs to be made."""
        if deck is None or spec.name not in TASKS:
            return 0
        world = self.session.world
        return lead(world, int({**world.deck(deck).values, **bound}["steps"] or 4))

    def _carry_out(self, spec: Spec, deck: int | None, bound: dict[str, Value], command: Command, at: int) -> None:
        moment = self.moment()
        self.perform(self.session.handle(spec, deck, bound, command, at, moment))
        facts: dict[str, Any] = {"address": command.address, "args": command.args, "at": at, "tagged": command.time is not None}
        if command.arrival is not None:
            facts["arrived"] = round(self._clock.frame_at(command.arrival))
            facts["waited_frames"] = self._clock.present() - self._clock.frame_at(command.arrival)
        self._log.write(moment.frame, "command", **facts)

    def worker_event(self, event: WorkerEvent) -> None:
        """Something the engine said."""
        self.perform(self.session.worker(event, self.moment()))

    # -- time

    def tick(self) -> None:
        """Moves everything on to the present; called every few milliseconds, or every block offline."""
        frame = self._segment.frame
        for item in self._waiting.due(frame):
            self._carry_out(*item)
        self._hear_sources()
        self._hear_applied()
        self._hear_files()
        self.perform(follow(self.session.world, self.moment()))
        self.perform(self.session.tick(self.moment()))
        self._log_takes()
        if frame >= self._fallback_at:
            self._fallback_at = frame + round(FALLBACK_S * self._segment.rate)
            self._loops.look()

    def moment(self) -> Moment:
        """The present, as the session sees it."""
        return seen.moment(self._segment)

    def _hear_sources(self) -> None:
        if self.sources is not None:
            for news in self.sources.poll():
                self.perform(self.session.synced(self.sources.name, news, self.moment()))

    def _hear_applied(self) -> None:
        for line in self._segment.applied(self._applied):
            self._applied += 1
            facts = {"id": line.id, "op": line.op.name, "scheduled": line.scheduled, "status": line.status.name}
            self._log.write(line.applied, "applied", **facts)
            if line.op is Op.MARK and line.id in self._synced:
                route, number = self._synced.pop(line.id)
                self.events.reply(route, f"{ROOT}/synced", number)
            elif line.op is Op.PLAY:
                self.perform(self.session.applied(line.id, line.applied))

    def _log_takes(self) -> None:
        takes = self.session.world.takes
        for number, take in takes.items():
            if take.heard_at is not None and take.state is State.DONE and number not in self._told:
                self._told.add(number)
                self._log.write(take.heard_at, "take", **reports.take_facts(take, self._segment.rate))
        self._told &= takes.keys()

    def _hear_files(self) -> None:
        for news in self.loading.poll():
            if isinstance(news, Ready):
                self.perform(self.session.loaded(news.deck, news.track, news.frames, news.what))
            elif isinstance(news, Moved):
                self.session.transported(news.deck, news.frame, news.position, news.playing, news.track)
            else:
                self.events.fail(news.route, news.address, news.sentence, "bad-file")

    # -- what the server itself answers

    def _table_of_answers(self) -> dict[str, Callable[[Command, dict[str, Value], int], None]]:
        events, world = self.events, self.session.world

        def status(command: Command, bound: dict[str, Value], at: int) -> None:
            report = reports.status(world, self.moment(), self._segment, self.commands, len(self._waiting))
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

    def _answer(self, spec: Spec, bound: dict[str, Value], command: Command, at: int) -> None:
        try:
            self._answers[spec.name](command, bound, at)
        except CommandError as error:
            self.events.fail(command, command.address, str(error), error.code)

    def _midi(self) -> MidiMap:
        if self.surface is None:
            raise CommandError("not-available", "the server does not listen to MIDI: start it with --midi")
        return self.surface

    def _quit(self, command: Command) -> None:
        self.events.reply(command, f"{ROOT}/quit")
        self.on_quit()

    def snapshot(self, route: str) -> None:
        """Tells a new client how things stand."""
        reports.snapshot(self.events, route, self.session.world, self.moment())

    def value(self, address: str) -> tuple[Value, ...] | None:
        """What an address is at present, None where it has nothing to say."""
        spec, deck = self._table.get(address, (None, None))
        if spec is None or spec.kind is not Kind.VALUE:
            return self.events.last(address)
        asked = self.session.handle(spec, deck, {}, Command(address), self._segment.frame, self.moment())
        return next((effect.args for effect in asked if isinstance(effect, fx.Reply)), None)

    # -- out

    def perform(self, todo: Iterable[fx.Effect]) -> None:
        """Carries out effects in order."""
        for effect in todo:
            try:
                self._do[type(effect)](effect)
            except TooNear as error:  # it has begun to sound since: the callback's ladder decides
                self._log.write(self._segment.frame, "too near", sentence=str(error))

    def _table_of_effects(self) -> dict[type, Callable[[Any], object]]:
        segment, events = self._segment, self.events
        return {
            fx.Submit: lambda e: self.worker.submit(e.job) if self.worker else None,
            fx.Abandon: lambda e: self.worker.abandon(e.job) if self.worker else None,
            fx.Write: self._write,
            fx.Publish: self._publish,
            fx.Play: self._play,
            fx.Gain: lambda e: self._push(Order.set_gain(e.deck - 1, e.gain, e.frame, id=self._next())),
            fx.Bus: self._bus,
            fx.Inputs: lambda e: segment.set_inputs(e.deck - 1, e.pair),
            fx.Gate: lambda e: segment.set_gate(e.deck - 1, e.dbfs),
            fx.Revoke: self._revoke,
            fx.Panic: lambda e: self._push(Order.panic(e.frame, id=self._next())),
            fx.LoadFile: self._load,
            fx.Transport: self._transport,
            fx.Prepare: self._prepare,
            fx.Audition: self._audition,
            fx.Capture: self._capture,
            fx.Loop: lambda e: segment.publish_loop(e.deck - 1, e.audio, e.origin),
            fx.Source: self.take_tempo_from,
            fx.Tempo: lambda e: self.sources.set_tempo(e.bpm, e.frame) if self.sources else None,
            fx.Start: lambda e: self.sources.start(e.on, e.frame) if self.sources else None,
            fx.Reply: lambda e: events.reply(e.route, e.address, *e.args),
            fx.Emit: self._emit,
            fx.Changed: lambda e: events.changed(e.address, *e.args, by=e.route),
            fx.Fail: lambda e: events.fail(e.route, e.address, e.sentence, e.code if e.code in CODES else "generation-failed"),
        }

    def take_tempo_from(self, e: fx.Source) -> None:
        """Takes another source of tempo into use."""
        if self.sources is not None:
            grid, frame = self.session.world.grid, self._segment.frame
            self.sources.use(e.name, grid.bpm, grid.beat_at(frame), frame, grid.beats_per_bar)

    def _next(self) -> int:
        self._serial += 1
        return self._serial

    def _push(self, order: Order) -> None:
        if not self._segment.push(order):
            self._log.write(order.frame, "refused", op=order.op.name, deck=order.deck)

    def _write(self, e: fx.Write) -> None:
        deck, first, audio = e.deck - 1, e.first, e.audio
        # What was published and is nearer than two blocks to the play head of a sounding slot is not written again.
        taken = self._segment.slot_sounds(deck, e.slot) and first < self._segment.slot_state(deck, e.slot).last
        skip = max(0, self._segment.frame + 3 * self._segment.block - first) if taken else 0
        if audio.shape[1] > skip:
            self._segment.write_slot(deck, e.slot, first + skip, audio[:, skip:])

    def _publish(self, e: fx.Publish) -> None:
        policy = POLICIES[e.policy]
        self._segment.publish_slot(e.deck - 1, e.slot, e.take, e.first, e.last, e.exit_frame, e.exit_fade, policy)

    def _bus(self, e: fx.Bus) -> None:
        fade = round(BUS_FADE_S * self._segment.rate)
        self._push(Order.set_gain(0, e.gain, e.frame, fade, bus=Bus[e.name.upper()], id=self._next()))

    def _play(self, e: fx.Play) -> None:
        curve = Curve.LINEAR if e.curve == "linear" else Curve.POWER
        self._push(Order.play(e.deck - 1, seen.SOURCES[e.source], e.frame, e.fade, id=e.id, take=e.take, curve=curve))
        self._log.write(e.frame, "play", deck=e.deck, source=e.source, id=e.id, take=e.take)

    def _load(self, e: fx.LoadFile) -> None:
        try:
            self.loading.load(e)
        except ValueError as error:  # a path that is too long, or holds a zero
            self.events.fail(e.route, e.address, str(error), "bad-file")

    def _transport(self, e: fx.Transport) -> None:
        self.session.transported(e.deck, e.frame, e.position, e.playing, e.track)
        try:
            self._files.move(e.deck, e.frame, e.position, e.playing, e.track, e.exact, e.id)
        except ValueError as error:  # stretched, its text has become too long
            self.events.fail("", f"{ROOT}/deck/{e.deck}/load", str(error), "bad-file")

    def _revoke(self, e: fx.Revoke) -> None:
        self._files.revoke(e.id)
        self._push(Order.cancel(e.id))

    def _prepare(self, e: fx.Prepare) -> None:
        with contextlib.suppress(ValueError):  # whoever plays it then says so
            self._files.prepare(e.deck, e.track, e.position)

    def _audition(self, e: fx.Audition) -> None:
        place, frames = (0, 0) if e.audio is None else (self._segment.write_cue(e.audio), e.audio.shape[1])
        self._push(Order.cue(place, frames, round(BUS_FADE_S * self._segment.rate), e.frame, id=self._next()))

    def _capture(self, e: fx.Capture) -> None:
        audio = self._segment.read(Ring.INPUT if e.ring == "input" else Ring.SOUNDED, e.deck - 1, e.end, e.frames)
        self.perform(self.session.captured(e.job, audio))

    def _emit(self, e: fx.Emit) -> None:
        types = {f"{ROOT}/job": reports.JOB_TYPES, f"{ROOT}/take": reports.TAKE_TYPES}.get(e.address)
        self.events.emit(e.address, *e.args, types=types)
        self._log.write(self._segment.frame, "event", address=e.address, args=e.args)
