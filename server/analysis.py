"""What a file is: loudness, true peak, tempo and beats. `python -m segue.server.analysis PATH RATE` says it as a line of JSON.

The server runs that as a process of its own, which yields to everything else (nice 10, one thread), and reads the line.
"""

from __future__ import annotations

import contextlib
import json
import os
import sys
from dataclasses import asdict, dataclass

from segue.server.audio.files import FileError, FileReader
from segue.server.loudness import SILENT_DB, Meter
from segue.server.sync.whole import Onsets, beats_of

PIECE_S = 10.0  # read at once
LONGEST_S = 600.0  # of a file that is looked at
NICE = 10


@dataclass(frozen=True)
class Analysis:
    """lufs: integrated loudness, None for silence. peak_db: dBTP. bpm: 0 where no beat is sure; beats: their frames.

    downbeat: which of the beats begins a bar, None where nobody has said so. Frames are those of the file at the stream's rate.
    """

    lufs: float | None = None
    peak_db: float = SILENT_DB
    bpm: float = 0.0
    beats: tuple[int, ...] = ()
    downbeat: int | None = None

    def to_json(self) -> str:
        """One line."""
        return json.dumps(asdict(self))

    @classmethod
    def from_json(cls, text: str) -> Analysis:
        """The analysis from `to_json`; raises ValueError or TypeError for anything else."""
        data = json.loads(text)
        return cls(**{**data, "beats": tuple(data["beats"])})


def analysed(path: str, rate: int) -> Analysis:
    """What the file at a path is, at a stream's rate. Raises FileError."""
    meter, onsets = Meter(rate), Onsets(rate)
    with FileReader(path, rate) as reader:
        left = min(reader.length, round(LONGEST_S * rate))
        while left > 0:
            audio = reader.read(min(left, round(PIECE_S * rate)))
            meter.push(audio)
            onsets.push(audio)
            left -= audio.shape[1]
    beats, bpm = beats_of(onsets, rate)
    return Analysis(meter.lufs, meter.peak_db, bpm, tuple(round(float(beat)) for beat in beats))


def regular(frames: int, rate: int, bpm: float, first: float) -> tuple[int, ...]:
    """The beats of a file of `frames` whose tempo somebody has said, one of them at `first` seconds."""
    period = 60.0 * rate / bpm
    begin = (first * rate) % period
    return tuple(round(begin + i * period) for i in range(int((frames - begin) // period) + 1))


def main(path: str, rate: int) -> int:
    """Says it; exit code 2 and a sentence on standard error where the file cannot be used."""
    with contextlib.suppress(OSError):
        os.nice(NICE)
    try:
        print(analysed(path, rate).to_json())
    except FileError as error:
        print(error, file=sys.stderr)
        return 2
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1], int(sys.argv[2])))
