"""Distils a generator into few steps: each stage's student makes in one step of DDIM what its teacher makes in several.

progressive: the student of n steps learns the end of two of its teacher's steps, and then teaches n / 2 (Salimans & Ho 2022).
consistency: within each of its n segments the student learns to agree with itself one short step of the first teacher nearer
to the segment's end, where it must be right (multistep consistency, Heek et al. 2024).
Windows have random contexts, so that every context regime is learned: clean and tail frames at level 0, or one level for all.
"""

from __future__ import annotations

import argparse
import copy
import sys
from collections.abc import Callable
from dataclasses import asdict, dataclass, fields, replace
from pathlib import Path
from typing import Any, cast

import torch
from torch import Tensor, nn

from segue.engine import noise
from segue.engine.models.dit import DitSpec
from segue.engine.paper import alpha, eps_hat, noised, over, sigma, x_0_hat
from segue.engine.protocols import Denoiser
from segue.train import few_steps, few_steps_table, loop, parallel, precision
from segue.train.condition import left_out, numbers, told
from segue.train.contexts import context_masks
from segue.train.diffusion import per_frame
from segue.train.diffusion_recipe import stored_denoiser
from segue.train.ema import Ema
from segue.train.feed import Feed
from segue.train.keeping import kept, stepped, taken_up
from segue.train.latents import Latents
from segue.train.optim import Stepper, rate_at
from segue.train.recipe import made, read
from segue.train.rows import Row
from segue.train.teacher import Teacher, read_student, read_teacher

METHODS = ("progressive", "consistency")

Velocity = Callable[[Tensor, Tensor], Tensor]  # v of (x_t, t)


@dataclass(frozen=True)
class Recipe:
    """What a distillation is. stages: the numbers of steps, falling, each stage `steps` long at most.

    substeps: steps of the first teacher within one of the student's, for consistency; progressive takes two.
    batch: windows a step, over all processes.
    """

    method: str = "progressive"
    stages: tuple[int, ...] = (8, 4, 2)
    substeps: int = 4
    batch: int = 16
    rate: float = 2e-4
    warm_up: int = 20
    ema: float = 0.99
    precision: str = "bf16"
    steps: int = 20_000
    seed: int = 1


def read_recipe(path: Path) -> Recipe:
    """A recipe from YAML. Raises `ValueError` for an unknown key, method or order of stages."""
    values = read(path, [f.name for f in fields(Recipe)])
    recipe = made(path, Recipe, values)
    precision.check(recipe.precision)
    if recipe.method not in METHODS:
        raise ValueError(f"method {recipe.method!r} in {path}, allowed {', '.join(METHODS)}: choose one")
    if not recipe.stages or any(b < 1 or a <= b for a, b in zip((*recipe.stages,), (*recipe.stages[1:], 0), strict=True) if b):
        raise ValueError(f"stages {list(recipe.stages)} in {path}, allowed falling numbers of steps such as [8, 4, 2]")
    if recipe.method == "progressive" and any(a != 2 * b for a, b in zip(recipe.stages, recipe.stages[1:], strict=False)):
        raise ValueError(f"stages {list(recipe.stages)} in {path}: a progressive stage has half the steps of the one before it")
    return recipe


def moved(x_t: Tensor, v: Tensor, t: Tensor, s: Tensor) -> Tensor:
    """One step of Algorithm 2 without guidance, from levels t to s."""
    at = over(s, x_t)
    return alpha(at) * x_0_hat(x_t, v, t) + sigma(at) * eps_hat(x_t, v, t)


def target_v(x_t: Tensor, x_s: Tensor, t: Tensor, s: Tensor) -> Tensor:
    """The v whose single step from t leads from x_t to x_s; 0 on frames that stay at level 0.

    x_s = alpha_s x_0 + sigma_s eps with x_0 = alpha_t x_t - sigma_t v and eps = sigma_t x_t + alpha_t v, solved for v:
    x_s = cos(phi_t - phi_s) x_t - sin(phi_t - phi_s) v, where phi = pi t / 2 is the angle of a level.
    """
    angle = over(t - s, x_t) * (torch.pi / 2)
    turn = angle.sin()
    still = turn.abs() < 1e-9
    return torch.where(still, torch.zeros_like(x_t), (angle.cos() * x_t - x_s) / torch.where(still, torch.ones_like(turn), turn))


def progressive_target(teacher: Velocity, x_t: Tensor, t: Tensor, s: Tensor) -> Tensor:
    """v of one step from t to s that ends where two of the teacher's end."""
    half = (t + s) / 2
    x_half = moved(x_t, teacher(x_t, t), t, half)
    return target_v(x_t, moved(x_half, teacher(x_half, half), half, s), t, s)


def consistency_target(teacher: Velocity, student: Velocity, x_t: Tensor, levels: tuple[Tensor, Tensor, Tensor]) -> Tensor:
    """v of one step from t to the segment's end e that ends where the student's from s ends, the teacher leading from t to s."""
    t, s, e = levels
    x_s = moved(x_t, teacher(x_t, t), t, s)
    return target_v(x_t, moved(x_s, student(x_s, s), s, e), t, e)


@dataclass(frozen=True)
class Batch:
    """Windows x_0 and noise eps `[B, C, T]`; levels t, s, e `[B]`: from where, the teacher's next, the end of the segment.

    target: `[B, T]`, true where a frame has a level above 0. classes `[B]`: the teacher's, or NO_CLASS.
    """

    x_0: Tensor
    eps: Tensor
    levels: tuple[Tensor, Tensor, Tensor]
    target: Tensor
    classes: Tensor


def draw_batch(recipe: Recipe, steps: int, teacher: Teacher, latents: Latents, masked: bool, step: int) -> Batch:
    """The batch of a step for a student of `steps` steps; a function of seed, step and the item's number."""
    g, mine = noise.generator(recipe.seed, steps, step), parallel.share(recipe.batch)
    segment = torch.randint(steps, (recipe.batch,), generator=g) + 1  # ends at (segment - 1) / steps
    e = (segment - 1) / steps
    if recipe.method == "progressive":
        t, s = segment / steps, (segment - 0.5) / steps
    else:
        inside = torch.randint(recipe.substeps, (recipe.batch,), generator=g) + 1
        t = e + inside / (steps * recipe.substeps)
        s = e + (inside - 1) / (steps * recipe.substeps)
    frames = teacher.frames
    target = ~context_masks(recipe.batch, frames, g) if masked else torch.ones(recipe.batch, frames, dtype=torch.bool)
    items = [noise.generator(recipe.seed, steps, step, i) for i in mine]
    songs, windows = zip(*(latents.drawn(item) for item in items), strict=True)
    x_0 = torch.stack(windows)
    eps = torch.stack([noise.normal(tuple(x_0.shape[1:]), item) for item in items])
    cut = slice(mine.start, mine.stop)
    return Batch(x_0, eps, (t[cut], s[cut], e[cut]), target[cut], numbers(songs, latents.classes, teacher.classes))


class Run:
    """One stage: a student of `steps` steps, its average, and the teacher."""

    def __init__(self, recipe: Recipe, teacher: Teacher, steps: int, latents: Latents, device: torch.device) -> None:
        self.recipe, self.teacher, self.steps, self.device = recipe, teacher, steps, device
        self.student = copy.deepcopy(teacher.module).train().requires_grad_(True)
        self.ema = Ema(self.student, recipe.ema)
        self.stepper = Stepper(self.student, recipe.rate, device, recipe.precision)
        masked = per_frame(self.student)
        self.masked = masked
        self.feed = Feed(lambda step: draw_batch(recipe, steps, teacher, latents, masked, step))
        spec = teacher.denoiser
        # channels that are carried on from the context are not generated, so nothing is learned about them
        self.learned = spec.channels - (spec.carried if isinstance(spec, DitSpec) else 0)
        self.step, self.seconds = 0, 0.0

    def advance(self, progress: float) -> dict[str, float]:
        """One step of the optimiser."""
        batch = self.feed(self.step)
        x_0, eps, target = (part.to(self.device) for part in (batch.x_0, batch.eps, batch.target))
        t, s, e = (self._spread(level.to(self.device), target) for level in batch.levels)
        x_t = noised(x_0, eps, t)
        cond = self._condition(x_0, batch.classes)
        with torch.no_grad():
            aim = self._aim(x_t, t, s, e, cond)
        with precision.autocast(self.device, self.recipe.precision):
            v = self.student(x_t, t, cond)
        noisy = target[:, None].float()
        error = ((v.float() - aim)[:, : self.learned]).square() * noisy
        loss = (error.sum((1, 2)) / (noisy.sum((1, 2)) * self.learned)).mean()
        norm = stepped(self, self.student, loss, rate_at(self.step, progress, self.recipe.rate, self.recipe.warm_up))
        self.step += 1
        return {"loss": parallel.mean(float(loss.detach())), "norm": norm}

    def _spread(self, level: Tensor, target: Tensor) -> Tensor:
        """`[B]`, or `[B, T]` with 0 on the context, as the model takes it."""
        return level[:, None] * target.float() if self.masked else level

    def _condition(self, x_0: Tensor, classes: Tensor) -> Tensor | None:
        """What teacher and student are both told of this step's windows, or None for a generator without a condition."""
        length = int(getattr(self.teacher.denoiser, "cond_dim", 0))
        cond = told(self.teacher.condition, length, x_0, classes)
        return None if cond is None else left_out(cond, self.recipe.batch, self.recipe.seed, self.step)

    def _aim(self, x_t: Tensor, t: Tensor, s: Tensor, e: Tensor, cond: Tensor | None) -> Tensor:
        teacher = self._velocity(self.teacher.module, cond)
        if self.recipe.method == "progressive":
            return progressive_target(teacher, x_t, t, e)
        return consistency_target(teacher, self._velocity(self.ema.module, cond), x_t, (t, s, e))

    def _velocity(self, module: nn.Module, cond: Tensor | None) -> Velocity:
        def velocity(x_t: Tensor, t: Tensor) -> Tensor:
            with precision.autocast(self.device, self.recipe.precision):
                v: Tensor = module(x_t, t, cond)
            return v.float()

        return velocity

    def state(self) -> dict[str, Any]:
        """The stage as plain tensors and values, read by `train pack` as a generator's."""
        t = self.teacher
        teacher = {"denoiser": asdict(t.denoiser), "frames": t.frames, "family": t.family, "model": t.model}  # type: ignore[call-overload]
        return {
            "recipe": asdict(self.recipe) | teacher | {"classes": t.classes, "condition": t.condition},
            "student_steps": self.steps,
            "dit": parallel.gathered(self.student),
            **kept(self),
        }

    def restore(self, state: dict[str, Any]) -> None:
        """Go on from `state`. Raises `ValueError` where it is of another network."""
        if stored_denoiser(state["recipe"]) != self.teacher.denoiser:
            raise ValueError(f"resume: got a run of {state['recipe']['denoiser']}; choose another --out")
        self.student.load_state_dict(state.get("dit", state["ema"]))
        taken_up(self, state)


def distil(recipe: Recipe, teacher: Teacher, latents: Latents, plan: loop.Plan) -> list[tuple[int, Path]]:
    """All stages, each with its share of the minutes; returns (steps, checkpoint) of those that are done.

    With `plan.resume` a stage that has a checkpoint goes on from it, and one that was over is passed.
    Raises as `loop.train` does.
    """
    device, done = parallel.device(), []
    each = replace(plan, minutes=plan.minutes / len(recipe.stages))
    for steps in recipe.stages:
        run, name = Run(recipe, teacher, steps, latents, device), f"distilled-{steps}"
        found = plan.resume and (plan.out / f"{name}.pt").is_file()
        try:
            path = loop.train(run, name, replace(each, resume=found), recipe.steps)
        finally:
            run.feed.close()
        if run.step < recipe.steps and run.seconds < each.minutes * 60:
            break  # this call's session is over
        done.append((steps, path))
        if recipe.method == "progressive":
            teacher = replace(teacher, module=run.ema.module)
    return done


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Options of `segue train distill`."""
    parser.add_argument("--recipe", type=Path, default=Path("distill"), help="YAML recipe, or the name of one that ships")
    parser.add_argument("--teacher", required=True, help="checkpoint of `train diffusion`, model file, or name of a model")
    parser.add_argument("--latents", type=Path, nargs="+", required=True, help="folders or files of `train encode`")
    parser.add_argument("--held-out", type=Path, nargs="+", default=None, help="the same of held-out songs, for the table")
    parser.add_argument("--windows", type=int, default=few_steps.WINDOWS, help="windows of the table's figures; 0 for no table")
    loop.add_arguments(parser)


def run(args: Any) -> int:
    """`segue train distill`: 0, or 2 with one line where the recipe, the teacher or the latents are wrong."""
    parallel.start()
    try:
        recipe, plan, teacher = read_recipe(args.recipe), loop.plan_of(args), read_teacher(args.teacher, parallel.device())
        done = distil(recipe, teacher, Latents(args.latents, teacher.frames, teacher.denoiser.channels), plan)
        if len(done) < len(recipe.stages):
            print(f"{len(done)} of {len(recipe.stages)} stages are done; go on with --resume", file=sys.stderr)
        elif parallel.rank() == 0 and args.windows:
            held_out = Latents(args.held_out or args.latents, teacher.frames)
            print(few_steps_table.shown(before_and_after(recipe, teacher, done, held_out, args.windows), args.json))
    except (FileNotFoundError, FileExistsError, ValueError) as error:
        print(error, file=sys.stderr)
        return 2
    finally:
        parallel.finish()
    return 0


def before_and_after(
    recipe: Recipe, teacher: Teacher, done: list[tuple[int, Path]], held_out: Latents, windows: int = few_steps.WINDOWS
) -> list[Row]:
    """The table of a distillation: the teacher, and each student at its own number of steps."""
    students = [read_student(path, parallel.device()) for _, path in done]
    asked = few_steps.Asked(recipe.stages, windows=windows, heat=teacher.heat)
    return few_steps.table(cast(Denoiser, teacher.module), students, held_out, asked)
