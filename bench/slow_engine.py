"""The engine at a multiple of its cost, for `segue.bench.score --cost`: `slow_engine.py FACTOR FD` in the engine process's place.

Every piece comes later by as much as it cost, and says that it cost so much: the server sees a machine that is so much slower.
"""

from __future__ import annotations

import sys
import time
from collections.abc import Callable, Iterator
from dataclasses import replace
from typing import Any

from segue.server import engine_process
from segue.server.config import Config
from segue.server.jobs import EngineState, Job, Piece, WorkerEvent


class Slower:
    """Another's jobs, each piece `factor` times as dear."""

    def __init__(self, inner: Any, factor: float) -> None:
        self._inner, self._factor = inner, factor

    def run(self, job: Job, cancelled: Callable[[], bool], on_share: Callable[[float], None]) -> Iterator[WorkerEvent]:
        """Its events, pieces later."""
        for event in self._inner.run(job, cancelled, on_share):
            if isinstance(event, Piece):
                time.sleep((self._factor - 1.0) * event.seconds)
                event = replace(event, seconds=self._factor * event.seconds)
            yield event


def main(factor: float) -> None:
    """Serves as `segue.server.engine_process` does."""

    def load(config: Config) -> tuple[object, EngineState]:
        inner, state = engine_process.load(config)
        return Slower(inner, factor), state

    engine_process.main(load)


if __name__ == "__main__":
    main(float(sys.argv.pop(1)))
