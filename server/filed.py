"""The file of a file deck: which track is played, where it stands, where its beats fall. Values only."""

from __future__ import annotations

from dataclasses import dataclass

from segue.server.audio.track import Track


@dataclass(frozen=True)
class File:
    """The file of a file deck. While it plays, position(frame) = origin_position + frame - origin_frame.

    path: of the track as it is played, which may be stretched; positions are its. frames, beats: length of the file itself and
    where its beats fall there. downbeat: which of them begins a bar, None where nobody knows. bpm: of the file, 0 for unknown.
    """

    path: str
    frames: int
    playing: bool = False
    origin_frame: int = 0
    origin_position: int = 0
    beats: tuple[int, ...] = ()
    downbeat: int | None = None
    bpm: float = 0.0

    @property
    def track(self) -> Track:
        """What is played."""
        return Track.parse(self.path)

    @property
    def length(self) -> int:
        """Frames of the track as it is played."""
        track = self.track
        return round((self.frames - track.start) * track.factor)

    @property
    def played_beats(self) -> tuple[float, ...]:
        """Where the beats fall in the track as it is played; the first may lie before it."""
        track = self.track
        return tuple((beat - track.start) * track.factor for beat in self.beats)

    @property
    def played_bpm(self) -> float:
        """The tempo as it is played."""
        return self.bpm / self.track.factor

    def original(self, position: float) -> int:
        """The place in the file itself."""
        track = self.track
        return round(track.start + position / track.factor)

    def position(self, frame: int) -> int:
        """The place in the file at a stream frame."""
        return self.origin_position + (frame - self.origin_frame if self.playing and frame > self.origin_frame else 0)
