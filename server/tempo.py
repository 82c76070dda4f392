"""The beat grid: which frame a beat falls on, and the next place to enter."""

from __future__ import annotations

import math
from dataclasses import dataclass, replace
from statistics import median

# Intervals between taps longer than this start a new count (20 BPM is 3 s a beat).
TAP_GAP_S = 3.0
TAP_INTERVALS = 4

_BARS = {"bar": 1, "2bar": 2, "4bar": 4, "8bar": 8}


@dataclass(frozen=True)
class Grid:
    """Beat b falls on frame origin + b * frames_per_beat; beat 0 begins a bar.

    origin: frame, fractional so that lengths do not accumulate rounding. bpm: 20 to 300.
    """

    rate: int
    bpm: float = 120.0
    beats_per_bar: int = 4
    origin: float = 0.0
    loop_beats: float = 0.0

    @property
    def frames_per_beat(self) -> float:
        """Length of a beat in frames."""
        return self.rate * 60.0 / self.bpm

    def beat_at(self, frame: float) -> float:
        """The (fractional) beat at a frame."""
        return (frame - self.origin) / self.frames_per_beat

    def frame_of(self, beat: float) -> int:
        """The frame nearest to a beat."""
        return round(self.origin + beat * self.frames_per_beat)

    def length(self, start: int, beats: float) -> int:
        """Frames from `start` to `beats` later: round(end) - start, so that bars do not drift."""
        return self.frame_of(self.beat_at(start) + beats) - start

    def step(self, quant: str) -> float:
        """Beats between two places of a quant; 0 for `off`."""
        if quant in _BARS:
            return float(_BARS[quant] * self.beats_per_bar)
        return {"off": 0.0, "1/4": 0.25, "beat": 1.0, "loop": self.loop_beats or float(self.beats_per_bar)}[quant]

    def next(self, frame: int, quant: str) -> int:
        """The first place of `quant` at or after a frame; the frame itself for `off`."""
        step = self.step(quant)
        if not step:
            return frame
        beat = math.ceil(self.beat_at(frame) / step) * step
        place = self.frame_of(beat)
        return place if place >= frame else self.frame_of(beat + step)

    def with_bpm(self, bpm: float, frame: float) -> Grid:
        """Another tempo from `frame` on, the beat going on where it is."""
        beat = self.beat_at(frame)
        return replace(self, bpm=bpm, origin=frame - beat * self.rate * 60.0 / bpm)

    def with_downbeat(self, frame: float) -> Grid:
        """The same tempo, a bar beginning at `frame`."""
        return replace(self, origin=frame)

    def nudged(self, beats: float) -> Grid:
        """Every beat later by `beats`."""
        return replace(self, origin=self.origin + beats * self.frames_per_beat)


@dataclass(frozen=True)
class Taps:
    """The last taps, in frames; a value that grows."""

    frames: tuple[float, ...] = ()

    def tapped(self, frame: float, rate: int) -> Taps:
        """With one more tap; a long pause forgets the earlier ones."""
        fresh = not self.frames or frame - self.frames[-1] > TAP_GAP_S * rate or frame <= self.frames[-1]
        return Taps((frame,)) if fresh else Taps((*self.frames, frame)[-(TAP_INTERVALS + 1) :])

    def bpm(self, rate: int) -> float | None:
        """The tempo of the median interval, or None for fewer than two taps."""
        if len(self.frames) < 2:
            return None
        return 60.0 * rate / median(b - a for a, b in zip(self.frames, self.frames[1:], strict=False))
