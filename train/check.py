"""`segue evaluate check`: what is wrong with the sound of takes in files, whatever they play, system by system."""

from __future__ import annotations

import argparse
import json
import sys
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

import numpy as np
import soundfile

from segue.engine.measure import loudness_step_lu, step_over_material
from segue.train.data import SUFFIXES
from segue.train.metrics.faults import CLICK_FAR_S, Faults, beyond, faults
from segue.train.report import markdown, put
from segue.train.takes import LIST

KINDS = ("clicks", "holes", "dc", "clipped", "narrow", "stuck")


@dataclass(frozen=True)
class Seam:
    """A join at a sample of the file: the figures of engine/measure.py."""

    frame: int
    step_over_material: float | None
    loudness_step_lu: float


@dataclass(frozen=True)
class Checked:
    """A file and what was found in its new part. context: the same of what stands before it, None where nothing does."""

    file: str
    system: str
    found: Faults
    context: Faults | None
    seams: tuple[Seam, ...]
    faults: tuple[str, ...]


def check(path: Path, system: str, first: int, last: int | None) -> Checked:
    """One file, whose new part is samples first to last. Raises ValueError where it is no audio."""
    with _audio(path):
        read, rate = soundfile.read(path, dtype="float32", always_2d=True)
    audio, edge = np.ascontiguousarray(read.T), round(CLICK_FAR_S * rate)
    end = audio.shape[1] if last is None else min(last, audio.shape[1])
    if not 0 <= first < end:
        raise ValueError(f"check: {path} has {audio.shape[1]} samples, its take would begin at {first}; give a shorter --context")
    # a click on the very join needs what lies on both sides of it
    found = faults(audio[:, max(0, first - edge) : end + edge], rate)
    context = faults(audio[:, :first], rate) if first > 2 * edge else None
    seams = [_seam(audio, at, rate) for at in (first, end) if 0 < at < audio.shape[1]]
    return Checked(str(path), system, found, context, tuple(seams), tuple(beyond(found, context)))


@contextmanager
def _audio(path: Path) -> Iterator[None]:
    """Says in a sentence that a file cannot be read."""
    try:
        yield
    except soundfile.LibsndfileError as error:
        reason = str(error).rpartition(": ")[2].rstrip(".")
        raise ValueError(f"check: {path} cannot be read as audio ({reason}); take it away, or give another copy") from None


def _rate(path: Path) -> int:
    with _audio(path):
        return int(soundfile.info(path).samplerate)


def _seam(audio: Any, frame: int, rate: int) -> Seam:
    step = step_over_material(audio, frame, rate)
    return Seam(frame, step if np.isfinite(step) else None, loudness_step_lu(audio, frame, rate))


def listed(folder: Path, context_s: float) -> list[tuple[Path, str, int, int | None]]:
    """(file, system, first, last) of what `segue evaluate takes` wrote, or of every audio file under a folder, which stands for
    its system; their new part begins at context_s. Raises FileNotFoundError without any, ValueError for one that is none."""
    if (folder / LIST).is_file():
        takes = json.loads((folder / LIST).read_text(encoding="utf-8"))["takes"]
        return [(folder / take["file"], take["system"], take["first"], take["last"]) for take in takes]
    files = [path for path in sorted(folder.rglob("*")) if path.suffix in SUFFIXES]
    if not files:
        raise FileNotFoundError(
            f"check: no audio under {folder}; name a folder that `segue evaluate takes` wrote, or one of takes"
        )
    return [(path, path.parent.name, round(context_s * _rate(path)), None) for path in files]


def summary(found: Sequence[Checked]) -> dict[str, dict[str, int]]:
    """By system: takes, how many are faulty, and how many have each fault."""
    systems = dict.fromkeys(one.system for one in found)
    told = {}
    for system in systems:
        own = [one for one in found if one.system == system]
        told[system] = {"takes": len(own), "faulty": sum(bool(one.faults) for one in own)} | {
            kind: sum(kind in one.faults for one in own) for kind in KINDS
        }
    return told


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Options of `segue evaluate check`."""
    parser.add_argument("folder", type=Path, help="what `segue evaluate takes` wrote, or any folder of takes")
    parser.add_argument("--into", type=Path, default=None, help="Markdown file that gets the counts")
    parser.add_argument("--context", type=float, default=0.0, help="seconds before the take in files that no list tells of")


def run(args: Any) -> int:
    """`segue evaluate check`: 0, whatever was found; 2 with one line where there is nothing to check."""
    found: list[Checked] = []
    try:
        files = listed(args.folder, args.context)
        for number, given in enumerate(files, start=1):
            found.append(check(*given))
            print(f"check: {number} of {len(files)} takes", file=sys.stderr, flush=True)
    except (OSError, ValueError, KeyError) as error:
        print(error, file=sys.stderr)
        return 2
    told = summary(found)
    if args.into:
        heads = ["system", *next(iter(told.values()))]
        put(args.into, "check", markdown([heads, *([system, *map(str, counts.values())] for system, counts in told.items())]))
    if args.json:
        print(json.dumps({"systems": told, "takes": [asdict(one) for one in found]}, allow_nan=False))
        return 0
    for system, counts in told.items():
        print(f"{system:36} " + "  ".join(f"{key} {count}" for key, count in counts.items()))
    for one in found:
        if one.faults:
            print(f"{one.file}: {', '.join(one.faults)} (sharpest click {one.found.worst_click:.1f}, dc {one.found.dc:.4f})")
    return 0
