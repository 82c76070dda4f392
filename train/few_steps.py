"""The table of a distillation: what few steps of a sampler make of held-out windows, before and after, in every context regime.

All in latents, so that it costs seconds; `segue evaluate` judges audio.
"""

from __future__ import annotations

import argparse
import json
import sys
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any, cast

import numpy as np
import torch
from scipy.linalg import sqrtm
from torch import Tensor

from segue.engine import noise
from segue.engine.guidance import REGIMES
from segue.engine.paper import XI, levels, xi_at
from segue.engine.protocols import Denoiser
from segue.engine.samplers.ddim import ddim
from segue.train.latents import Latents
from segue.train.listen import CONTEXT, problem_of

SEED = 977
WINDOWS = 16
REFERENCE_STEPS = 50  # Table 1
BEFORE, AFTER, MANY = "before", "after", "before, many steps"


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


@dataclass(frozen=True)
class Row:
    """One figure. task: the regime. frechet: distance of latent frames and their steps to real ones; l1: mean difference from the
    truth; to_many: from the same noise's take of many steps of the model before; std: spread over the truth's."""

    task: str
    system: str
    sampler: str
    steps: int
    metric: str
    value: float
    n: int


def frames_of(x: Tensor) -> Tensor:
    """`[B, C, T]` to `[B (T - 1), 2 C]`: each latent frame and the step from the one before."""
    return torch.cat((x[..., 1:], x.diff(dim=-1)), dim=1).transpose(1, 2).flatten(0, 1).double()


def frechet(real: Tensor, made: Tensor) -> float:
    """Frechet distance of the Gaussians that fit two sets `[n, d]`: |m - m'|^2 + tr(S + S' - 2 (S S')^(1/2))."""
    (m, S), (m2, S2) = ((a.mean(0).numpy(), np.cov(a.T.numpy())) for a in (real, made))
    root = np.real(sqrtm(S @ S2))
    return float(((m - m2) ** 2).sum() + np.trace(S + S2 - 2 * root))


@torch.no_grad()
def takes(denoiser: Denoiser, x_0: Tensor, z: Tensor, regime: str, steps: int) -> Tensor:
    """The new parts of continuations by DDIM, guided as the engine guides."""
    left = int(CONTEXT * x_0.shape[-1])
    problem = problem_of(denoiser, x_0, left, z, regime)
    x = ddim(denoiser, problem, levels(steps), xi=xi_at(XI, steps), generator=noise.generator(SEED))
    return x[..., left:].cpu()


def table(before: Denoiser, after: Mapping[int, Denoiser], latents: Latents, asked: Asked) -> list[Row]:
    """Rows of the model before, and of the distilled ones, each at its own number of steps, from the same noise."""
    device = next(cast(torch.nn.Module, before).parameters()).device
    g = noise.generator(SEED)
    x_0 = latents.windows(asked.windows, g).to(device)
    z = noise.normal(tuple(x_0.shape), g).to(device)
    new = x_0[..., int(CONTEXT * x_0.shape[-1]) :].cpu()
    rows: list[Row] = []
    for regime in asked.regimes if before.per_frame_t else ("guided",):
        many = takes(before, x_0, z, regime, asked.many)
        rows += _rows(regime, MANY, asked.many, many, new, many)
        for steps in asked.steps:
            wider = z * (1 + asked.heat / steps)
            rows += _rows(regime, BEFORE, steps, takes(before, x_0, wider, regime, steps), new, many)
            if steps in after:
                rows += _rows(regime, AFTER, steps, takes(after[steps], x_0, z, regime, steps), new, many)
        print(f"few steps: {regime} done", file=sys.stderr, flush=True)
    return rows


def _rows(regime: str, system: str, steps: int, made: Tensor, real: Tensor, many: Tensor) -> list[Row]:
    figures = {
        "frechet": frechet(frames_of(real), frames_of(made)),
        "to_many": float((made - many).abs().mean()),
        "l1": float((made - real).abs().mean()),
        "std": float(made.std() / real.std()),
    }
    return [Row(regime, system, "ddim", steps, metric, value, len(real)) for metric, value in figures.items()]


def shown(rows: Sequence[Row], as_json: bool) -> str:
    """The rows as JSON, or as a table with one line for each regime, number of steps and system."""
    if as_json:
        return json.dumps({"rows": [asdict(row) for row in rows]})
    metrics = list(dict.fromkeys(row.metric for row in rows))
    lines = [f"{'regime':8} {'steps':>5}  {'system':18} " + " ".join(f"{m:>9}" for m in metrics)]
    for key in dict.fromkeys((row.task, row.steps, row.system) for row in rows):
        found = {row.metric: row.value for row in rows if (row.task, row.steps, row.system) == key}
        lines.append(f"{key[0]:8} {key[1]:5d}  {key[2]:18} " + " ".join(f"{found[m]:9.3f}" for m in metrics))
    return "\n".join(lines)


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Options of `segue train compare`."""
    parser.add_argument("--before", required=True, help="the teacher: checkpoint, model file, or name of a model")
    parser.add_argument("--after", nargs="*", default=[], metavar="CHECKPOINT", help="distilled-N.pt of `train distill`")
    parser.add_argument("--latents", type=Path, nargs="+", required=True, help="folders or files of latents of held-out songs")
    parser.add_argument("--steps", type=int, nargs="+", default=[8, 4, 2], help="numbers of steps")
    parser.add_argument("--windows", type=int, default=WINDOWS, help="windows that each figure is over")
    parser.add_argument("--many", type=int, default=REFERENCE_STEPS, help="steps that the few are compared with")
    parser.add_argument("--heat", type=float, default=0.0, help="widen the start of the model before: z (1 + heat / steps)")


def run(args: Any) -> int:
    """`segue train compare`: 0, or 2 with one line where something is missing."""
    from segue.train.distill import read_teacher

    try:
        teacher = read_teacher(args.before, torch.device("cpu"))
        latents = Latents(args.latents, teacher.frames)
        after = {}
        for path in args.after:
            steps = int(torch.load(path, map_location="cpu", weights_only=True)["student_steps"])
            after[steps] = cast(Denoiser, read_teacher(path, torch.device("cpu")).module)
    except (FileNotFoundError, ValueError) as error:
        print(error, file=sys.stderr)
        return 2
    asked = Asked(tuple(args.steps), windows=args.windows, many=args.many, heat=args.heat)
    print(shown(table(cast(Denoiser, teacher.module), after, latents, asked), args.json))
    return 0
