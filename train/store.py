"""Results on disk, piece by piece: a run that was interrupted goes on where it stopped, in any number of processes."""

from __future__ import annotations

import hashlib
import json
import multiprocessing
import os
import sys
import time
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, TypeAlias

import numpy as np
from numpy.typing import NDArray

Arrays: TypeAlias = dict[str, NDArray[Any]]

PLAN = "plan.json"


@dataclass(frozen=True)
class Piece:
    """One piece of work: clips first to last of a task by a system."""

    task: str
    system: str
    first: int
    last: int

    @property
    def file(self) -> str:
        """Where its arrays lie in the folder; the system's name, which may hold anything, by its digest."""
        return f"{self.task}/{hashlib.sha256(self.system.encode()).hexdigest()[:12]}-{self.first:05d}-{self.last:05d}.npz"


class Store:
    """A folder of finished pieces, all of one plan."""

    def __init__(self, folder: Path, plan: dict[str, Any]) -> None:
        """Raises ValueError where the folder holds the pieces of another plan."""
        self.folder = folder
        file = folder / PLAN
        if file.is_file():
            known = json.loads(file.read_text(encoding="utf-8"))
            for key in sorted(plan.keys() | known.keys()):
                if plan.get(key) != known.get(key):
                    was, now = known.get(key), plan.get(key)
                    raise ValueError(f"store: {folder} was begun with {key} {was!r}, asked is {now!r}; name another folder")
        else:
            folder.mkdir(parents=True, exist_ok=True)
            file.write_text(json.dumps(plan), encoding="utf-8")

    def has(self, piece: Piece) -> bool:
        """Whether it is finished."""
        return (self.folder / piece.file).is_file()

    def put(self, piece: Piece, arrays: Arrays) -> None:
        """Written beside its place and moved there, so that what lies there is whole."""
        file = self.folder / piece.file
        file.parent.mkdir(exist_ok=True)
        part = file.with_suffix(f".{os.getpid()}.part")
        with part.open("wb") as out:
            np.savez_compressed(out, allow_pickle=False, **arrays)
        part.replace(file)

    def get(self, pieces: Sequence[Piece]) -> Arrays:
        """The arrays of consecutive pieces, put together along their first axis."""
        parts = []
        for piece in pieces:
            with np.load(self.folder / piece.file) as file:
                parts.append({key: file[key] for key in file.files})
        return {key: np.concatenate([part[key] for part in parts]) for key in parts[0]}


def pieces(task: str, system: str, count: int, each: int) -> list[Piece]:
    """A task by a system as pieces of `each` clips."""
    return [Piece(task, system, i, min(count, i + each)) for i in range(0, count, each)]


def carry_out(
    todo: Sequence[Piece], work: Callable[[Piece], None], start: Callable[..., None], given: tuple[Any, ...], processes: int
) -> None:
    """Every piece, by `processes` processes, each begun with start(*given); tells how far it is and the time left.

    work and start are functions of a module. One process is this one.
    """
    begun = time.monotonic()
    for done, piece in enumerate(_worked(todo, work, start, given, processes), start=1):
        left = (time.monotonic() - begun) / done * (len(todo) - done)
        words = f"{piece.task}, {piece.system}, clips {piece.first} to {piece.last - 1}"
        print(f"evaluate: {done} of {len(todo)} pieces, {left:.0f} s left ({words})", file=sys.stderr, flush=True)


def _worked(
    todo: Sequence[Piece], work: Callable[[Piece], None], start: Callable[..., None], given: tuple[Any, ...], processes: int
) -> Iterator[Piece]:
    if not todo:
        return
    if processes == 1:
        start(*given)
        for piece in todo:
            work(piece)
            yield piece
        return
    with multiprocessing.get_context("spawn").Pool(processes, start, given) as pool:
        yield from pool.imap_unordered(_Work(work), todo)


@dataclass(frozen=True)
class _Work:
    """Work that gives its piece back."""

    work: Callable[[Piece], None]

    def __call__(self, piece: Piece) -> Piece:
        self.work(piece)
        return piece
