"""`segue evaluate progress`: FAD against training steps, of every model file of a folder, by both samplers."""

from __future__ import annotations

import argparse
import re
import sys
from collections.abc import Mapping, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

from segue.engine.checkpoint import CheckpointError, load
from segue.train.cases import TASKS
from segue.train.judge import Plan
from segue.train.rows import Row
from segue.train.store import Arrays
from segue.train.systems import CODEC, TRUTH, Way, ways
from segue.train.table import add_common, finish
from segue.train.table import rows_of as table_rows

SUFFIX = ".safetensors"
SAMPLERS = ("ddim", "ddpm")
KEPT = ("FAD", "FAD_excess", "KLD", "MR")
STEPS = "generator_steps"  # what `segue train pack` writes of a generator's training


def checkpoints(folder: Path) -> list[tuple[int, Path]]:
    """(training steps, model file) of a folder, by steps: what the file says of itself, else the last number in its name.

    Raises FileNotFoundError without any, ValueError for a file of which neither says steps, CheckpointError for no model.
    """
    found = []
    for path in sorted(folder.glob(f"*{SUFFIX}")):
        numbers = re.findall(r"\d+", path.stem)
        told = load(str(path)).spec.provenance.get(STEPS, numbers[-1] if numbers else "")
        if not told.isdecimal():
            raise ValueError(f"progress: {path.name} does not say how many steps it was trained; write them last in its name")
        found.append((int(told), path))
    if not found:
        raise FileNotFoundError(f"progress: no {SUFFIX} in {folder}; pack checkpoints of one run with `segue train pack` into it")
    return sorted(found)


def rows_of(plan: Plan, task: str, results: Mapping[str, Arrays]) -> list[Row]:
    """The figures of KEPT, as the table has them."""
    return [row for row in table_rows(plan, task, results) if row.metric in KEPT]


def labelled(rows: Sequence[Row], steps: Mapping[str, int]) -> list[Row]:
    """The rows with a model's training steps in its system's name; the last of models of equal steps counts."""
    return [replace(row, system=named(row.system, steps)) for row in rows]


def named(system: str, steps: Mapping[str, int]) -> str:
    """`trained N: ...` for a system of one of the checkpoints, others as they are."""
    stem, mark, rest = system.partition(":")
    return f"trained {steps[stem]}:{rest}" if mark and stem in steps else system


def curves(rows: Sequence[Row], metric: str = "FAD") -> dict[str, list[tuple[int, float]]]:
    """A metric over training steps: by task, way and sampler, (steps, value) in order of steps."""
    found: dict[str, list[tuple[int, float]]] = {}
    for row in rows:
        match = re.match(r"trained (\d+): (.+)", row.system)
        if match and row.metric == metric and row.value is not None:
            found.setdefault(f"{row.task}, {match[2]}", []).append((int(match[1]), row.value))
    return {name: sorted(points) for name, points in found.items()}


def table(rows: Sequence[Row]) -> str:
    """FAD by training steps, a line a checkpoint, a column a way; what was really played and the codec below."""
    from segue.train.report import markdown

    found = curves(rows)
    steps = sorted({step for points in found.values() for step, _ in points})
    lines = [["training steps", *(f"FAD, {name}" for name in found)]]
    for step in steps:
        lines.append([str(step), *(f"{dict(points)[step]:.2f}" if step in dict(points) else "" for points in found.values())])
    for system in (CODEC, TRUTH):
        of = {row.task: row.value for row in rows if row.system == system and row.metric == "FAD"}
        values = [of.get(name.partition(",")[0]) for name in found]
        lines.append([system, *("" if value is None else f"{value:.2f}" for value in values)])
    return markdown(lines)


def figure(rows: Sequence[Row], file: Path) -> bool:
    """The curves, training steps on a logarithmic axis; False without any."""
    found = curves(rows)
    if not found:
        return False
    from matplotlib.figure import Figure

    drawing = Figure(figsize=(6, 3.5), layout="constrained")
    axes = drawing.add_subplot(xlabel="training steps", ylabel="FAD", xscale="log")
    for name, points in found.items():
        axes.plot([max(1, step) for step, _ in points], [value for _, value in points], "o-", label=name)
    axes.legend(fontsize="small")
    drawing.savefig(file, dpi=110, metadata={"Software": None})
    return True


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Options of `segue evaluate progress`."""
    add_common(parser)
    parser.add_argument(
        "--checkpoints", type=Path, required=True, help="folder of model files of one run, as `train pack` writes"
    )
    parser.add_argument("--tasks", nargs="+", default=["continuation"], choices=TASKS, help="which tasks of 4.3")
    parser.add_argument("--steps", type=int, default=4, help="sampler steps")


def run(args: Any) -> int:
    """`segue evaluate progress`: as `segue evaluate table`; the bounds are those of --model, whose codec the run shares."""
    try:
        found = checkpoints(args.checkpoints)
    except (CheckpointError, FileNotFoundError, ValueError) as error:
        print(error, file=sys.stderr)
        return 2
    steps = {path.stem: step for step, path in found}

    def played(task: str) -> tuple[Way, ...]:
        made = [ways(task, args.steps, sampler, str(path), False) for _, path in found for sampler in SAMPLERS]
        return tuple(way for some in made for way in some)

    return finish(
        args, [(task, played(task)) for task in args.tasks], name="progress",
        rows_from=lambda plan, task, results: labelled(rows_of(plan, task, results), steps),
    )  # fmt: skip
