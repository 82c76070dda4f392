"""Audio files that are written whole: 24 bit, WAV or FLAC or what else the end of a name says.

Threads: any, one at a time for each file.
"""

from __future__ import annotations

from pathlib import Path

import soundfile

from segue.server.audio.files import FileError

SUBTYPE = "PCM_24"


def check_output(path: str) -> None:
    """Raises FileError where no audio file of that name can be written."""
    ending = Path(path).suffix
    if not soundfile.check_format(ending[1:].upper(), SUBTYPE):
        got = f"ends in {ending}" if ending else "has no ending"
        raise FileError(f"{path}: got a name that {got}, allowed are those of 24-bit formats; give one in .wav or .flac")
    folder = Path(path).parent
    if not folder.is_dir():
        raise FileError(f"{path}: {folder} is no folder; make it first, or name another")
    if Path(path).is_dir():
        raise FileError(f"{path}: is a folder; give the name of a file in it")


def create(path: str, rate: int, channels: int = 2) -> soundfile.SoundFile:
    """A file to write [n, channels] into, for `with`. Raises FileError."""
    check_output(path)
    try:
        return soundfile.SoundFile(path, "w", rate, channels, subtype=SUBTYPE)
    except (OSError, soundfile.LibsndfileError):
        raise FileError(f"{path}: cannot be written there; look at its permissions and at the space left") from None
