"""How the rows of a distillation are written: as lines, as JSON, and as a part of docs/RESULTS.md."""

from __future__ import annotations

import json
import sys
from collections.abc import Sequence
from dataclasses import asdict

from segue.train.report import markdown
from segue.train.rows import Row

BEFORE, AFTER, MANY = "before", "after", "before, many steps"
# What is said of a metric besides its mean: how much it differs from the model before at as many steps, on the same windows or
# clips, and its share of what many steps of the model before have
CHANGE, RATIO = "_change", "_ratio"
WITHIN = 0.1  # of the model before at many steps: nearer than this, few steps count as good as many


def shown(rows: Sequence[Row], as_json: bool) -> str:
    """The rows as JSON, or as a table with one line for each regime, number of steps and system, and one for each comparison."""
    if as_json:
        return json.dumps({"rows": [asdict(row) for row in rows]})
    metrics = list(dict.fromkeys(row.metric for row in rows if row.interval is None))
    lines = [f"{'regime':16} {'steps':>5}  {'system':20} " + " ".join(f"{m:>9}" for m in metrics)]
    for key in dict.fromkeys((row.task, row.steps, row.system) for row in rows):
        found = {row.metric: f"{row.value:9.3f}" for row in rows if (row.task, row.steps, row.system) == key}
        lines.append(f"{key[0]:16} {key[1]:5d}  {key[2]:20} " + " ".join(found.get(m, f"{'-':>9}") for m in metrics))
    for row in rows:
        if row.metric.endswith(CHANGE):
            words = f"{row.system} - {BEFORE}, {row.metric.removesuffix(CHANGE)}: {_between(row, '+.3f')}"
        elif row.metric.endswith(RATIO):
            words = f"{row.system} / {MANY}, {row.metric.removesuffix(RATIO)}: {_between(row, '.3f')}, {_verdict(row)}"
        else:
            continue
        lines.append(f"{row.task:16} {row.steps:5d}  {words}")
    return "\n".join(lines)


def tell(rows: Sequence[Row], task: str) -> None:
    """What is known of a regime, on standard error: a long run that is stopped has not been for nothing."""
    print(shown([row for row in rows if row.task == task], as_json=False), file=sys.stderr, flush=True)


def table(rows: Sequence[Row]) -> str:
    """The rows as Markdown: a line for each regime, number of steps and system, and what a metric is of many steps' beside it."""
    metrics = [row.metric for row in rows if not row.metric.endswith(CHANGE)]
    columns = sorted(dict.fromkeys(metrics), key=lambda metric: metric.removesuffix(RATIO) not in ("MR", "KLD"))
    lines = [["regime", "steps", "system", *(_head(column) for column in columns), "n"]]
    found = {(row.task, row.steps, row.system, row.metric): row for row in rows}
    for key in dict.fromkeys((row.task, row.steps, row.system) for row in rows):
        cells = [found.get((*key, column)) for column in columns]
        told = ["" if row is None else _cell(row) for row in cells]
        lines.append([key[0], str(key[1]), key[2], *told, ", ".join(dict.fromkeys(str(row.n) for row in cells if row))])
    return markdown(lines)


def _head(column: str) -> str:
    return f"{column.removesuffix(RATIO)} over that of many steps, 95 %" if column.endswith(RATIO) else column


def _cell(row: Row) -> str:
    return f"{_between(row, '.2f')}, {_verdict(row)}" if row.metric.endswith(RATIO) else f"{row.value:.2f}"


def _verdict(row: Row) -> str:
    """Whether a ratio, of which less is better, is certainly within WITHIN of 1, certainly not, or neither."""
    assert row.interval is not None  # every ratio has one
    low, high = row.interval
    if low >= 1 - WITHIN and high <= 1 + WITHIN:
        return f"within {WITHIN:.0%}"
    if low > 1 + WITHIN:
        return f"over {WITHIN:.0%} worse"
    return f"over {WITHIN:.0%} better" if high < 1 - WITHIN else "open"


def _between(row: Row, form: str) -> str:
    assert row.interval is not None  # every comparison has one
    return f"{row.value:{form}} [{row.interval[0]:{form}}, {row.interval[1]:{form}}]"
