"""Rows of figures, as every evaluation reports them."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

LESS = "MR_less"  # of a row "a - b": MR of a minus MR of b, clip by clip


@dataclass(frozen=True)
class Row:
    """One figure. spread: standard deviation over clips, or half the interval of a difference. floor: the same figure of
    true audio from elsewhere in the same song, the best that one can hope for without knowing the future."""

    task: str
    system: str
    sampler: str | None
    steps: int | None
    metric: str
    value: float | None
    spread: float | None
    n: int
    embedder: str | None = None
    floor: float | None = None
    interval: tuple[float, float] | None = None


def table(rows: Sequence[Row]) -> str:
    """The rows as lines of text."""
    lines = []
    for row in rows:
        value = "-" if row.value is None else f"{row.value:9.4f}"
        spread = "" if row.spread is None else f" +- {row.spread:.4f}"
        between = "" if row.interval is None else f"  95 % in [{row.interval[0]:.4f}, {row.interval[1]:.4f}]"
        how = "" if row.steps is None else f"  {row.sampler} {row.steps}"
        lines.append(f"{row.metric:20} {row.system:36} {value}{spread}{between}{how}")
    return "\n".join(lines)
