"""The tasks of section 4.3 (Levy et al. 2023) as cases: what is given, what was really played, and where it lies in time."""

from __future__ import annotations

import sys
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TypeAlias

import numpy as np
from numpy.typing import NDArray

from segue.engine.measure import loudness
from segue.engine.shapes import crossfade
from segue.train.data import read_audio
from segue.train.excerpts import QUIET_LUFS, SEED, shares

Audio: TypeAlias = NDArray[np.float32]

TRIES = 40  # places that are looked at for a clip
UNCONDITIONAL_S, WINDOW_S, CONTEXT_S, MIDDLE_S, TRANSITION_S = 5.0, 6.0, 2.4, 2.0, 2.5  # 4.3
TASKS = ("unconditional", "continuation", "infill", "transition", "guidance")
LATE = "late continuation"  # not of 4.3: the last LATE_S, so that contexts of more lengths fit
LATE_S = 2.0


@dataclass(frozen=True)
class Stretch:
    """A stretch of a song that is scored and one of it for the reference, `[2, samples]`, 6 s as a rule, which do not overlap."""

    song: str
    audio: Audio
    reference: Audio


@dataclass(frozen=True)
class Case:
    """One thing to do. left, right: context, or None. truth: what was really played there `[2, new]`.

    middle: what stands there before, a transition's crossfade; under: its two tracks over the new part, without fades.
    style: what guides where something does: of guidance the stretch itself, of a continuation one of another song.
    """

    task: str
    song: str
    truth: Audio
    left: Audio | None = None
    right: Audio | None = None
    middle: Audio | None = None
    under: tuple[Audio, Audio] | None = None
    style: Audio | None = None

    @property
    def new(self) -> int:
        """Samples of new audio."""
        return int(self.truth.shape[1])


def draw(folder: Path, count: int, rate: int, seconds: float = WINDOW_S) -> list[Stretch]:
    """`count` stretches, evenly over the files of a folder, at places drawn by SEED: the same for the same count.

    The reference comes from the other half of its file, so it is disjoint in time from all that is scored.
    Raises FileNotFoundError where the folder holds no audio.
    """
    found: list[Stretch] = []
    for i, (path, wanted) in enumerate(shares(folder, count)):
        if wanted:
            audio = np.ascontiguousarray(read_audio(path)[0].T)
            found += stretches(path.stem, audio, wanted, rate, np.random.default_rng([SEED, i]), seconds)
        print(f"evaluate: {len(found)} of {count} stretches drawn", file=sys.stderr, flush=True)
    return found


def stretches(
    song: str, audio: Audio, wanted: int, rate: int, rng: np.random.Generator, seconds: float = WINDOW_S
) -> list[Stretch]:
    """Up to `wanted` stretches of a song: scored ones of its first or second half, references of the other."""
    size, middle, found = round(seconds * rate), audio.shape[1] // 2, []
    parts = [audio[:, :middle], audio[:, middle:]]
    if middle <= size:
        return []
    scored, other = parts if rng.random() < 0.5 else parts[::-1]
    for _ in range(wanted):
        pair = [_loud(part, size, rate, rng) for part in (scored, other)]
        if pair[0] is not None and pair[1] is not None:
            found.append(Stretch(song, pair[0], pair[1]))
    return found


def _loud(part: Audio, size: int, rate: int, rng: np.random.Generator) -> Audio | None:
    """A place of `size` samples whose thirds are all loud enough, or None."""
    for _ in range(TRIES):
        start = int(rng.integers(0, part.shape[1] - size))
        place = part[:, start : start + size]
        if min(loudness(third, rate) for third in np.array_split(place, 3, axis=1)) > QUIET_LUFS:
            return place
    return None


def cases(task: str, drawn: Sequence[Stretch], rate: int) -> list[Case]:
    """The stretches as cases of a task; of longer ones more is given and more is new. Raises ValueError for another task."""
    if task not in (*TASKS, LATE):
        raise ValueError(f"evaluate: got task {task!r}; one of {', '.join(TASKS)}")
    return [_case(task, one, other, rate) for one, other in zip(drawn, _partners(drawn), strict=True)]


def _partners(drawn: Sequence[Stretch]) -> list[Stretch]:
    """For each stretch one of another song where there is one: the one half the list away, or the next that fits."""
    count = len(drawn)
    found = []
    for i, one in enumerate(drawn):
        order = [drawn[(i + j) % count] for j in range(count // 2, count // 2 + count)]
        found.append(next((other for other in order if other.song != one.song), order[0]))
    return found


def _case(task: str, one: Stretch, other: Stretch, rate: int) -> Case:
    audio = one.audio
    if task in ("unconditional", "guidance"):
        return Case(task, one.song, audio[:, : round(UNCONDITIONAL_S * rate)], style=audio if task == "guidance" else None)
    if task in ("continuation", LATE):
        context = audio.shape[1] - scored_length(task, rate, audio.shape[1] / rate)
        return Case(task, one.song, audio[:, context:], left=audio[:, :context], style=other.audio)
    if task == "infill":
        start = round(CONTEXT_S * rate)  # not the very middle: the engine asks for as much context as a continuation has
        end = start + round(MIDDLE_S * rate)
        return Case(task, one.song, audio[:, start:end], audio[:, :start], audio[:, end:], audio[:, start:end])
    new = round(TRANSITION_S * rate)
    start = round(CONTEXT_S * rate)
    end = start + new
    under = audio[:, start:end], other.audio[:, start:end]
    return Case(task, one.song, under[0], audio[:, :start], other.audio[:, end:], crossfade(*under), under)


def scored_length(task: str, rate: int, seconds: float = WINDOW_S) -> int:
    """Samples of new audio in a case of a stretch of so many seconds, and so of a reference clip."""
    if task == "continuation":
        return round(seconds * rate) - round(CONTEXT_S / WINDOW_S * seconds * rate)
    new = {"infill": MIDDLE_S, "transition": TRANSITION_S, LATE: LATE_S}
    return round(new.get(task, UNCONDITIONAL_S) * rate)
