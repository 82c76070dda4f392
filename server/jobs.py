"""What the session asks of the engine process, and what comes back: plain values that travel as JSON, audio beside them."""

from __future__ import annotations

import dataclasses
import json
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any, TypeAlias

import numpy as np
from numpy.typing import NDArray

Audio: TypeAlias = NDArray[np.float32]  # [2, n] at the stream's rate


@dataclass(frozen=True)
class RingPart:
    """`frames` frames ending at frame `end` of a deck's `sounded` or `input` ring."""

    ring: str
    deck: int
    end: int
    frames: int


@dataclass(frozen=True)
class FilePart:
    """`frames` frames of a file from frame `start` on, both at the stream's rate; past its end is silence."""

    path: str
    start: int
    frames: int


@dataclass(frozen=True)
class RingThenFile:
    """What has sounded up to now, then what the file will play: the context of a take that begins in the future."""

    ring: RingPart
    file: FilePart


@dataclass(frozen=True)
class PhrasePart:
    """`frames` frames of a captured phrase that goes round and round, from frame `start` of it on."""

    phrase: RingPart
    start: int
    frames: int


Source: TypeAlias = RingPart | FilePart | RingThenFile | PhrasePart


@dataclass(frozen=True)
class Job:
    """One take to make. Lengths are frames at the stream's rate; names as in `engine.engine.Request`.

    also: ids and seeds of further jobs that differ from this one in nothing else, and are made with it at once.
    beat_s: seconds of a beat by the grid or the file of the deck; the engine finds out whether the music keeps it.
    downbeat: frames from the take's first to the next bar's, for what brings bars of its own; beats_per_bar: of those.
    origin: the job that began an endless continuation, of which this is a part: what that one heard is remembered.
    unheard: frames of the new audio that are not heard where it goes on from a take which plays until then.
    """

    id: int
    deck: int
    verb: str
    task: str
    new_frames: int
    left: Source | None = None
    middle: Source | None = None
    middle_right: Source | None = None
    right: Source | None = None
    style: Source | None = None
    classes: tuple[str, ...] = ()
    steps: int = 4
    seed: int = 0
    xi: float | None = None
    regime: str = "clean"
    sampler: str = "ddim"
    parameters: Mapping[str, float] = field(default_factory=dict)
    start: float | None = None
    beat_s: float | None = None
    downbeat: int | None = None
    beats_per_bar: int = 4
    origin: int | None = None
    unheard: int = 0
    also: tuple[tuple[int, int], ...] = ()

    def to_json(self) -> str:
        """One line of JSON."""
        return json.dumps(dataclasses.asdict(self))

    @classmethod
    def from_json(cls, text: str) -> Job:
        """The job from `to_json`."""
        data: dict[str, Any] = json.loads(text)
        for name in ("left", "middle", "middle_right", "right", "style"):
            data[name] = _source(data[name])
        data["classes"] = tuple(data["classes"])
        data["also"] = tuple((one, seed) for one, seed in data["also"])
        return cls(**data)


def _source(data: dict[str, Any] | None) -> Source | None:
    if data is None:
        return None
    if "phrase" in data:
        return PhrasePart(RingPart(**data["phrase"]), data["start"], data["frames"])
    if "ring" in data and isinstance(data["ring"], dict):
        return RingThenFile(RingPart(**data["ring"]), FilePart(**data["file"]))
    return RingPart(**data) if "ring" in data else FilePart(**data)


@dataclass(frozen=True)
class Running:
    """The engine has begun a job."""

    job: int


@dataclass(frozen=True)
class Progress:
    """Share of a job that is made, 0 to 1."""

    job: int
    share: float


@dataclass(frozen=True)
class Piece:
    """New audio: `audio` begins `start` frames after the end of the context. seconds: what this piece cost.

    context_hash: of everything the take was made from.
    """

    job: int
    start: int
    audio: Audio
    seconds: float
    steps: int
    context_hash: str = ""


@dataclass(frozen=True)
class Finished:
    """Every piece of a job was sent."""

    job: int


@dataclass(frozen=True)
class Failed:
    """A job ended without its audio."""

    job: int
    sentence: str
    code: str = "generation-failed"


@dataclass(frozen=True)
class EngineState:
    """The engine process as a whole: starting, ready, busy or down; with its window when ready (seconds).

    batch: takes that it makes at once.
    """

    state: str
    sentence: str = ""
    context_s: float = 0.0
    context_min_s: float = 0.0
    new_s: float = 0.0
    model: str = ""
    batch: int = 1


WorkerEvent: TypeAlias = Running | Progress | Piece | Finished | Failed | EngineState
