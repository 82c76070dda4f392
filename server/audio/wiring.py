"""Which device channels each deck hears: written as `3,4` for left and right, `3` for both sides, `none`; they count from 1."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TypeAlias

Pair: TypeAlias = tuple[int, int]  # device channels of left and right, from 0; -1 for none

HIGHEST = 64  # channels that may be named
SILENT: Pair = (-1, -1)


def pair_of(text: str) -> Pair:
    """The channels of a deck from their text. Raises ValueError."""
    if text.strip() == "none":
        return SILENT
    try:
        channels = [int(word) for word in text.split(",")]
    except ValueError:
        channels = []
    if not 1 <= len(channels) <= 2 or not all(1 <= channel <= HIGHEST for channel in channels):
        raise ValueError(f"inputs: one or two channels from 1 to {HIGHEST}, such as 3,4 or 3, or none; got {text!r}")
    return channels[0] - 1, channels[-1] - 1


def text_of(pair: Pair) -> str:
    """The text of a deck's channels."""
    left, right = pair
    if left < 0:
        return "none"
    return str(left + 1) if left == right else f"{left + 1},{right + 1}"


def wishes(texts: Sequence[str], decks: int) -> dict[int, Pair]:
    """What was said of each deck, from 1, as `2=3,4`. Raises ValueError."""
    said: dict[int, Pair] = {}
    for text in texts:
        deck, equals, channels = text.partition("=")
        if not equals or not deck.strip().isdecimal() or not 1 <= int(deck) <= decks:
            raise ValueError(f"--inputs: a deck from 1 to {decks} and its channels, such as 2=3,4; got {text!r}")
        said[int(deck)] = pair_of(channels)
    return said


def needed(said: dict[int, Pair]) -> int:
    """How many channels a device must have for that."""
    return max((channel + 1 for pair in said.values() for channel in pair), default=0)


def wired(decks: int, inputs: int, said: dict[int, Pair] | None = None) -> tuple[Pair, ...]:
    """Input channels of each deck: as it was said, else pairs in turn; one channel serves both sides; others hear nothing."""
    pairs = [(2 * d, 2 * d + 1) if 2 * d + 1 < inputs else (2 * d, 2 * d) if 2 * d < inputs else SILENT for d in range(decks)]
    return tuple((said or {}).get(d + 1, pair) for d, pair in enumerate(pairs))
