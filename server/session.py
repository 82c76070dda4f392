"""The session: a pure reducer from commands, engine events and time to effects. No clock, no socket, no audio device.

Control thread only. Every method returns the effects in the order in which they are to be carried out.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import replace

from segue.server import bridging, candidates, crossfading, settings, speculation, timing, verbs
from segue.server.analysis import Analysis
from segue.server.arriving import leave, stay
from segue.server.binding import is_release
from segue.server.commands import CODES, Command, CommandError, Kind, Spec, Value
from segue.server.effects import Changed, Effect, Emit, Fail, Panic, Play, Reply, Submit
from segue.server.endless import follow
from segue.server.filed import File
from segue.server.holding import VERBS as HOLDING
from segue.server.holding import due_now
from segue.server.jobs import Audio, EngineState, Failed, Finished, Piece, Progress, Running, WorkerEvent
from segue.server.loudness import SILENT_DB
from segue.server.placing import advance, ended, retimed, said, started
from segue.server.reanchoring import moved
from segue.server.recording import VERBS as RECORDING
from segue.server.recording import shaped
from segue.server.state import Asked, Moment, World
from segue.server.sync.line import Line, Playing, SourceState
from segue.server.takes import OVER, Again, State, Take
from segue.server.timeline import Pace

QUEUE = 16  # jobs waiting for the engine
GUARD_S = 0.02  # silence of the input, while a take is on its way, after which the loop steps in
GUARD_FADE_S = 0.005
PACE_WEIGHT = 0.5  # of the newest measurement of the engine's speed
VERBS = {**HOLDING, **RECORDING}  # that make no take with the engine


class Session:
    """Decks, jobs and the beat, moved on by messages."""

    def __init__(self, world: World) -> None:
        """world: what is remembered; the session owns it."""
        self.world = world

    def handle(
        self, spec: Spec, deck: int | None, bound: Mapping[str, Value], command: Command, at: int, moment: Moment
    ) -> Iterator[Effect]:
        """One message that takes effect at frame `at`; a CommandError becomes its `Fail`.

        Each effect is to be carried out before the next is asked for: what must be heard soon comes before what takes long.
        """
        try:
            if spec.kind is Kind.VALUE:
                yield from self._value(spec, deck, bound, command, at)
            elif spec.kind is Kind.VERB and deck is not None:
                if is_release(spec, command.args):
                    return
                if spec.name in verbs.TASKS:
                    yield from self._make(spec, deck, bound, command, at, moment)
                else:
                    yield from VERBS[spec.name](self.world, Asked(spec.name, deck, bound, command, at, moment))
            elif spec.name == "panic":
                yield from self._panic(at)
            elif spec.name == "save":
                settings.save_scene(self.world, int(bound["scene"] or 0))
            elif spec.name == "recall":
                yield from settings.recall_scene(self.world, int(bound["scene"] or 0), at)
            else:
                yield from timing.act(self.world, spec, bound, at)
        except CommandError as error:
            yield Fail(command.sender, command.address, str(error), error.code)

    def _value(self, spec: Spec, deck: int | None, bound: Mapping[str, Value], command: Command, at: int) -> Iterator[Effect]:
        (arg,) = spec.args
        if arg.name in bound:
            yield from settings.set_value(self.world, deck, spec.name, bound[arg.name], at)
            yield Changed(command.sender, spec.address.format(deck=deck), (bound[arg.name],))
            return
        current = settings.value_of(self.world, deck, spec.name)
        yield Reply(command.sender, spec.address.format(deck=deck), (current,))

    def _panic(self, at: int) -> Iterator[Effect]:
        for take in self.world.pending():
            yield from stay(self.world, take)
            yield from ended(take, State.CANCELLED, "panic")
        self.world.later.clear()
        yield Panic(at)
        for deck in self.world.decks:
            yield from leave(self.world, deck.number, at)
            deck.looping, deck.guarded, deck.loop = False, False, None

    # -- verbs that make a take

    def _make(
        self, spec: Spec, deck: int, bound: Mapping[str, Value], command: Command, at: int, moment: Moment
    ) -> Iterator[Effect]:
        waiting = [t for t in self.world.pending() if t.state is State.QUEUED]
        if len(waiting) >= QUEUE:
            raise CommandError("queue-full", f"{QUEUE} jobs wait already: cancel some, or wait")
        take = verbs.ask(self.world, spec, deck, bound, command, at)
        if bound.get("endless"):
            take.again = Again(spec, dict(bound))
        candidate = candidates.selected(self.world, take, bound, at)
        if candidate is not None:
            yield from candidates.play(self.world, candidate, moment)
            return
        yield from speculation.dropped(self.world.candidates)
        self.world.remember(take)
        yield said(take, 0.0)
        yield from self._start_due(moment)

    def _start_due(self, moment: Moment) -> Iterator[Effect]:
        for take in self.world.pending():
            ready = self.world.engine == "ready"
            if take.state is not State.QUEUED or take.start_at > moment.frame + moment.block:
                continue
            if not ready and (take.job.verb != "transition" or not take.commit):
                continue
            try:
                verbs.begin(self.world, take, moment)
            except CommandError as error:
                take.state = State.FAILED
                yield said(take, 0.0, str(error))
                yield Fail(take.route, take.address, str(error), error.code)
                continue
            if take.job.verb == "transition":
                yield from bridging.told(self.world, take)
            if not ready:
                sentence = f"the engine is {self.world.engine}: a plain crossfade"
                yield from crossfading.crossfade(self.world, take, moment, sentence)
                continue
            take.state = State.RUNNING
            yield Submit(take.job)
            yield said(take, 0.0)

    # -- what the conductor reports

    def captured(self, job: int, audio: Audio) -> list[Effect]:
        """The audio of a `Capture`."""
        take = self.world.takes[job]
        audio = shaped(self.world, take, audio)
        take.pieces, take.made, take.complete = [(0, audio)], audio.shape[1], True
        if take.state is not State.RUNNING:  # it sounds already
            return []
        take.state = State.READY
        return [said(take)]

    def loaded(self, deck: int, track: str, frames: int, what: Analysis) -> list[Effect]:
        """A file stands ready on a deck; `frames` is its length at the stream's rate."""
        held = self.world.deck(deck)
        held.file = file = File(track, frames, beats=what.beats, downbeat=what.downbeat, bpm=what.bpm)
        rate, prefix = self.world.rate, f"/segue/deck/{deck}"
        first = what.beats[what.downbeat or 0] / rate if what.beats else -1.0
        lufs = SILENT_DB if what.lufs is None else what.lufs
        return [
            Emit(f"{prefix}/file", (file.track.path, frames / rate)),
            Emit(f"{prefix}/track", (file.track.gain_db, lufs, what.peak_db, what.bpm, first)),
        ]

    def transported(self, deck: int, frame: int, position: int, playing: bool, track: str) -> None:
        """The deck's file plays from `position` at `frame`, or rests there."""
        held = self.world.deck(deck)
        if held.file is not None:
            held.file = replace(held.file, path=track, playing=playing, origin_frame=frame, origin_position=position)

    # -- the engine

    def worker(self, event: WorkerEvent, moment: Moment) -> list[Effect]:
        """Something the engine process said."""
        if isinstance(event, EngineState):
            return list(self._engine(event, moment))
        brewing = self.world.candidates.brewing
        if event.job in brewing:
            if isinstance(event, Piece) and event.steps and not brewing[event.job].job.also:
                self._measure(event)
            return list(speculation.news(self.world, event.job, event, moment))
        take = self.world.takes.get(event.job)
        if take is None or take.state in OVER or (isinstance(event, Piece) and take.complete):
            return []
        return list(self._news(event, take, moment))

    def _engine(self, event: EngineState, moment: Moment) -> Iterator[Effect]:
        world = self.world
        world.engine, world.engine_sentence = event.state, event.sentence
        if event.state == "ready":
            world.with_rate_of_engine(event.context_s, event.context_min_s, event.new_s)
            world.batch = event.batch
        yield Emit("/segue/engine", (event.state, event.sentence))
        if event.state == "down":
            world.candidates.brewing = {}
            for take in world.takes.values():
                if take.state in (State.RUNNING, State.READY) and not take.complete and not take.recorded:
                    yield from self._fail(take, event.sentence, "engine-down", moment)
                elif not take.complete and take.state in (State.ARMED, State.PLAYING):
                    take.complete = True
                    take.exit = min(take.exit, take.have - take.fade)
        yield from self._start_due(moment)

    def _fail(self, take: Take, sentence: str, code: str, moment: Moment) -> Iterator[Effect]:
        if crossfading.can(take):
            yield from crossfading.crossfade(self.world, take, moment, sentence)
            return
        take.state = State.FAILED
        yield said(take, 1.0, sentence)
        yield Fail(take.route, take.address, sentence, code)

    def _news(self, event: WorkerEvent, take: Take, moment: Moment) -> Iterator[Effect]:
        match event:
            case Running():
                yield said(take, 0.0)
            case Progress(share=share):
                if take.state is State.RUNNING:
                    yield said(take, share)
            case Failed(sentence=sentence, code=code):
                if take.entry is None:
                    yield from self._fail(take, sentence, code, moment)
            case Piece():
                if event.steps and take.job.sampler != "rolling":
                    self._measure(event)
                take.pieces.append((event.start, event.audio))
                take.made = event.start + event.audio.shape[1]
                take.seconds += event.seconds
                take.context_hash = event.context_hash
                take.complete = take.made >= take.job.new_frames
                yield from advance(self.world, take, moment)
            case Finished():
                take.complete = True
                yield from advance(self.world, take, moment)

    def _measure(self, piece: Piece) -> None:
        expected = self.world.pace_at(piece.steps)
        cost = round(piece.seconds * self.world.rate)
        self.world.pace = Pace(round(expected.cost + PACE_WEIGHT * (cost - expected.cost)), expected.piece)
        self.world.pace_steps = max(1, piece.steps)

    # -- time

    def synced(self, source: str, news: Line | SourceState | Playing, moment: Moment) -> list[Effect]:
        """Something a source of tempo said. What is heard of the music was played to a beat before."""
        if source == "audio" and isinstance(news, Line) and self.world.deck(1).file is None:
            news = replace(news, frame=news.frame - self.world.latency)
        return list(timing.heard(self.world, source, news, moment))

    def applied(self, play_id: int, frame: int) -> list[Effect]:
        """The callback has carried out a Play at `frame`."""
        take = next((t for t in self.world.takes.values() if t.play_id == play_id and t.state is State.ARMED), None)
        return list(started(self.world, take, frame)) if take else []

    def tick(self, moment: Moment) -> list[Effect]:
        """Time has passed: starts what is due, enters what waited, guards against silence, ends what is over."""
        world, effects = self.world, list(self._due_now(moment))
        if world.timed is not world.grid:
            world.timed = world.grid
            effects += moved(world, moment)
            effects += retimed(world, moment)
        effects += follow(world, moment)
        effects += self._start_due(moment)
        effects += speculation.speculate(world, moment)
        for take in list(self.world.takes.values()):
            if take.state in (State.RUNNING, State.READY) and take.entry is None:
                effects += advance(self.world, take, moment)
                if crossfading.late(take, moment):
                    effects += crossfading.crossfade(self.world, take, moment, "the take is late: a plain crossfade")
            elif take.state in (State.ARMED, State.PLAYING) and moment.frame >= take.exit + take.fade:
                take.state = State.DONE
                take.entry = None
                effects.append(said(take))
        for deck in self.world.decks:
            effects += self._guard(deck.number, moment)
            source = moment.deck(deck.number).source
            if source != deck.source:
                deck.source = source
                effects.append(Emit(f"/segue/deck/{deck.number}/state", (source,)))
        return effects

    def _due_now(self, moment: Moment) -> Iterator[Effect]:
        """What waited for a beat that is near now; one that cannot be carried out any more says so."""
        while self.world.later:
            try:
                yield from due_now(self.world, moment)
                return
            except CommandError as error:
                yield Emit("/segue/fail", ("", str(error), CODES[error.code]))

    def _guard(self, number: int, moment: Moment) -> Iterator[Effect]:
        """While a take is on its way and the performer has stopped, the loop of what sounded steps in."""
        deck, facts = self.world.deck(number), moment.deck(number)
        made = (t for t in self.world.pending(number) if t.commit and not t.recorded)
        coming = any(t.state in (State.RUNNING, State.READY) for t in made)
        rate = self.world.rate
        if coming and not deck.guarded and facts.source == "dry" and facts.loop_ready and facts.silent > GUARD_S * rate:
            deck.guarded = True
            frame, fade = moment.frame + moment.block, round(GUARD_FADE_S * rate)
            deck.whole_from = frame + fade
            yield Play(number, "loop", frame, fade, self.world.play_id())
        if not coming:
            deck.guarded = False
