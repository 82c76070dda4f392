"""Trains a codec of any family that has one to train: encoder and decoder together, or the decoder alone on a frozen encoder.

Several processes: `torchrun --nproc-per-node 2 -m segue train codec ...` share each batch.
"""

from __future__ import annotations

import argparse
import sys
from collections.abc import Callable
from dataclasses import asdict
from pathlib import Path
from typing import Any

import numpy as np
import torch
from torch import Tensor

from segue.engine.models.families import families
from segue.engine.models.spec import FAMILY, build
from segue.train import loop, parallel
from segue.train.clips import Library
from segue.train.codec_loss import losses
from segue.train.codec_recipe import Recipe, build_codec, learns, read_recipe
from segue.train.ema import Ema
from segue.train.encode import load_codec
from segue.train.feed import Feed
from segue.train.keeping import kept, stepped, taken_up
from segue.train.optim import Stepper, rate_at

SAMPLES = 2


class Run:
    """Everything a run must keep to go on exactly: model, average, optimiser, step and clock."""

    def __init__(self, recipe: Recipe, device: torch.device | None = None, library: Library | None = None) -> None:
        self.recipe, self.device = recipe, device or torch.device("cpu")
        with torch.random.fork_rng(devices=[]):
            torch.manual_seed(recipe.seed)
            self.codec = build_codec(recipe).to(self.device)
        if recipe.stage == "decoder":
            self.codec.encoder.requires_grad_(False)
        self.ema: Ema[Any] = Ema(self.codec, recipe.ema)
        self.stepper = Stepper(self.codec, recipe.rate, self.device, recipe.precision)
        self.feed = Feed(lambda step: draw_clips(recipe, library, step)) if library else None
        self.step, self.seconds = 0, 0.0

    def state(self) -> dict[str, Any]:
        """The whole run as plain tensors and values."""
        return {
            "family": self.recipe.family,
            "spec": asdict(self.recipe.codec),  # type: ignore[call-overload]
            "codec": parallel.gathered(self.codec),
            "stage": self.recipe.stage,
            **kept(self),
        }

    def begin(self, weights: dict[str, Tensor]) -> None:
        """Take the weights of another codec, and no more."""
        self.codec.load_state_dict(weights)
        self.ema.module.load_state_dict(weights)

    def restore(self, state: dict[str, Any]) -> None:
        """Go on from `state`. Raises ValueError where it is of another codec or stage."""
        spec = build(families()[state.get("family", FAMILY)].codec_spec, state["spec"])
        if spec != self.recipe.codec or state["stage"] != self.recipe.stage:
            raise ValueError(f"resume: got the stage {state['stage']} of {spec}; choose another --out, or begin with --from")
        self.codec.load_state_dict(state.get("codec", state["ema"]))
        taken_up(self, state)

    def advance(self, progress: float) -> dict[str, float]:
        """One step of the optimiser; returns the parts of the loss."""
        if self.feed is None:
            raise ValueError("Run: got no audio; give a library")
        x = self.feed(self.step).to(self.device, non_blocking=True)
        loss, parts = losses(self.codec, self.recipe, self.step, x)
        norm = stepped(self, self.codec, loss, rate_at(self.step, progress, self.recipe.rate, self.recipe.warm_up))
        self.step += 1
        return {key: parallel.mean(value) for key, value in parts.items()} | {"norm": norm}


def draw_clips(recipe: Recipe, library: Library, step: int) -> Tensor:
    """`[share of batch, 2, frames * hop]`: the clips of a step, each drawn by seed, step and its own number."""
    length = recipe.frames * recipe.codec.latent_hop
    clips = [library.clip(np.random.default_rng([recipe.seed, step, i]), length) for i in parallel.share(recipe.batch)]
    return torch.from_numpy(np.stack(clips))


@torch.no_grad()
def settle(run: Run, library: Library) -> None:
    """Measure mean and spread of the averaged encoder's latents anew, so that `encode` gives unit variance a channel."""
    rng, length = np.random.default_rng(run.recipe.seed), run.recipe.frames * run.codec.hop
    clips = (torch.from_numpy(library.clip(rng, length))[None].to(run.device) for _ in range(run.recipe.settle_clips))
    codec = run.ema.module
    mean = torch.cat([codec.encoder(clip)[0][0] for clip in clips])
    codec.mean.copy_(mean.mean(0))
    codec.std.copy_(mean.std(0))


def reconstructions(run: Run, library: Library, folder: Path) -> Callable[[int], str]:
    """Writes what the averaged codec makes of two clips, and the clips once."""
    length = run.recipe.frames * run.codec.hop
    x = torch.from_numpy(np.stack([library.clip(np.random.default_rng([i]), length) for i in range(SAMPLES)])).to(run.device)

    @torch.no_grad()
    def write(step: int) -> str:
        import soundfile

        codec, made = run.ema.module, {}
        z = codec.decoder.tone(codec.encoder(x)[0]).float()
        if parallel.rank():
            return ""
        folder.mkdir(parents=True, exist_ok=True)
        made = {f"step-{step:06d}": z, "original": x}
        for name, audio in made.items():
            for i, clip in enumerate(audio.cpu().clamp(-1, 1)):
                soundfile.write(folder / f"{name}-{i}.flac", clip.T.numpy(), codec.rate)
        return f"{SAMPLES} clips in {folder}"

    return write


def train_codec(recipe: Recipe, data: list[Path], plan: loop.Plan, start: Path | None = None) -> Path:
    """Train as planned; returns the checkpoint `plan.out/codec.pt`. `start`: a codec to begin with, as `load_codec` takes it.

    A codec without weights is written as it is. Raises `FileNotFoundError` where nothing is prepared, and as `loop.train` does.
    """
    library = Library(data)
    if not learns(build_codec(recipe)):
        return write_fixed(recipe, plan.out)
    run = Run(recipe, parallel.device(), library)
    if start is not None:
        run.begin(load_codec(start)[1].state_dict())
    every = [loop.Every(recipe.sample_steps, reconstructions(run, library, plan.out / "samples"))]
    path = loop.train(run, "codec", plan, recipe.steps, every)
    if recipe.stage == "both":
        settle(run, library)
        loop.save(run, path)
    if run.feed:
        run.feed.close()
    return path


def write_fixed(recipe: Recipe, out: Path) -> Path:
    """The checkpoint of a codec that has nothing to learn."""
    out.mkdir(parents=True, exist_ok=True)
    spec = asdict(recipe.codec)  # type: ignore[call-overload]
    state = {"family": recipe.family, "spec": spec, "ema": build_codec(recipe).state_dict(), "stage": "both"}
    torch.save(state, out / "codec.pt")
    print(f"the codec of {recipe.model} has no weights: nothing to train", file=sys.stderr)
    return out / "codec.pt"


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Options of `segue train codec`."""
    parser.add_argument("--recipe", type=Path, default=Path("codec"), help="YAML recipe, or the name of one that ships")
    parser.add_argument("--data", type=Path, nargs="+", default=[Path(".cache/audio")], help="folders made by `train prepare`")
    parser.add_argument("--from", dest="start", type=Path, default=None, help="begin with this checkpoint, or a model's codec")
    loop.add_arguments(parser)


def run(args: Any) -> int:
    """`segue train codec`: 0, or 2 with one line where the recipe or the data are wrong."""
    return loop.command(lambda: train_codec(read_recipe(args.recipe), args.data, loop.plan_of(args), args.start))
