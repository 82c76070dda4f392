"""Streams to test with: small memory, either core."""

from __future__ import annotations

import itertools
import os
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import numpy as np
import pytest

from segue.server.audio import layout
from segue.server.audio.core import Core, make_core
from segue.server.audio.layout import Geometry
from segue.server.audio.rings import Audio
from segue.server.audio.segment import Segment

SMALL: dict[str, Any] = {"rate": 8000, "ring": 4000, "slot": 4000, "loop": 1000, "feed": 4000, "block": 64}
NUMBERS = itertools.count()
NO_CORE = layout.compiled() is None
_COMPILED = pytest.mark.skipif(NO_CORE, reason="core.c is not compiled here")
CORES = [pytest.param(True, id="compiled", marks=_COMPILED), pytest.param(False, id="twin")]


def fresh_name() -> str:
    """A name that no other segment of this machine has."""
    return f"segue-test-{os.getpid()}-{next(NUMBERS)}"


@contextmanager
def stream(compiled: bool, **sizes: Any) -> Iterator[tuple[Segment, Core]]:
    """A segment with its core."""
    segment = Segment.create(Geometry(**{**SMALL, **sizes}), fresh_name())
    try:
        yield segment, make_core(segment, compiled)
    finally:
        segment.unlink()
        segment.close()


def noise(seed: int, n: int, rows: int = 4, level: float = 0.3) -> Audio:
    """White noise [rows, n]."""
    return (level * np.random.default_rng(seed).standard_normal((rows, n))).astype(np.float32)


def drive(segment: Segment, core: Core, audio: Audio, block: int = 64) -> Audio:
    """Runs the core over audio [in_channels, n]; what came out."""
    starts = range(0, audio.shape[1], block)
    return np.concatenate([core.process(audio[:, i : i + block], segment.frame * 10**9 // segment.rate) for i in starts], axis=1)
