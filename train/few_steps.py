"""The table of a distillation: what few steps of a sampler make, before and after, in every context regime.

In latents of held-out windows, which costs seconds; `few_steps_takes` adds what the engine's takes sound like.
"""

from __future__ import annotations

import argparse
import sys
from collections.abc import Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any, TypeAlias, cast

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from segue.engine import noise
from segue.engine.guidance import REGIMES
from segue.engine.paper import XI, levels, xi_at
from segue.engine.protocols import Denoiser
from segue.engine.samplers.ddim import ddim
from segue.train.bootstrap import interval
from segue.train.few_steps_table import AFTER, BEFORE, CHANGE, MANY, shown, tell
from segue.train.latents import Latents
from segue.train.listen import CONTEXT, problem_of
from segue.train.metrics.frechet import difference, frechet
from segue.train.rows import Row

Values: TypeAlias = NDArray[np.floating[Any]]

SEED = 977
WINDOWS = 16
REFERENCE_STEPS = 50  # Table 1


@dataclass(frozen=True)
class Student:
    """A distilled model: by which method, and for how many steps."""

    method: str
    steps: int
    denoiser: Denoiser

    @property
    def system(self) -> str:
        """What it is called in the table."""
        return f"{AFTER}, {self.method}"


@dataclass(frozen=True)
class Asked:
    """What the table holds: numbers of steps, regimes, and how many windows each figure is over.

    many: the steps of the takes that `to_many` is measured from. heat: see ModelSpec; of the model before.
    """

    steps: tuple[int, ...] = (8, 4, 2)
    regimes: tuple[str, ...] = REGIMES
    windows: int = WINDOWS
    many: int = REFERENCE_STEPS
    heat: float = 0.0


def rows_of(
    how: tuple[str, str, int], metric: str, values: Values, plain: Values | None, embedder: str | None = None
) -> list[Row]:
    """The mean of `[n]` values with their spread, and, as CHANGE, of their differences from the model before with its interval.

    how: regime, system, steps.
    """
    regime, system, steps = how
    row = Row(regime, system, "ddim", steps, metric, float(values.mean()), float(values.std()), len(values), embedder)
    if plain is None:
        return [row]
    apart = values - plain
    change = replace(row, metric=metric + CHANGE, value=float(apart.mean()), spread=None, interval=interval(apart))
    return [row, change]


def frames_of(x: Tensor) -> Values:
    """`[B, C, T]` to `[B, T - 1, 2 C]`: each latent frame and the step from the one before."""
    frames: Values = torch.cat((x[..., 1:], x.diff(dim=-1)), dim=1).transpose(1, 2).double().numpy()
    return frames


def apart(real: Tensor, made: Tensor) -> float:
    """Frechet distance of two sets of latents `[B, C, T]`, over their frames and steps."""
    one, other = (frames.reshape(-1, frames.shape[-1]) for frames in (frames_of(real), frames_of(made)))
    return frechet(one, other)


@torch.no_grad()
def takes(denoiser: Denoiser, x_0: Tensor, z: Tensor, regime: str, steps: int) -> Tensor:
    """The new parts of continuations by DDIM, guided as the engine guides."""
    left = int(CONTEXT * x_0.shape[-1])
    problem = problem_of(denoiser, x_0, left, z, regime)
    x = ddim(denoiser, problem, levels(steps), xi=xi_at(XI, steps), generator=noise.generator(SEED))
    return x[..., left:].cpu()


def table(before: Denoiser, students: Sequence[Student], latents: Latents, asked: Asked) -> list[Row]:
    """Rows of the model before, and of the distilled ones, each at its own number of steps, from the same noise."""
    device = next(cast(torch.nn.Module, before).parameters()).device
    g = noise.generator(SEED)
    x_0 = latents.windows(asked.windows, g).to(device)
    z = noise.normal(tuple(x_0.shape), g).to(device)
    new = x_0[..., int(CONTEXT * x_0.shape[-1]) :].cpu()
    rows: list[Row] = []
    for regime in asked.regimes if before.per_frame_t else ("guided",):
        many = takes(before, x_0, z * (1 + asked.heat / asked.many), regime, asked.many)
        rows += _rows((regime, MANY, asked.many), many, new, many)
        for steps in asked.steps:
            plain = takes(before, x_0, z * (1 + asked.heat / steps), regime, steps)
            rows += _rows((regime, BEFORE, steps), plain, new, many)
            for student in students:
                if student.steps == steps:
                    made = takes(student.denoiser, x_0, z, regime, steps)
                    rows += _rows((regime, student.system, steps), made, new, many, plain)
        tell(rows, regime)
    return rows


def _rows(how: tuple[str, str, int], made: Tensor, real: Tensor, many: Tensor, plain: Tensor | None = None) -> list[Row]:
    """frechet: distance of latent frames and their steps to real ones; l1: mean difference from the truth; std: spread over its.

    to_many: mean difference from the take of many steps of the model before, from the same noise.
    """
    regime, system, steps = how
    first = Row(regime, system, "ddim", steps, "frechet", apart(real, made), None, len(real))
    rows = [first]
    if plain is not None:
        less, *low_high = difference(frames_of(real), frames_of(plain), frames_of(made))
        rows.append(replace(first, metric=first.metric + CHANGE, value=less, interval=(low_high[0], low_high[1])))
    for metric, target in (("to_many", many), ("l1", real)):
        found, known = (None if x is None else (x - target).abs().mean((1, 2)).numpy() for x in (made, plain))
        assert found is not None  # made is there
        rows += rows_of(how, metric, found, known)
    return [*rows, replace(first, metric="std", value=float(made.std() / real.std()))]


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Options of `segue train compare`."""
    parser.add_argument("--before", required=True, help="the teacher: checkpoint, model file, or name of a model")
    parser.add_argument(
        "--after", type=Path, nargs="*", default=[], metavar="CHECKPOINT", help="distilled-N.pt of `train distill`"
    )
    parser.add_argument("--latents", type=Path, nargs="*", default=[], help="folders or files of latents of held-out songs")
    parser.add_argument("--steps", type=int, nargs="+", default=[8, 4, 2], help="numbers of steps")
    parser.add_argument("--regimes", nargs="+", choices=REGIMES, default=list(REGIMES), help="how the context enters")
    parser.add_argument("--windows", type=int, default=WINDOWS, help="windows that each figure in latents is over")
    parser.add_argument("--many", type=int, default=REFERENCE_STEPS, help="steps that the few are compared with")
    parser.add_argument("--heat", type=float, default=None, help="widen the start of the model before; its own without it")
    parser.add_argument("--clips", type=int, default=0, help="takes of the engine that MR and KLD are over; 0 leaves audio out")
    parser.add_argument(
        "--start",
        type=float,
        default=None,
        help="level at which those start: 1 is noise, below it a collage; the engine's without it",
    )
    parser.add_argument("--data", type=Path, default=None, help="folder that holds eval/ and models/ (default: SEGUE_DATA)")


def run(args: Any) -> int:
    """`segue train compare`: 0, or 2 with one line where something is missing."""
    from segue.train import few_steps_takes
    from segue.train.teacher import read_student, read_teacher

    rows: list[Row] = []
    try:
        if not args.latents and not args.clips:
            raise ValueError("compare: got neither --latents nor --clips; give one of them, or both")
        cpu = torch.device("cpu")
        teacher, students = read_teacher(args.before, cpu), [read_student(path, cpu) for path in args.after]
        heat = teacher.heat if args.heat is None else args.heat
        asked = Asked(tuple(args.steps), tuple(args.regimes), args.windows, args.many, heat)
        if args.latents:
            rows += table(cast(Denoiser, teacher.module), students, Latents(args.latents, teacher.frames), asked)
        if args.clips:
            stage = few_steps_takes.stage(args.before, heat, args.data, args.clips, args.start)
            rows += few_steps_takes.table(stage, students, asked)
    except (FileNotFoundError, ValueError) as error:
        print(error, file=sys.stderr)
        return 2
    print(shown(rows, args.json))
    return 0
