"""Rings of audio: copies in and out by absolute frame. Threads: any; who may write is said where the ring is."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

Audio = NDArray[np.float32]  # [channels, frames]


def ring_read(view: Audio, frame: int, n: int) -> Audio:
    """A copy of n frames of a ring [2, capacity] from `frame` on."""
    capacity = view.shape[1]
    place = frame % capacity
    head = min(n, capacity - place)
    out = np.empty((2, n), np.float32)
    out[:, :head] = view[:, place : place + head]
    out[:, head:] = view[:, : n - head]
    return out


def ring_write(view: Audio, frame: int, audio: Audio) -> None:
    """Copies audio into a ring [2, capacity] at `frame`."""
    capacity, n = view.shape[1], audio.shape[1]
    place = frame % capacity
    head = min(n, capacity - place)
    view[:, place : place + head] = audio[:, :head]
    view[:, : n - head] = audio[:, head:]
