"""What the Free Music Archive dataset knows of its tracks: artist, licence and genre by number, from `tracks.csv`.

The layout is `fma_SIZE/000/000002.mp3` beside `fma_metadata/tracks.csv`, whose first two lines name each column (Defferrard et
al. 2017); a third line names the index.
"""

from __future__ import annotations

import csv
from dataclasses import dataclass
from pathlib import Path

METADATA = "fma_metadata"
TRACKS = "tracks.csv"
COLUMNS = {"artist": ("artist", "name"), "licence": ("track", "license"), "genre": ("track", "genre_top")}


@dataclass(frozen=True)
class Track:
    """A row of tracks.csv; "" where it says nothing."""

    artist: str
    licence: str
    genre: str


def find_tracks(folder: Path) -> Path | None:
    """The `tracks.csv` that belongs to a folder of tracks: in it, in its metadata folder, or beside it."""
    places = (folder, folder / METADATA, folder.parent / METADATA)
    return next((place / TRACKS for place in places if (place / TRACKS).is_file()), None)


def read_tracks(path: Path) -> dict[int, Track]:
    """Every track by its number; lines without one are headings. Raises ValueError where a column is missing."""
    with path.open(encoding="utf-8", newline="") as file:
        rows = csv.reader(file)
        groups, names = next(rows, []), next(rows, [])
        places = {}
        for key, column in COLUMNS.items():
            found = [i for i, pair in enumerate(zip(groups, names, strict=False)) if pair == column]
            if not found:
                raise ValueError(f"{path}: no column {column[0]}/{column[1]}; take the tracks.csv of fma_metadata.zip as it is")
            places[key] = found[0]
        return {
            int(row[0]): Track(**{key: row[i].strip() for key, i in places.items()})
            for row in rows
            if row and row[0].isdigit() and len(row) > max(places.values())
        }


def number_of(path: Path) -> int | None:
    """The track's number that a file is named after, or None."""
    return int(path.stem) if path.stem.isdigit() else None
