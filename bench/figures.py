"""Makes tables of times in Markdown from what `bench engine --out` and `bench gpu` left, and says what nobody has measured."""

from __future__ import annotations

import argparse
import json
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, TypeAlias

Row: TypeAlias = Mapping[str, Any]

FILES = ("engine.json", "gpu.json")
HEAD = (
    "model",
    "what",
    "back-end",
    "window s",
    "batch",
    "median ms",
    "p99 ms",
    "CPU ms",
    "rtf",
    "floor ms",
    "MB",
    "answers",
    "take",
)
WORST_GUIDED = 2.5  # times the unguided take that a guided one may need


@dataclass(frozen=True)
class Aim:
    """A figure that was aimed at. worth: of the rows that are meant, the best; None where there are none."""

    name: str
    most: float
    unit: str
    worth: Callable[[list[Row]], float | None]

    def met(self, rows: list[Row]) -> str:
        """A sentence: what was aimed at and what was got."""
        got = self.worth(rows)
        if got is None:
            return f"{self.name}: at most {self.most:g}{self.unit}; not measured"
        return f"{self.name}: at most {self.most:g}{self.unit}; {got:.3g}{self.unit}, {'met' if got <= self.most else 'missed'}"


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Options of `segue bench figures`."""
    parser.add_argument("--results", type=Path, default=Path("bench/results"), help=f"folder of {' and '.join(FILES)}")


def run(args: Any) -> int:
    """`segue bench figures`: 0. Raises ValueError where the folder holds none of the files."""
    found = [read(args.results / name) for name in FILES if (args.results / name).is_file()]
    if not found:
        raise ValueError(f"results: {args.results} holds neither {' nor '.join(FILES)}; run `segue bench engine --out` first")
    rows = [row for report in found for row in report["rows"]]
    if args.json:
        print(json.dumps({"rows": rows, "aims": [{"aim": aim.name, "most": aim.most, "value": aim.worth(rows)} for aim in AIMS]}))
        return 0
    for report in found:
        where = report["machine"] if report["gpu"] is None else f"{report['gpu']}, {report['machine']}"
        print(f"{where}; {', '.join(f'{name} {version}' for name, version in report['versions'].items() if version)}\n")
        print(markdown(report["rows"]) + "\n")
    print("\n".join(f"* {aim.met(rows)}" for aim in AIMS))
    return 0


def read(path: Path) -> dict[str, Any]:
    """A report of a bench, each row with what it was measured on."""
    report: dict[str, Any] = json.loads(path.read_text(encoding="utf-8"))
    report["rows"] = [{**row, "gpu": report["gpu"]} for row in report["rows"]]
    return report


def markdown(rows: list[Row]) -> str:
    """The rows as a table."""
    lines = [HEAD, ["---"] * len(HEAD), *(cells(row) for row in rows)]
    return "\n".join("| " + " | ".join(line) + " |" for line in lines)


def cells(row: Row) -> list[str]:
    """One row's, empty where nothing was measured."""
    what = row["component"] or f"{row['task']}, {row['guidance']}, {row['steps']} steps"
    times = [_number(row.get(key), 1e3, "{:.1f}") for key in ("median_s", "p99_s", "cpu_s")]
    rest = [_number(row["rtf"], 1, "{:.3f}"), _number(row["floor_s"], 1e3, "{:.2f}"), _number(row["peak_memory_mb"], 1, "{:.0f}")]
    errors = [_number(row.get(key), 1, "{:.0e}") for key in ("known_answer_error", "take_error")]
    return [row["model"], what, row["backend"], f"{row['window_s']:g}", str(row["batch"]), *times, *rest, *errors]


def _number(value: float | None, scale: float, form: str) -> str:
    return "" if value is None else form.format(scale * value)


def takes(
    rows: list[Row], model: str, guidance: str, steps: int, gpu: bool, launch: bool = False, backend: str = ""
) -> list[Row]:
    """The takes of one item that are meant."""
    return [
        row
        for row in rows
        if (row["model"], row["guidance"], row["steps"], row["batch"]) == (model, guidance, steps, 1)
        and (row["gpu"] is not None) == gpu
        and (not launch or "one launch" in row["backend"])
        and backend in ("", row["backend"])
    ]


def _least(rows: list[Row], key: str, scale: float = 1.0) -> float | None:
    values = [scale * row[key] for row in rows if row.get(key) is not None]
    return min(values) if values else None


def _launch(model: str, guidance: str, steps: int) -> Callable[[list[Row]], float | None]:
    return lambda rows: _least(takes(rows, model, guidance, steps, gpu=True, launch=True), "p99_s", 1e3)


def _guided_over_free(rows: list[Row]) -> float | None:
    guided, free = (_launch("live-300m", guidance, 4)(rows) for guidance in ("guided", "clean"))
    return None if guided is None or free is None else guided / free


def _rtf(rows: list[Row]) -> float | None:
    return _least(takes(rows, "live", "clean", 4, gpu=False), "rtf")


def _share_of_eager(rows: list[Row]) -> float | None:
    fast = _least(takes(rows, "live", "clean", 4, gpu=False), "cpu_s")
    eager = _least(takes(rows, "live", "clean", 4, gpu=False, backend="eager"), "cpu_s")
    return None if fast is None or eager is None else fast / eager


AIMS = (
    Aim("live, guided continuation of 4 steps, one launch on a GPU, p99", 8, " ms", _launch("live", "guided", 4)),
    Aim("live-300m, the same", 8, " ms", _launch("live-300m", "guided", 4)),
    Aim("live, the consistency step alone, p99", 4, " ms", _launch("live", "clean", 4)),
    Aim("live-300m, the same", 4, " ms", _launch("live-300m", "clean", 4)),
    Aim("paper-latent, 8 unguided steps, one launch, p99", 60, " ms", _launch("paper-latent", "clean", 8)),
    Aim("live-300m, guided over unguided", WORST_GUIDED, " times", _guided_over_free),
    Aim("live on a CPU, continuation of 4 steps, time over new audio", 0.25, "", _rtf),
    Aim("live on a CPU, the same, processor time over eager's", 0.5, "", _share_of_eager),
)
