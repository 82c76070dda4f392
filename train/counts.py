"""`segue evaluate counts`: how FAD depends on how many takes are scored, and on leaving out the loudest or the noisiest.

All out of stored results: the takes are those of `segue evaluate table`.
"""

from __future__ import annotations

import argparse
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from segue.train.cases import TASKS
from segue.train.judge import REFERENCE, Plan
from segue.train.metrics.frechet import frechet
from segue.train.rows import Row
from segue.train.store import Arrays
from segue.train.systems import ways
from segue.train.table import add_common, finish

SIZES = 6  # numbers of takes, from a quarter of them on
DRAWS = 20  # random choices of so many
SHARE = 0.25  # of the takes that a filter leaves out
FILTERS = {"loudest": "lufs", "noisiest": "flatness"}
SEED = 20231


def rows_of(plan: Plan, task: str, results: Mapping[str, Arrays]) -> list[Row]:
    """`FAD of N takes` for every system and number, and `FAD without ...` beside as many chosen at random.

    spread is the standard deviation over the random choices. The reference is cut to the same number, so that counts are equal.
    """
    reference = results[REFERENCE]["e"].astype(np.float64)
    count, rows = len(reference), list[Row]()
    sizes = [int(n) for n in np.unique(np.linspace(max(2, count // 4), count, SIZES).astype(int))]
    kept = max(2, count - round(SHARE * count))
    for system, made in results.items():
        if system == REFERENCE:
            continue
        e = made["e"].astype(np.float64)

        def row(metric: str, n: int, values: NDArray[np.floating[Any]], system: str = system) -> Row:
            return Row(task, system, None, None, metric, float(values.mean()), float(values.std()), n, plan.embedder)

        rows += [row(f"FAD of {n}", n, drawn(reference, e, n)) for n in sizes]
        rows.append(row("FAD without any", kept, drawn(reference, e, kept)))
        for name, key in FILTERS.items():
            least = np.argsort(made[key], kind="stable")[:kept]
            rows.append(row(f"FAD without the {name}", kept, drawn(reference, e[least], kept)))
    return rows


def drawn(reference: NDArray[np.float64], e: NDArray[np.float64], n: int) -> NDArray[np.float64]:
    """`[DRAWS]` distances of n takes out of `[m, P, dim]` from n of the reference, both chosen at random."""
    rng, dim = np.random.default_rng([SEED, n]), e.shape[-1]
    picks = [(rng.permutation(len(reference))[:n], rng.permutation(len(e))[:n]) for _ in range(DRAWS)]
    return np.array([frechet(reference[a].reshape(-1, dim), e[b].reshape(-1, dim)) for a, b in picks])


def table(rows: Sequence[Row]) -> str:
    """The rows as Markdown, a column a number of takes or a filter."""
    from segue.train.report import markdown

    metrics = list(dict.fromkeys(row.metric for row in rows))
    found = {(row.task, row.system, row.metric): row for row in rows}
    lines = [["task", "system", *metrics]]
    for task, system in dict.fromkeys((row.task, row.system) for row in rows):
        cells = [found.get((task, system, metric)) for metric in metrics]
        lines.append([task, system, *("" if row is None else f"{row.value:.2f} ± {row.spread:.2f}" for row in cells)])
    return markdown(lines)


def figure(rows: Sequence[Row], file: Path) -> bool:
    """FAD over the number of takes, a line a system with its spread; False without any."""
    shown = [row for row in rows if row.metric.startswith("FAD of ") and row.system != "silence"]
    if not shown:
        return False
    from matplotlib.figure import Figure

    drawing = Figure(figsize=(6, 3.5), layout="constrained")
    axes = drawing.add_subplot(xlabel="takes", ylabel="FAD")
    for task, system in dict.fromkeys((row.task, row.system) for row in shown):
        own = [row for row in shown if (row.task, row.system) == (task, system)]
        axes.errorbar(
            [row.n for row in own], [row.value or 0 for row in own], [row.spread or 0 for row in own], label=f"{system}"
        )
    axes.legend(fontsize="small")
    drawing.savefig(file, dpi=110, metadata={"Software": None})
    return True


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Options of `segue evaluate counts`."""
    add_common(parser)
    parser.add_argument("--tasks", nargs="+", default=["continuation"], choices=TASKS, help="which tasks of 4.3")
    parser.add_argument("--steps", type=int, default=4, help="sampler steps")
    parser.add_argument("--sampler", default="ddim", choices=["ddim", "ddpm"], help="Algorithm 2 or 1")


def run(args: Any) -> int:
    """`segue evaluate counts`: as `segue evaluate table`, whose folder it shares."""
    played = [(task, ways(task, args.steps, args.sampler, classifier=False)) for task in args.tasks]
    return finish(args, played, name="counts", rows_from=rows_of)
