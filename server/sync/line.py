"""What a source of tempo says: a line of beats over frames, or that it is lost; values only."""

from __future__ import annotations

from dataclasses import dataclass
from enum import IntEnum


class Phase(IntEnum):
    """How much of a source's count is known."""

    TEMPO = 0  # how fast, not where the beats are
    BEATS = 1  # where the beats are, not which begins a bar
    BARS = 2  # beat 0 begins a bar


@dataclass(frozen=True)
class Line:
    """At `frame` the source is at `beat` and goes on at `bpm`. jump: its count was set anew by a start or a song position."""

    frame: float
    beat: float
    bpm: float
    phase: Phase
    jump: bool = False


@dataclass(frozen=True)
class SourceState:
    """How a source is: waiting (nothing heard yet), locked, lost (it has fallen silent or is not usable), missing (not here)."""

    state: str
    sentence: str = ""


@dataclass(frozen=True)
class Playing:
    """The source's transport was started or stopped."""

    on: bool


@dataclass
class Sync:
    """Where the session takes its tempo from.

    offset: grid beat minus the source's beat, None until the two have met. phase: what that offset was found with.
    """

    source: str = "internal"
    offset: float | None = None
    phase: Phase = Phase.TEMPO
    followed: int = 0  # frame of the last correction
    told_bpm: float = 0.0
    told_at: int = 0
    playing: bool = False
    state: SourceState = SourceState("locked")
