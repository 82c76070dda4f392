"""Who plays a case: the model in its ways, the baselines that need none, the codec as a bound, and the truth."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import TypeAlias

import numpy as np

from segue.engine.engine import Engine
from segue.engine.request import Request
from segue.engine.shapes import constant_power
from segue.train import baselines
from segue.train.cases import Audio, Case
from segue.train.playing import reconstruct

Player: TypeAlias = Callable[[Engine, Case, int], Audio]

TRUTH, CODEC, FADE = "real data", "codec", "constant-power crossfade"


@dataclass(frozen=True)
class Way:
    """One way in which the model plays. task: a name in engine/tasks; parameters: of that task, as (name, value)."""

    task: str
    steps: int = 4
    sampler: str = "ddim"
    regime: str = "clean"
    xi: float | None = None
    parameters: tuple[tuple[str, float], ...] = ()

    @property
    def name(self) -> str:
        """Ours, and all that is not usual about it."""
        told = [f"{key} {value:g}" for key, value in self.parameters]
        told += [] if self.regime == "clean" else [self.regime]
        told += [] if self.xi is None else [f"xi {self.xi:g}"]
        return ", ".join([f"ours {self.task} {self.sampler} {self.steps}", *told])

    def play(self, engine: Engine, case: Case, seed: int) -> Audio:
        """The new part `[2, new]`."""
        needs_middle = self.task in ("regenerate", "renoise", "transition")
        middle, over = (case.under or (case.middle, None)) if needs_middle else (None, None)
        request = Request(
            self.task, case.new, case.left, middle, over if self.task == "transition" else None, case.right,
            steps=self.steps, seed=seed, sampler=self.sampler, regime=self.regime, xi=self.xi,
            parameters=dict(self.parameters),
        )  # fmt: skip
        return engine.take(request)


def ways(task: str, steps: int, sampler: str) -> tuple[Way, ...]:
    """The model's ways to play a task of Table 1: infill's cases are also regenerated, by Table 2 and as 4.3 words it."""
    played = {
        "unconditional": ("generate",),
        "continuation": ("continuation",),
        "infill": ("infill", "regenerate", "renoise"),
        "transition": ("transition",),
    }
    return tuple(Way(name, steps, sampler) for name in played[task])


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
    "transition": {
        "silence": silence,
        "repeat-last": repeat_last,
        "linear crossfade": linear_crossfade,
        FADE: power_crossfade,
        CODEC: codec,
        TRUTH: truth,
    },
}
