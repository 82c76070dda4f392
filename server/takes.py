"""Takes: what was asked for, what has been made of it, and where it sounds."""

from __future__ import annotations

from dataclasses import dataclass, field
from enum import StrEnum

from segue.server.aligning import Alignment, Wish
from segue.server.commands import Spec, Value
from segue.server.filed import File
from segue.server.jobs import Audio, Job, RingThenFile


class State(StrEnum):
    """States of a job, as `/segue/job` reports them."""

    QUEUED = "queued"
    RUNNING = "running"
    READY = "ready"
    ARMED = "armed"
    PLAYING = "playing"
    DONE = "done"
    CANCELLED = "cancelled"
    FAILED = "failed"
    LATE = "late"
    DROPPED = "dropped"


OVER = frozenset({State.DONE, State.CANCELLED, State.FAILED, State.DROPPED})


@dataclass(frozen=True)
class Again:
    """What was asked for without an end, or, with `until`, up to a frame that lies beyond the take."""

    spec: Spec
    bound: dict[str, Value]
    until: int | None = None


@dataclass
class Take:
    """A job and the audio it has so far. Frames are absolute; offsets count from t0.

    t0: where the context ended. due: the frame it must sound at, None for as soon as possible; where it is due on a beat,
    due_beat, that frame follows the grid until it is near. beats: its length, None where it was asked for in seconds;
    exit_beat: where it ends, once it is entered. spare: frames that are made beyond its length.
    """

    job: Job
    address: str
    route: str
    number: int
    length: int
    fade: int
    quant: str
    commit: bool
    due: int | None
    start_at: int
    due_beat: float | None = None
    beats: float | None = None
    exit_beat: float | None = None
    spare: int = 0
    state: State = State.QUEUED
    t0: int = 0
    submitted: int = 0
    pieces: list[tuple[int, Audio]] = field(default_factory=list)
    made: int = 0
    complete: bool = False
    entry: int | None = None
    exit: int = 0
    slot: int = 0
    play_id: int = 0
    rung: str = "finished"
    seconds: float = 0.0
    target: int = 0  # deck to arrive at, of a transition
    target_position: int = 0  # place in its track, or in its captured phrase, at t0
    wish: Wish = field(default_factory=Wish)  # of a transition
    alignment: Alignment | None = None
    anchor: tuple[int, float] | None = None  # the frame and the beat that it counts on, of a take between files
    asked_length: int = 0  # as length, before it was begun
    again_made: int = 0  # times that it was made anew since the tempo moved
    told_off: bool = False
    deadline: int | None = None  # the frame at which a transition that is not ready becomes a plain crossfade
    target_track: str = ""  # its file as it is played from then on
    landing: tuple[int, ...] = ()  # what was ordered for its end, to be taken back where that is not reached
    before: tuple[File | None, File | None] = (None, None)  # the source's and the target's file, as they were until then
    target_phrase: int | None = None  # the captured take that stands for the future of a live target
    shift: int = 0  # frames that a prepared take was moved by
    asked_at: int = 0  # when the verb arrived
    heard_at: int | None = None  # when it last began to sound
    context_hash: str = ""
    again: Again | None = None  # asked for once more before it ends, until `stop`
    successor: int | None = None  # the job that follows it
    follows: int | None = None  # the job that it follows
    basis: tuple[object, ...] = ()  # of a candidate: the files and phrases that it was made for
    auditioned: bool = False

    @property
    def context(self) -> int:
        """Frames of what it was conditioned on."""
        left = self.job.left
        if left is None:
            return 0
        return left.ring.frames + left.file.frames if isinstance(left, RingThenFile) else left.frames

    @property
    def recorded(self) -> bool:
        """Whether it was played, not made."""
        return self.job.task in ("capture", "record")

    @property
    def have(self) -> int:
        """The first frame that is not made yet."""
        return self.t0 + self.made


@dataclass
class Recording:
    """A phrase on its way into a take: what is played to frames [first, last) and heard `lag` later; last None while it is open.

    base: the loop that it is laid over.
    """

    take: Take
    first: int
    last: int | None
    lag: int
    base: Take | None = None


@dataclass
class Candidates:
    """Takes that nobody has asked for yet: those being made, by job, and those that stand ready, oldest first.

    began: frame at which the engine was given them. rest_until: the frame up to which it is left alone then. turn: when each
    deck's verb last had its turn, seeded: and each seed of it. last_used: the deck and verb that somebody asked for last.
    last_target: where the last transition of a deck went.
    """

    brewing: dict[int, Take] = field(default_factory=dict)
    ready: list[Take] = field(default_factory=list)
    began: int = 0
    rest_until: int = 0
    turn: dict[tuple[int, str], int] = field(default_factory=dict)
    seeded: dict[tuple[int, str, int], int] = field(default_factory=dict)
    last_used: tuple[int, str] = (0, "")
    last_target: dict[int, int] = field(default_factory=dict)
