"""The conductor: gives commands their frames, asks the session, and hands what it wants to the performer.

Control thread only. It knows no socket and no event loop: the live server and the offline renderer both drive it.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from segue.server import effects as fx
from segue.server import reports, seen, settings
from segue.server.analysing import Analyst, AtOnce
from segue.server.answers import Answers
from segue.server.audio.segment import Segment
from segue.server.audio.values import Op
from segue.server.clock import Timebase
from segue.server.commands import Command, CommandError, Kind, Spec, Value, addresses
from segue.server.contexts import lead
from segue.server.control.patterns import resolve
from segue.server.events import Events
from segue.server.files import Moved
from segue.server.jobs import WorkerEvent
from segue.server.loading import Ready
from segue.server.looping import LoopKeeper
from segue.server.performer import Performer
from segue.server.recording import follow
from segue.server.scheduler import QueueFullError, Scheduler
from segue.server.session import Session
from segue.server.showlog import ShowLog
from segue.server.state import Moment
from segue.server.takes import State
from segue.server.verbs import TASKS

FARTHEST_S = 60.0  # how far ahead a time tag may lie
HASTE_S = 0.0003  # what a message needs from its arrival to the callback's queue
HELD_BLOCKS = 8  # the most that a message without a tag can be put off
HANDOVER_S = 0.25  # how long before its frame a message is handed to the callback
FALLBACK_S = 0.25  # how often the fallback loop is looked after


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
        self._segment, self._clock, self._log, self._delays = segment, clock, log, delays
        self.performer = Performer(segment, session, events, log, analyst or AtOnce(segment.rate))
        self._table = addresses(decks=len(session.world.decks))
        self._waiting: Scheduler[tuple[Spec, int | None, dict[str, Value], Command, int]] = Scheduler()
        self._applied = segment.log_index
        self._untagged = 0  # the frame of the last message without a tag
        self._fallback_at = 0
        seen.wiring(segment, session.world)
        self._loops = LoopKeeper(segment, session.world)
        session.world.longest_loop = segment.loop_frames
        self._told: set[int] = set()
        session.world.cue = segment.cue_frames
        self.answers = Answers(segment, session.world, events, clock, self._waiting, self.performer.push)

    # -- in

    def handle(self, command: Command) -> None:
        """One message from a front door. Never raises for what it says."""
        self.answers.heard(command)
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
        if self.answers.takes(spec):
            self.answers.answer(spec, bound, command, at)
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
        self.performer.perform(self.session.handle(spec, deck, bound, command, at, moment))
        facts: dict[str, Any] = {"address": command.address, "args": command.args, "at": at, "tagged": command.time is not None}
        if command.arrival is not None:
            facts["arrived"] = round(self._clock.frame_at(command.arrival))
            facts["waited_frames"] = self._clock.present() - self._clock.frame_at(command.arrival)
        self._log.write(moment.frame, "command", **facts)

    def worker_event(self, event: WorkerEvent) -> None:
        """Something the engine said."""
        self.performer.perform(self.session.worker(event, self.moment()))

    # -- time

    def tick(self) -> None:
        """Moves everything on to the present; called every few milliseconds, or every block offline."""
        frame = self._segment.frame
        for item in self._waiting.due(frame):
            self._carry_out(*item)
        self._hear_sources()
        self._hear_applied()
        self._hear_files()
        self.performer.perform(follow(self.session.world, self.moment()))
        self.performer.perform(self.session.tick(self.moment()))
        self._log_takes()
        if frame >= self._fallback_at:
            self._fallback_at = frame + round(FALLBACK_S * self._segment.rate)
            self._loops.look()

    def moment(self) -> Moment:
        """The present, as the session sees it."""
        return seen.moment(self._segment)

    def _hear_sources(self) -> None:
        if self.performer.sources is not None:
            for news in self.performer.sources.poll():
                self.performer.perform(self.session.synced(self.performer.sources.name, news, self.moment()))

    def _hear_applied(self) -> None:
        for line in self._segment.applied(self._applied):
            self._applied += 1
            facts = {"id": line.id, "op": line.op.name, "scheduled": line.scheduled, "status": line.status.name}
            self._log.write(line.applied, "applied", **facts)
            if line.op is Op.MARK:
                self.answers.marked(line.id)
            elif line.op is Op.PLAY:
                self.performer.perform(self.session.applied(line.id, line.applied))

    def _log_takes(self) -> None:
        takes = self.session.world.takes
        for number, take in takes.items():
            if take.heard_at is not None and take.state is State.DONE and number not in self._told:
                self._told.add(number)
                self._log.write(take.heard_at, "take", **reports.take_facts(take, self._segment.rate))
        self._told &= takes.keys()

    def _hear_files(self) -> None:
        for news in self.performer.loading.poll():
            if isinstance(news, Ready):
                self.performer.perform(self.session.loaded(news.deck, news.track, news.frames, news.what))
            elif isinstance(news, Moved):
                self.session.transported(news.deck, news.frame, news.position, news.playing, news.track)
            else:
                self.events.fail(news.route, news.address, news.sentence, "bad-file")

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
