"""What is known of a folder's files beside their sound: artist and class, by tables that lie beside it or by its sub-folders."""

from __future__ import annotations

import json
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import TypeAlias

from segue.train.fma import TRACKS, find_tracks, number_of, read_tracks

MANIFEST = "manifest.json"


@dataclass(frozen=True)
class About:
    """Who made a file and what kind of music it is (genre, style, instrument); "" where nothing says."""

    artist: str = ""
    label: str = ""


Known: TypeAlias = Callable[[Path], About]


def known_of(folder: Path, metadata: Path | None = None) -> Known:
    """What to ask about a file below the folder.

    The Free Music Archive's tables name artist and genre, a `manifest.json` what its rows have of `artist` and `genre`. Without
    tables a file's class is the first folder on its way: `FOLDER/techno/album/song.flac` is techno.
    metadata: a tracks.csv or the folder that holds it. Raises ValueError for one that cannot be used.
    """
    if metadata is not None and not metadata.exists():
        raise ValueError(f"metadata: no {metadata}; name the folder fma_metadata or its {TRACKS}")
    tracks = metadata if metadata is not None and metadata.is_file() else find_tracks(metadata or folder)
    if tracks:
        known = read_tracks(tracks)
        return lambda path: About(row.artist, row.genre) if (row := known.get(number_of(path) or -1)) else About()
    for place in (folder, folder.parent):
        if (place / MANIFEST).is_file():
            return _listed(folder, place / MANIFEST)
    return lambda path: About(label=_first_folder(folder, path))


def _listed(folder: Path, manifest: Path) -> Known:
    """By the rows of a manifest; the class of a file whose row has no genre is its folder's."""
    rows = {Path(row["file"]).name: row for row in json.loads(manifest.read_text())}

    def about(path: Path) -> About:
        row = rows.get(path.name, {})
        return About(str(row.get("artist") or ""), str(row.get("genre") or "") or _first_folder(folder, path))

    return about


def _first_folder(folder: Path, path: Path) -> str:
    parts = path.relative_to(folder).parts
    return parts[0] if len(parts) > 1 else ""
