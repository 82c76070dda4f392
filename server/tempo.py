"""The beat grid: which frame a beat falls on through every change of tempo, and the next place to enter."""

from __future__ import annotations

import math
from bisect import bisect_right
from dataclasses import dataclass, replace
from statistics import median

SLOWEST, FASTEST = 20.0, 300.0  # BPM
# Intervals between taps longer than this start a new count (20 BPM is 3 s a beat).
TAP_GAP_S = 3.0
TAP_INTERVALS = 4
REMEMBERED_S = 64.0  # of the past, in which phrases are counted in beats: what the rings hold and a little more
KNOTS = 1536  # changes of tempo that are remembered at most
CORRECTION_S = 0.25  # a phase error is made up for in about this time
STEEPEST = 0.2  # by which the tempo may deviate meanwhile, as a share

_BARS = {"bar": 1, "2bar": 2, "4bar": 4, "8bar": 8}


@dataclass(frozen=True)
class Knot:
    """From `frame` on, where the grid is at `beat`, the tempo is `bpm`."""

    frame: float
    beat: float
    bpm: float


@dataclass(frozen=True)
class Grid:
    """A map of beats to frames, continuous and rising, of pieces of constant tempo. Beat 0 begins a bar.

    Without knots beat b falls on frame origin + b * frames_per_beat. With knots, in the order of their frames, each holds
    until the next; the first also before it. bpm and origin are those of the last piece, or of the only one: 20 to 300, and
    a fractional frame, so that lengths do not accumulate rounding.
    """

    rate: int
    bpm: float = 120.0
    beats_per_bar: int = 4
    origin: float = 0.0
    knots: tuple[Knot, ...] = ()

    @property
    def frames_per_beat(self) -> float:
        """Length of a beat in frames, at the tempo of the last piece."""
        return self.rate * 60.0 / self.bpm

    def _around_frame(self, frame: float) -> Knot:
        if not self.knots:
            return Knot(self.origin, 0.0, self.bpm)
        return self.knots[max(0, bisect_right(self.knots, frame, key=lambda knot: knot.frame) - 1)]

    def _around_beat(self, beat: float) -> Knot:
        if not self.knots:
            return Knot(self.origin, 0.0, self.bpm)
        return self.knots[max(0, bisect_right(self.knots, beat, key=lambda knot: knot.beat) - 1)]

    def bpm_at(self, frame: float) -> float:
        """The tempo at a frame."""
        return self._around_frame(frame).bpm

    def beat_at(self, frame: float) -> float:
        """The (fractional) beat at a frame."""
        knot = self._around_frame(frame)
        return knot.beat + (frame - knot.frame) * knot.bpm / (self.rate * 60.0)

    def place_of(self, beat: float) -> float:
        """The (fractional) frame of a beat."""
        knot = self._around_beat(beat)
        return knot.frame + (beat - knot.beat) * self.rate * 60.0 / knot.bpm

    def frame_of(self, beat: float) -> int:
        """The frame nearest to a beat."""
        return round(self.place_of(beat))

    def length(self, start: int, beats: float) -> int:
        """Frames from `start` to `beats` later: round(end) - start, so that bars do not drift."""
        return self.frame_of(self.beat_at(start) + beats) - start

    def length_before(self, end: int, beats: float) -> int:
        """Frames to `end` from `beats` before it."""
        return end - self.frame_of(self.beat_at(end) - beats)

    def step(self, quant: str) -> float:
        """Beats between two places of a quant; 0 for `off`. A deck whose loop goes round has places of its own for `loop`."""
        if quant in _BARS:
            return float(_BARS[quant] * self.beats_per_bar)
        return {"off": 0.0, "1/4": 0.25, "beat": 1.0, "loop": float(self.beats_per_bar)}[quant]

    def next_beat(self, frame: int, quant: str) -> float:
        """The first beat of a quant other than `off` whose frame is at or after `frame`."""
        step = self.step(quant)
        beat = math.floor(self.beat_at(frame) / step) * step
        while self.frame_of(beat) < frame:
            beat += step
        return beat

    def next(self, frame: int, quant: str) -> int:
        """The first place of `quant` at or after a frame; the frame itself for `off`."""
        return self.frame_of(self.next_beat(frame, quant)) if self.step(quant) else frame

    def with_bpm(self, bpm: float, frame: float) -> Grid:
        """Another tempo from `frame` on, the beat going on where it is, and everything before as it was."""
        return self._then(frame, Knot(frame, self.beat_at(frame), bpm))

    def _then(self, frame: float, *following: Knot) -> Grid:
        """The grid as it is up to `frame`, and these knots from there on, the first of them at it."""
        knots = self.knots or (Knot(self.origin, 0.0, self.bpm),)
        past = [knot for knot in knots if knot.frame < frame][-KNOTS:]
        while len(past) > 1 and past[1].frame <= frame - REMEMBERED_S * self.rate:
            past.pop(0)
        if not past:  # all that is known lies later: its tempo holds before, too
            past = [Knot(frame - self.rate * 60.0 / knots[0].bpm, self.beat_at(frame) - 1.0, knots[0].bpm)]
        last = following[-1]
        origin = last.frame - last.beat * self.rate * 60.0 / last.bpm
        return replace(self, bpm=last.bpm, origin=origin, knots=(*past, *following))

    def following(self, frame: float, beat: float, bpm: float) -> Grid:
        """Goes over to a line that is at `beat` at `frame` with tempo `bpm`, without a jump.

        The phase error is made up for by another tempo, at most STEEPEST off, which ends at a knot of its own.
        """
        here = self.beat_at(frame)
        error = beat - here
        per_frame = bpm / (self.rate * 60.0)
        share = min(STEEPEST, abs(error) / (per_frame * CORRECTION_S * self.rate))
        if share < 1e-9:
            return self._then(frame, Knot(frame, here, bpm))
        slewed = bpm * (1.0 + math.copysign(share, error))
        end = frame + abs(error) / (share * per_frame)
        return self._then(frame, Knot(frame, here, slewed), Knot(end, beat + (end - frame) * per_frame, bpm))

    def with_meter(self, beats_per_bar: int, frame: float) -> Grid:
        """Other bars, the one that is under way at `frame` having begun where it did."""
        begun = math.floor(self.beat_at(frame) / self.beats_per_bar + 1e-9) * self.beats_per_bar
        return replace(self, beats_per_bar=beats_per_bar).nudged(begun - round(begun / beats_per_bar) * beats_per_bar)

    def with_downbeat(self, frame: float) -> Grid:
        """The same tempo, the nearest bar beginning at `frame`: the whole grid moves, which is a jump."""
        bar = self.beats_per_bar
        return self.nudged(self.beat_at(frame) - round(self.beat_at(frame) / bar) * bar)

    def nudged(self, beats: float) -> Grid:
        """Every beat later by `beats`, at the tempo of each piece's place: the count moves, the places of changes do not."""
        knots = tuple(replace(knot, beat=knot.beat - beats) for knot in self.knots)
        return replace(self, origin=self.origin + beats * self.frames_per_beat, knots=knots)


@dataclass(frozen=True)
class Taps:
    """The last taps, in frames; a value that grows."""

    frames: tuple[float, ...] = ()

    def tapped(self, frame: float, rate: int) -> Taps:
        """With one more tap; a long pause forgets the earlier ones."""
        fresh = not self.frames or frame - self.frames[-1] > TAP_GAP_S * rate or frame <= self.frames[-1]
        return Taps((frame,)) if fresh else Taps((*self.frames, frame)[-(TAP_INTERVALS + 1) :])

    def bpm(self, rate: int) -> float | None:
        """The tempo of the median interval within the allowed range, or None for fewer than two taps."""
        if len(self.frames) < 2:
            return None
        interval = median(b - a for a, b in zip(self.frames, self.frames[1:], strict=False))
        return min(FASTEST, max(SLOWEST, 60.0 * rate / interval))
