"""The whole server on a stepped clock: segment, core, session and engine in one thread, faster than real time and repeatable.

Every piece of audio is charged a declared cost, so that takes are late by as much here as they would be on stage.
"""

from __future__ import annotations

import uuid
from collections import deque
from collections.abc import Callable, Iterator
from dataclasses import replace
from typing import Protocol

import numpy as np

from segue.server.audio.core import make_core
from segue.server.audio.feeder import Feeder
from segue.server.audio.layout import Geometry
from segue.server.audio.segment import Segment
from segue.server.audio.wiring import wired, wishes
from segue.server.commands import Command, Value
from segue.server.conductor import Conductor
from segue.server.config import Config
from segue.server.events import Events
from segue.server.jobs import Audio, EngineState, Job, Piece, WorkerEvent
from segue.server.session import Session
from segue.server.showlog import ShowLog
from segue.server.state import World


class Runner(Protocol):
    """What carries out a job; `Inference` does."""

    def run(self, job: Job, cancelled: Callable[[], bool], on_share: Callable[[float], None]) -> Iterator[WorkerEvent]:
        """The events of one job."""


class SteppedWorker:
    """Runs jobs one after the other; each piece is ready `cost` frames after the one before, of a rolling job a step's share."""

    def __init__(self, runner: Runner, cost: int, rate: int) -> None:
        """cost: frames that a piece takes to make."""
        self.runner, self._cost, self._rate = runner, cost, rate
        self._queue: deque[Job] = deque()
        self._running: tuple[Job, Iterator[WorkerEvent]] | None = None
        self._due = 0
        self._frame = 0
        self._abandoned: set[int] = set()
        self.pieces = 0

    def submit(self, job: Job) -> None:
        """Queues a job."""
        self._queue.append(job)

    def abandon(self, job: int) -> None:
        """Ends a job."""
        self._abandoned.add(job)

    def close(self) -> None:
        """Nothing to end."""

    def events(self, frame: int) -> Iterator[WorkerEvent]:
        """What has been made by `frame`."""
        self._frame = frame
        if self._running is None and self._queue:
            job = self._queue.popleft()
            self._running = (job, self.runner.run(job, lambda: job.id in self._abandoned, lambda share: None))
            yield next(self._running[1])  # Running or Failed: the sources are read now
            self._due = frame + self._cost
        if self._running is not None and (frame >= self._due or self._running[0].id in self._abandoned):
            job, events = self._running
            event = None if job.id in self._abandoned else next(events, None)
            if event is None:
                self._running = None
                return
            if isinstance(event, Piece):
                self.pieces += 1
                cost = self._cost // (job.steps if job.sampler == "rolling" else 1)
                self._due += cost if event.start + event.audio.shape[1] < job.new_frames else 0
                event = replace(event, seconds=cost / self._rate)
            yield event


class SteppedTime:
    """Frame = seconds times rate, exactly."""

    def __init__(self, rate: int) -> None:
        """rate: frames a second."""
        self._rate = rate

    def frame_at(self, time: float) -> float:
        """The frame at a time in seconds since the beginning."""
        return time * self._rate

    def time_at(self, frame: float) -> float:
        """Seconds at a frame."""
        return frame / self._rate

    def present(self) -> float:
        """Between two blocks nothing is under way."""
        return float("-inf")


class Stage:
    """A server that moves only when it is told to."""

    def __init__(
        self,
        config: Config,
        make_runner: Callable[[Segment], Runner],
        engine: EngineState,
        cost_s: float,
        log: ShowLog | None = None,
    ) -> None:
        """make_runner: gets the segment, whose rings are the contexts. engine: what the engine says when it is ready."""
        geometry = Geometry(
            config.rate,
            config.block,
            config.decks,
            in_channels=2 * config.decks,
            inputs=wired(config.decks, 2 * config.decks, wishes(config.inputs, config.decks)),
            cue=config.cue - 1,
        )
        self.segment = Segment.create(geometry, f"segue-stage-{uuid.uuid4().hex[:12]}")
        self.core = make_core(self.segment)
        self.feeder = Feeder(self.segment)
        self.worker = SteppedWorker(make_runner(self.segment), round(cost_s * config.rate), config.rate)
        self.sent: list[tuple[str, tuple[Value, ...]]] = []
        self.events = Events(self._send, clock=lambda: self.segment.frame / config.rate)
        session = Session(World.fresh(config.rate, config.decks, config.tempo))
        session.world.pace = type(session.world.pace)(max(1, round(cost_s * config.rate)), session.world.pace.piece)
        self.conductor = Conductor(self.segment, session, self.events, SteppedTime(config.rate), log or ShowLog(config.log))
        self.conductor.performer.worker = self.worker
        self.events.notify("stage")
        self.conductor.worker_event(engine)
        self._rate = config.rate

    def _send(
        self, route: str, address: str, args: tuple[Value, ...] = (), types: str | None = None, time: float | None = None
    ) -> None:
        self.sent.append((address, tuple(args)))

    @property
    def frame(self) -> int:
        """The next frame to be processed."""
        return self.segment.frame

    def send(self, address: str, *args: Value, tag: float | None = None) -> None:
        """A message that arrives now; tag: the second it is meant for."""
        self.conductor.handle(Command(address, args, tag, "stage", self.segment.frame / self._rate))

    def step(self, block: Audio | None, frames: int) -> Audio:
        """Processes one block `[2 * decks, frames]` of input, or silence, and returns `[2, frames]` of output."""
        out = self.core.process(block, round(self.segment.frame / self._rate * 1e9), frames)
        self.feeder.step()
        self.conductor.tick()
        for event in self.worker.events(self.segment.frame):
            self.conductor.worker_event(event)
        return out

    def play(self, audio: Audio | None, frames: int) -> Audio:
        """Runs `frames` frames with deck 1 (and further decks, two rows each) hearing `audio`; returns what sounded."""
        block, out = self.segment.block, []
        channels = 2 * self.segment.decks
        for start in range(0, frames, block):
            n = min(block, frames - start)
            heard = np.zeros((channels, n), np.float32)
            if audio is not None and start < audio.shape[1]:
                part = audio[:, start : start + n]
                heard[: part.shape[0], : part.shape[1]] = part
            out.append(self.step(heard, n))
        return np.concatenate(out, axis=1)

    def close(self) -> None:
        """Gives the memory back."""
        self.feeder.close()
        self.segment.close()
        self.segment.unlink()
