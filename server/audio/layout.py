"""Where everything lies in the segment: the structs of core.h, from the compiled core or, without a compiler, parsed by cffi."""

from __future__ import annotations

from dataclasses import dataclass
from functools import cache
from importlib import import_module
from pathlib import Path
from typing import Any

HEADER = Path(__file__).with_name("core.h")
FLOAT = 4  # bytes
PAGE = 4096  # areas begin on a page
CUE_S = 48  # seconds of cue memory: two auditions of half of it, so that one is written while another sounds
SCRATCH_ROWS = 11  # two channels each of dry, generated, mix, work and out, and one row of gains: scratch_of() in core.c


@cache
def compiled() -> Any | None:
    """The extension module, or None where none was built."""
    try:
        return import_module("segue.server.audio._core")
    except ImportError:
        return None


@cache
def parsed() -> Any:
    """A cffi.FFI that knows core.h's structs, made without a compiler."""
    from cffi import FFI

    ffi = FFI()
    ffi.cdef(HEADER.read_text())
    return ffi


def ffi() -> Any:
    """The FFI to use: the compiler's own layout if there is one."""
    core = compiled()
    return core.ffi if core else parsed()


@cache
def constants() -> dict[str, int]:
    """The numbers that core.h defines."""
    words = (line.split() for line in HEADER.read_text().splitlines() if line.startswith("#define"))
    return {name: int(number) for _, name, number in words}


@dataclass(frozen=True)
class Geometry:
    """Sizes that hold for the life of a stream.

    rate: Hz. block: most frames that are processed at once. ring: frames of `input` and `sounded`; slot, loop, feed:
    frames of a play slot, of the fallback loop, of a file's read-ahead; 0 stands for 62, 64, 16 and 12 seconds.
    inputs: for each deck the device channels of its left and right, from 0, -1 for none; empty: 0 and 1, 2 and 3, ...
    per_deck_out: deck d goes to channels 2d and 2d + 1 instead of a mix of all to 0 and 1.
    cue: first of the pair of output channels on which takes are auditioned, from 0, -1 for none; it keeps 48 seconds.
    """

    rate: int = 44_100
    block: int = 256
    decks: int = 2
    ring: int = 0
    slot: int = 0
    loop: int = 0
    feed: int = 0
    in_channels: int = 0
    out_channels: int = 0
    inputs: tuple[tuple[int, int], ...] = ()
    per_deck_out: bool = False
    cue: int = -1
    cue_frames: int = 0

    def __post_init__(self) -> None:
        limits = {"rate": (8_000, 384_000), "block": (1, 8192), "decks": (1, 8)}
        for name, (low, high) in limits.items():
            if not low <= getattr(self, name) <= high:
                raise ValueError(f"geometry: {name} lies between {low} and {high}, got {getattr(self, name)}")
        for name, seconds in (("ring", 62), ("slot", 64), ("loop", 16), ("feed", 12)):
            if getattr(self, name) == 0:
                object.__setattr__(self, name, seconds * self.rate)
            if getattr(self, name) < self.block:
                raise ValueError(f"geometry: {name} holds at least a block of {self.block} frames, got {getattr(self, name)}")
        if not self.inputs:
            object.__setattr__(self, "inputs", tuple((2 * d, 2 * d + 1) for d in range(self.decks)))
        if len(self.inputs) != self.decks:
            raise ValueError(f"geometry: one pair of input channels for each of {self.decks} decks, got {len(self.inputs)}")
        needed_in = max(0, *(channel + 1 for pair in self.inputs for channel in pair))
        main = needed_out = 2 * self.decks if self.per_deck_out else 2
        if self.cue >= 0:
            if self.cue < main:
                raise ValueError(
                    f"geometry: the cue pair lies after the {main} channels of the main out, got channel {self.cue + 1}"
                )
            needed_out = self.cue + 2
            object.__setattr__(self, "cue_frames", self.cue_frames or CUE_S * self.rate)
        object.__setattr__(self, "in_channels", self.in_channels or needed_in)
        object.__setattr__(self, "out_channels", self.out_channels or needed_out)
        if self.in_channels < needed_in or self.out_channels < needed_out:
            raise ValueError(
                f"geometry: {needed_in} input and {needed_out} output channels are used, "
                f"got {self.in_channels} and {self.out_channels}; choose other channels or a device with more"
            )


@dataclass(frozen=True)
class Areas:
    """Byte offsets of one deck's audio."""

    input: int
    sounded: int
    slot: tuple[int, int]
    loop: tuple[int, int]
    feed: tuple[int, int]
    scratch: int


def areas(geometry: Geometry) -> tuple[list[Areas], int, int]:
    """Where each deck's audio lies, where the cue memory, and the size of the whole in bytes."""
    place = _page(ffi().sizeof("segue_header"))

    def stereo(frames: int) -> int:
        nonlocal place
        here, place = place, _page(place + 2 * frames * FLOAT)
        return here

    decks = []
    for _ in range(geometry.decks):
        g = geometry
        pairs = [(stereo(n), stereo(n)) for n in (g.ring, g.slot, g.loop, g.feed)]
        scratch, place = place, _page(place + SCRATCH_ROWS * g.block * FLOAT)
        decks.append(Areas(*pairs[0], pairs[1], pairs[2], pairs[3], scratch))
    return decks, stereo(geometry.cue_frames), place


def _page(place: int) -> int:
    return -(-place // PAGE) * PAGE


def clipped(text: str, size: int) -> bytes:
    """Text as UTF-8 that fits a C string of `size` bytes."""
    return text.encode()[: size - 1].decode(errors="ignore").encode()
