"""The performer: carries out what the session wants, on segment, engine, files and clients. Control thread only."""

from __future__ import annotations

import contextlib
from collections.abc import Callable, Iterable
from typing import Any

from segue.server import effects as fx
from segue.server import reports, seen
from segue.server.analysing import Analyst
from segue.server.audio.segment import Segment
from segue.server.audio.values import Bus, Curve, Policy, Ring, TooNear
from segue.server.audio.values import Command as Order
from segue.server.commands import CODES, ROOT
from segue.server.events import Events
from segue.server.files import FileDecks
from segue.server.loading import Loading
from segue.server.session import Session
from segue.server.showlog import ShowLog
from segue.server.sync.sources import Sources
from segue.server.worker import Worker

BUS_FADE_S = 0.005
SERIALS = 1 << 32  # ids from here on belong to commands that no take waits for

POLICIES = {"ladder": Policy.LADDER, "dry": Policy.DRY, "loop": Policy.LOOP, "silence": Policy.SILENCE}


class Performer:
    """Effects in, sound and messages out."""

    def __init__(self, segment: Segment, session: Session, events: Events, log: ShowLog, analyst: Analyst) -> None:
        """Everything that it speaks to; without a worker nothing is made, without sources the tempo is the server's own."""
        self.worker: Worker | None = None
        self.sources: Sources | None = None
        self._segment, self._session, self._events, self._log = segment, session, events, log
        self._files = FileDecks(segment)
        self.loading = Loading(self._files, analyst, segment.rate)
        self._serial = SERIALS
        self._do = self._table_of_effects()

    def perform(self, todo: Iterable[fx.Effect]) -> None:
        """Carries out effects in order."""
        for effect in todo:
            try:
                self._do[type(effect)](effect)
            except TooNear as error:  # it has begun to sound since: the callback's ladder decides
                self._log.write(self._segment.frame, "too near", sentence=str(error))

    def _table_of_effects(self) -> dict[type, Callable[[Any], object]]:
        segment, events = self._segment, self._events
        return {
            fx.Submit: lambda e: self.worker.submit(e.job) if self.worker else None,
            fx.Abandon: lambda e: self.worker.abandon(e.job) if self.worker else None,
            fx.Write: self._write,
            fx.Publish: self._publish,
            fx.Play: self._play,
            fx.Gain: lambda e: self.push(Order.set_gain(e.deck - 1, e.gain, e.frame, id=self._next())),
            fx.Bus: self._bus,
            fx.Inputs: lambda e: segment.set_inputs(e.deck - 1, e.pair),
            fx.Gate: lambda e: segment.set_gate(e.deck - 1, e.dbfs),
            fx.Revoke: self._revoke,
            fx.Panic: lambda e: self.push(Order.panic(e.frame, id=self._next())),
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
            grid, frame = self._session.world.grid, self._segment.frame
            self.sources.use(e.name, grid.bpm, grid.beat_at(frame), frame, grid.beats_per_bar)

    def _next(self) -> int:
        self._serial += 1
        return self._serial

    def push(self, order: Order) -> None:
        """Gives the callback an order; logged where its queue is full."""
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
        self.push(Order.set_gain(0, e.gain, e.frame, fade, bus=Bus[e.name.upper()], id=self._next()))

    def _play(self, e: fx.Play) -> None:
        curve = Curve.LINEAR if e.curve == "linear" else Curve.POWER
        self.push(Order.play(e.deck - 1, seen.SOURCES[e.source], e.frame, e.fade, id=e.id, take=e.take, curve=curve))
        self._log.write(e.frame, "play", deck=e.deck, source=e.source, id=e.id, take=e.take)

    def _load(self, e: fx.LoadFile) -> None:
        try:
            self.loading.load(e)
        except ValueError as error:  # a path that is too long, or holds a zero
            self._events.fail(e.route, e.address, str(error), "bad-file")

    def _transport(self, e: fx.Transport) -> None:
        self._session.transported(e.deck, e.frame, e.position, e.playing, e.track)
        try:
            self._files.move(e.deck, e.frame, e.position, e.playing, e.track, e.exact, e.id)
        except ValueError as error:  # stretched, its text has become too long
            self._events.fail("", f"{ROOT}/deck/{e.deck}/load", str(error), "bad-file")

    def _revoke(self, e: fx.Revoke) -> None:
        self._files.revoke(e.id)
        self.push(Order.cancel(e.id))

    def _prepare(self, e: fx.Prepare) -> None:
        with contextlib.suppress(ValueError):  # whoever plays it then says so
            self._files.prepare(e.deck, e.track, e.position)

    def _audition(self, e: fx.Audition) -> None:
        place, frames = (0, 0) if e.audio is None else (self._segment.write_cue(e.audio), e.audio.shape[1])
        self.push(Order.cue(place, frames, round(BUS_FADE_S * self._segment.rate), e.frame, id=self._next()))

    def _capture(self, e: fx.Capture) -> None:
        audio = self._segment.read(Ring.INPUT if e.ring == "input" else Ring.SOUNDED, e.deck - 1, e.end, e.frames)
        self.perform(self._session.captured(e.job, audio))

    def _emit(self, e: fx.Emit) -> None:
        types = {f"{ROOT}/job": reports.JOB_TYPES, f"{ROOT}/take": reports.TAKE_TYPES}.get(e.address)
        self._events.emit(e.address, *e.args, types=types)
        self._log.write(self._segment.frame, "event", address=e.address, args=e.args)
