"""Any sequence of messages, engine events and time leaves a valid session."""

from __future__ import annotations

from types import SimpleNamespace
from typing import Any

import numpy as np
from hypothesis import given, settings
from hypothesis import strategies as st

from segue.server import effects as fx
from segue.server.analysis import Analysis, regular
from segue.server.binding import bind
from segue.server.commands import SPECS, Command, CommandError, Kind, Spec
from segue.server.jobs import EngineState, Failed, Finished, Job, Piece, Progress, Running
from segue.server.placing import LOOPS
from segue.server.recording import follow
from segue.server.session import Session
from segue.server.state import TAKES, Moment, World
from segue.server.takes import State

RATE, BLOCK = 8000, 64
READY = EngineState("ready", "", 2.4, 2.4, 3.5, "fake")
SENT = [s for s in SPECS if s.kind in (Kind.VERB, Kind.VALUE)] + [
    s for s in SPECS if s.name in ("tap", "downbeat", "nudge", "panic")
]


def _arguments(spec: Spec) -> st.SearchStrategy[tuple[Any, ...]]:
    """Arguments and options as a client would send them, mostly valid."""

    def value(arg: Any) -> st.SearchStrategy[Any]:
        if arg.choices:
            return st.sampled_from(arg.choices)
        if arg.type == "s":
            return st.sampled_from(["a.wav", "b.flac"])
        if arg.type == "b":
            return st.booleans()
        low, high = arg.low if arg.low is not None else 0, arg.high if arg.high is not None else 100
        return st.integers(int(np.ceil(low)), int(min(high, 200))) if arg.type == "i" else st.floats(low, min(high, 200.0))

    options = st.lists(st.sampled_from(spec.options), max_size=3, unique_by=lambda a: a.name) if spec.options else st.just([])
    pairs = options.flatmap(lambda chosen: st.tuples(*(st.tuples(st.just(a.name), value(a)) for a in chosen)))
    firsts = st.tuples(*(value(a) for a in spec.args))
    return st.tuples(firsts, pairs).map(lambda p: (*p[0], *(x for pair in p[1] for x in pair)))


MESSAGES = st.sampled_from(SENT).flatmap(lambda s: st.tuples(st.just("send"), st.just(s), st.integers(1, 2), _arguments(s)))
STEPS = st.one_of(
    MESSAGES,
    st.tuples(st.just("time"), st.integers(1, 40_000)),
    st.tuples(st.just("piece"), st.integers(100, 30_000)),
    st.tuples(st.just("finish")),
    st.tuples(st.just("fail")),
    st.tuples(st.just("down")),
    st.tuples(st.just("up")),
)


class Rig:
    """A session with its surroundings as far as it needs them."""

    def __init__(self) -> None:
        self.session = Session(World.fresh(RATE, 2, 120.0))
        self.session.world.longest_loop = 16 * RATE
        self.frame = 40_000
        self.jobs: dict[int, Job] = {}
        self.made: dict[int, int] = {}
        self.playing: list[fx.Play] = []
        self.do(self.session.worker(READY, self.moment()))

    def moment(self) -> Moment:
        facts = SimpleNamespace(source="dry", heard=self.frame, silent=0, loop_ready=True, busy=(False, False))
        return Moment(self.frame, BLOCK, (facts, facts))

    def do(self, effects: list[fx.Effect]) -> None:
        for e in effects:
            if isinstance(e, fx.Submit):
                self.jobs[e.job.id], self.made[e.job.id] = e.job, 0
                self.do(self.session.worker(Running(e.job.id), self.moment()))
            elif isinstance(e, fx.Abandon):
                self.jobs.pop(e.job, None)
            elif isinstance(e, fx.Play):
                assert e.frame >= self.frame
                assert e.fade >= 0
                self.playing.append(e)
            elif isinstance(e, fx.Publish):
                assert e.first <= e.last
                assert e.slot in (0, 1)
            elif isinstance(e, fx.Write):
                assert e.audio.dtype == np.float32
            elif isinstance(e, fx.Capture):
                self.do(self.session.captured(e.job, np.zeros((2, e.frames), np.float32)))
            elif isinstance(e, fx.LoadFile):
                beats = regular(60 * RATE, RATE, 90.0 + 5.0 * e.deck, 0.3)
                self.do(self.session.loaded(e.deck, e.path, 60 * RATE, Analysis(-14.0, -1.0, 90.0 + 5.0 * e.deck, beats)))
            elif isinstance(e, fx.Transport):
                self.session.transported(e.deck, e.frame, e.position, e.playing, e.track)

    def step(self, step: tuple[Any, ...]) -> None:
        kind, now = step[0], self.moment()
        if kind == "send":
            spec, deck, args = step[1:]
            command = Command(spec.address.format(deck=deck), args)
            try:
                bound = bind(spec, args)
            except CommandError:
                return
            self.do(self.session.handle(spec, deck if spec.per_deck else None, bound, command, self.frame + BLOCK, now))
        elif kind == "time":
            self.frame += step[1]
            due = [p for p in self.playing if p.frame <= self.frame]
            self.playing = [p for p in self.playing if p.frame > self.frame]
            for play in due:
                self.do(self.session.applied(play.id, play.frame))
            self.do(follow(self.session.world, self.moment()))
            self.do(self.session.tick(self.moment()))
        elif kind in ("down", "up"):
            self.jobs.clear()
            self.do(self.session.worker(READY if kind == "up" else EngineState("down", "it died"), now))
        elif self.jobs:
            self._engine(kind, next(iter(self.jobs.values())), step)

    def _engine(self, kind: str, job: Job, step: tuple[Any, ...]) -> None:
        if kind == "piece" and self.made[job.id] < job.new_frames:
            n = min(step[1], job.new_frames - self.made[job.id])
            piece = Piece(job.id, self.made[job.id], np.zeros((2, n), np.float32), 0.1, job.steps)
            self.made[job.id] += n
            self.do(self.session.worker(Progress(job.id, 0.5), self.moment()))
            self.do(self.session.worker(piece, self.moment()))
        elif kind in ("finish", "fail"):
            del self.jobs[job.id]
            self.do(self.session.worker(Finished(job.id) if kind == "finish" else Failed(job.id, "no"), self.moment()))


@settings(max_examples=150, deadline=None)
@given(st.lists(STEPS, max_size=40))
def test_any_sequence_leaves_a_valid_session(steps: list[tuple[Any, ...]]) -> None:
    rig = Rig()
    for step in steps:
        rig.step(step)
    world = rig.session.world
    assert len(world.takes) <= TAKES + 16 + 2  # those that wait, and one that plays on each deck
    for take in world.takes.values():
        assert take.state in State
        assert take.made == sum(a.shape[1] for _, a in take.pieces)
        assert take.entry is None or take.t0 <= take.entry or take.job.verb in LOOPS
    for deck in world.decks:
        assert deck.slot in (0, 1)
        assert deck.playing is None or isinstance(deck.playing, int)
        assert all(i in world.takes for i in (*deck.undo, *deck.redo))
