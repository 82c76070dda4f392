"""Fine-tunes the decoder of a trained codec against a multi-scale spectral discriminator; the encoder stays as it is (C.1)."""

from __future__ import annotations

import argparse
from dataclasses import dataclass, fields
from pathlib import Path
from typing import Any

import torch

from segue.engine import noise
from segue.train import codec as base
from segue.train import codec_recipe, loop, parallel
from segue.train.clips import Library
from segue.train.codec_loss import Chance, coded, draw_distance, fit
from segue.train.discriminator import WINDOWS, Discriminator, deceiving_loss, feature_loss, judging_loss
from segue.train.encode import load_codec
from segue.train.keeping import stepped
from segue.train.optim import Stepper, rate_at
from segue.train.recipe import made, read


@dataclass(frozen=True)
class Recipe:
    """Weights of the adversarial and the feature loss beside the codec's own, and the discriminator's width and rate.

    Until `alone` steps are done only the discriminator learns, so that the decoder meets one that knows something.
    scales: how many of its windows judge a step, drawn anew each time; 2 of 5 make a step on a CPU about half as dear.
    """

    adversarial: float = 0.1
    features: float = 0.5
    width: int = 16
    judge_rate: float = 2e-4
    alone: int = 50
    scales: int = len(WINDOWS)


def read_recipe(path: Path) -> tuple[codec_recipe.Recipe, Recipe]:
    """The codec's and the fine-tuning's recipe from one YAML file. Raises `ValueError` for an unknown key."""
    own = [f.name for f in fields(Recipe)]
    values = read(path, [*own, *(f.name for f in fields(codec_recipe.Recipe) if f.name not in ("family", "stage"))])
    ours = made(path, Recipe, {key: values.pop(key) for key in own if key in values})
    if not 1 <= ours.scales <= len(WINDOWS):
        raise ValueError(f"scales in {path}: got {ours.scales}; one of 1 to {len(WINDOWS)}")
    return codec_recipe.from_values(path, values | {"stage": "decoder"}), ours


class Run(base.Run):
    """A codec's run with a discriminator beside it."""

    def __init__(self, recipe: codec_recipe.Recipe, ours: Recipe, device: torch.device, library: Library | None) -> None:
        super().__init__(recipe, device, library)
        self.ours = ours
        with torch.random.fork_rng(devices=[]):
            torch.manual_seed(recipe.seed + 1)
            self.judge = Discriminator(ours.width).to(device)
        self.judge_stepper = Stepper(self.judge, ours.judge_rate, device, "fp32")

    def advance(self, progress: float) -> dict[str, float]:
        """One step of the discriminator, then one of the decoder."""
        if self.feed is None:
            raise ValueError("Run: got no audio; give a library")
        recipe, x = self.recipe, self.feed(self.step).to(self.device, non_blocking=True)
        chance = Chance(noise.generator(recipe.seed, self.step))
        d, _ = draw_distance(chance, self.codec.rate)
        draws, _, _ = coded(self.codec, recipe, self.step, x, chance)
        scales = torch.randperm(len(WINDOWS), generator=chance.generator)[: self.ours.scales].tolist()
        idle = 0.0 * sum(p.sum() for p in self.judge.parameters())  # windows that were not drawn keep their moments too
        judging = judging_loss(self.judge(x, scales), self.judge(draws[0].detach(), scales)) + idle
        self.judge_stepper(judging, rate_at(self.step, progress, self.ours.judge_rate, recipe.warm_up))
        near = fit(d, x, draws)
        parts = {"fit": near, "judging": judging}
        if self.step >= self.ours.alone:
            parts |= self._deceive(x, draws[0], scales, near, progress)
        self.step += 1
        figures = {key: parallel.mean(float(value.detach())) for key, value in parts.items()}
        return {"loss": figures["fit"]} | figures

    def _deceive(
        self, x: torch.Tensor, y: torch.Tensor, scales: list[int], near: torch.Tensor, progress: float
    ) -> dict[str, torch.Tensor]:
        self.judge.requires_grad_(False)
        verdicts = self.judge(y, scales)
        with torch.no_grad():
            real = self.judge(x, scales)
        deceiving, matched = deceiving_loss(verdicts), feature_loss(real, verdicts)
        self.judge.requires_grad_(True)
        loss = near + self.ours.adversarial * deceiving + self.ours.features * matched
        stepped(self, self.codec, loss, rate_at(self.step, progress, self.recipe.rate, self.recipe.warm_up))
        return {"deceiving": deceiving, "features": matched}

    def state(self) -> dict[str, Any]:
        """The codec's run and the discriminator's."""
        return super().state() | {"judge": parallel.gathered(self.judge), "judge_optimiser": self.judge_stepper.state()}

    def restore(self, state: dict[str, Any]) -> None:
        """Go on from `state`. Raises ValueError where it is of another codec or has no discriminator."""
        if "judge" not in state and "optimiser" in state:
            raise ValueError("resume: got a run without a discriminator; begin fine-tuning with --from")
        super().restore(state)
        if "judge" in state:
            self.judge.load_state_dict(state["judge"])
            self.judge_stepper.restore(state["judge_optimiser"])


def finetune_codec(recipe: codec_recipe.Recipe, ours: Recipe, data: list[Path], start: Path | None, plan: loop.Plan) -> Path:
    """Fine-tune from the checkpoint `start` (not needed to resume); returns `plan.out/codec.pt`. Raises as `train_codec` does."""
    if not codec_recipe.learns(codec_recipe.build_codec(recipe)):
        return base.write_fixed(recipe, plan.out)
    library = Library(data)
    run = Run(recipe, ours, parallel.device(), library)
    if start is not None:
        run.begin(load_codec(start)[1].state_dict())
    elif not plan.resume:
        raise ValueError("codec-finetune: got no codec; name the checkpoint of `train codec` with --from, or --resume a run")
    every = [loop.Every(recipe.sample_steps, base.reconstructions(run, library, plan.out / "samples"))]
    path = loop.train(run, "codec", plan, recipe.steps, every)
    if run.feed:
        run.feed.close()
    return path


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Options of `segue train codec-finetune`."""
    parser.add_argument("--recipe", type=Path, default=Path("codec_finetune"), help="YAML recipe, or the name of one that ships")
    parser.add_argument("--data", type=Path, nargs="+", default=[Path(".cache/audio")], help="folders made by `train prepare`")
    parser.add_argument("--from", dest="start", type=Path, default=None, help="the codec's checkpoint, or a model")
    loop.add_arguments(parser)


def run(args: Any) -> int:
    """`segue train codec-finetune`: 0, or 2 with one line where the recipe or the data are wrong."""
    return loop.command(lambda: finetune_codec(*read_recipe(args.recipe), args.data, args.start, loop.plan_of(args)))
