"""An engine that continues whatever is periodic: it repeats the last second of its context, for tests of time and place."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import replace
from itertools import pairwise

import numpy as np

from segue.server.audio.feeder import read_region
from segue.server.audio.segment import Segment
from segue.server.audio.values import Ring
from segue.server.jobs import (
    Audio,
    EngineState,
    Failed,
    FilePart,
    Finished,
    Job,
    PhrasePart,
    Piece,
    RingPart,
    Running,
    WorkerEvent,
)

RATE = 44_100
PERIOD = RATE  # of the repetition, frames
PIECE = 3 * RATE + RATE // 2
STATE = EngineState("ready", "", 2.4, 2.4, 3.5, "fake")


class FakeRunner:
    """Takes whose frame t is frame t - 1 s of what sounded."""

    def __init__(self, segment: Segment, piece: int = PIECE) -> None:
        self._segment, self._piece = segment, piece
        self.fail = ""
        self.jobs: list[Job] = []

    def run(self, job: Job, cancelled: Callable[[], bool], on_share: Callable[[float], None]) -> Iterator[WorkerEvent]:
        """Pieces of the repeated second, of every job of a batch."""
        self.jobs.append(job)
        for one, seed in ((job.id, job.seed), *job.also):
            yield from self._one(replace(job, id=one, seed=seed))

    def _one(self, job: Job) -> Iterator[WorkerEvent]:
        if self.fail:
            yield Failed(job.id, self.fail)
            return
        unit: Audio = np.full((2, PERIOD), 0.25, np.float32)
        source = job.middle if job.verb == "loop" else job.left
        if isinstance(source, RingPart):
            unit = self._segment.read(Ring.SOUNDED, source.deck - 1, source.end, PERIOD)
        yield Running(job.id)
        if isinstance(job.middle, FilePart) and isinstance(job.middle_right, PhrasePart):
            audio = read_region(job.middle.path, job.middle.start, job.middle.frames, RATE)
            yield Piece(job.id, 0, audio, 0.0, job.steps)
            yield Finished(job.id)
            return
        if isinstance(job.middle, FilePart) and isinstance(job.middle_right, FilePart):
            yield from self._crossfade(job, job.middle, job.middle_right)
            return
        size = job.new_frames if job.verb == "loop" else self._piece  # all but its bridge is there already
        hop = self._piece // (job.steps + 1) if job.sampler == "rolling" else size
        starts = [0, *range(min(2 * hop, size), job.new_frames, hop), job.new_frames]
        for start, end in pairwise(starts):
            yield Piece(job.id, start, unit[:, np.arange(start, end) % PERIOD], 0.0, job.steps)
        yield Finished(job.id)

    @staticmethod
    def _crossfade(job: Job, a: FilePart, b: FilePart) -> Iterator[WorkerEvent]:
        """A transition as DJs know it: one file into the other, straight."""
        ramp = np.linspace(0.0, 1.0, job.new_frames, dtype=np.float32)
        first, second = (read_region(part.path, part.start, part.frames, RATE) for part in (a, b))
        yield Piece(job.id, 0, (1.0 - ramp) * first + ramp * second, 0.0, job.steps)
        yield Finished(job.id)
