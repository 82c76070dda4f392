"""`segue evaluate report`: stored rows as the tables and pictures of docs/RESULTS.md, Table 1 first."""

from __future__ import annotations

import argparse
import json
import sys
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any, TypeAlias

from segue.train.rows import LESS, Row
from segue.train.systems import TRUTH

BEGIN, END = "<!-- {name}: begin -->", "<!-- {name}: end -->"
SEAMS = ("loudness_step_lu", "step_over_material", "flux_z", "phase_coherence", "beat_offset")
BANDS = ("mid 0-250 Hz", "mid 1000-4000 Hz", "mid 8000-16000 Hz", "side 250-1000 Hz", "side 8000-16000 Hz")

Found = Mapping[tuple[str, str, str], Row]
Shown: TypeAlias = tuple[Callable[[Sequence[Row]], str], Callable[[Sequence[Row], Path], bool], str]
PICTURES = {"table": "transitions"}  # parts whose picture has a name of its own


def read_rows(path: Path) -> tuple[list[Row], str]:
    """The rows of a file that `--out` wrote, and what they are of, as `shown_as` knows it: what the file says, else its name.

    Raises ValueError with a sentence for another file.
    """
    try:
        told = json.loads(path.read_text(encoding="utf-8"))
        return [Row(**row) for row in told["rows"]], str(told.get("name", path.stem))
    except (AttributeError, KeyError, TypeError, json.JSONDecodeError) as error:
        raise ValueError(f"report: {path} holds no rows ({error}); name what `segue evaluate table --out` wrote") from error


def tables(rows: Sequence[Row]) -> str:
    """Table 1, what stands behind it, and the seams, as Markdown."""
    found: Found = {(row.task, row.system, row.metric): row for row in rows}
    systems = list(dict.fromkeys(row.system for row in rows if row.metric == "MR"))
    parts = [table_1(found, systems), differences(rows), excesses(found, systems), seams(found, systems), bands(found, systems)]
    parts.append(told(rows))
    return "\n\n".join(part for part in parts if part)


def table_1(found: Found, systems: Sequence[str]) -> str:
    """The form of Table 1, Levy et al. 2023; for ours infill says infill / regeneration (Table 2) / as 4.3 words it."""
    columns = [("unconditional", "FAD"), ("unconditional", "KLD")]
    columns += [(task, metric) for task in ("infill", "continuation") for metric in ("FAD", "KLD", "MR")]
    columns += [("transition", "realism"), ("guidance", "FAD"), ("guidance", "KLD_paired")]
    names = {"infill": "infill/regen.", "unconditional": "uncond.", "guidance": "emb./cl. guidance"}
    heads = [f"{names.get(task, task)} {metric} {'↑' if metric == 'realism' else '↓'}" for task, metric in columns]
    lines = [_line(["system", *heads]), _line(["---"] * (len(heads) + 1))]
    for name, members in _grouped(systems).items():
        cells = [_cells(found, members, task, metric) for task, metric in columns]
        if any(cell != "" for cell in cells):
            lines.append(_line([name, *cells]))
    if not any(name.startswith("cqt") for name in systems):
        lines.append(_line(["CQT model (not trained)", *([""] * len(columns))]))
    return "\n".join(lines)


def _grouped(systems: Sequence[str]) -> dict[str, list[str]]:
    """Ours of all tasks in one row for each sampler and number of steps; every other system for itself."""
    rows: dict[str, list[str]] = {}
    for system in systems:
        words = system.split()
        plays = (words[0] == "ours" or words[0].endswith(":")) and "," not in system
        name = f"**{words[0].rstrip(':')}, {' '.join(words[2:])}**" if plays else system
        rows.setdefault(name, []).append(system)
    return rows


def _cells(found: Found, systems: Sequence[str], task: str, metric: str) -> str:
    values = []
    for system in systems:
        row = found.get((task, system, metric))
        if row and row.value is not None:
            spread = f" ± {row.spread:.2f}" if metric == "realism" and row.spread is not None else ""
            values.append(f"{row.value:.2f}{spread}")
    return " / ".join(values)


def differences(rows: Sequence[Row]) -> str:
    """MR of ours minus that of a model beside it, clip by clip, where one played the same."""
    lines = [_line([row.task, row.system, _between(row), str(row.n)]) for row in rows if row.metric == LESS]
    heads = [_line(["task", "paired", "difference in MR, 95 %", "clips"]), _line(["---"] * 4)]
    return "\n".join([*heads, *lines]) if lines else ""


def excesses(found: Found, systems: Sequence[str]) -> str:
    """(FAD - floor) / (codec's - floor) with its interval, for each task: 0 is real data, 1 the codec."""
    tasks = list(dict.fromkeys(task for task, _, metric in found if metric == "FAD_excess"))
    lines = [_line(["excess of FAD over the floor, 95 %", *tasks]), _line(["---"] * (len(tasks) + 1))]
    for system in systems:
        rows = [found.get((task, system, "FAD_excess")) for task in tasks]
        if any(rows):
            lines.append(_line([system, *(_between(row) for row in rows)]))
    return "\n".join(lines) if tasks else ""


def _between(row: Row | None) -> str:
    if row is None or row.value is None:
        return "" if row is None else "-"
    return f"{row.value:.2f}" + (f" [{row.interval[0]:.2f}, {row.interval[1]:.2f}]" if row.interval else "")


def seams(found: Found, systems: Sequence[str]) -> str:
    """The seam metrics, each task's systems, means of the sizes over joins."""
    return _plain(found, systems, SEAMS, [task for task in _tasks(found) if task != "unconditional"], "joins")


def bands(found: Found, systems: Sequence[str]) -> str:
    """Level differences in dB of some bands of mid and side."""
    return _plain(found, systems, [f"dB {band}" for band in BANDS], _tasks(found), "dB apart")


def _tasks(found: Found) -> list[str]:
    return list(dict.fromkeys(task for task, _, _ in found))


def _plain(found: Found, systems: Sequence[str], metrics: Sequence[str], tasks: Sequence[str], head: str) -> str:
    lines = [_line([head, "system", *metrics]), _line(["---"] * (len(metrics) + 2))]
    for task in tasks:
        for system in systems:
            rows = [found.get((task, system, metric)) for metric in metrics]
            if any(rows):
                values = ["" if row is None or row.value is None else f"{row.value:.2f}" for row in rows]
                lines.append(_line([task, system, *values]))
    return "\n".join(lines) if len(lines) > 2 else ""


def study(rows: Sequence[Row]) -> str:
    """The ways of an ablation, one a line, with the figures that tell them apart, and the bounds below."""
    metrics = ["FAD", "KLD", "KLD_style", "MR", "flux_z", "beat_offset"]
    found: Found = {(row.task, row.system, row.metric): row for row in rows}
    metrics = [metric for metric in metrics if any(row.metric == metric for row in rows)]
    lines = [_line(["task", "system", "excess, 95 %", *metrics]), _line(["---"] * (len(metrics) + 3))]
    names = list(dict.fromkeys((row.task, row.system) for row in rows if row.metric == "MR"))
    for task, system in sorted(names, key=lambda name: (name[0], not name[1].startswith("ours"))):
        values = [found.get((task, system, metric)) for metric in metrics]
        cells = ["" if row is None or row.value is None else _between(row) for row in values]
        lines.append(_line([task, system, _between(found.get((task, system, "FAD_excess"))), *cells]))
    return "\n".join(lines)


def figure_study(rows: Sequence[Row], file: Path) -> bool:
    """Excess with its interval and MR of every way of an ablation, each task a panel; False without any."""
    found: Found = {(row.task, row.system, row.metric): row for row in rows if row.system.startswith("ours")}
    tasks = list(dict.fromkeys(task for task, _, metric in found if metric == "FAD_excess"))
    if not tasks:
        return False
    from matplotlib.figure import Figure

    figure = Figure(figsize=(8, 3.2 * len(tasks)), layout="constrained")
    for number, task in enumerate(tasks, start=1):
        names = [system for its, system, metric in found if its == task and metric == "FAD_excess"]
        for place, (metric, said) in enumerate((("FAD_excess", "excess of FAD"), ("MR", "MR, nepers"))):
            axes = figure.add_subplot(len(tasks), 2, 2 * number - 1 + place, xlabel=f"{task}: {said}")
            rows_of = [found[task, name, metric] for name in names]
            values = [row.value if row.value is not None else float("nan") for row in rows_of]
            reach = [row.interval or (value, value) for row, value in zip(rows_of, values, strict=True)]
            bars = [[max(0.0, v - low) for v, (low, _) in zip(values, reach, strict=True)],
                    [max(0.0, high - v) for v, (_, high) in zip(values, reach, strict=True)]]  # fmt: skip
            axes.errorbar(values, range(len(names)), xerr=bars, fmt="o")
            axes.set_yticks(range(len(names)), [name.removeprefix("ours ") for name in names] if place == 0 else [])
            axes.invert_yaxis()
    figure.savefig(file, dpi=110, metadata={"Software": None})
    return True


def into(rows: Sequence[Row], document: Path | None, name: str, form: str = "") -> str:
    """The rows as Markdown, in the form of `shown_as` (by default of their name); into a document's part of that name, with their
    picture beside it, where there is one."""
    text, draw, words = shown_as(form or name)
    found = text(rows)
    if document:
        picture = document.with_name(f"{PICTURES.get(name, name)}.png")
        shown = f"\n\n![{words}]({picture.name})" if draw(rows, picture) else ""
        put(document, name, found + shown)
    return found


def put(document: Path, name: str, text: str) -> None:
    """Text as a document's part of that name."""
    whole = document.read_text(encoding="utf-8") if document.is_file() else ""
    document.write_text(placed(whole, name, text), encoding="utf-8")


def markdown(lines: Sequence[Sequence[str]]) -> str:
    """Lines of cells as a table, the first its head."""
    head, *rest = lines
    return "\n".join(_line(cells) for cells in (head, ["---"] * len(head), *rest))


def told(rows: Sequence[Row]) -> str:
    """Embedder, counts and floors, as a sentence a task."""
    lines = []
    for task in dict.fromkeys(row.task for row in rows):
        of = {(row.system, row.metric): row for row in rows if row.task == task}
        fad, half = of.get((TRUTH, "FAD")), of.get(("reference", "FAD_halves"))
        if fad is None or half is None:
            continue
        kld, infinite = of.get((TRUTH, "KLD")), of[TRUTH, "FAD_infinity"]
        floor_kld = "" if kld is None else f", KLD {kld.value:.3f}"
        lines.append(
            f"* {task}: embedder {fad.embedder}, {fad.n} clips in every row; floor (real data of the same songs, "
            f"disjoint in time) FAD {fad.value:.2f}{floor_kld}; extrapolated to infinite count {infinite.value:.2f}; "
            f"halves of the reference, half the count, {half.value:.2f}."
        )
    return "\n".join(lines)


def _line(cells: Sequence[str]) -> str:
    return "| " + " | ".join(cells) + " |"


def placed(document: str, name: str, text: str) -> str:
    """The document with `text` between its markers of that name, which are added at its end where they are missing."""
    begin, end = BEGIN.format(name=name), END.format(name=name)
    if begin not in document:
        document = f"{document.rstrip()}\n\n{begin}\n{end}\n"
    before, _, rest = document.partition(begin)
    _, _, after = rest.partition(end)
    return f"{before}{begin}\n{text}\n{end}{after}"


def figure_1(rows: Sequence[Row], file: Path) -> bool:
    """Log-mel distance from the first track over a transition, each system a line; False where no transition was scored."""
    curves: dict[str, list[float]] = {}
    for row in rows:
        if row.metric.startswith("curve ") and row.value is not None and row.system != "silence":
            curves.setdefault(row.system, []).append(row.value)
    if not curves:
        return False
    from matplotlib.figure import Figure

    figure = Figure(figsize=(6, 3.5), layout="constrained")
    axes = figure.add_subplot(xlabel="place in the transition", ylabel="log-mel distance from the first track")
    for system, values in curves.items():
        axes.plot([(i + 0.5) / len(values) for i in range(len(values))], values, label=system)
    axes.legend(fontsize="small")
    figure.savefig(file, dpi=110, metadata={"Software": None})
    return True


def shown_as(name: str) -> Shown:
    """How the rows of that name are written and drawn, and what their picture shows."""
    from segue.train import counts, few_steps_table, progress, references

    known: dict[str, Shown] = {
        "table": (tables, figure_1, "distance from the first track over a transition"),
        "counts": (counts.table, counts.figure, "FAD over the number of takes"),
        "few_steps": (few_steps_table.table, lambda rows, file: False, ""),
        "references": (references.table, lambda rows, file: False, ""),
        "progress": (progress.table, progress.figure, "FAD over training steps"),
    }
    return known.get(name, (study, figure_study, "what was varied, and what came of it"))


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Options of `segue evaluate report`."""
    parser.add_argument("rows", type=Path, nargs="+", help="files of rows that stored evaluations wrote with --out")
    parser.add_argument(
        "--into", type=Path, required=True,
        help="Markdown file; what stands between markers of a file's name is replaced, pictures are drawn beside it",
    )  # fmt: skip


def run(args: Any) -> int:
    """`segue evaluate report`: 0, or 2 with one line for a file without rows."""
    try:
        found = [(path.stem, *read_rows(path)) for path in args.rows]
    except (OSError, ValueError) as error:
        print(error, file=sys.stderr)
        return 2
    for name, rows, form in found:
        into(rows, args.into, name, form)
    parts = [{"name": name, "rows": len(rows)} for name, rows, _ in found]
    print(json.dumps({"into": str(args.into), "parts": parts}) if args.json else f"{len(parts)} parts of {args.into}")
    return 0
