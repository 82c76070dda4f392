"""Beats on beats: how much longer, and from where on, a track has to be played so that its beats fall on another's. Pure.

The beats of both are paired one to one from one pair on, by the octave where one counts twice as many; a straight line through
the pairs, by least squares, says at which frame of the stream each frame of the incoming track falls.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from segue.server.commands import STRETCH_LIMIT

PAIRS = 4  # beats that are needed
MOST_PAIRS = 64
OCTAVES = ((1, 1), (1, 2), (2, 1))  # every n-th outgoing beat falls on every m-th incoming one
UNSTRETCHED = 0.005  # by which tempi may differ where nothing can be stretched: 40 ms in 8 s, half of that on either side
EXACT = 1e-4  # a factor so near to 1 is none: 1 ms in 10 s

Floats = NDArray[np.float64]


@dataclass(frozen=True)
class Wish:
    """How a transition is to fall on the beat. at: place in the target's file, s, None for where it is. limit: a share."""

    align: bool = True
    limit: float = STRETCH_LIMIT / 100.0
    at: float | None = None


@dataclass(frozen=True)
class Beats:
    """Frames of beats, rising. downbeat: which of them, counted from the first, begins a bar; None where nobody knows."""

    frames: Sequence[float]
    downbeat: int | None = None


@dataclass(frozen=True)
class Alignment:
    """factor: how many times as long the incoming track is played. place: its frame that falls on t0, unrounded.

    matched: whether the tempi agree then. error: root mean square of what is left between the beats, frames. ratio: of a beat of
    the outgoing track to one of the incoming, by the octave: the factor that would have been needed. n: pairs.
    """

    factor: float
    place: float
    matched: bool
    error: float
    ratio: float
    n: int


def aligned(
    outgoing: Beats, incoming: Beats, t0: float, wanted: float, limit: float, bar: int = 4, stretch: bool = True
) -> Alignment | None:
    """Where the incoming track begins at t0, nearest to its frame `wanted`; None where either has too few beats.

    outgoing: in frames of the stream, from t0 on those that the two are to share. incoming: in frames of its file. limit: the
    most by which a tempo is changed, as a share; beyond it, and without `stretch`, the tempo stays and the beats meet in the
    middle. bar: beats in one.
    """
    out, into = np.asarray(outgoing.frames, float)[:MOST_PAIRS], np.asarray(incoming.frames, float)
    if out.size < PAIRS or into.size < PAIRS:
        return None
    every, of = _octave(out, into)
    known = every == of and outgoing.downbeat is not None and incoming.downbeat is not None
    first = _first(outgoing, incoming, wanted + (out[0] - t0), bar if known else 0)
    for j in range(first, into.size, bar if known else 1):
        o = out[::every]
        i = into[j::of][: o.size]
        if i.size < PAIRS:
            return None
        o = o[: i.size]
        ratio = _slope(i, o)
        matched = abs(ratio - 1.0) <= limit
        factor = ratio if matched and stretch and abs(ratio - 1.0) > EXACT else 1.0
        offset = float(np.median(o - factor * i))
        place = (t0 - offset) / factor
        if place >= 0.0:
            left = o - offset - factor * i
            return Alignment(factor, place, matched, float(np.sqrt(np.mean(np.square(left)))), ratio, int(i.size))
    return None


def _octave(out: Floats, into: Floats) -> tuple[int, int]:
    ratio = float(np.median(np.diff(out)) / np.median(np.diff(into)))
    return min(OCTAVES, key=lambda pair: abs(np.log(ratio * pair[0] / pair[1])))


def _slope(i: Floats, o: Floats) -> float:
    """Frames of the stream for a frame of the file: of the straight line, or of the usual beats where one went astray."""
    slope = float(np.polyfit(i - i[0], o - o[0], 1)[0])
    usual = float(np.median(np.diff(o)) / np.median(np.diff(i)))
    return slope if abs(slope / usual - 1.0) < 0.02 else usual


def _first(outgoing: Beats, incoming: Beats, wanted: float, bar: int) -> int:
    """The incoming beat for the first outgoing one: the nearest to where it was wanted, in the same place of its bar if known."""
    frames = np.asarray(incoming.frames, float)
    order = np.argsort(np.abs(frames - wanted), kind="stable")
    if bar and outgoing.downbeat is not None and incoming.downbeat is not None:
        place = -outgoing.downbeat % bar
        alike = [int(j) for j in order[: 4 * bar] if (j - incoming.downbeat) % bar == place]
        if alike:
            return alike[0]
    return int(order[0])
