"""Where the bars of a take from nothing fall on stage: on the server's, whatever the metre, the quant, and when it was made."""

from __future__ import annotations

from collections.abc import Callable, Iterator

import numpy as np
import pytest
from fake_runner import RATE, STATE, FakeRunner
from staged import said

from segue.server.config import Config
from segue.server.jobs import Finished, Job, Piece, Running, WorkerEvent
from segue.server.stage import Stage


class Pulses(FakeRunner):
    """An engine that makes one sample of 0.5 at the beginning of each bar, and nothing else."""

    def run(self, job: Job, cancelled: Callable[[], bool], on_share: Callable[[float], None]) -> Iterator[WorkerEvent]:
        """Of `generate` alone."""
        assert (job.verb, job.left, job.middle) == ("generate", None, None)
        assert job.downbeat is not None
        assert job.beat_s is not None
        audio = np.full((2, job.new_frames), 1e-3, np.float32)
        bars = job.downbeat + np.arange(100) * job.beats_per_bar * job.beat_s * RATE
        places = np.round(bars).astype(int)
        audio[:, places[places < job.new_frames]] = 0.5
        yield Running(job.id)
        yield Piece(job.id, 0, audio, 0.0, job.steps)
        yield Finished(job.id)


@pytest.mark.parametrize("speculate", [False, True])
@pytest.mark.parametrize("quant", ["off", "beat", "bar"])
@pytest.mark.parametrize(("bpm", "meter"), [(120.0, 4), (97.0, 3)])
def test_its_bars_are_the_servers(bpm: float, meter: int, quant: str, speculate: bool) -> None:
    stage = Stage(Config(), Pulses, STATE, 0.3)
    try:
        stage.send("/segue/tempo", bpm)
        stage.send("/segue/meter", meter)
        if speculate:
            stage.send("/segue/deck/1/speculate", "generate")
        stage.play(None, round(5.3 * RATE))
        stage.send("/segue/deck/1/generate", "beats", 8.0, "quant", quant, "xfade", 0.0)
        before = stage.frame
        out = stage.play(None, 9 * RATE)
        grid = stage.conductor.session.world.grid
        (take,) = said(stage, "/segue/take")
        pulses = before + np.flatnonzero(out[0] > 0.1)
        assert len(pulses) >= 2
        assert take[3] <= pulses[0] <= pulses[-1] < take[3] + 9 * RATE
        beats = np.array([grid.beat_at(frame) for frame in pulses]) / meter
        np.testing.assert_allclose(beats, np.round(beats), atol=3 / (60 / bpm * RATE))
    finally:
        stage.close()
