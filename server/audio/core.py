"""The callback as an object that Python can drive: compiled if there is one, else the twin.

Thread: whichever drives the stream, one at a time.
"""

from __future__ import annotations

from typing import Any, Protocol

import numpy as np

from segue.server.audio import layout
from segue.server.audio.rings import Audio
from segue.server.audio.segment import Segment
from segue.server.audio.twin import Twin


class Core(Protocol):
    """Turns blocks of input into blocks of output and moves the segment's clock on."""

    compiled: bool

    def process(self, in_block: Audio | None, host_ns: int, n: int = 0, real_ns: int | None = None) -> Audio:
        """[in_channels, n] (None: n frames of silence) to [out_channels, n].

        host_ns, real_ns: monotonic and wall clock at its beginning, in nanoseconds; one is taken for both.
        """

    def run(self, in_block: Audio | None, n: int = 0) -> Audio:
        """The same by the machine's clocks, with its duration counted."""


class CompiledCore:
    """core.c."""

    compiled = True

    def __init__(self, segment: Segment) -> None:
        """Raises ImportError where core.c was not compiled."""
        module = layout.compiled()
        if module is None:
            raise ImportError("the audio callback is not compiled; install a C compiler and run `make setup`")
        self._ffi, self._lib, self._h = module.ffi, module.lib, segment.header

    @property
    def callback(self) -> int:
        """Address of the PaStreamCallback."""
        return int(self._ffi.cast("uintptr_t", self._ffi.addressof(self._lib, "segue_callback")))

    @property
    def userdata(self) -> int:
        """Address that the callback wants as its userdata."""
        return int(self._ffi.cast("uintptr_t", self._h))

    def process(self, in_block: Audio | None, host_ns: int, n: int = 0, real_ns: int | None = None) -> Audio:
        """As Core.process."""
        source, target, count = self._buffers(in_block, n)
        out = self._pointer(target)
        self._lib.segue_process(self._h, self._pointer(source), out, count, host_ns, host_ns if real_ns is None else real_ns)
        return np.ascontiguousarray(target.T)

    def run(self, in_block: Audio | None, n: int = 0) -> Audio:
        """As Core.run."""
        source, target, count = self._buffers(in_block, n)
        self._lib.segue_run(self._h, self._pointer(source), self._pointer(target), count)
        return np.ascontiguousarray(target.T)

    def _buffers(self, in_block: Audio | None, n: int) -> tuple[Audio | None, Audio, int]:
        count = frames_of(in_block, n, self._h.in_channels)
        source = None if in_block is None else np.ascontiguousarray(in_block.T, np.float32)
        return source, np.zeros((count, self._h.out_channels), np.float32), count

    def _pointer(self, array: Audio | None) -> Any:
        return self._ffi.NULL if array is None else self._ffi.cast("float *", array.ctypes.data)


class TwinCore:
    """twin.py."""

    compiled = False

    def __init__(self, segment: Segment) -> None:
        """Any thread."""
        self._twin, self._channels = Twin(segment), segment.header.in_channels

    def process(self, in_block: Audio | None, host_ns: int, n: int = 0, real_ns: int | None = None) -> Audio:
        """As Core.process."""
        count = frames_of(in_block, n, self._channels)
        return self._twin.process(in_block, count, host_ns, host_ns if real_ns is None else real_ns)

    def run(self, in_block: Audio | None, n: int = 0) -> Audio:
        """As Core.run."""
        return self._twin.run(in_block, frames_of(in_block, n, self._channels))


def frames_of(in_block: Audio | None, n: int, channels: int) -> int:
    """Frames in a block; raises ValueError if it is not [channels, n]."""
    if in_block is None:
        return n
    if in_block.ndim != 2 or in_block.shape[0] != channels:
        raise ValueError(f"core: a block of [{channels}, n], got {list(in_block.shape)}; give one row a device channel")
    return int(in_block.shape[1])


def make_core(segment: Segment, compiled: bool | None = None) -> Core:
    """The compiled core if there is one, else the twin; or the one that is asked for."""
    if compiled is None:
        compiled = layout.compiled() is not None
    return CompiledCore(segment) if compiled else TwinCore(segment)
