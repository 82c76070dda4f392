"""Clips of held-out songs, at places of a fixed seed: what a model is judged on."""

from __future__ import annotations

import sys
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from segue.engine.engine import Engine
from segue.engine.measure import loudness
from segue.train.baselines import Audio
from segue.train.data import SUFFIXES, read_audio

CLIPS = 108
QUIET_LUFS = -45.0  # a stretch below this says nothing
SEED = 20231


@dataclass(frozen=True)
class Clip:
    """A stretch of a song `[2, samples]`, another of the same song, and the samples of its context."""

    song: str
    audio: Audio
    elsewhere: Audio
    split: int

    @property
    def context(self) -> Audio:
        """What was heard."""
        return self.audio[:, : self.split]

    @property
    def truth(self) -> Audio:
        """What was really played then."""
        return self.audio[:, self.split :]


def shares(folder: Path, count: int) -> list[tuple[Path, int]]:
    """The audio files of a folder, and how many of `count` clips each gives: evenly, in order.

    Raises FileNotFoundError where the folder holds no audio.
    """
    files = sorted(path for path in folder.glob("*") if path.suffix in SUFFIXES)
    if not files:
        raise FileNotFoundError(f"evaluate: no audio in {folder}; give --data the folder that holds eval/, or set SEGUE_DATA")
    return [(path, count * (i + 1) // len(files) - count * i // len(files)) for i, path in enumerate(files)]


def draw_clips(folder: Path, count: int, window: int, context: int, rate: int) -> list[Clip]:
    """`count` clips, evenly over the files of a folder, at places drawn by SEED, none with a quiet context.

    Raises FileNotFoundError where the folder holds no audio.
    """
    clips: list[Clip] = []
    for i, (path, wanted) in enumerate(shares(folder, count)):
        audio = np.ascontiguousarray(read_audio(path)[0].T)
        clips += _clips_of(path.stem, audio, wanted, window, context, rate, np.random.default_rng([SEED, i]))
        print(f"evaluate: {len(clips)} of {count} clips drawn", file=sys.stderr, flush=True)
    return clips


def _clips_of(song: str, audio: Audio, wanted: int, window: int, context: int, rate: int, rng: np.random.Generator) -> list[Clip]:
    clips: list[Clip] = []
    for _ in range(20 * wanted):
        start, other = (int(n) for n in rng.integers(0, max(1, audio.shape[1] - window), 2))
        clip = Clip(song, audio[:, start : start + window], audio[:, other : other + window], context)
        apart = abs(start - other) >= window or audio.shape[1] < 4 * window
        loud = min(loudness(clip.context, rate), loudness(clip.truth, rate), loudness(clip.elsewhere, rate)) > QUIET_LUFS
        if apart and loud and clip.audio.shape[1] == window and len(clips) < wanted:
            clips.append(clip)
    return clips


def wrong_contexts(clips: Sequence[Clip]) -> list[Audio]:
    """For each clip the context of a clip of another song: the one half the list away, or the next that fits."""
    count = len(clips)
    chosen = []
    for i, clip in enumerate(clips):
        j = next(j for j in range(count // 2, count // 2 + count) if clips[(i + j) % count].song != clip.song)
        chosen.append(clips[(i + j) % count].context)
    return chosen


def geometry(engine: Engine) -> tuple[int, int]:
    """Samples of a clip, and of the context in it: one window of the model, 2.4 s of 6 s given (4.3)."""
    context = round(engine.context_min_s * engine.sample_rate)
    return context + engine.new_frames, context
