"""Who plays a case: the model in its ways, the baselines that need none, the codec as a bound, and the truth."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, replace
from pathlib import Path
from typing import TypeAlias

import numpy as np
import torch
from numpy.typing import NDArray

from segue.engine.compose import encode, gain_to
from segue.engine.engine import Engine
from segue.engine.limiter import Limiter
from segue.engine.request import Request
from segue.engine.shapes import constant_power
from segue.train import baselines
from segue.train.cases import LATE, Audio, Case
from segue.train.playing import reconstruct

Player: TypeAlias = Callable[[Engine, Case, int], Audio]

TRUTH, CODEC, FADE = "real data", "codec", "constant-power crossfade"


@dataclass(frozen=True)
class Way:
    """One way in which a model plays. task: a name in engine/tasks; parameters: of that task, as (name, value).

    context_s: how much of the left context it hears, None for all. window_s: the model's window, None for the one that it was
    trained on. model: a model file in place of the one that is judged, in whose name it then plays. start: as of `Request`.
    """

    task: str
    steps: int = 4
    sampler: str = "ddim"
    regime: str = "clean"
    xi: float | None = None
    parameters: tuple[tuple[str, float], ...] = ()
    context_s: float | None = None
    window_s: float | None = None
    model: str = ""
    start: float | None = None

    @property
    def name(self) -> str:
        """Ours, and all that is not usual about it."""
        told = [f"{key} {value:g}" for key, value in self.parameters]
        told += [] if self.start is None else [f"T {self.start:g}"]
        told += [] if self.regime == "clean" else [self.regime]
        told += [] if self.xi is None else [f"xi {self.xi:g}"]
        told += [] if self.context_s is None else [f"context {self.context_s:g} s"]
        told += [] if self.window_s is None else [f"window {self.window_s:g} s"]
        who = f"{Path(self.model).stem}:" if self.model else "ours"
        return ", ".join([f"{who} {self.task} {self.sampler} {self.steps}", *told])

    def play(self, engine: Engine, case: Case, seed: int) -> Audio:
        """The new part `[2, new]`, by the engine of its model."""
        left, rate = case.left, engine.sample_rate
        if left is not None and self.context_s is not None:
            left = left[:, -round(self.context_s * rate) :]
        needs_middle = self.task in ("regenerate", "renoise", "transition")
        middle, over = (case.under or (case.middle, None)) if needs_middle else (None, None)
        request = Request(
            self.task, case.new, left, middle, over if self.task == "transition" else None, case.right,
            style=case.style if self.task == "style" else None,
            classes=classes_of(engine, case) if self.task == "classify" else None,
            steps=self.steps, seed=seed, sampler=self.sampler, regime=self.regime, xi=self.xi,
            parameters=dict(self.parameters), start=self.start,
        )  # fmt: skip
        limiter = Limiter(engine.sample_rate)
        return np.concatenate([limiter.push(engine.take(request)), limiter.flush()], axis=1)


def classes_of(engine: Engine, case: Case) -> NDArray[np.float32]:
    """`[1, m]`: what the guide's classifier hears in the case's style, the y of Table 2. Raises ValueError without one."""
    if engine.guide.classifier is None or case.style is None:
        raise ValueError(f"evaluate: the guide {engine.guide.name} has no classifier; leave classify out")
    codec, style = engine.model.codec, case.style[:, : round(engine.window_s * engine.sample_rate)]
    gain = gain_to(engine.model.spec.reference_lufs, [style], codec.rate)
    with torch.no_grad():
        return np.asarray(engine.guide.classifier(encode(codec, style * np.float32(gain))), np.float32)


# Of each task of Table 1 the engine's tasks that play its cases.
PLAYED: Mapping[str, tuple[str, ...]] = {
    "unconditional": ("generate",),
    "continuation": ("continuation",),
    "infill": ("infill", "regenerate", "renoise"),
    "transition": ("transition",),
    "guidance": ("style", "classify"),
}


def ways(task: str, steps: int, sampler: str, model: str = "", classifier: bool = True) -> tuple[Way, ...]:
    """A model's ways to play a task of Table 1: infill's cases are also regenerated, by Table 2 and as 4.3 words it.

    classifier: whether the model's guide has one, which classifier guidance needs. Ours generates over a groove, and from noise.
    """
    usual = tuple(Way(name, steps, sampler, model=model) for name in PLAYED[task] if classifier or name != "classify")
    return (*usual, replace(usual[0], start=1.0)) if task == "unconditional" and not model else usual


def silence(engine: Engine, case: Case, seed: int) -> Audio:
    """Nothing."""
    return np.zeros((2, case.new), np.float32)


def repeat_last(engine: Engine, case: Case, seed: int) -> Audio:
    """The end of the left context, as long as is new, again."""
    left = _left(case)
    return baselines.repeat(left[:, -min(case.new, left.shape[1]) :], case.new, engine.sample_rate, np.random.default_rng(seed))


def linear_crossfade(engine: Engine, case: Case, seed: int) -> Audio:
    """What stands on the left into what stands on the right, by straight lines."""
    one, two = _sides(case)
    ramp = ((np.arange(case.new) + 0.5) / case.new).astype(np.float32)
    return (1 - ramp) * one + ramp * two


def power_crossfade(engine: Engine, case: Case, seed: int) -> Audio:
    """The same at constant power."""
    (one, two), (f_out, f_in) = _sides(case), constant_power(case.new)
    return f_out * one + f_in * two


def codec(engine: Engine, case: Case, seed: int) -> Audio:
    """What stands there through encoder and decoder, with its context, which is the best that the model can sound."""
    there = case.truth if case.task != "transition" or case.middle is None else case.middle
    parts = [part for part in (case.left, there, case.right) if part is not None]
    start = 0 if case.left is None else case.left.shape[1]
    whole = np.concatenate(parts, axis=1)
    missing = -whole.shape[1] % engine.model.codec.hop
    padded = np.pad(whole, ((0, 0), (0, missing)), mode="reflect")
    return reconstruct(engine, padded)[:, start : start + case.new]


def truth(engine: Engine, case: Case, seed: int) -> Audio:
    """What was really played; of a transition, by the first track."""
    return case.truth


def _left(case: Case) -> Audio:
    assert case.left is not None  # of every task that is compared with a repetition
    return case.left


def _sides(case: Case) -> tuple[Audio, Audio]:
    """Both tracks over the new part; where there is only one song, its context's ends, repeated backwards and forwards."""
    if case.under is not None:
        return case.under
    left, right = _left(case), case.right
    assert right is not None
    times = case.new // min(left.shape[1], right.shape[1]) + 1
    return np.tile(left, times)[:, -case.new :], np.tile(right, times)[:, : case.new]


FIXED: Mapping[str, Mapping[str, Player]] = {
    "unconditional": {"silence": silence, CODEC: codec, TRUTH: truth},
    "continuation": {"silence": silence, "repeat-last": repeat_last, CODEC: codec, TRUTH: truth},
    "infill": {
        "silence": silence,
        "repeat-last": repeat_last,
        "linear crossfade": linear_crossfade,
        FADE: power_crossfade,
        CODEC: codec,
        TRUTH: truth,
    },
    "guidance": {"silence": silence, CODEC: codec, TRUTH: truth},
    LATE: {"silence": silence, "repeat-last": repeat_last, CODEC: codec, TRUTH: truth},
    "transition": {
        "silence": silence,
        "repeat-last": repeat_last,
        "linear crossfade": linear_crossfade,
        FADE: power_crossfade,
        CODEC: codec,
        TRUTH: truth,
    },
}
