"""An engine process without a model, for tests of everything around it: `fake_engine.py SECONDS_A_PIECE FD`."""

from __future__ import annotations

import os
import sys
import time
from collections.abc import Callable, Iterator

sys.path.insert(0, os.path.dirname(__file__))

from fake_runner import STATE, FakeRunner

from segue.server import engine_process
from segue.server.audio.segment import Segment
from segue.server.config import Config
from segue.server.jobs import EngineState, Job, Piece, WorkerEvent


class SlowRunner(FakeRunner):
    """Takes its time for each piece."""

    cost_s = 0.2

    def run(self, job: Job, cancelled: Callable[[], bool], on_share: Callable[[float], None]) -> Iterator[WorkerEvent]:
        for event in super().run(job, cancelled, on_share):
            if isinstance(event, Piece):
                time.sleep(self.cost_s)
                event = Piece(event.job, event.start, event.audio, self.cost_s, event.steps)
            yield event


def load(config: Config) -> tuple[object, EngineState]:
    return SlowRunner(Segment.attach(config.segment)), STATE


if __name__ == "__main__":
    SlowRunner.cost_s = float(sys.argv.pop(1))
    engine_process.main(load)
