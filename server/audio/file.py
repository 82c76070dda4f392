"""Drives a core offline: files or arrays in, an array out, on a clock that moves by one block a time.

Thread: one at a time.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from contextlib import ExitStack

import numpy as np

from segue.server.audio.core import Core
from segue.server.audio.files import FileReader
from segue.server.audio.rings import Audio
from segue.server.audio.segment import Segment

Input = str | Audio | None
SECOND = 1_000_000_000  # ns


def run_offline(
    core: Core, segment: Segment, inputs: Sequence[Input], on_block: Callable[[int], None], frames: int | None = None
) -> Audio:
    """Everything that sounded, [out_channels, frames].

    inputs: what each deck hears: a file's path, [2, n] audio, or None for silence. frames: how many; else until the longest
    input ends. on_block gets the number of the frame that comes next, after each block. Raises FileError.
    """
    with ExitStack() as stack:
        sources = [_Source(stack, given, segment.rate) for given in inputs]
        total = max((s.length for s in sources), default=0) if frames is None else frames
        return np.concatenate(
            [_block(core, segment, sources, start, total, on_block) for start in range(0, total, segment.block)], 1
        )


def _block(
    core: Core, segment: Segment, sources: Sequence[_Source], start: int, total: int, on_block: Callable[[int], None]
) -> Audio:
    n, h = min(segment.block, total - start), segment.header
    heard = np.zeros((h.in_channels, n), np.float32)
    for deck, source in enumerate(sources):
        audio = source.read(n)
        for side, channel in enumerate(h.deck[deck].in_channel):
            if channel >= 0:
                heard[channel] = audio[side]
    out = core.process(heard, segment.frame // segment.rate * SECOND + segment.frame % segment.rate * SECOND // segment.rate)
    on_block(segment.frame)
    return out


class _Source:
    def __init__(self, stack: ExitStack, given: Input, rate: int) -> None:
        self._audio = np.zeros((2, 0), np.float32) if given is None or isinstance(given, str) else given
        self._reader = stack.enter_context(FileReader(given, rate)) if isinstance(given, str) else None
        self.length = self._reader.length if self._reader else self._audio.shape[1]
        self._place = 0

    def read(self, n: int) -> Audio:
        if self._reader is not None:
            return self._reader.read(n)
        part = self._audio[:, self._place : self._place + n]
        self._place += n
        return np.pad(part, ((0, 0), (0, n - part.shape[1])))
