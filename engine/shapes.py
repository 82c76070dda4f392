"""Shapes in time: fades between two signals, and how a long stretch is cut into windows."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray


def constant_power(n: int) -> tuple[NDArray[np.float32], NDArray[np.float32]]:
    """(f_out, f_in) of n samples with f_out^2 + f_in^2 = 1: a quarter of a cosine and of a sine (Table 2)."""
    angle = (np.arange(n) + 0.5) * (np.pi / 2 / max(1, n))
    return np.cos(angle).astype(np.float32), np.sin(angle).astype(np.float32)


def crossfade(left: NDArray[np.float32], right: NDArray[np.float32]) -> NDArray[np.float32]:
    """F_out x_L + F_in x_R: `[2, n]` of one track into `[2, n]` of another. Raises ValueError where lengths differ."""
    if left.shape != right.shape:
        raise ValueError(f"crossfade: got {list(left.shape)} into {list(right.shape)}; both must have the length of the middle")
    f_out, f_in = constant_power(left.shape[-1])
    return f_out * left + f_in * right


@dataclass(frozen=True)
class Window:
    """One run of the model: `new` frames from `first` on, after `left` and before `right` frames of context."""

    first: int
    new: int
    left: int
    right: int

    @property
    def start(self) -> int:
        """Its first frame."""
        return self.first - self.left

    @property
    def end(self) -> int:
        """The frame after its last."""
        return self.first + self.new + self.right


def plan(new: int, left: int, right: int, size: int, context: int) -> list[Window]:
    """Windows of at most `size` frames that make frames 0 to `new`, each after what precedes, the last before what follows.

    left, right: frames of context there are. context: frames of left context that a window keeps where it can. A window
    with room to spare takes more context. The last one keeps at least a quarter of a window on either side, so that a
    stretch that must arrive somewhere has room to.
    """
    windows: list[Window] = []
    first = 0
    while first < new:
        have, rest = left + first, new - first
        kept = min(right, size // 4)
        room = size - min(have, size // 4) - kept
        if right and rest <= room:
            after = min(right, max(kept, (size - rest) // 2, size - rest - have))
            made, before = rest, min(have, size - rest - after)
        else:
            made = min(size - min(have, context), rest - room if right else rest)
            before, after = min(have, size - made), 0
        windows.append(Window(first, made, before, after))
        first += made
    return windows
