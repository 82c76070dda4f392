"""What the session wants done: values that the conductor carries out in order."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TypeAlias

from segue.server.commands import Value
from segue.server.jobs import Audio, Job


@dataclass(frozen=True)
class Submit:
    """Give a job to the engine."""

    job: Job


@dataclass(frozen=True)
class Abandon:
    """Tell the engine to end a job."""

    job: int


@dataclass(frozen=True)
class Write:
    """Copy audio into a play slot, its first sample at absolute frame `first`."""

    deck: int
    slot: int
    first: int
    audio: Audio


@dataclass(frozen=True)
class Publish:
    """Say which frames of a slot may be played, and where and how the deck leaves it."""

    deck: int
    slot: int
    take: int
    first: int
    last: int
    exit_frame: int
    exit_fade: int
    policy: str


@dataclass(frozen=True)
class Play:
    """Switch a deck to a source (dry, slot_a, slot_b, loop, silence) at a frame; `id` comes back when applied."""

    deck: int
    source: str
    frame: int
    fade: int
    id: int
    take: int = 0
    curve: str = "equal-power"


@dataclass(frozen=True)
class Gain:
    """Set a deck's level at a frame."""

    deck: int
    frame: int
    gain: float


@dataclass(frozen=True)
class Bus:
    """Set the level of everything `dry`, or `generated`, or of live inputs that pass whatever else plays (`thru`), at a frame."""

    name: str
    frame: int
    gain: float


@dataclass(frozen=True)
class Inputs:
    """Let a deck hear device channels `pair`, from 0, -1 for none."""

    deck: int
    pair: tuple[int, int]


@dataclass(frozen=True)
class Gate:
    """Set the level, dBFS peak, under which a deck's input counts as silent."""

    deck: int
    dbfs: float


@dataclass(frozen=True)
class Revoke:
    """Take back a Play or a Transport that has not been applied."""

    id: int


@dataclass(frozen=True)
class Panic:
    """End every take, at once."""

    frame: int


@dataclass(frozen=True)
class LoadFile:
    """Put a file on a deck. gain_db, bpm, beat (s, a downbeat): None where the file's own decide, the level by reference_lufs."""

    deck: int
    path: str
    route: str
    address: str
    reference_lufs: float = 0.0
    gain_db: float | None = None
    bpm: float | None = None
    beat: float | None = None


@dataclass(frozen=True)
class Transport:
    """From `frame` on the deck plays `track` from `position` (frames of the stream's rate), or rests there.

    exact: a start that buffering delays is as far on as it is late.
    """

    deck: int
    frame: int
    position: int
    playing: bool
    track: str
    exact: bool = False
    id: int = 0


@dataclass(frozen=True)
class Prepare:
    """Have `track` ready at `position` on a deck that will play from there."""

    deck: int
    track: str
    position: int


@dataclass(frozen=True)
class Audition:
    """Play audio on the cue pair from `frame` on; without any, end what it plays."""

    frame: int
    audio: Audio | None = None


@dataclass(frozen=True)
class Capture:
    """Read what sounded, or what came in, into a take: `frames` frames of a ring ending at frame `end`."""

    job: int
    deck: int
    end: int
    frames: int
    ring: str = "sounded"


@dataclass(frozen=True)
class Loop:
    """Make audio, whose first sample belongs at frame `origin`, the deck's loop; hold: until the loop is left."""

    deck: int
    audio: Audio
    origin: int


@dataclass(frozen=True)
class Source:
    """Take the tempo from another source."""

    name: str


@dataclass(frozen=True)
class Tempo:
    """Tell the others of a shared session that the tempo is `bpm` from `frame` on."""

    bpm: float
    frame: int


@dataclass(frozen=True)
class Start:
    """Tell the others of a shared session that it starts, or stops, at `frame`."""

    on: bool
    frame: int


@dataclass(frozen=True)
class Reply:
    """Answer the sender of a command."""

    route: str
    address: str
    args: tuple[Value, ...]


@dataclass(frozen=True)
class Emit:
    """Tell every client that listens."""

    address: str
    args: tuple[Value, ...]


@dataclass(frozen=True)
class Changed:
    """Tell every client that listens, but the sender, what it has set."""

    route: str
    address: str
    args: tuple[Value, ...]


@dataclass(frozen=True)
class Fail:
    """Say to a sender why something was not done."""

    route: str
    address: str
    sentence: str
    code: str


Effect: TypeAlias = (
    Submit
    | Abandon
    | Write
    | Publish
    | Play
    | Gain
    | Bus
    | Gate
    | Inputs
    | Revoke
    | Panic
    | LoadFile
    | Transport
    | Prepare
    | Audition
    | Capture
    | Loop
    | Source
    | Tempo
    | Start
    | Reply
    | Emit
    | Changed
    | Fail
)
