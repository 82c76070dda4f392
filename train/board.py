"""Figures of a run: a line of JSON each, and TensorBoard's event files where asked for (extra `train`)."""

from __future__ import annotations

import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any


class Board:
    """Writes what a run tells, into its folder."""

    def __init__(self, folder: Path, name: str, tensorboard: bool) -> None:
        """Raises ModuleNotFoundError where TensorBoard is asked for and not installed."""
        self._lines = (folder / f"{name}.jsonl").open("a", encoding="utf-8", buffering=1)
        self._events: Any = None
        if tensorboard:
            from torch.utils.tensorboard import SummaryWriter

            self._events = SummaryWriter(folder / "board" / name)

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
