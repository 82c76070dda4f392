"""`segue evaluate beats`: does a take stay on the beat? Composed pieces of known tempo, so that no tracker has to be believed.

Each piece is heard for as long as the model hears, and continued; where its beats lie is compared with the piece's own going-on,
which is what would have been played. Beside it the same piece eight beats earlier, the best that the measure can say, and what
knows of no beat.
"""

from __future__ import annotations

import argparse
import json
import sys
from collections.abc import Callable, Mapping, Sequence
from dataclasses import asdict, dataclass
from itertools import islice
from typing import Any

import numpy as np
from numpy.typing import NDArray

from segue.engine.checkpoint import CheckpointError, load
from segue.engine.engine import Engine
from segue.engine.request import Request
from segue.engine.synthesis import pieces
from segue.train.baselines import BASELINES, Audio
from segue.train.bootstrap import interval
from segue.train.metrics.beat_phase import beat_phase_s
from segue.train.rows import Row, table

PIECES, PIECE_S, FROM_S = 36, 30.0, 10.0
NEW_S = 3.5
EARLIER_BEATS = 8
NEAR_MS = 20.0
SEED = 20231
OURS, TOLD, EARLIER = "ours", "ours, told the tempo", f"the piece {EARLIER_BEATS} beats earlier"


@dataclass(frozen=True)
class Heard:
    """A composed piece as far as it was heard `[2, n]`, what it goes on with `[2, new]`, its tempo, and its number."""

    context: Audio
    truth: Audio
    bpm: float
    number: int


def drawn(count: int, seed: int, context: int, new: int, rate: int) -> list[Heard]:
    """`count` pieces, heard for `context` samples up to FROM_S and a context later."""
    first, found = round(FROM_S * rate), list[Heard]()
    for number, piece in enumerate(islice(pieces(seed, count * PIECE_S / 60 + 1, PIECE_S), count)):
        audio = np.array(piece.audio.T[:, first : first + context + new], np.float32, order="C")  # the rest is let go
        found.append(Heard(audio[:, :context], audio[:, context:], piece.bpm, number))
    return found


def systems(engine: Engine, steps: int) -> Mapping[str, Callable[[Heard], Audio]]:
    """Ours, the best that the measure can say, and what goes on without listening for a beat."""
    rate = engine.sample_rate

    def ours(one: Heard) -> Audio:
        new = one.truth.shape[1]
        return engine.take(Request("continuation", new, one.context, seed=one.number, steps=steps))

    def told(one: Heard) -> Audio:
        request = Request("continuation", one.truth.shape[1], one.context, seed=one.number, steps=steps, beat_s=60 / one.bpm)
        return engine.take(request)

    def earlier(one: Heard) -> Audio:
        whole = np.concatenate([one.context, one.truth], axis=1)
        start = one.context.shape[1] - round(EARLIER_BEATS * 60 / one.bpm * rate)
        return whole[:, start : start + one.truth.shape[1]]

    def baseline(name: str) -> Callable[[Heard], Audio]:
        return lambda one: BASELINES[name](one.context, one.truth.shape[1], rate, np.random.default_rng([SEED, one.number]))

    return {OURS: ours, TOLD: told, EARLIER: earlier} | {name: baseline(name) for name in BASELINES if name != "silence"}


def rows_of(late_s: Mapping[str, Sequence[float]], steps: int) -> list[Row]:
    """Of every system median and mean size of the beat's phase error in ms, and the share of pieces within NEAR_MS.

    floor: the same of the piece itself, EARLIER_BEATS earlier; spread: standard deviation over pieces.
    """
    floors, rows = _figures(late_s[EARLIER]), list[Row]()
    for system, late in late_s.items():
        sampler, used = ("ddim", steps) if system in (OURS, TOLD) else (None, None)
        for metric, (value, each) in _figures(late).items():
            spread, mean = float(each.std()), None if metric.endswith("median") else interval(each)
            n, floor = len(each), floors[metric][0]
            rows.append(Row("continuation", system, sampler, used, metric, value, spread, n, floor=floor, interval=mean))
    return rows


def _figures(late_s: Sequence[float]) -> dict[str, tuple[float, NDArray[np.float64]]]:
    """By metric its value and that of each piece."""
    size: NDArray[np.float64] = 1000 * np.abs(np.asarray(late_s, np.float64))
    near = (size < NEAR_MS).astype(np.float64)
    return {
        "beat_phase_ms_median": (float(np.median(size)), size),
        "beat_phase_ms": (float(size.mean()), size),
        f"within_{NEAR_MS:g}_ms": (float(near.mean()), near),
    }


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Options of `segue evaluate beats`."""
    parser.add_argument("--model", default="live", help="name of a shipped model, or a model file")
    parser.add_argument("--pieces", type=int, default=PIECES, help="how many pieces are composed")
    parser.add_argument("--seed", type=int, default=SEED, help="of the pieces")
    parser.add_argument("--steps", type=int, default=4, help="sampler steps")
    parser.add_argument("--json", action="store_true", help="print one JSON object")


def run(args: Any) -> int:
    """`segue evaluate beats`: 0, or 2 with one line where the model is missing."""
    try:
        engine = Engine(load(args.model))
    except CheckpointError as error:
        print(error, file=sys.stderr)
        return 2
    if args.pieces < 1:
        print(f"beats: got {args.pieces} pieces; give one or more", file=sys.stderr)
        return 2
    rate = engine.sample_rate
    context = round(engine.context_s * rate)
    heard = drawn(args.pieces, args.seed, context, round(NEW_S * rate), rate)
    late: dict[str, list[float]] = {}
    for number, one in enumerate(heard, start=1):
        for name, make in systems(engine, args.steps).items():
            late.setdefault(name, []).append(beat_phase_s(make(one), one.truth, one.bpm, rate))
        print(f"beats: {number} of {len(heard)} pieces", file=sys.stderr, flush=True)
    rows = rows_of(late, args.steps)
    if args.json:
        print(json.dumps({"rows": [asdict(row) for row in rows], "late_s": late, "bpm": [one.bpm for one in heard]}))
        return 0
    print(table(rows))
    return 0
