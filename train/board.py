"""Figures of a run: a line of JSON each, and TensorBoard's event files where asked for (extra `train`)."""

from __future__ import annotations

import json
import math
from collections.abc import Mapping
from pathlib import Path
from typing import Any


class Board:
    """Writes what a run tells, into its folder."""

    def __init__(self, folder: Path, name: str, tensorboard: bool, step: int = 0) -> None:
        """step: of the run as it goes on; what was told of later ones before it was killed is taken back.

        Raises ModuleNotFoundError where TensorBoard is asked for and not installed.
        """
        path = folder / f"{name}.jsonl"
        before = path.read_text(encoding="utf-8").splitlines(keepends=True) if path.is_file() else []
        self._lines = path.open("w", encoding="utf-8", buffering=1)
        self._lines.writelines(line for line in before if _step_of(line) <= step)
        self._events: Any = None
        if tensorboard:
            from torch.utils.tensorboard import SummaryWriter

            self._events = SummaryWriter(folder / "board" / name, purge_step=step + 1)

    def tell(self, step: int, figures: Mapping[str, float]) -> None:
        """The figures of a step."""
        self._lines.write(json.dumps({"step": step, **figures}) + "\n")
        for key, value in figures.items():
            if self._events is not None:
                self._events.add_scalar(key, value, step)

    def close(self) -> None:
        """Nothing more is told."""
        self._lines.close()
        if self._events is not None:
            self._events.close()


def _step_of(line: str) -> float:
    """The step that a line tells of; infinite for one that a kill cut short."""
    try:
        return float(json.loads(line)["step"])
    except (ValueError, KeyError, TypeError):
        return math.inf
