"""A context that was read before is had again when the rings have forgotten it: what a performer has frozen stays frozen."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
from toy import RATE, model

from segue.engine.engine import Engine
from segue.server.audio.values import NotHeard, Ring
from segue.server.inference import Inference
from segue.server.jobs import Audio, Failed, Finished, Job, RingPart
from segue.server.remembering import KEPT, Remembering


class Forgetful:
    """Rings that have forgotten all that ended before a frame."""

    def __init__(self) -> None:
        self.oldest = 0

    def read(self, ring: Ring, deck: int, end_frame: int, n: int) -> Audio:
        """n frames of noise."""
        if end_frame < self.oldest:
            raise NotHeard(f"{ring.name.lower()}: frames up to {end_frame} are gone")
        return np.random.default_rng(end_frame).normal(0, 0.1, (2, n)).astype(np.float32)


def test_what_is_asked_for_again_and_again_is_kept_and_nothing_else() -> None:
    rings = Forgetful()
    reader = Remembering(rings)
    first = reader.read(Ring.SOUNDED, 0, 1000, 10)
    for number in range(5 * KEPT):
        rings.oldest = 2000 + number
        np.testing.assert_array_equal(reader.read(Ring.SOUNDED, 0, 1000, 10), first)
        reader.read(Ring.SOUNDED, 0, 2000 + number, 10)
    for ring, deck, end, n in ((Ring.SOUNDED, 0, 2000, 10), (Ring.SOUNDED, 0, 1000, 11), (Ring.INPUT, 0, 1000, 10)):
        with pytest.raises(NotHeard):
            reader.read(ring, deck, end, n)


def test_a_frozen_context_is_played_on_from_for_as_long_as_it_is_frozen() -> None:
    rings = Forgetful()
    inference = Inference(Engine(model()), rings, RATE)
    job = Job(1, 1, "continue", "continuation", RATE // 2, left=RingPart("sounded", 1, 5 * RATE, 3 * RATE))

    def last(job: Job) -> object:
        return list(inference.run(job, lambda: False, lambda share: None))[-1]

    assert isinstance(last(job), Finished)
    rings.oldest = 60 * RATE
    assert isinstance(last(replace(job, id=2)), Finished)
    assert isinstance(last(replace(job, id=3, left=RingPart("sounded", 1, 6 * RATE, 3 * RATE))), Failed)
