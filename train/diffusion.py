"""Trains the live generator: v-prediction on windows of latents with a noise level per frame.

Two processes: `torchrun --nproc-per-node 2 -m segue train diffusion ...` averages their gradients.
"""

from __future__ import annotations

import argparse
import math
import sys
import time
from dataclasses import asdict, dataclass, field, fields
from pathlib import Path
from typing import Any

import torch
import yaml
from torch import Tensor, nn

from segue.engine.models.dit import Dit, DitSpec
from segue.engine.paper import noised, over, v_of
from segue.train import parallel
from segue.train.contexts import context_masks
from segue.train.ema import Ema
from segue.train.latents import Latents
from segue.train.listen import report
from segue.train.optim import set_rate

SAVE_SECONDS = 120.0
REPORT_STEPS = 20
PAUSE_POLL_SECONDS = 1.0
GRADIENT_NORM = 1.0
FINAL_SHARE = 0.02  # of the peak learning rate, at the end
FEW_STEP_LEVELS = (0.25, 0.5, 0.75, 1.0)  # where a sampler of four steps asks the network


@dataclass(frozen=True)
class Recipe:
    """What a run is. `batch` windows of `frames` latent frames a step and process; `rate` is the peak learning rate.

    level_power p draws t = 1 - (1 - u)^p, stratified: above 1 the noisy end, which decides what is played, comes more often.
    few_step: the share of windows whose t is one of FEW_STEP_LEVELS.
    """

    denoiser: DitSpec = field(default_factory=DitSpec)
    batch: int = 16
    frames: int = 258
    rate: float = 1e-3
    warm_up: int = 200
    ema: float = 0.998
    level_power: float = 1.5
    few_step: float = 0.25
    steps: int = 100_000
    check_steps: int = 300
    seed: int = 1


def read_recipe(path: Path) -> Recipe:
    """A recipe from YAML. Raises `ValueError` for an unknown key."""
    values = yaml.safe_load(path.read_text()) or {}
    _known(path, values, Recipe)
    if "denoiser" in values:
        _known(path, values["denoiser"], DitSpec)
        values["denoiser"] = DitSpec(**values["denoiser"])
    return Recipe(**values)


def _known(path: Path, values: dict[str, Any], kind: type) -> None:
    allowed = [f.name for f in fields(kind)]
    unknown = sorted(set(values) - set(allowed))
    if unknown:
        raise ValueError(f"unknown key {unknown[0]!r} in {path}, allowed {', '.join(allowed)}: correct or remove it")


class Run:
    """Everything a run must keep to go on exactly: model, average, optimiser, step, clock and random state."""

    def __init__(self, recipe: Recipe, rank: int = 0, device: torch.device | None = None) -> None:
        self.recipe, self.device = recipe, device or torch.device("cpu")
        with torch.random.fork_rng(devices=[]):
            torch.manual_seed(recipe.seed)
            # the fused kernel's backward pass is the slower one on a CPU at this length: 17.6 against 21.6 windows/s
            self.dit = Dit(recipe.denoiser, written_attention=self.device.type == "cpu").to(self.device)
        self.ema = Ema(self.dit, recipe.ema)
        # C.2: AdamW, betas (0.9, 0.999), no weight decay
        self.optimiser = torch.optim.AdamW(self.dit.parameters(), recipe.rate, (0.9, 0.999), weight_decay=0.0, fused=True)
        self.generator = torch.Generator().manual_seed(recipe.seed * 1000 + rank)
        self.step, self.seconds = 0, 0.0

    def state(self) -> dict[str, Any]:
        """The whole run as plain tensors and values."""
        return {
            "recipe": asdict(self.recipe),
            "dit": self.dit.state_dict(),
            "ema": self.ema.module.state_dict(),
            "ema_steps": self.ema.steps,
            "optimiser": self.optimiser.state_dict(),
            "generator": self.generator.get_state(),
            "step": self.step,
            "seconds": self.seconds,
        }

    def restore(self, state: dict[str, Any]) -> None:
        """Go on from `state`. Raises `ValueError` where it is of another denoiser."""
        if state["recipe"]["denoiser"] != asdict(self.recipe.denoiser):
            got, ours = state["recipe"]["denoiser"], asdict(self.recipe.denoiser)
            raise ValueError(f"resume: got a run of {got}, allowed {ours}: choose another --out")
        self.dit.load_state_dict(state["dit"])
        self.ema.module.load_state_dict(state["ema"])
        self.ema.steps = state["ema_steps"]
        self.optimiser.load_state_dict(state["optimiser"])
        self.generator.set_state(state["generator"])
        self.step, self.seconds = state["step"], state["seconds"]


def draw_levels(count: int, power: float, few_step: float, generator: torch.Generator) -> Tensor:
    """`[count]` levels in (0, 1]: one of each of `count` equal strata, some moved onto FEW_STEP_LEVELS."""
    u = (torch.arange(count) + torch.rand(count, generator=generator)) / count
    t = (1 - (1 - u) ** power).clamp(min=1e-4)[torch.randperm(count, generator=generator)]
    few = torch.tensor(FEW_STEP_LEVELS)[torch.randint(len(FEW_STEP_LEVELS), (count,), generator=generator)]
    return torch.where(torch.rand(count, generator=generator) < few_step, few, t)


def v_loss(dit: nn.Module, x_0: Tensor, eps: Tensor, t: Tensor) -> Tensor:
    """`[B]`: mean squared error of v over the frames of each window whose t, `[B, T]` or `[B]`, is not 0."""
    with torch.autocast(x_0.device.type, torch.bfloat16):
        v = dit(noised(x_0, eps, t), t)
    noisy = over((t > 0).float(), x_0).expand(-1, 1, x_0.shape[-1])
    error: Tensor = (v.float() - v_of(x_0, eps, t)).square() * noisy
    return error.sum((1, 2)) / (noisy.sum((1, 2)) * x_0.shape[1])


def train_step(run: Run, latents: Latents, progress: float) -> float:
    """One step of the optimiser at `progress` 0 to 1 of the schedule; returns the loss."""
    recipe, g = run.recipe, run.generator
    x_0 = latents.windows(recipe.batch, g)
    eps = torch.randn(x_0.shape, generator=g)
    level = draw_levels(recipe.batch, recipe.level_power, recipe.few_step, g)
    t = level[:, None] * (~context_masks(recipe.batch, recipe.frames, g)).float()
    loss = v_loss(run.dit, x_0.to(run.device), eps.to(run.device), t.to(run.device)).mean()
    run.optimiser.zero_grad(set_to_none=True)
    loss.backward()
    parallel.average_gradients(run.dit.parameters())
    norm = torch.nn.utils.clip_grad_norm_(run.dit.parameters(), GRADIENT_NORM)
    if torch.isfinite(norm):
        set_rate(run.optimiser, rate_at(run.step, progress, recipe))
        run.optimiser.step()
        run.ema.update(run.dit)
    run.step += 1
    return float(loss.detach())


def rate_at(step: int, progress: float, recipe: Recipe) -> float:
    """Linear warm-up, then a cosine over the whole of `progress` (C.2)."""
    warm = min(1.0, (step + 1) / recipe.warm_up)
    fall = 0.5 + 0.5 * float(torch.cos(torch.tensor(min(1.0, progress) * torch.pi)))
    return recipe.rate * warm * (FINAL_SHARE + (1 - FINAL_SHARE) * fall)


def save(run: Run, out: Path) -> None:
    """Write `diffusion.pt`, replacing it in one step; each further process keeps only its random state beside it."""
    rank = parallel.rank()
    target = out / _name(rank)
    torch.save(run.state() if rank == 0 else {"generator": run.generator.get_state()}, target.with_suffix(".tmp"))
    target.with_suffix(".tmp").replace(target)


def resume_run(run: Run, out: Path) -> None:
    """Go on from `save`: everything from the first process, the random state from this one."""
    run.restore(torch.load(out / _name(0), map_location="cpu", weights_only=True))
    mine = out / _name(parallel.rank())
    if parallel.rank() and mine.is_file():
        run.generator.set_state(torch.load(mine, map_location="cpu", weights_only=True)["generator"])


def _name(rank: int) -> str:
    return "diffusion.pt" if rank == 0 else f"diffusion.rank{rank}.pt"


def train_diffusion(
    recipe: Recipe,
    latents: Latents,
    held_out: Latents,
    out: Path,
    minutes: float,
    resume: bool = False,
    pause_file: Path | None = None,
) -> Path:
    """Train until the run is `minutes` old or has its recipe's steps; returns the checkpoint `out/diffusion.pt`.

    `resume` goes on from `out`: minutes count from the run's first step. Pauses while `pause_file` exists.
    Raises `FileNotFoundError` where there is nothing to resume.
    """
    rank = parallel.rank()
    device = torch.device("cuda" if torch.cuda.is_available() else "cpu")
    run = Run(recipe, rank, device)
    out.mkdir(parents=True, exist_ok=True)
    if resume:
        resume_run(run, out)
    mean, last, saved = float("nan"), time.monotonic(), time.monotonic()
    while run.step < recipe.steps and run.seconds < minutes * 60:
        last += _paused(pause_file)
        progress = max(run.step / recipe.steps, run.seconds / (minutes * 60))
        loss = train_step(run, latents, progress)
        mean = loss if math.isnan(mean) else mean + 0.02 * (loss - mean)
        now = time.monotonic()
        run.seconds, last = parallel.largest(run.seconds + now - last), now
        if rank == 0 and run.step % REPORT_STEPS == 0:
            left = _minutes_left(run, minutes)
            print(f"step {run.step}  v-loss {mean:.4f}  {left:.1f} min left", file=sys.stderr, flush=True)
        if rank == 0 and run.step % recipe.check_steps == 0:
            print(f"step {run.step}  {report(run.ema.module, held_out)}", file=sys.stderr, flush=True)
        if parallel.largest(float(now - saved > SAVE_SECONDS)):
            save(run, out)
            saved = now
    save(run, out)
    return out / "diffusion.pt"


def _paused(pause_file: Path | None) -> float:
    """Wait, all processes together, while the file exists; returns the seconds waited."""
    begun = time.monotonic()
    while pause_file is not None and parallel.largest(float(pause_file.exists())):
        time.sleep(PAUSE_POLL_SECONDS)
    return time.monotonic() - begun


def _minutes_left(run: Run, minutes: float) -> float:
    by_clock = minutes - run.seconds / 60
    by_steps = (run.recipe.steps - run.step) * run.seconds / run.step / 60
    return min(by_clock, by_steps)


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Options of `segue train diffusion`."""
    parser.add_argument("--recipe", type=Path, default=Path(__file__).parent / "runs" / "live.yaml", help="YAML recipe")
    parser.add_argument("--latents", type=Path, nargs="+", required=True, help="safetensors of training latents")
    parser.add_argument("--held-out", type=Path, nargs="+", required=True, help="safetensors of latents for the checks")
    parser.add_argument("--out", type=Path, required=True, help="folder for the checkpoint")
    parser.add_argument("--minutes", type=float, default=60.0, help="age of the run at which it ends")
    parser.add_argument("--resume", action="store_true", help="go on from the checkpoint in --out")
    parser.add_argument("--pause-file", type=Path, default=None, help="pause while this file exists")


def run(args: Any) -> int:
    """`segue train diffusion`: 0, or 2 with one line where the recipe or the latents are wrong."""
    parallel.start()
    try:
        recipe = read_recipe(args.recipe)
        latents, held_out = Latents(args.latents, recipe.frames), Latents(args.held_out, recipe.frames)
        path = train_diffusion(recipe, latents, held_out, args.out, args.minutes, args.resume, args.pause_file)
    except (FileNotFoundError, ValueError) as error:
        print(error, file=sys.stderr)
        return 2
    print(path)
    return 0
