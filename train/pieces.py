"""Big files as pieces of bounded size, and prepared audio as small files: what travels to a machine and back.

Audio travels as Opus at 48 kHz with its entry beside it; latents and model files as they are. Every file that was cut has a
list of its pieces with their hash, so that a missing or damaged one is named.
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from dataclasses import asdict, replace
from pathlib import Path

import numpy as np

from segue.train.data import RATE, Audio, Entry, open_entry, read_index, write_index

MEGABYTE = 1_000_000
OUT_MB = 16.0  # of a piece that comes back
OPUS_RATE = 48_000
OPUS_COMPRESSION = 0.8  # about 14 kB/s
LIST = ".pieces.json"
ENTRIES = "entries.json"


def cut(path: Path, out: Path, limit_mb: float = OUT_MB) -> list[Path]:
    """Copy a file into `out` as NAME.000, NAME.001, ... of at most `limit_mb`, and the list of them. Returns what was written."""
    out.mkdir(parents=True, exist_ok=True)
    names, total = list[str](), hashlib.sha256()
    with path.open("rb") as file:
        while block := file.read(int(limit_mb * MEGABYTE)):
            names.append(f"{path.name}.{len(names):03d}")
            (out / names[-1]).write_bytes(block)
            total.update(block)
    (out / f"{path.name}{LIST}").write_text(json.dumps({"sha256": total.hexdigest(), "pieces": names}))
    return [out / name for name in names] + [out / f"{path.name}{LIST}"]


def joined(folder: Path, out: Path) -> list[Path]:
    """Put together every cut file of a folder in `out`. Raises ValueError for a missing or damaged piece."""
    out.mkdir(parents=True, exist_ok=True)
    made = []
    for listed in sorted(folder.glob(f"*{LIST}")):
        told, target = json.loads(listed.read_text()), out / listed.name.removesuffix(LIST)
        missing = [name for name in told["pieces"] if not (folder / name).is_file()]
        if missing:
            raise ValueError(f"pieces: {missing[0]} of {target.name} is missing in {folder}; fetch it again")
        whole = b"".join((folder / name).read_bytes() for name in told["pieces"])
        if hashlib.sha256(whole).hexdigest() != told["sha256"]:
            raise ValueError(f"pieces: {target.name} is damaged; fetch its pieces again")
        target.write_bytes(whole)
        made.append(target)
    return made


def stage(prepared: Path, out: Path, limit_mb: float) -> Iterator[Path]:
    """Write prepared audio as folders `piece-000`, ... of Opus files, each of about `limit_mb`; yields each as it is full."""
    entries = sorted(read_index(prepared).values(), key=lambda entry: entry.name)
    number, size, told = 0, 0, list[Entry]()
    for entry in entries:
        place = out / f"piece-{number:03d}"
        place.mkdir(parents=True, exist_ok=True)
        file = place / f"{entry.name}.opus"
        write_opus(file, np.asarray(open_entry(prepared, entry) / 32767, dtype=np.float32))
        size, told = size + file.stat().st_size, [*told, entry]
        (place / ENTRIES).write_text(json.dumps([asdict(e) for e in told]))
        if size > limit_mb * MEGABYTE * 0.9:
            yield place
            number, size, told = number + 1, 0, []
    if told:
        yield out / f"piece-{number:03d}"


def unstage(piece: Path, out: Path) -> int:
    """Decode a piece into prepared audio beside what is there; returns how many entries are new. Damaged files are left out."""
    out.mkdir(parents=True, exist_ok=True)
    have = read_index(out)
    told = [Entry(**row) for row in json.loads((piece / ENTRIES).read_text())]
    with ThreadPoolExecutor() as pool:
        made = list(pool.map(lambda entry: _decoded(piece, out, entry), [e for e in told if e.name not in have]))
    new = {entry.name: entry for entry in made if entry}
    write_index(out, [*have.values(), *new.values()])
    return len(new)


def _decoded(piece: Path, out: Path, entry: Entry) -> Entry | None:
    """The array of an entry, at the level that it was stored at, so that its gain stays right."""
    import soundfile

    try:
        audio = read_opus(piece / f"{entry.name}.opus")
    except (soundfile.SoundFileError, RuntimeError, OSError):
        return None
    np.save(out / f"{entry.name}.npy", np.round(audio.clip(-1, 1) * 32767).astype(np.int16))
    return replace(entry, frames=len(audio))


def write_opus(path: Path, audio: Audio) -> None:
    """`[N, 2]` at 44.1 kHz."""
    import soundfile
    import soxr

    there = soxr.resample(audio, RATE, OPUS_RATE).clip(-1, 1)
    soundfile.write(path, there, OPUS_RATE, format="OGG", subtype="OPUS", compression_level=OPUS_COMPRESSION)


def read_opus(path: Path) -> Audio:
    """`[N, 2]` at 44.1 kHz."""
    import soundfile
    import soxr

    audio, rate = soundfile.read(path, dtype="float32", always_2d=True)
    there: Audio = soxr.resample(audio, rate, RATE)
    return there
