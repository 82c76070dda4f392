"""The clips of the demo: what was given, or what comes along, at the stream's rate and long enough."""

from __future__ import annotations

from importlib.resources import files
from pathlib import Path
from typing import Any

import numpy as np
import soundfile

from segue.server.audio.feeder import read_region
from segue.server.jobs import Audio
from segue.server.render import read_input
from segue.server.score import ScoreError

RATE = 44_100
LONGEST_S = 24.0  # of the input is played; a shorter one goes round
SHORTEST_S = 3.2
AFTER_S = 40.0  # kept of a longer one beyond that
ROUND_FADE_S = 0.010


def prepared(path: str | None, name: str, folder: Path) -> str:
    """A clip at the stream's rate: what was asked for, or the one that comes along."""
    source = path or str(files("segue.examples") / name)
    info = _info(source)
    audio = read_input(source, RATE) if info.duration < 600 else _beginning(source, info)
    if not np.any(np.abs(audio) > 1e-5):
        raise ScoreError(f"{source}: is silent from beginning to end; give a file with sound in it")
    if audio.shape[1] < SHORTEST_S * RATE:
        raise ScoreError(f"{source}: is {audio.shape[1] / RATE:.1f} s long; {SHORTEST_S} s at least can be continued")
    target = folder / f"{name}.wav"
    audio = repeated(audio, round(LONGEST_S * RATE))
    soundfile.write(target, audio[:, : round((LONGEST_S + AFTER_S) * RATE)].T, RATE, subtype="FLOAT")
    return str(target)


def repeated(audio: Audio, frames: int) -> Audio:
    """`[2, n]` audio that goes round until it lasts `frames`, each end faded into the beginning: the performer plays on."""
    fade = round(ROUND_FADE_S * RATE)
    ramp = np.linspace(0.0, 1.0, fade, dtype=np.float32)
    out = audio
    while out.shape[1] < frames:
        joint = out[:, -fade:] * (1.0 - ramp) + audio[:, :fade] * ramp
        out = np.concatenate([out[:, :-fade], joint, audio[:, fade:]], axis=1)
    return out


def _info(path: str) -> Any:
    try:
        return soundfile.info(path)
    except (OSError, soundfile.LibsndfileError) as error:
        reason = str(error).splitlines()[0]
        raise ScoreError(f"{path}: cannot be read as audio ({reason}); give a WAV, FLAC, Ogg or MP3 file") from None


def _beginning(path: str, info: Any) -> Audio:
    """As much of a long file as is used."""
    return read_region(path, 0, round((LONGEST_S + AFTER_S) * RATE), RATE)
