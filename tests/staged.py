"""What tests on a stepped stage look for; the stage itself is a fixture of conftest.py."""

from __future__ import annotations

from typing import Any

import numpy as np

from segue.server.audio.rings import Audio
from segue.server.stage import Stage


def said(stage: Stage, address: str) -> list[tuple[Any, ...]]:
    """The arguments of every message that was sent to an address."""
    return [args for sent, args in stage.sent if sent == address]


def played(frames: int, seed: int) -> Audio:
    """What a performer plays: noise, `[2, frames]`."""
    return np.random.default_rng(seed).normal(0, 0.1, (2, frames)).astype(np.float32)


def until(stage: Stage, frame: int, audio: Audio) -> Audio:
    """Plays up to a frame; `audio` is what comes in, from frame 0 on."""
    return stage.play(audio[:, stage.frame : frame], max(1, frame - stage.frame))
