"""`segue evaluate kicks`: how strong hits of the bass are in the middle of a transition, beside those of its two tracks there.

A crossfade at constant power weakens each track's hits by 3 dB and has both; what varies it must not take away the rest. How much
the amplitude below BASS_HZ rises is compared, in the middle third, clip by clip.
"""

from __future__ import annotations

import argparse
import json
import sys
from collections.abc import Mapping, Sequence
from dataclasses import asdict
from typing import Any

import numpy as np
from numpy.typing import NDArray
from scipy import signal

from segue.train import opening
from segue.train.bootstrap import interval
from segue.train.cases import Audio, Case, cases
from segue.train.judge import SEEDS
from segue.train.rows import Row, table
from segue.train.systems import FADE, Way, power_crossfade

BASS_HZ = 150.0  # a bass drum's fundamental and little else that begins so suddenly
STEP_S = 0.010  # of the amplitude whose rises count
LEAST = 1e-5  # a rise a step, -100 dB, under which there is no hit
METRIC = "bass_rises_db"


def rise(audio: Audio, rate: int) -> float:
    """Mean rise of the amplitude of `[2, n]` below BASS_HZ from one STEP_S to the next, 0 where it falls; the mono sum."""
    low = signal.sosfilt(signal.butter(4, BASS_HZ, fs=rate, output="sos"), audio.mean(axis=0, dtype=np.float64))
    size = round(STEP_S * rate)
    steps = low[: len(low) // size * size].reshape(-1, size)
    return float(np.maximum(0, np.diff(np.sqrt(np.square(steps).mean(axis=1)))).mean())


def kicks_db(take: Audio, one: Case, rate: int) -> float:
    """The rises in the middle third of a transition over the mean of both tracks' there, in dB. Raises ValueError without two."""
    if one.under is None:
        raise ValueError(f"kicks: got a case of {one.task}; give transitions, of two tracks")
    third = one.new // 3
    made, *both = (rise(audio[:, third : 2 * third], rate) for audio in (take, *one.under))
    return float(20 * np.log10((made + LEAST) / (np.mean(both) + LEAST)))


def rows_of(found: Mapping[str, Sequence[float]], ours: Way) -> list[Row]:
    """Of every system the mean of `kicks_db`, and the mean of ours less the crossfade's, clip by clip."""
    each: dict[str, NDArray[np.float64]] = {name: np.asarray(values, np.float64) for name, values in found.items()}
    each[f"{ours.name} - {FADE}"] = each[ours.name] - each[FADE]
    played = {name: (None, None) if name == FADE else (ours.sampler, ours.steps) for name in each}
    return [
        Row("transition", name, played[name][0], played[name][1], METRIC,
            float(values.mean()), float(values.std()), len(values), interval=interval(values))
        for name, values in each.items()
    ]  # fmt: skip


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Options of `segue evaluate kicks`."""
    opening.add_options(parser, "pairs of clips")


def run(args: Any) -> int:
    """`segue evaluate kicks`: 0, or 2 with one line where the model or the data are missing."""
    try:
        engine, drawn = opening.opened(args)
    except (FileNotFoundError, ValueError) as error:
        print(error, file=sys.stderr)
        return 2
    way, found = Way("transition", args.steps), dict[str, list[float]]()
    for number, one in enumerate(cases("transition", drawn, engine.sample_rate)):
        for name, play in ((FADE, power_crossfade), (way.name, way.play)):
            found.setdefault(name, []).append(kicks_db(play(engine, one, SEEDS + number), one, engine.sample_rate))
        print(f"kicks: {number + 1} of {len(drawn)} clips", file=sys.stderr, flush=True)
    rows = rows_of(found, way)
    print(json.dumps({"rows": [asdict(row) for row in rows]}) if args.json else table(rows))
    return 0
