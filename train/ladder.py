"""`segue evaluate ladder`: does a variation lie further away the more noise it starts from? Clip by clip, as by `vary k`."""

from __future__ import annotations

import argparse
import json
import sys
from typing import Any

import numpy as np
from numpy.typing import NDArray

from segue.engine.engine import Engine
from segue.engine.measure import mel_distance
from segue.engine.paper import level_of_share
from segue.engine.request import Request
from segue.train import opening
from segue.train.cases import Case, cases

SHARES = (0.25, 0.5, 0.75, 0.85, 1.0)


def distances(engine: Engine, one: Case, shares: tuple[float, ...], steps: int, seed: int) -> NDArray[np.float64]:
    """`[len(shares)]` MR of variations of an infill case's middle to that middle; one seed for all, as a performer turns k."""
    takes = [
        engine.take(
            Request("renoise", one.new, one.left, one.middle, right=one.right, steps=steps, seed=seed,
                    parameters={"T": level_of_share(share)})
        )
        for share in shares
    ]  # fmt: skip
    return np.array([mel_distance(take, one.truth, engine.sample_rate) for take in takes])


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Options of `segue evaluate ladder`."""
    opening.add_options(parser, "clips of 6 s, of which the middle 2 s are varied")


def run(args: Any) -> int:
    """`segue evaluate ladder`: 0, or 2 with one line where the model or the data are missing."""
    try:
        engine, drawn = opening.opened(args)
    except (FileNotFoundError, ValueError) as error:
        print(error, file=sys.stderr)
        return 2
    found = []
    for seed, one in enumerate(cases("infill", drawn, engine.sample_rate)):
        found.append(distances(engine, one, SHARES, args.steps, seed))
        print(f"ladder: {len(found)} of {len(drawn)} clips", file=sys.stderr, flush=True)
    table = np.stack(found)
    rising = float((np.diff(table, axis=1) > 0).all(axis=1).mean())
    rows = [{"k": share, "mr": float(mean)} for share, mean in zip(SHARES, table.mean(axis=0), strict=True)]
    if args.json:
        print(json.dumps({"rows": rows, "n": len(table), "strictly_rising": rising, "clips": table.tolist()}))
        return 0
    for row in rows:
        print(f"k {row['k']:<5} MR to the original {row['mr']:.3f}")
    print(f"strictly rising in {rising:.0%} of {len(table)} clips")
    return 0
