"""Random training clips out of prepared audio: stems mixed, speed, level, pan and polarity varied."""

from __future__ import annotations

from collections import defaultdict
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from segue.train.data import RATE, Entry, open_entry, read_index

SPEED = (0.9, 1.1)
LEVEL_DB = 6.0  # the level of a clip is drawn from +- this around the reference
STEM_MIX = 0.25  # share of clips from a song of another source that is mixed in


@dataclass(frozen=True)
class Song:
    """Prepared entries that sound together: the stems of one song, or one file."""

    name: str
    entries: tuple[Entry, ...]

    @property
    def label(self) -> str:
        """The class, "" for none."""
        return self.entries[0].label

    @property
    def frames(self) -> int:
        """Frames that all stems have."""
        return min(entry.frames for entry in self.entries)


class Library:
    """The songs of one split of one or more prepared folders, drawn by length."""

    def __init__(self, folders: list[Path], split: str = "train") -> None:
        groups: dict[str, list[tuple[Path, Entry]]] = defaultdict(list)
        for folder in folders:
            for entry in read_index(folder).values():
                if entry.split == split:
                    groups[f"{folder.name}/{entry.song}"].append((folder, entry))
        if not groups:
            named = ", ".join(map(str, folders))
            raise FileNotFoundError(f"no prepared {split} audio in {named}: run `segue train prepare FOLDER --out DIR` first")
        self.songs = [Song(name, tuple(entry for _, entry in rows)) for name, rows in sorted(groups.items())]
        self.arrays = {entry.name: open_entry(folder, entry) for rows in groups.values() for folder, entry in rows}
        weight = np.array([min(song.frames / RATE, 240.0) * (1 if len(song.entries) == 1 else 1.5) for song in self.songs])
        self.chances = weight / weight.sum()

    def song_at(self, song: Song, start: int, frames: int, gains: NDArray[np.float32]) -> NDArray[np.float32]:
        """`[frames, 2]` of a song at reference level, its stems weighted by `gains`; zeros beyond the end."""
        mix = np.zeros((frames, 2), np.float32)
        for entry, gain in zip(song.entries, gains, strict=True):
            part = self.arrays[entry.name][start : start + frames]
            mix[: len(part)] += part * np.float32(entry.gain * gain / 32767)
        return mix

    def clip(self, rng: np.random.Generator, frames: int) -> NDArray[np.float32]:
        """One random clip `[2, frames]`, augmented, near the reference level."""
        import soxr

        audio = np.zeros((frames, 2), np.float32)
        for _ in range(2 if rng.random() < STEM_MIX * 0.4 else 1):
            song = self.songs[rng.choice(len(self.songs), p=self.chances)]
            speed = rng.uniform(*SPEED) if rng.random() < 0.7 else 1.0
            needed = int(frames * speed) + 64
            start = int(rng.integers(0, max(song.frames - needed, 0) + 1))
            raw = self.song_at(song, start, needed, stem_gains(rng, len(song.entries)))
            if speed != 1.0:
                raw = soxr.resample(raw, RATE * speed, RATE, quality="MQ")
            audio += raw[:frames] * (1.0 if not audio.any() else rng.uniform(0.3, 1.0))
        return np.ascontiguousarray(staged(rng, audio).T)


def stem_gains(rng: np.random.Generator, count: int) -> NDArray[np.float32]:
    """Gains of `count` stems: 1 for a lone file, else a random subset between -9 and +3 dB."""
    if count == 1:
        return np.ones(1, np.float32)
    kept = rng.random(count) < 0.75
    kept[rng.integers(count)] = True
    return (kept * 10 ** (rng.uniform(-9, 3, count) / 20) * 0.7).astype(np.float32)


def staged(rng: np.random.Generator, audio: NDArray[np.float32]) -> NDArray[np.float32]:
    """`[N, 2]` with random level, balance, width, polarity and sides; peaks are held below 1."""
    if rng.random() < 0.5:
        audio = audio[:, ::-1]
    mid, side = audio.mean(1), (audio[:, 0] - audio[:, 1]) / 2
    side = side * rng.uniform(0.5, 1.5) if rng.random() < 0.5 else side
    balance = rng.uniform(-2, 2) if rng.random() < 0.5 else 0.0
    tilted = np.stack((mid + side, mid - side), 1) * 10 ** (np.array([balance, -balance]) / 40)
    gain = 10 ** (rng.uniform(-LEVEL_DB, LEVEL_DB) / 20) * rng.choice([-1.0, 1.0])
    peak = float(np.abs(tilted).max()) * abs(gain)
    return np.asarray(tilted * (gain / max(1.0, peak)), dtype=np.float32)
