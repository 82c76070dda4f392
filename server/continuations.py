"""What an endless continuation heard before its first take, and has played since: its takes are cut from the one, and are to be
unlike the other. Inference thread only."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from segue.engine.novelty import COARSE, coarse
from segue.engine.repetition import Values
from segue.server.jobs import Audio, Job, RingPart

REMEMBERED = 8  # continuations whose beginnings are kept: a window each
PLAYED_S = 120.0  # of what a continuation has heard and played that is kept


@dataclass
class _Course:
    """heard: `[2, n]` at the model's rate. played: as of `novelty.coarse`, that and the takes since, up to frame `end`."""

    heard: Audio
    played: Values
    end: float


class Continuations:
    """Continuations that may go on without an end, by the job that began each."""

    def __init__(self, model_rate: int, rate: int) -> None:
        """rate: of the stream, Hz."""
        self._scale, self._most = model_rate / rate, round(PLAYED_S * model_rate / COARSE)
        self._courses: dict[int, _Course] = {}

    def asked(self, job: Job, left: Audio | None) -> tuple[Audio | None, Values | None]:
        """What the job that began a continuation heard, and what has been played up to t0; (None, None) of any other job.

        left: what the job hears, `[2, n]` at the model's rate; it is kept in case that the job begins a continuation.
        """
        end = job.left.end if isinstance(job.left, RingPart) else None
        if left is None or end is None:
            return None, None
        if job.origin is None:
            if job.task == "continuation":
                self._courses[job.id] = _Course(left, coarse(left), end)
                while len(self._courses) > REMEMBERED:
                    del self._courses[next(iter(self._courses))]
            return None, None
        course = self._courses.get(job.origin)
        if course is None:
            return None, None
        unheard = round((course.end - end) * self._scale / COARSE)  # made, but what this job makes takes its place
        course.played, course.end = course.played[: len(course.played) - max(0, unheard)][-self._most :], end
        return course.heard, course.played

    def made(self, job: Job, audio: Audio) -> None:
        """Audio `[2, n]` at the model's rate goes on with the continuation of a job."""
        course = self._courses.get(job.id if job.origin is None else job.origin)
        if course is not None:
            course.played = np.concatenate([course.played, coarse(audio)])
            course.end += audio.shape[1] / self._scale
