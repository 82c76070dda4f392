"""`segue evaluate ablate`: one choice of the method varied over its range, judged as Table 1 is, beside the same bounds."""

from __future__ import annotations

import argparse
import sys
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from segue.engine.paper import XI, K
from segue.train.cases import LATE, LATE_S, WINDOW_S
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
CONTEXTS_S = (2.4, 2.8, 3.2, 4.0)
WEIGHTS = ((0.0, 1.0), (0.1, 1.0), (1.0, 0.0), (1.0, 0.1), (1.0, 1.0), (1.0, 10.0))  # reconstruction, classification
WINDOWS_S = (5.9, 9.0, 14.0)
LONG_S = 14.0  # of a stretch of which 8.4 s are new


@dataclass(frozen=True)
class Study:
    """What is varied, and the ways for each task. seconds: of the stretches that are played."""

    doc: str
    ways: Mapping[str, tuple[Way, ...]]
    seconds: float = WINDOW_S


# 4 steps by DDIM in the clean regime stand in each, where they belong.
STUDIES: Mapping[str, Study] = {
    "steps": Study(
        "sampler steps, by both samplers",
        {"continuation": tuple(Way("continuation", n, sampler) for sampler in SAMPLERS for n in STEPS)},
    ),
    "xi": Study(
        "guidance step size over orders of magnitude, by sampler and task",
        {
            task: tuple(
                Way(task, GUIDED_STEPS, sampler, "guided", XI * order) for sampler in SAMPLERS for order in (0.0, *ORDERS)
            )
            for task in ("continuation", "infill")
        },
    ),
    "consistency": Study(
        "with the consistency step and without, by sampler and task, the gradient as the model has it",
        {
            task: tuple(Way(task, GUIDED_STEPS, sampler + mark, "guided") for sampler in SAMPLERS for mark in ("", "+free"))
            for task in ("continuation", "infill")
        },
    ),
    "operator": Study(
        "the loss on A(x_0_hat), and on A(x_t) as the paper first writes it; without the consistency step, which would hide both",
        {
            "continuation": tuple(
                Way("continuation", GUIDED_STEPS, f"{sampler}{mark}+free", "guided", XI * order)
                for sampler in SAMPLERS
                for mark in ("", "+x_t")
                for order in (1.0, 10.0)
            )
        },
    ),
    "weights": Study(
        "weight of the context's reconstruction against that of the classes",
        {
            "continuation": tuple(
                Way("classify", GUIDED_STEPS, "ddim", "guided", parameters=(("reconstruction", first), ("weight", second)))
                for first, second in WEIGHTS
            )
        },
    ),
    "context": Study(
        f"seconds of context that are heard before the last {LATE_S:g} s of each stretch",
        {LATE: tuple(Way("continuation", context_s=seconds) for seconds in CONTEXTS_S)},
    ),
    "window": Study(
        "the model's window beyond what it was trained on; what is new is the same, a window at a time",
        {"continuation": tuple(Way("continuation", window_s=seconds) for seconds in WINDOWS_S)},
        LONG_S,
    ),
    "regime": Study(
        "how the context enters the model",
        {"continuation": tuple(Way("continuation", GUIDED_STEPS, sampler, regime) for sampler in SAMPLERS for regime in REGIMES)},
    ),
    "k": Study(
        "share of noise in the start of a regeneration (Table 2)",
        {"infill": tuple(Way("regenerate", parameters=(("k", k),)) for k in SHARES)},
    ),
    "T": Study(
        "level that a variation starts from (the slides)",
        {"infill": tuple(Way("renoise", parameters=(("T", T),)) for T in STARTS)},
    ),
}


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Options of `segue evaluate ablate`."""
    add_common(parser, CLIPS)
    told = "; ".join(f"{name}: {study.doc}" for name, study in STUDIES.items())
    parser.add_argument("--study", required=True, choices=sorted(STUDIES), help=told)
    parser.add_argument("--tasks", nargs="+", default=None, help="leave out the study's other tasks")
    parser.add_argument("--most-steps", type=int, default=50, help="leave out ways of more sampler steps")


def run(args: Any) -> int:
    """`segue evaluate ablate`: as `segue evaluate table`, whose folder it may share where both play as many seconds."""
    study = STUDIES[args.study]
    tasks = args.tasks or list(study.ways)
    if unknown := sorted(set(tasks) - set(study.ways)):
        print(f"ablate: {args.study} has no task {unknown[0]!r}; it has {', '.join(study.ways)}", file=sys.stderr)
        return 2
    played = [(task, tuple(way for way in study.ways[task] if way.steps <= args.most_steps)) for task in tasks]
    return finish(args, played, study.seconds, f"ablation_{args.study}")
