"""Trains the live codec: encoder and decoder together, or the decoder alone on a frozen encoder.

Two processes: `torchrun --nproc-per-node 2 -m segue train codec ...` averages their gradients.
"""

from __future__ import annotations

import argparse
import os
import sys
import time
from dataclasses import asdict, dataclass, fields
from pathlib import Path
from typing import Any

import numpy as np
import torch
import torch.distributed as dist
import yaml
from torch import Tensor

from segue.engine.models.vae import CodecSpec, LiveCodec
from segue.train.clips import Library
from segue.train.ema import Ema
from segue.train.losses import RESOLUTIONS, energy_distance, kl, spectral_distance
from segue.train.optim import adamw, rate_at, set_rate

STAGES = ("both", "decoder")
SAVE_SECONDS = 120.0
REPORT_STEPS = 20
PAUSE_POLL_SECONDS = 1.0
STATISTICS_DECAY = 0.99
GRADIENT_NORM = 1.0
SETTLE_CLIPS = 200


@dataclass(frozen=True)
class Recipe:
    """What a codec run is. `batch` clips of `frames` latent frames a step and process; `rate` is the peak learning rate.

    `noise` trains the noise branch too, by the energy distance. Begin without it: noise that is there from the first step
    takes over before the network has learned any phase, and the tone dies.
    """

    stage: str = "both"
    noise: bool = False
    batch: int = 8
    frames: int = 48
    rate: float = 1e-3
    kl: float = 1e-3
    latent_noise: tuple[float, float] = (0.1, 0.2)
    steps: int = 100_000
    seed: int = 1


def read_recipe(path: Path) -> Recipe:
    """A recipe from YAML. Raises `ValueError` for an unknown key or stage."""
    values = yaml.safe_load(path.read_text()) or {}
    known = [field.name for field in fields(Recipe)]
    unknown = sorted(set(values) - set(known))
    if unknown:
        raise ValueError(f"unknown key {unknown[0]!r} in {path}, allowed {', '.join(known)}: correct or remove it")
    if values.get("stage", "both") not in STAGES:
        raise ValueError(f"stage {values['stage']!r} in {path}, allowed {', '.join(STAGES)}: choose one")
    if "latent_noise" in values:
        values["latent_noise"] = tuple(values["latent_noise"])
    return Recipe(**values)


class Run:
    """Everything a run must keep to go on exactly: model, average, optimiser, step, clock and random states."""

    def __init__(self, recipe: Recipe, rank: int, device: torch.device, spec: CodecSpec | None = None) -> None:
        torch.manual_seed(recipe.seed)
        self.recipe, self.device = recipe, device
        self.codec = LiveCodec(spec).to(device)
        if recipe.stage == "decoder":
            self.codec.encoder.requires_grad_(False)
        self.ema = Ema(self.codec)
        self.optimiser = adamw(self.codec.parameters(), recipe.rate)
        self.generator = torch.Generator().manual_seed(recipe.seed * 1000 + rank)
        self.rng = np.random.default_rng([recipe.seed, rank])
        self.step, self.seconds = 0, 0.0

    def state(self) -> dict[str, Any]:
        """The whole run as plain tensors and values."""
        return {
            "spec": asdict(self.codec.spec),
            "codec": self.codec.state_dict(),
            "ema": self.ema.module.state_dict(),
            "ema_steps": self.ema.steps,
            "optimiser": self.optimiser.state_dict(),
            "generator": self.generator.get_state(),
            "rng": self.rng.bit_generator.state,
            "step": self.step,
            "seconds": self.seconds,
            "stage": self.recipe.stage,
        }

    def restore(self, state: dict[str, Any]) -> None:
        """Go on from `state`; a checkpoint of another stage gives its averaged weights and no more."""
        if state["stage"] != self.recipe.stage:
            self.codec.load_state_dict(state["ema"])
            self.ema.module.load_state_dict(state["ema"])
            return
        self.codec.load_state_dict(state["codec"])
        self.ema.module.load_state_dict(state["ema"])
        self.ema.steps = state["ema_steps"]
        self.optimiser.load_state_dict(state["optimiser"])
        self.generator.set_state(state["generator"])
        self.rng.bit_generator.state = state["rng"]
        self.step, self.seconds = state["step"], state["seconds"]

    def batch(self, library: Library) -> Tensor:
        """`[batch, 2, frames * hop]` of fresh clips."""
        length = self.recipe.frames * self.codec.hop
        return torch.from_numpy(np.stack([library.clip(self.rng, length) for _ in range(self.recipe.batch)])).to(self.device)

    def uniform(self, low: float, high: float) -> float:
        """A number drawn from the run's own generator."""
        return low + (high - low) * float(torch.rand((), generator=self.generator))

    def integer(self, count: int) -> int:
        """An integer below `count` from the run's own generator."""
        return int(torch.randint(count, (), generator=self.generator))


def noisy_latents(run: Run, mean: Tensor, log_variance: Tensor) -> Tensor:
    """A posterior draw plus noise of the recipe's share of each channel's spread, so that the decoder forgives the generator."""
    shape = mean.shape
    first = torch.randn(shape, generator=run.generator).to(mean.device)
    second = torch.randn(shape, generator=run.generator).to(mean.device)
    share = run.uniform(*run.recipe.latent_noise)
    return mean + first * (0.5 * log_variance).exp() + second * (share * run.codec.std)


def follow_statistics(codec: LiveCodec, mean: Tensor, step: int) -> None:
    """Let the codec's normalisation follow the latents' mean and spread a channel."""
    decay = min(STATISTICS_DECAY, step / (step + 1))
    flat = mean.detach().float().flatten(0, 1)
    codec.mean.lerp_(flat.mean(0), 1 - decay)
    codec.std.copy_(codec.std.square().lerp(flat.var(0), 1 - decay).sqrt())


def losses(run: Run, x: Tensor) -> tuple[Tensor, dict[str, float]]:
    """Loss of one batch `[B, 2, N]` at one random resolution in one view pair, and its parts."""
    codec, frames = run.codec, run.recipe.frames
    window, bands = RESOLUTIONS[run.integer(len(RESOLUTIONS))]
    d = spectral_distance(window, bands, bool(run.integer(2)), codec.rate, run.integer(window // 2))
    with torch.autocast(x.device.type, torch.bfloat16):
        if run.recipe.stage == "both":
            mean, log_variance = (part.float() for part in codec.encoder(x))
            follow_statistics(codec, mean, run.step)
        else:
            with torch.no_grad():
                mean, log_variance = (part.float() for part in codec.encoder(x))
        z = noisy_latents(run, mean, log_variance)
        if run.recipe.noise:
            y, other = codec.decoder.draws(z, [codec.noise_at(run.integer(codec.spec.noise_frames), frames) for _ in range(2)])
        else:
            y = codec.decoder.tone(z)
    fit = energy_distance(d, x, y, other) if run.recipe.noise else d(y, x)
    rest = kl(mean, log_variance)
    return fit + run.recipe.kl * rest, {f"fit{window}": float(fit.detach()), "kl": float(rest.detach())}


def average_gradients(run: Run) -> None:
    """Mean gradient over the processes, in one exchange; nothing with a single process."""
    if not dist.is_initialized():
        return
    grads = [p.grad for p in run.codec.parameters() if p.grad is not None]
    flat = torch.cat([g.flatten() for g in grads])
    dist.all_reduce(flat)
    flat /= dist.get_world_size()
    for g, part in zip(grads, torch.split(flat, [g.numel() for g in grads]), strict=True):
        g.copy_(part.view_as(g))


def agreed(seconds: float) -> float:
    """The processes' mean of a time, so that all of them stop after the same step."""
    if not dist.is_initialized():
        return seconds
    value = torch.tensor(seconds, dtype=torch.float64)
    dist.all_reduce(value)
    return float(value) / dist.get_world_size()


def train_step(run: Run, library: Library, progress: float) -> dict[str, float]:
    """One step of the optimiser; returns the parts of the loss."""
    loss, parts = losses(run, run.batch(library))
    run.optimiser.zero_grad(set_to_none=True)
    loss.backward()
    average_gradients(run)
    norm = torch.nn.utils.clip_grad_norm_([p for p in run.codec.parameters() if p.grad is not None], GRADIENT_NORM)
    if torch.isfinite(norm):
        set_rate(run.optimiser, rate_at(run.step, progress, run.recipe.rate))
        run.optimiser.step()
        run.ema.update(run.codec)
    run.step += 1
    return parts | {"norm": float(norm)}


@torch.no_grad()
def settle(run: Run, library: Library) -> None:
    """Measure mean and spread of the averaged encoder's latents anew, so that `encode` gives unit variance a channel."""
    rng, length = np.random.default_rng(run.recipe.seed), run.recipe.frames * run.codec.hop
    clips = (torch.from_numpy(library.clip(rng, length))[None].to(run.device) for _ in range(SETTLE_CLIPS))
    codec = run.ema.module
    mean = torch.cat([codec.encoder(clip)[0][0] for clip in clips])
    codec.mean.copy_(mean.mean(0))
    codec.std.copy_(mean.std(0))


def save(run: Run, out: Path) -> None:
    """Write `codec.pt`, replacing it in one step; each further process keeps only its random states beside it."""
    rank = dist.get_rank() if dist.is_initialized() else 0
    name = "codec.pt" if rank == 0 else f"codec.rank{rank}.pt"
    torch.save(run.state(), out / (name + ".tmp"))
    (out / (name + ".tmp")).replace(out / name)


def train_codec(
    recipe: Recipe,
    data: list[Path],
    out: Path,
    minutes: float,
    resume: bool = False,
    start: Path | None = None,
    pause_file: Path | None = None,
    spec: CodecSpec | None = None,
) -> Path:
    """Train for `minutes` or the recipe's steps, whichever ends first; returns the checkpoint `out/codec.pt`.

    `resume` goes on from `out`; `start` takes the weights of another run. Pauses while `pause_file` exists.
    Raises `FileNotFoundError` where nothing is prepared or there is nothing to resume.
    """
    rank = dist.get_rank() if dist.is_initialized() else 0
    device = torch.device("cuda" if torch.cuda.is_available() else "cpu")
    library = Library(data)
    run = Run(recipe, rank, device, spec)
    out.mkdir(parents=True, exist_ok=True)
    if start is not None:
        run.restore(torch.load(start, map_location=device, weights_only=True) | {"stage": "start"})
    if resume:
        mine = out / f"codec.rank{rank}.pt"
        run.restore(torch.load(mine if mine.is_file() else out / "codec.pt", map_location=device, weights_only=True))
    begun, saved, means = run.seconds, time.monotonic(), {"norm": 0.0}
    last = time.monotonic()
    while run.step < recipe.steps and run.seconds - begun < minutes * 60:
        while pause_file is not None and pause_file.exists():
            time.sleep(PAUSE_POLL_SECONDS)
            last = time.monotonic()
        progress = max(run.step / recipe.steps, (run.seconds - begun) / (minutes * 60))
        for key, value in train_step(run, library, progress).items():
            means[key] = means.get(key, value) * 0.95 + value * 0.05
        now = time.monotonic()
        run.seconds, last = agreed(run.seconds + now - last), now
        if rank == 0 and run.step % REPORT_STEPS == 0:
            left = minutes - (run.seconds - begun) / 60
            text = "  ".join(f"{key} {value:.3f}" for key, value in sorted(means.items()))
            print(f"step {run.step}  {text}  {left:.1f} min left", file=sys.stderr, flush=True)
        if now - saved > SAVE_SECONDS:
            save(run, out)
            saved = now
    if recipe.stage == "both":
        settle(run, library)
    save(run, out)
    return out / "codec.pt"


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Options of `segue train codec`."""
    parser.add_argument("--recipe", type=Path, default=Path(__file__).parent / "runs" / "codec.yaml", help="YAML recipe")
    parser.add_argument("--data", type=Path, nargs="+", default=[Path(".cache/audio")], help="folders made by `train prepare`")
    parser.add_argument("--out", type=Path, required=True, help="folder for the checkpoint")
    parser.add_argument("--minutes", type=float, default=30.0, help="stop after this time")
    parser.add_argument("--resume", action="store_true", help="go on from the checkpoint in --out")
    parser.add_argument("--from", dest="start", type=Path, default=None, help="begin with the weights of this checkpoint")
    parser.add_argument("--pause-file", type=Path, default=None, help="pause while this file exists")


def run(args: Any) -> int:
    """`segue train codec`: 0, or 2 with one line where the recipe or the data are wrong."""
    if "WORLD_SIZE" in os.environ and not dist.is_initialized():
        dist.init_process_group("gloo")
    try:
        recipe = read_recipe(args.recipe)
        path = train_codec(recipe, args.data, args.out, args.minutes, args.resume, args.start, args.pause_file)
    except (FileNotFoundError, ValueError) as error:
        print(error, file=sys.stderr)
        return 2
    print(path)
    return 0
