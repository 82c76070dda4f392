"""Audio files at the stream's rate: any length, any rate, mono or more, from any place, the same samples however one got there.

Threads: one at a time for each reader.
"""

from __future__ import annotations

import math
import os
from types import TracebackType

import numpy as np
import soundfile
import soxr

from segue.server.audio.rings import Audio

PREROLL = 8192  # source frames decoded before a place, so that the resampler's filter has settled there
CHUNK = 16384  # source frames decoded at once
QUALITY = "HQ"


class FileError(ValueError):
    """A file that cannot be played; str() is a sentence."""


class FileReader:
    """Reads a file as [2, n] float32 at `rate` from any place on; frames that the file does not have are silence.

    length in frames of `rate`; channels as the file has them.
    """

    def __init__(self, path: str, rate: int) -> None:
        """Raises FileError."""
        if not os.path.isfile(path):
            raise FileError(f"load: {path} is no file; give the path of an audio file")
        try:
            self._file = soundfile.SoundFile(path)
        except (RuntimeError, TypeError, ValueError, OSError) as error:
            reason = str(error).rpartition(": ")[2].rstrip(".")
            raise FileError(f"load: {path} cannot be read as audio ({reason}); give a WAV, FLAC, Ogg or MP3 file") from None
        source, frames = int(self._file.samplerate), int(self._file.frames)
        if frames <= 0 or not self._file.seekable():
            self._file.close()
            raise FileError(f"load: {path} holds no audio that can be sought in; give a file with sound in it")
        common = math.gcd(source, rate)
        self._source, self._rate = source, rate
        self._source_step, self._step = source // common, rate // common
        self.length = max(1, frames * rate // source)
        self.channels = int(self._file.channels)
        self.seek(0)

    def seek(self, position: int) -> None:
        """Goes to a frame of the stream's rate; it may lie outside the file."""
        inside = min(max(position, 0), self.length)
        steps = max(0, inside // self._step - PREROLL // self._source_step - 1) if self._source != self._rate else inside
        self._file.seek(min(steps * self._source_step, self._file.frames))
        self._pending = np.zeros((0, 2), np.float32)
        self._ended = False
        self._stream = None
        if self._source != self._rate:
            self._stream = soxr.ResampleStream(self._source, self._rate, 2, dtype="float32", quality=QUALITY)
        self._position = inside
        self._take(inside - steps * self._step)
        self._position = position

    def read(self, n: int) -> Audio:
        """The next n frames; raises FileError where the file turns out to be damaged."""
        out = np.zeros((2, n), np.float32)
        first = min(n, max(0, -self._position))
        last = min(n, max(first, self.length - self._position))
        if last > first:
            found = self._take(last - first)
            out[:, first : first + len(found)] = found.T
        self._position += n
        return out

    def _take(self, n: int) -> Audio:
        parts, have = [self._pending], len(self._pending)
        while have < n and not self._ended:
            parts.append(self._decode())
            have += len(parts[-1])
        whole = np.concatenate(parts)
        self._pending = whole[n:]
        return whole[:n]

    def _decode(self) -> Audio:
        try:
            raw = self._file.read(CHUNK, dtype="float32", always_2d=True)
        except RuntimeError as error:
            raise FileError(f"load: {self._file.name} is damaged ({error}); give another copy of it") from None
        self._ended = len(raw) < CHUNK
        stereo = np.repeat(raw, 2, axis=1) if raw.shape[1] == 1 else np.ascontiguousarray(raw[:, :2])
        stereo[~np.isfinite(stereo)] = 0.0
        if self._stream is None:
            return stereo
        resampled: Audio = self._stream.resample_chunk(stereo, last=self._ended)
        return resampled

    def close(self) -> None:
        """Gives the file back."""
        self._file.close()

    def __enter__(self) -> FileReader:
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None) -> None:
        self.close()
