"""What few steps sound like: continuations by the engine before and after a distillation, judged clip by clip by MR and KLD."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import TypeAlias

import numpy as np

from segue.engine.checkpoint import load
from segue.engine.engine import Engine
from segue.engine.measure import mel_distance
from segue.engine.models.spec import Model
from segue.engine.request import Request
from segue.train.baselines import Audio
from segue.train.bootstrap import ratio_interval
from segue.train.excerpts import Clip, draw_clips, geometry
from segue.train.few_steps import Asked, Student, Values, rows_of
from segue.train.few_steps_table import BEFORE, MANY, RATIO, tell
from segue.train.metrics.divergence import kld
from segue.train.metrics.ears import Embedder, hear
from segue.train.rows import Row
from segue.train.yamnet import data_folder, load_yamnet

SEED = 1000  # of the first clip, as `segue evaluate` plays it


@dataclass(frozen=True)
class Stage:
    """Who plays what to whom. p: `[n, classes]` that the ears hear in the truth. start: see `Request`."""

    model: Model
    clips: Sequence[Clip]
    ears: Embedder
    p: Values
    start: float | None


def stage(name: str, heat: float, data: Path | None, clips: int, start: float | None) -> Stage:
    """A model that has a codec, clips of eval/ and YAMNet. Raises FileNotFoundError or ValueError with a sentence."""
    if Path(name).suffix == ".pt":
        raise ValueError(f"compare: got the checkpoint {name}, takes need a codec too; `segue train pack` it, and name the model")
    model, folder = load(name), data or data_folder()
    model = replace(model, spec=replace(model.spec, heat=heat))
    ears = load_yamnet(folder)
    drawn = draw_clips(folder / "eval", clips, *geometry(Engine(model)), model.rate)
    return Stage(model, drawn, ears, hear(ears, [clip.truth for clip in drawn], model.rate).p, start)


def takes(stage: Stage, student: Student | None, regime: str, steps: int) -> list[Audio]:
    """A continuation `[2, n]` of every clip, by the model or by its student, which starts from noise of variance 1."""
    model = stage.model
    if student is not None:
        model = replace(model, denoiser=student.denoiser, spec=replace(model.spec, heat=0.0))
    engine = Engine(model)
    return [
        engine.take(
            Request(
                "continuation", clip.truth.shape[1], clip.context,
                steps=steps, seed=SEED + i, regime=regime, start=stage.start,
            )
        )
        for i, clip in enumerate(stage.clips)
    ]  # fmt: skip


def scores(stage: Stage, made: Sequence[Audio]) -> dict[str, Values]:
    """`[n]` of every measure."""
    rate = stage.model.rate
    apart = [mel_distance(take, clip.truth, rate) for take, clip in zip(made, stage.clips, strict=True)]
    return {"MR": np.array(apart), "KLD": kld(stage.p, hear(stage.ears, made, rate).p)}


def table(stage: Stage, students: Sequence[Student], asked: Asked) -> list[Row]:
    """Rows of the model and of its students, each at its own number of steps, with the same seeds.

    The task is the regime, and the start where it is not the engine's.
    """
    rows: list[Row] = []
    for regime in asked.regimes if stage.model.denoiser.per_frame_t else ("guided",):
        task = regime if stage.start is None else f"{regime}, start {stage.start:g}"
        many = scores(stage, takes(stage, None, regime, asked.many))
        rows += _rows(stage, (task, MANY, asked.many), many)
        for steps in asked.steps:
            plain = scores(stage, takes(stage, None, regime, steps))
            rows += _rows(stage, (task, BEFORE, steps), plain, many)
            for student in students:
                if student.steps == steps:
                    found = scores(stage, takes(stage, student, regime, steps))
                    rows += _rows(stage, (task, student.system, steps), found, many, plain)
        tell(rows, task)
    return rows


Scores: TypeAlias = dict[str, Values]


def _rows(
    stage: Stage, how: tuple[str, str, int], found: Scores, many: Scores | None = None, plain: Scores | None = None
) -> list[Row]:
    rows: list[Row] = []
    for metric, values in found.items():
        ears = stage.ears.name if metric == "KLD" else None
        rows += rows_of(how, metric, values, None if plain is None else plain[metric], ears)
        if many is not None:
            of, between = float(values.mean() / many[metric].mean()), ratio_interval(values, many[metric])
            rows.append(replace(rows[-1], metric=metric + RATIO, value=of, spread=None, interval=between))
    return rows
