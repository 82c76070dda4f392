"""What passes between the callback and Python: commands, what became of them, and states. Decks count from 0 here."""

from __future__ import annotations

import math
from dataclasses import dataclass
from enum import IntEnum

NOW = -1  # frame of a command that is due as soon as possible
FOREVER = 2**62  # exit frame of a slot that is not left by itself


class Op(IntEnum):
    """What a command does; EXIT and UNDERRUN are written to the log by the callback itself."""

    PLAY = 1
    GAIN = 2
    CANCEL = 3
    PANIC = 4
    FEED = 5
    MARK = 6
    CUE = 7
    EXIT = 8
    UNDERRUN = 9


class Source(IntEnum):
    """What a deck plays."""

    DRY = 0
    SLOT_A = 1
    SLOT_B = 2
    LOOP = 3
    SILENCE = 4


class Policy(IntEnum):
    """Where a deck goes when its slot's exit frame is reached."""

    LADDER = 0
    DRY = 1
    LOOP = 2
    SLOT_OTHER = 3
    SILENCE = 4


class Curve(IntEnum):
    """How two sources are crossfaded: equal power for unlike ones, linear for like ones."""

    POWER = 0
    LINEAR = 1


class Bus(IntEnum):
    """What a gain is of."""

    DECK = 0
    DRY = 1
    GENERATED = 2
    THRU = 3


class Tape(IntEnum):
    """What a deck's input is."""

    LIVE = 0
    PLAY = 1
    PAUSE = 2


class Status(IntEnum):
    """What became of a command; REDIRECTED: its source had no such frame, the ladder chose."""

    APPLIED = 0
    CANCELLED = 1
    REFUSED = 2
    NOT_FOUND = 3
    REDIRECTED = 4


class FileState(IntEnum):
    """State of a deck's file."""

    EMPTY = 0
    LOADING = 1
    READY = 2
    FAILED = 3


class StreamState(IntEnum):
    """State of the stream."""

    STARTING = 0
    RUNNING = 1
    LOST = 2
    STOPPED = 3


class Ring(IntEnum):
    """The two memories of a deck."""

    INPUT = 0
    SOUNDED = 1


class NotHeard(LookupError):
    """Frames that have not been processed yet, or lie before the stream's beginning."""


class Torn(LookupError):
    """Frames that have been overwritten."""


class TooNear(ValueError):
    """A write to frames that may already be sounding."""


@dataclass(frozen=True)
class Command:
    """One order to the callback. fade: frames. take: comes back in the log (for FEED the file's number)."""

    op: Op
    deck: int = 0
    frame: int = NOW
    source: int = 0
    fade: int = 0
    curve: Curve = Curve.POWER
    gain: float = 1.0
    id: int = 0
    take: int = 0
    position: int = 0

    def __post_init__(self) -> None:
        if self.fade < 0 or not math.isfinite(self.gain):
            raise ValueError(f"command: a fade of 0 or more frames and a finite gain, got {self.fade} and {self.gain}")

    @classmethod
    def play(
        cls, deck: int, source: Source, frame: int = NOW, fade: int = 0, *, id: int = 0, take: int = 0, curve: Curve = Curve.POWER
    ) -> Command:
        """Switch a deck to a source; the fade begins at `frame`."""
        return cls(Op.PLAY, deck, frame, source, fade, curve, id=id, take=take)

    @classmethod
    def set_gain(cls, deck: int, gain: float, frame: int = NOW, fade: int = 0, *, bus: Bus = Bus.DECK, id: int = 0) -> Command:
        """Ramp a deck's level, or that of everything dry or everything generated (deck is then ignored)."""
        return cls(Op.GAIN, deck, frame, bus, fade, gain=gain, id=id)

    @classmethod
    def cancel(cls, id: int) -> Command:
        """Take back all pending commands of that id."""
        return cls(Op.CANCEL, id=id)

    @classmethod
    def panic(cls, frame: int = NOW, *, id: int = 0) -> Command:
        """End every take on every deck and drop what is pending to play."""
        return cls(Op.PANIC, frame=frame, id=id)

    @classmethod
    def feed(
        cls, deck: int, tape: Tape, frame: int = NOW, position: int = 0, file: int = 0, fade: int = 0, *, id: int = 0
    ) -> Command:
        """From `frame` on the deck's input is file frame `position` and what follows, or rests there, or is the device again."""
        return cls(Op.FEED, deck, frame, tape, fade, id=id, take=file, position=position)

    @classmethod
    def mark(cls, frame: int = NOW, *, id: int = 0) -> Command:
        """Do nothing, and say when."""
        return cls(Op.MARK, frame=frame, id=id)

    @classmethod
    def cue(cls, position: int, frames: int, fade: int, frame: int = NOW, *, id: int = 0) -> Command:
        """Play what `write_cue` put at `position` on the cue pair; 0 frames end what it plays."""
        return cls(Op.CUE, frame=frame, fade=fade, id=id, take=frames, position=position)


@dataclass(frozen=True)
class Applied:
    """One line of the callback's log.

    source: what was chosen, which differs from what was asked when REDIRECTED. index: the line's number, from 0.
    """

    id: int
    scheduled: int
    applied: int
    take: int
    op: Op
    deck: int
    source: int
    status: Status
    index: int = 0

    @property
    def late(self) -> int:
        """Frames between its time and when it was applied."""
        return max(0, self.applied - self.scheduled) if self.op not in (Op.EXIT, Op.UNDERRUN) else 0


@dataclass(frozen=True)
class SlotState:
    """What may sound from a slot: [first, last) of take `take`."""

    take: int
    first: int
    last: int
    exit_frame: int
    exit_fade: int
    policy: Policy


@dataclass(frozen=True)
class ClockPair:
    """Both host clocks at the beginning of the callback that processed `block` frames from `frame` on; nanoseconds."""

    frame: int
    monotonic: int
    realtime: int
    block: int


@dataclass(frozen=True)
class Meter:
    """Levels of the last block, linear: peaks and mean squares over both channels."""

    input_peak: float
    input_square: float
    sounded_peak: float
    sounded_square: float


@dataclass(frozen=True)
class DeckState:
    """What a deck does at `frame`. position: file frame of its tape. fading: a crossfade to `source` is under way."""

    frame: int
    source: Source
    fading: bool
    take: int
    gate_open: bool
    tape: Tape
    file: int
    position: int


@dataclass(frozen=True)
class FileStatus:
    """The feeder's answer to the request `ticket`. cue: the position that is ready; length: frames of the stream's rate."""

    ticket: int
    state: FileState
    file: int
    length: int
    cue: int
    sentence: str
