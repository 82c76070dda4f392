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
    """heard: `[2, n]` at the model's rate. played: as of `novelty.coarse`, that and what sounded since, up to frame `end`.

    unheard: samples of what is being made that lie before that frame.
    """

    heard: Audio
    played: Values
    end: float
    unheard: int = 0


class Continuations:
    """Continuations that may go on without an end, by the job that began each."""

    def __init__(self, model_rate: int, rate: int) -> None:
        """rate: of the stream, Hz."""
        self._scale, self._most = model_rate / rate, round(PLAYED_S * model_rate / COARSE)
        self._courses: dict[int, _Course] = {}

    def asked(self, job: Job, left: Audio | None) -> tuple[Audio | None, Values | None, int]:
        """What the job that began a continuation heard; what has been played, up to where this one will be heard; and how many
        samples of its audio lie before that. (None, None, 0) of any other job.

        left: what the job hears, `[2, n]` at the model's rate; it is kept in case that the job begins a continuation.
        """
        end = job.left.end if isinstance(job.left, RingPart) else None
        if left is None or end is None:
            return None, None, 0
        if job.origin is None:
            if job.task == "continuation":
                self._courses[job.id] = _Course(left, coarse(left), end)
                while len(self._courses) > REMEMBERED:
                    del self._courses[next(iter(self._courses))]
            return None, None, 0
        course = self._courses.get(job.origin)
        if course is None:
            return None, None, 0
        sounded = coarse(left[:, left.shape[1] % COARSE :])
        t0 = len(course.played) - round((course.end - end) * self._scale / COARSE)
        coming = course.played[max(0, t0) :][: round(job.unheard * self._scale / COARSE)]  # of the take before this one
        course.played = np.concatenate([course.played[: max(0, t0 - len(sounded))], sounded, coming])[-self._most :]
        course.unheard = len(coming) * COARSE
        course.end = end + course.unheard / self._scale
        return course.heard, course.played, course.unheard

    def made(self, job: Job, audio: Audio) -> None:
        """Audio `[2, n]` at the model's rate goes on with the continuation of a job."""
        course = self._courses.get(job.id if job.origin is None else job.origin)
        if course is not None:
            heard = audio[:, course.unheard :]
            course.unheard -= audio.shape[1] - heard.shape[1]
            course.played = np.concatenate([course.played, coarse(heard)])
            course.end += heard.shape[1] / self._scale
