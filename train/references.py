"""`segue evaluate references`: how FAD depends on what it is held against: the same pieces, other artists, other music.

The takes are those of `segue evaluate table`, out of its stored results; of each further set as many stretches are drawn.
"""

from __future__ import annotations

import argparse
import sys
from collections.abc import Mapping, Sequence
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from segue.train.cases import TASKS, draw, scored_length
from segue.train.counts import drawn, table
from segue.train.data import RATE
from segue.train.judge import REFERENCE, Plan
from segue.train.metrics.ears import embedder_of, hear
from segue.train.rows import Row
from segue.train.store import Arrays
from segue.train.systems import ways
from segue.train.table import add_common, finish
from segue.train.yamnet import data_folder

__all__ = ["rows_of", "table"]

OWN = "the same pieces"
Sets = Mapping[str, NDArray[np.float64]]


def rows_of(sets: Sets, plan: Plan, task: str, results: Mapping[str, Arrays]) -> list[Row]:
    """`FAD against NAME` of every system, from equal counts in every row, and of each set against the same pieces.

    sets: `[n, P, dim]` embeddings by name; n may differ, the least counts. spread: standard deviation over random choices.
    """
    known = {OWN: results[REFERENCE]["e"].astype(np.float64), **sets}
    count = min(len(e) for e in known.values())
    systems = {name: made["e"].astype(np.float64) for name, made in results.items() if name != REFERENCE}
    rows = []
    for system, e in {**systems, **{named(name): e for name, e in sets.items()}}.items():
        for name, reference in known.items():
            if system == named(name):
                continue  # a set is no reference to itself
            values = drawn(reference, e, min(count, len(e)) - 1)  # one less, so that there is something to choose
            rows.append(
                Row(task, system, None, None, f"FAD against {name}", float(values.mean()), float(values.std()), count - 1,
                    plan.embedder)
            )  # fmt: skip
    return rows


def named(name: str) -> str:
    """A set as the system that plays it."""
    return f"set: {name}"


def heard(folder: Path, count: int, task: str, embedder: str, data: Path) -> NDArray[np.float64]:
    """`[n, P, dim]` embeddings of up to `count` stretches of the audio in a folder, as long as those that the task scores.

    Raises FileNotFoundError or ValueError where there are fewer than two.
    """
    length = scored_length(task, RATE)
    stretches = [one.audio[:, :length] for one in draw(folder, count, RATE)]
    if len(stretches) < 2:
        raise ValueError(f"references: {folder} gave {len(stretches)} stretches; give a folder with more music")
    return hear(embedder_of(embedder, data), stretches, RATE).e.astype(np.float64)


def sets_of(words: Sequence[str]) -> dict[str, Path]:
    """NAME=FOLDER as a table. Raises ValueError for another form and for a folder that is none."""
    found = {}
    for word in words:
        name, equals, folder = word.partition("=")
        if not (name and equals and Path(folder).is_dir()):
            raise ValueError(f"references: got {word!r}; give NAME=FOLDER, a folder of audio")
        found[name] = Path(folder)
    return found


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Options of `segue evaluate references`."""
    add_common(parser)
    parser.add_argument(
        "--sets", nargs="+", default=None, metavar="NAME=FOLDER", help="default: other artists=train/ of the data"
    )
    parser.add_argument("--task", default="continuation", choices=TASKS, help="which task of 4.3")
    parser.add_argument("--steps", type=int, default=4, help="sampler steps")
    parser.add_argument("--sampler", default="ddim", choices=["ddim", "ddpm"], help="Algorithm 2 or 1")


def run(args: Any) -> int:
    """`segue evaluate references`: as `segue evaluate table`, whose folder it shares."""
    data = args.data or data_folder()
    try:
        folders = sets_of(args.sets) if args.sets else {"other artists": data / "train"}
        sets = {name: heard(folder, args.clips, args.task, args.embedder, data) for name, folder in folders.items()}
    except (FileNotFoundError, ValueError) as error:
        print(error, file=sys.stderr)
        return 2
    played = [(args.task, ways(args.task, args.steps, args.sampler, classifier=False))]
    return finish(args, played, name="references", rows_from=partial(rows_of, sets))
