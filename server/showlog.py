"""The log of a show: one JSON line for each message, effect and take, with the frame it belongs to."""

from __future__ import annotations

import json
from typing import IO, Any


class ShowLog:
    """Writes lines to a file, or nowhere. Control thread only."""

    def __init__(self, path: str) -> None:
        """path: a file that is appended to; empty for none."""
        self._file: IO[str] | None = open(path, "a", encoding="utf-8") if path else None  # noqa: SIM115  closed by close()
        self._lines: list[dict[str, Any]] = []

    def write(self, frame: int, kind: str, **facts: Any) -> None:
        """One line: the frame, what kind, and its facts. Kept until `spell`, since a message on its way has no time for it."""
        if self._file is not None:
            self._lines.append({"frame": frame, "kind": kind, **facts})

    def spell(self, most: int | None = None) -> None:
        """Writes what was kept, `most` lines at once: between two messages there is little time."""
        if self._file is not None:
            lines, self._lines = self._lines[:most], self._lines[most:] if most is not None else []
            self._file.writelines(json.dumps(line, default=str) + "\n" for line in lines)

    def flush(self) -> None:
        """Brings what was written to the disk."""
        if self._file is not None:
            self.spell()
            self._file.flush()

    def close(self) -> None:
        """Ends the log."""
        if self._file is not None:
            self.flush()
            self._file.close()
            self._file = None
