"""`segue evaluate ablate`: one choice of the method varied over its range, judged as Table 1 is, beside the same bounds."""

from __future__ import annotations

import argparse
from collections.abc import Mapping
from typing import Any

from segue.engine.paper import XI, K
from segue.train.systems import Way
from segue.train.table import add_common, finish

CLIPS = 18
ORDERS = (0.01, 0.1, 1.0, 10.0)  # of the paper's xi
STEPS = (1, 2, 4, 8, 16, 50, 500)
SHARES = (0.0, 0.25, 0.5, 0.75, K, 1.0)  # k
STARTS = (0.0, 0.25, 0.5, 0.75, 0.95)  # T, the slides' ladder of variations
SAMPLERS = ("ddim", "ddpm")
REGIMES = ("clean", "guided", "tail")
GUIDED_STEPS = 8

# Study: what it varies, and the ways for each task. 4 steps by DDIM in the clean regime stand in each, where they belong.
STUDIES: Mapping[str, tuple[str, Mapping[str, tuple[Way, ...]]]] = {
    "steps": (
        "sampler steps, by both samplers",
        {"continuation": tuple(Way("continuation", n, sampler) for sampler in SAMPLERS for n in STEPS)},
    ),
    "xi": (
        "guidance step size over orders of magnitude, by sampler and task",
        {
            task: tuple(
                Way(task, GUIDED_STEPS, sampler, "guided", XI * order) for sampler in SAMPLERS for order in (0.0, *ORDERS)
            )
            for task in ("continuation", "infill")
        },
    ),
    "regime": (
        "how the context enters the model",
        {"continuation": tuple(Way("continuation", GUIDED_STEPS, sampler, regime) for sampler in SAMPLERS for regime in REGIMES)},
    ),
    "k": (
        "share of noise in the start of a regeneration (Table 2)",
        {"infill": tuple(Way("regenerate", parameters=(("k", k),)) for k in SHARES)},
    ),
    "T": (
        "level that a variation starts from (the slides)",
        {"infill": tuple(Way("renoise", parameters=(("T", T),)) for T in STARTS)},
    ),
}


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Options of `segue evaluate ablate`."""
    add_common(parser, CLIPS)
    told = "; ".join(f"{name}: {doc}" for name, (doc, _) in STUDIES.items())
    parser.add_argument("--study", required=True, choices=sorted(STUDIES), help=told)
    parser.add_argument("--most-steps", type=int, default=50, help="leave out ways of more sampler steps")


def run(args: Any) -> int:
    """`segue evaluate ablate`: as `segue evaluate table`, whose folder it may share."""
    _, tasks = STUDIES[args.study]
    return finish(args, [(task, tuple(way for way in played if way.steps <= args.most_steps)) for task, played in tasks.items()])
