"""What the session knows: decks, the grid, and all takes there are."""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from typing import Protocol

from segue.server.commands import MONITOR, REFERENCE_LUFS, SHARE, SPECS, Command, Kind, Value
from segue.server.filed import File
from segue.server.jobs import Job
from segue.server.sync.line import Sync
from segue.server.takes import OVER, Candidates, Recording, State, Take
from segue.server.tempo import Grid, Taps
from segue.server.timeline import Pace

# Rungs of takes whose deadline came too soon; failed: too late to be played at all.
MISSES = ("fewer-steps", "late", "crossfade", "failed")
HISTORY = 8  # takes kept for undo, a deck
TAKES = 32  # takes kept at all
FREEZE_S = 0.05  # so long before it is due a beat becomes a frame
FREEZE_BLOCKS = 4  # and no later than so many blocks before
SPARE = 0.06  # of a take's length more is made where the tempo is somebody else's: it may fall while the take plays


@dataclass
class Deck:
    """One deck: its values, its file if it has one, and what plays."""

    number: int
    values: dict[str, Value]
    file: File | None = None
    frozen: int | None = None
    heard_from: int = 0
    whole_from: int = 0  # no hole since: what a loop may be made of
    slot: int = 1
    playing: int | None = None
    undo: list[int] = field(default_factory=list)
    redo: list[int] = field(default_factory=list)
    source: str = ""
    gain: float = 1.0  # as the callback has it: `gain`, `mute` and `solo` together
    guarded: bool = False
    looping: bool = False
    loop: tuple[int, int] | None = None  # frame at which the loop that was asked for begins, and its length
    pressed: tuple[int, int] | None = None  # when the footswitch went down, and the job that it was about


class DeckFacts(Protocol):
    """What is true of a deck at a moment."""

    @property
    def source(self) -> str:
        """What it plays: dry, slot_a, slot_b, loop or silence."""

    @property
    def heard(self) -> int:
        """Frames written to `sounded`."""

    @property
    def silent(self) -> int:
        """Frames since the input was loud."""

    @property
    def loop_ready(self) -> bool:
        """Whether a fallback loop stands ready."""

    @property
    def busy(self) -> tuple[bool, bool]:
        """Which play slots sound."""


@dataclass(frozen=True)
class Moment:
    """The present: the frame at the play head, the block, and each deck's facts, deck 1 at index 0."""

    frame: int
    block: int
    decks: tuple[DeckFacts, ...]

    def deck(self, number: int) -> DeckFacts:
        """The facts of a deck."""
        return self.decks[number - 1]


@dataclass(frozen=True)
class Asked:
    """One verb on one deck that takes effect at frame `at`."""

    verb: str
    deck: int
    bound: Mapping[str, Value]
    command: Command
    at: int
    moment: Moment


@dataclass(frozen=True)
class Later:
    """What happens at a beat: the second half of a verb, whose job it may be about."""

    beat: float
    asked: Asked
    job: int = 0


def defaults(per_deck: bool) -> dict[str, Value]:
    """Every value of the vocabulary at its default, by name."""
    chosen = (s for s in SPECS if s.kind is Kind.VALUE and s.per_deck == per_deck)
    return {s.name: s.args[0].default for s in chosen}


@dataclass
class World:
    """Everything the session remembers."""

    rate: int
    decks: list[Deck]
    grid: Grid
    timed: Grid | None = None  # the grid that due and exit frames were reckoned with
    taps: Taps = field(default_factory=Taps)
    sync: Sync = field(default_factory=Sync)
    later: list[Later] = field(default_factory=list)
    takes: dict[int, Take] = field(default_factory=dict)
    candidates: Candidates = field(default_factory=Candidates)
    share: float = SHARE  # of the engine's time, that candidates may take
    batch: int = 1  # takes that the engine makes at once
    cue: int = 0  # frames that can be auditioned, 0 without a cue pair
    recordings: list[Recording] = field(default_factory=list)
    latency: int = 0  # frames from what sounds at the output to what is played to it at the input
    longest_loop: int = 0  # frames
    locked: bool = False
    monitor: str = MONITOR[0]
    generated: float = 1.0
    in_channels: int = 0  # of the device, that are open
    reference: float = REFERENCE_LUFS  # that files are brought to
    scenes: dict[int, list[dict[str, Value]]] = field(default_factory=dict)  # values, deck by deck
    engine: str = "starting"
    engine_sentence: str = ""
    context: int = 0
    context_min: int = 0
    pace: Pace = field(default_factory=lambda: Pace(44_100, 154_350))
    pace_steps: int = 4  # the steps that the pace was measured with
    misses: dict[str, int] = field(default_factory=lambda: dict.fromkeys(MISSES, 0))  # takes that were not there in time, by rung
    next_job: int = 1
    next_play: int = 1

    @classmethod
    def fresh(cls, rate: int, decks: int, bpm: float) -> World:
        """A world before the first message."""
        made = [Deck(n, defaults(per_deck=True)) for n in range(1, decks + 1)]
        return cls(rate, made, Grid(rate, bpm))

    def deck(self, number: int) -> Deck:
        """A deck by its number."""
        return self.decks[number - 1]

    def play_id(self) -> int:
        """A number for one order to the callback."""
        self.next_play += 1
        return self.next_play - 1

    def pace_at(self, steps: int) -> Pace:
        """What a piece is expected to cost with so many steps."""
        return replace(self.pace, cost=round(self.pace.cost * steps / self.pace_steps))

    def pace_of(self, job: Job) -> Pace:
        """What a piece of a job is expected to cost: of a rolling one each is a step, after as many as a window takes."""
        pace = self.pace_at(job.steps)
        return Pace(self.pace_at(1).cost, pace.piece // (job.steps + 1)) if job.sampler == "rolling" else pace

    def place(self, deck: int, frame: int, quant: str) -> tuple[float | None, int]:
        """The next place of a quant at or after a frame: its beat, where it is one, and its frame as things stand."""
        loop = self.deck(deck).loop
        if quant == "loop" and loop is not None:
            origin, length = loop
            return None, origin + math.ceil((frame - origin) / length) * length
        if not self.grid.step(quant):
            return None, frame
        beat = self.grid.next_beat(frame, quant)
        return beat, self.grid.frame_of(beat)

    def near(self, frame: int, moment: Moment) -> bool:
        """Whether a beat at `frame` is so near that it becomes that frame for good."""
        return frame - moment.frame <= max(FREEZE_S * self.rate, FREEZE_BLOCKS * moment.block)

    def phrase(self, deck: int) -> Take | None:
        """The newest phrase that was captured on a deck."""
        found = [t for t in self.takes.values() if t.job.deck == deck and t.job.verb == "capture" and t.complete]
        return found[-1] if found else None

    def pending(self, deck: int | None = None) -> list[Take]:
        """Takes that neither play nor are over, oldest first."""
        over = OVER | {State.PLAYING}
        return [t for t in self.takes.values() if t.state not in over and deck in (None, t.job.deck)]

    def remember(self, take: Take) -> None:
        """Keeps a take, forgetting the oldest that is over, or else the oldest that is only kept ready."""
        self.takes[take.job.id] = take
        while len(self.takes) > TAKES:
            held = (i for i, t in self.takes.items() if t.state is State.READY and t is not take)
            old = next((i for i, t in self.takes.items() if t.state in OVER), next(held, None))
            if old is None:
                break
            del self.takes[old]
            for deck in self.decks:
                deck.undo = [i for i in deck.undo if i != old]
                deck.redo = [i for i in deck.redo if i != old]

    def with_rate_of_engine(self, context_s: float, context_min_s: float, new_s: float) -> None:
        """Takes over the engine's window lengths, in seconds."""
        self.context, self.context_min = round(context_s * self.rate), round(context_min_s * self.rate)
        self.pace = replace(self.pace, piece=round(new_s * self.rate))
