"""Trains a generator of any family: v-prediction on windows of latents, with a noise level per frame where the model knows such.

Several processes (`torchrun --nproc-per-node 2 -m segue train diffusion ...`) share each batch; with `shard: true` the weights.
"""

from __future__ import annotations

import argparse
import sys
from collections.abc import Callable
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

import torch
from torch import Tensor, nn

from segue.engine import noise
from segue.engine.models.dit import Dit, DitSpec
from segue.engine.models.families import families
from segue.engine.models.spec import DenoiserShape
from segue.engine.paper import noised, over, v_of
from segue.train import loop, parallel, precision
from segue.train.condition import left_out, numbers, told
from segue.train.contexts import context_masks
from segue.train.diffusion_recipe import Recipe, read_recipe, stored_denoiser, trained_as, with_classes
from segue.train.ema import Ema
from segue.train.feed import Feed
from segue.train.keeping import kept, stepped, taken_up
from segue.train.latents import Latents
from segue.train.listen import report
from segue.train.optim import Stepper, rate_at
from segue.train.samples import Samples

FEW_STEP_LEVELS = (0.25, 0.5, 0.75, 1.0)  # where a sampler of four steps asks the network


def denoiser_of(family: str, spec: DenoiserShape, device: torch.device) -> nn.Module:
    """An untrained denoiser."""
    if isinstance(spec, DitSpec):
        # the fused kernel's backward pass is the slower one on a CPU at this length: 17.6 against 21.6 windows/s
        return Dit(spec, written_attention=device.type == "cpu").to(device)
    return families()[family].denoiser(spec).to(device)


@dataclass(frozen=True)
class Batch:
    """This process's share of a step: windows x_0 and noise eps `[B, C, T]`, levels t `[B]` or `[B, T]`, classes `[B]`."""

    x_0: Tensor
    eps: Tensor
    t: Tensor
    classes: Tensor


def per_frame(module: nn.Module) -> bool:
    """Whether a denoiser takes a level per frame."""
    return bool(module.per_frame_t)


def draw_batch(recipe: Recipe, latents: Latents, masked: bool, step: int) -> Batch:
    """The batch of a step: what is drawn depends on seed, step and the item's number alone, not on who draws it."""
    g = noise.generator(recipe.seed, step)
    t = draw_levels(recipe.batch, recipe.level_power, recipe.few_step, g)
    if masked:
        t = t[:, None] * (~context_masks(recipe.batch, recipe.frames, g)).float()
    mine = parallel.share(recipe.batch)
    items = [noise.generator(recipe.seed, step, i) for i in mine]
    songs, windows = zip(*(latents.drawn(item) for item in items), strict=True)
    x_0 = torch.stack(windows)
    eps = torch.stack([noise.normal(tuple(x_0.shape[1:]), item) for item in items])
    return Batch(x_0, eps, t[mine.start : mine.stop], numbers(songs, latents.classes, recipe.classes))


class Run:
    """Everything a run must keep to go on exactly: model, average, optimiser, step and clock."""

    def __init__(self, recipe: Recipe, latents: Latents | None = None, device: torch.device | None = None) -> None:
        self.recipe, self.device = recipe, device or torch.device("cpu")
        with torch.random.fork_rng(devices=[]):
            torch.manual_seed(recipe.seed)
            self.dit = denoiser_of(recipe.family, recipe.denoiser, self.device)
        self.ema = Ema(self.dit, recipe.ema)
        if recipe.shard:
            parallel.shard(self.dit)
            parallel.shard(self.ema.module)
        self.stepper = Stepper(self.dit, recipe.rate, self.device, recipe.precision)
        self.feed: Feed[Batch] | None = None
        if latents is not None:
            self.use(latents)
        self.step, self.seconds = 0, 0.0

    def begin(self, spec: DenoiserShape, weights: dict[str, Tensor]) -> None:
        """Take the weights of another generator, and no more. Raises ValueError where its sizes differ."""
        if trained_as(spec) != self.recipe.denoiser:
            got, ours = asdict(trained_as(spec)), asdict(self.recipe.denoiser)  # type: ignore[call-overload]
            raise ValueError(f"from: got a generator of {got}, the recipe has {ours}: give the recipe its sizes")
        parallel.scattered(self.dit, weights)
        parallel.scattered(self.ema.module, weights)

    def use(self, latents: Latents) -> None:
        """Train on these."""
        masked = per_frame(self.dit)
        self.feed = Feed(lambda step: draw_batch(self.recipe, latents, masked, step))

    def advance(self, progress: float) -> dict[str, float]:
        """One step; the loss is the mean over all processes."""
        if self.feed is None:
            raise ValueError("Run: got no latents; give some to `use` first")
        recipe, batch = self.recipe, self.feed(self.step)
        x_0, eps, t = (part.to(self.device, non_blocking=True) for part in (batch.x_0, batch.eps, batch.t))
        cond = self._condition(x_0, batch.classes)
        loss = v_loss(self.dit, x_0, eps, t, recipe.precision, cond).mean()
        norm = stepped(self, self.dit, loss, rate_at(self.step, progress, recipe.rate, recipe.warm_up))
        self.step += 1
        return {"loss": parallel.mean(float(loss.detach())), "norm": norm}

    def _condition(self, x_0: Tensor, classes: Tensor) -> Tensor | None:
        """The condition `[B, cond_dim]` of this step's windows, or None for a generator without one."""
        recipe = self.recipe
        cond = told(recipe.condition, int(getattr(recipe.denoiser, "cond_dim", 0)), x_0, classes)
        return None if cond is None else left_out(cond, recipe.batch, recipe.seed, self.step)

    def state(self) -> dict[str, Any]:
        """The whole run as plain tensors and values."""
        return {
            "recipe": asdict(self.recipe),
            "dit": parallel.gathered(self.dit),
            **kept(self),
        }

    def restore(self, state: dict[str, Any]) -> None:
        """Go on from `state`. Raises `ValueError` where it is of another denoiser, or of other classes."""
        if stored_denoiser(state["recipe"]) != self.recipe.denoiser:
            got, ours = state["recipe"]["denoiser"], asdict(self.recipe.denoiser)  # type: ignore[call-overload]
            raise ValueError(f"resume: got a run of {got}, allowed {ours}: choose another --out")
        if (theirs := tuple(state["recipe"].get("classes", ()))) != self.recipe.classes:
            raise ValueError(f"resume: got a run of classes {theirs}, allowed {self.recipe.classes}: choose another --out")
        parallel.scattered(self.dit, state.get("dit", state["ema"]))
        taken_up(self, state)


def draw_levels(count: int, power: float, few_step: float, generator: torch.Generator) -> Tensor:
    """`[count]` levels in (0, 1]: one of each of `count` equal strata, some moved onto FEW_STEP_LEVELS."""
    u = (torch.arange(count) + torch.rand(count, generator=generator)) / count
    t = (1 - (1 - u) ** power).clamp(min=1e-4)[torch.randperm(count, generator=generator)]
    few = torch.tensor(FEW_STEP_LEVELS)[torch.randint(len(FEW_STEP_LEVELS), (count,), generator=generator)]
    return torch.where(torch.rand(count, generator=generator) < few_step, few, t)


def v_loss(dit: nn.Module, x_0: Tensor, eps: Tensor, t: Tensor, kind: str = "bf16", cond: Tensor | None = None) -> Tensor:
    """`[B]`: mean squared error of v over the frames of each window whose t, `[B]` or `[B, T]`, is not 0."""
    with precision.autocast(x_0.device, kind):
        v = dit(noised(x_0, eps, t), t, cond)
    noisy = over((t > 0).float(), x_0).expand(-1, -1, x_0.shape[-1])
    error: Tensor = (v.float() - v_of(x_0, eps, t)).square() * noisy
    return error.sum((1, 2)) / (noisy.sum((1, 2)) * x_0.shape[1])


def train_step(run: Run, latents: Latents, progress: float) -> float:
    """One step of the optimiser; returns the loss."""
    if run.feed is None:
        run.use(latents)
    return run.advance(progress)["loss"]


def train_diffusion(
    recipe: Recipe,
    latents: Latents,
    held_out: Latents,
    plan: loop.Plan,
    samples: Callable[[nn.Module], Samples] | None = None,
    start: tuple[DenoiserShape, dict[str, Tensor]] | None = None,
) -> Path:
    """Train as planned; returns the checkpoint `plan.out/diffusion.pt`. `start`: sizes and weights to begin with.

    Raises as `loop.train`, `with_classes` and `Run.begin` do.
    """
    recipe = with_classes(recipe, latents)
    run = Run(recipe, latents, parallel.device())
    if start is not None:
        run.begin(*start)
    every = [loop.Every(recipe.check_steps, lambda step: report(run.ema.module, held_out))]
    if samples and recipe.sample_steps:
        clips = samples(run.ema.module)
        every.append(loop.Every(recipe.sample_steps, clips.write))
    try:
        return loop.train(run, "diffusion", plan, recipe.steps, every)
    finally:
        if run.feed:
            run.feed.close()


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Options of `segue train diffusion`."""
    parser.add_argument("--recipe", type=Path, default=Path("live"), help="YAML recipe, or the name of one that ships")
    parser.add_argument("--latents", type=Path, nargs="+", required=True, help="folders or files of `train encode`")
    parser.add_argument("--held-out", type=Path, nargs="+", default=None, help="the same of held-out songs, for checks and clips")
    parser.add_argument("--from", dest="start", default=None, help="begin with this checkpoint's or model's generator")
    parser.add_argument("--codec", default=None, help="decodes the recipe's sample clips: checkpoint, model file or name")
    loop.add_arguments(parser)


def run(args: Any) -> int:
    """`segue train diffusion`: 0, or 2 with one line where the recipe or the latents are wrong."""

    def train() -> Path:
        recipe = read_recipe(args.recipe)
        if recipe.sample_steps and not args.codec and parallel.rank() == 0:
            print("no sample clips are written: --codec would decode them", file=sys.stderr)
        plan, channels = loop.plan_of(args), recipe.denoiser.channels
        latents = Latents(args.latents, recipe.frames, channels)
        held_out = Latents(args.held_out, recipe.frames, channels) if args.held_out else latents
        return train_diffusion(recipe, latents, held_out, plan, _samples(args, held_out), _start(args))

    return loop.command(train)


def _start(args: Any) -> tuple[DenoiserShape, dict[str, Tensor]] | None:
    if not args.start:
        return None
    from segue.train.teacher import read_teacher

    teacher = read_teacher(args.start, torch.device("cpu"))
    return teacher.denoiser, teacher.module.state_dict()


def _samples(args: Any, held_out: Latents) -> Callable[[nn.Module], Samples] | None:
    if not args.codec:
        return None
    from segue.train.encode import load_codec

    codec = load_codec(args.codec)[1].to(parallel.device())
    return lambda denoiser: Samples(denoiser, codec, held_out, args.out / "samples")
