"""A file as a deck plays it: at its own level or another, at its own tempo or stretched from a place on.

A track is written as text wherever a path can stand, so that feeder, engine and control process read the same samples.
"""

from __future__ import annotations

import os
from dataclasses import dataclass, replace
from functools import lru_cache
from importlib.util import find_spec
from types import TracebackType

import numpy as np

from segue.engine.shapes import constant_power
from segue.server.audio.files import FileError, FileReader
from segue.server.audio.rings import Audio

SCHEME = "segue-track:"
CHUNK_S = 16.0  # stretched at once, whatever place is asked for, so that the samples do not depend on how one got there
AROUND_S = 0.25  # on each side of a chunk, which the stretcher settles on
FADE_S = 0.03  # between two chunks
LONGEST_FACTOR = 2.0
LOUDEST_DB = 60.0


@dataclass(frozen=True)
class Track:
    """The file at `path`, `gain_db` louder; from frame `start` (at the stream's rate) on, `factor` times as long.

    Frame i of a stretched track is frame start + i / factor of the file; what comes before `start` is not in it.
    """

    path: str
    gain_db: float = 0.0
    factor: float = 1.0
    start: int = 0

    @property
    def plain(self) -> bool:
        """Whether it is the file as it stands."""
        return self == Track(self.path)

    def __str__(self) -> str:
        return self.path if self.plain else f"{SCHEME}{self.gain_db!r}:{self.factor!r}:{self.start}:{self.path}"

    @classmethod
    def parse(cls, text: str) -> Track:
        """A track from its text, or from the path of a file. Raises FileError."""
        if not text.startswith(SCHEME):
            return cls(text)
        try:
            gain, factor, start, path = text.removeprefix(SCHEME).split(":", 3)
            track = cls(path, float(gain), float(factor), int(start))
        except ValueError:
            raise FileError(f"load: {text} is no track; give the path of an audio file") from None
        usable = 1.0 / LONGEST_FACTOR <= track.factor <= LONGEST_FACTOR and abs(track.gain_db) <= LOUDEST_DB
        if not usable or track.start < 0 or (track.factor == 1.0 and track.start):
            raise FileError(f"load: {text} is no track; give the path of an audio file")
        return track


def can_stretch() -> bool:
    """Whether the stretcher is installed, which comes with the extra `stretch`."""
    return find_spec("python_stretch") is not None


class TrackReader:
    """Reads a track as FileReader reads a file: [2, n] float32 from any place on, silence outside it."""

    def __init__(self, text: str, rate: int) -> None:
        """Raises FileError."""
        track = Track.parse(text)
        self._track, self._rate = track, rate
        self._gain = np.float32(10.0 ** (track.gain_db / 20.0))
        self._file = FileReader(track.path, rate)
        self._stretched = track.factor != 1.0
        self._position = 0
        if self._stretched and not can_stretch():
            self._file.close()
            raise FileError("load: a track at another tempo needs python-stretch; install segue[stretch]")
        self._stamp = os.stat(track.path).st_mtime_ns
        left = max(0, self._file.length - track.start)
        self.length = max(1, round(left * track.factor)) if self._stretched else self._file.length

    def seek(self, position: int) -> None:
        """Goes to a frame of the stream's rate; it may lie outside the track."""
        self._position = position
        if not self._stretched:
            self._file.seek(position)

    def read(self, n: int) -> Audio:
        """The next n frames; raises FileError where the file turns out to be damaged."""
        position, self._position = self._position, self._position + n
        if not self._stretched:
            return self._louder(self._file.read(n))
        out, size = np.zeros((2, n), np.float32), round(CHUNK_S * self._rate)
        first, last = max(position, 0), min(position + n, self.length)
        while first < last:
            number, offset = divmod(first, size)
            part = _chunk(replace(self._track, gain_db=0.0), self._rate, self._stamp, number)[:, offset : offset + last - first]
            out[:, first - position : first - position + part.shape[1]] = part
            first += part.shape[1]
        return self._louder(out)

    def _louder(self, audio: Audio) -> Audio:
        return audio if self._gain == 1.0 else audio * self._gain

    def close(self) -> None:
        """Gives the file back."""
        self._file.close()

    def __enter__(self) -> TrackReader:
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None) -> None:
        self.close()


@lru_cache(maxsize=4)
def _chunk(track: Track, rate: int, stamp: int, number: int) -> Audio:
    """Chunk `number` of a stretched track, `[2, CHUNK_S]`, its first samples faded in over the end of the one before.

    stamp: of the file, so that another one of this name is read anew.
    """
    size, fade = round(CHUNK_S * rate), round(FADE_S * rate)
    chunk = _stretch(track, rate, number * size, size)
    if number:
        before = _stretch(track, rate, (number - 1) * size, size + fade)
        chunk[:, :fade] = _faded(before[:, -fade:], chunk[:, :fade])
    chunk.flags.writeable = False
    return chunk


def _faded(old: Audio, new: Audio) -> Audio:
    """One stretch of sound into another that is more or less like it, with the power kept."""
    energy = float(np.sqrt(np.square(old).sum(dtype=np.float64) * np.square(new).sum(dtype=np.float64)))
    alike = max(0.0, float((old * new).sum(dtype=np.float64))) / energy if energy > 0.0 else 0.0
    f_out, f_in = constant_power(old.shape[1])
    faded: Audio = (f_out * old + f_in * new) / np.sqrt(1.0 + 2.0 * min(alike, 1.0) * f_out * f_in)
    return faded.astype(np.float32)


def _stretch(track: Track, rate: int, position: int, n: int) -> Audio:
    """n frames of a stretched track from `position` on, at the file's level."""
    around, factor = round(AROUND_S * rate), track.factor
    low, high = (track.start + round(place / factor) for place in (position - around, position + n + around))
    with FileReader(track.path, rate) as reader:
        reader.seek(low)
        audio = reader.read(high - low)
    from python_stretch.Signalsmith import Stretch

    stretch = Stretch()
    stretch.preset(2, float(rate))
    stretch.setTimeFactor(1.0 / factor)
    stretched: Audio = np.asarray(stretch.process(np.ascontiguousarray(audio)), dtype=np.float32)
    skip = position - round((low - track.start) * factor)
    return stretched[:, skip : skip + n].copy()


def open_track(text: str, rate: int) -> FileReader | TrackReader:
    """A reader for a track's text or for the path of a file. Raises FileError."""
    return TrackReader(text, rate) if text.startswith(SCHEME) else FileReader(text, rate)


def read_region(text: str, position: int, n: int, rate: int) -> Audio:
    """n frames of a track or file at `rate` from `position` on, [2, n], the same that a deck plays there. Raises FileError."""
    with open_track(text, rate) as reader:
        reader.seek(position)
        return reader.read(n)
