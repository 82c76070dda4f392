"""Trains a codec of any family that has one to train: encoder and decoder together, or the decoder alone on a frozen encoder.

Several processes: `torchrun --nproc-per-node 2 -m segue train codec ...` share each batch.
"""

from __future__ import annotations

import argparse
import sys
from collections.abc import Callable
from dataclasses import asdict, dataclass, field, fields
from pathlib import Path
from typing import Any

import numpy as np
import torch
from torch import Tensor, nn

from segue.engine import noise
from segue.engine.models.families import families
from segue.engine.models.spec import FAMILY, CodecShape, build
from segue.engine.models.vae import CodecSpec
from segue.train import loop, parallel, precision
from segue.train.clips import Library
from segue.train.ema import Ema
from segue.train.feed import Feed
from segue.train.losses import RESOLUTIONS, Distance, energy_distance, kl, spectral_distance
from segue.train.optim import Stepper, rate_at
from segue.train.recipe import changed, made, preset, read

STAGES = ("both", "decoder")
STATISTICS_DECAY = 0.99
SETTLE_CLIPS = 200
SAMPLES = 2


@dataclass(frozen=True)
class Recipe:
    """What a codec run is. `batch` clips of `frames` latent frames a step, over all processes; `rate` is the peak learning rate.

    `noise` trains the noise branch too, by the energy distance. Begin without it: noise that is there from the first step
    takes over before the network has learned any phase, and the tone dies. sample_steps: steps between two sets of clips.
    """

    stage: str = "both"
    noise: bool = False
    batch: int = 8
    frames: int = 48
    rate: float = 1e-3
    warm_up: int = 100
    ema: float = 0.999
    kl: float = 1e-3
    latent_noise: tuple[float, float] = (0.1, 0.2)
    precision: str = "bf16"
    steps: int = 100_000
    sample_steps: int = 0
    settle_clips: int = SETTLE_CLIPS
    seed: int = 1
    codec: CodecShape = field(default_factory=CodecSpec)
    model: str = "live"
    family: str = FAMILY


def read_recipe(path: Path) -> Recipe:
    """A recipe from YAML; `model` names the preset whose codec it is. Raises `ValueError` for an unknown key or stage."""
    return from_values(path, read(path, [f.name for f in fields(Recipe) if f.name != "family"]))


def from_values(path: Path, values: dict[str, Any]) -> Recipe:
    """A recipe from its values. Raises `ValueError`."""
    spec = preset(path, values)
    named = {"model": spec.name, "family": spec.family, "codec": changed(path, "codec", spec.codec, values)}
    if values.get("stage", "both") not in STAGES:
        raise ValueError(f"stage {values['stage']!r} in {path}, allowed {', '.join(STAGES)}: choose one")
    if "latent_noise" in values:
        values["latent_noise"] = tuple(values["latent_noise"])
    recipe = made(path, Recipe, values | named)
    precision.check(recipe.precision)
    if recipe.noise and not hasattr(build_codec(recipe), "noise_at"):
        raise ValueError(f"noise in {path}: the codec of {recipe.model} has no noise branch; set it to false")
    return recipe


def build_codec(recipe: Recipe) -> Any:
    """An untrained codec."""
    return families()[recipe.family].codec(recipe.codec)


def learns(codec: nn.Module) -> bool:
    """Whether there is anything to train: a fold of samples has no weights."""
    return any(True for _ in codec.parameters())


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
            "ema": parallel.gathered(self.ema.module),
            "ema_steps": self.ema.steps,
            "optimiser": self.stepper.state(),
            "step": self.step,
            "seconds": self.seconds,
            "stage": self.recipe.stage,
        }

    def begin(self, state: dict[str, Any]) -> None:
        """Take the averaged weights of another run, and no more."""
        self.codec.load_state_dict(state["ema"])
        self.ema.module.load_state_dict(state["ema"])

    def restore(self, state: dict[str, Any]) -> None:
        """Go on from `state`. Raises ValueError where it is of another codec or stage."""
        spec = build(families()[state.get("family", FAMILY)].codec_spec, state["spec"])
        if spec != self.recipe.codec or state["stage"] != self.recipe.stage:
            raise ValueError(f"resume: got the stage {state['stage']} of {spec}; choose another --out, or begin with --from")
        self.codec.load_state_dict(state.get("codec", state["ema"]))
        self.ema.module.load_state_dict(state["ema"])
        self.ema.steps = state["ema_steps"]
        if "optimiser" in state:  # what was brought back from another machine has none
            self.stepper.restore(state["optimiser"])
        self.step, self.seconds = state["step"], state["seconds"]

    def advance(self, progress: float) -> dict[str, float]:
        """One step of the optimiser; returns the parts of the loss."""
        if self.feed is None:
            raise ValueError("Run: got no audio; give a library")
        x = self.feed(self.step).to(self.device, non_blocking=True)
        loss, parts = losses(self, x)
        norm = self.stepper(loss, rate_at(self.step, progress, self.recipe.rate, self.recipe.warm_up))
        if norm == norm and norm != float("inf"):
            self.ema.update(self.codec)
        self.step += 1
        return {key: parallel.mean(value) for key, value in parts.items()} | {"norm": norm}


def draw_clips(recipe: Recipe, library: Library, step: int) -> Tensor:
    """`[share of batch, 2, frames * hop]`: the clips of a step, each drawn by seed, step and its own number."""
    length = recipe.frames * recipe.codec.latent_hop
    clips = [library.clip(np.random.default_rng([recipe.seed, step, i]), length) for i in parallel.share(recipe.batch)]
    return torch.from_numpy(np.stack(clips))


@dataclass(frozen=True)
class Chance:
    """What chance decides for a whole step, alike in all processes: a generator that is drawn from in a fixed order."""

    generator: torch.Generator

    def uniform(self, low: float, high: float) -> float:
        """A number between the two."""
        return low + (high - low) * float(torch.rand((), generator=self.generator))

    def integer(self, count: int) -> int:
        """An integer below `count`."""
        return int(torch.randint(count, (), generator=self.generator))


def noisy_latents(run: Run, mean: Tensor, log_variance: Tensor, share: float) -> Tensor:
    """A posterior draw plus noise of a share of each channel's spread, so that the decoder forgives the generator."""
    items = [noise.generator(run.recipe.seed, run.step, i) for i in parallel.share(run.recipe.batch)]
    drawn = torch.stack([noise.normal((2, *mean.shape[1:]), item) for item in items]).to(mean)
    noisy: Tensor = mean + drawn[:, 0] * (0.5 * log_variance).exp() + drawn[:, 1] * (share * run.codec.std)
    return noisy


def follow_statistics(codec: Any, mean: Tensor, step: int) -> None:
    """Let the codec's normalisation follow the latents' mean and spread a channel."""
    decay = min(STATISTICS_DECAY, step / (step + 1))
    flat = mean.detach().float().flatten(0, 1)
    codec.mean.lerp_(flat.mean(0), 1 - decay)
    codec.std.copy_(codec.std.square().lerp(flat.var(0), 1 - decay).sqrt())


def coded(run: Run, x: Tensor, chance: Chance) -> tuple[list[Tensor], Tensor, Tensor]:
    """Decodings of `[B, 2, N]` (two draws of the noise branch, or one without), and the posterior's mean and log-variance."""
    codec, recipe = run.codec, run.recipe
    share = chance.uniform(*recipe.latent_noise)
    with precision.autocast(x.device, recipe.precision):
        with torch.set_grad_enabled(recipe.stage == "both"):
            mean, log_variance = (part.float() for part in codec.encoder(x))
        if recipe.stage == "both":
            follow_statistics(codec, mean, run.step)
        z = noisy_latents(run, mean, log_variance, share)
        if recipe.noise:
            offsets = [chance.integer(codec.spec.noise_frames) for _ in range(2)]
            return codec.decoder.draws(z, [codec.noise_at(offset, recipe.frames) for offset in offsets]), mean, log_variance
        made = codec.decoder.pictured(z) if pictures(codec) else codec.decoder.tone(z)
        return [made.float()], mean, log_variance


def pictures(codec: Any) -> bool:
    """Whether a codec's network makes images, from which audio is found without one: then images are compared, not audio."""
    return hasattr(codec.decoder, "pictured")


def picture_distance(y: Tensor, x: Tensor) -> Tensor:
    """L1 of images."""
    return (y - x).abs().mean()


def fit(d: Distance, x: Tensor, draws: list[Tensor]) -> Tensor:
    """How far the draws are from x: the distance of one, the energy distance of two."""
    return energy_distance(d, x, *draws) if len(draws) > 1 else d(draws[0], x)


def losses(run: Run, x: Tensor) -> tuple[Tensor, dict[str, float]]:
    """Loss of one batch `[B, 2, N]` at one random resolution in one view pair, and its parts."""
    chance = Chance(noise.generator(run.recipe.seed, run.step))
    d, window = draw_distance(chance, run.codec.rate)
    draws, mean, log_variance = coded(run, x, chance)
    if pictures(run.codec):
        d, x = picture_distance, run.codec.encoder.image(x)
    near, rest = fit(d, x, draws), kl(mean, log_variance)
    total = near + run.recipe.kl * rest
    return total, {"loss": float(total.detach()), f"fit{window}": float(near.detach()), "kl": float(rest.detach())}


def draw_distance(chance: Chance, rate: int) -> tuple[Distance, int]:
    """A spectral distance at one random resolution in one view pair, and its window."""
    window, bands = RESOLUTIONS[chance.integer(len(RESOLUTIONS))]
    return spectral_distance(window, bands, bool(chance.integer(2)), rate, chance.integer(window // 2)), window


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
    """Train as planned; returns the checkpoint `plan.out/codec.pt`. `start` gives the weights of another run.

    A codec without weights is written as it is. Raises `FileNotFoundError` where nothing is prepared, and as `loop.train` does.
    """
    library = Library(data)
    if not learns(build_codec(recipe)):
        return write_fixed(recipe, plan.out)
    run = Run(recipe, parallel.device(), library)
    if start is not None:
        run.begin(torch.load(start, map_location=run.device, weights_only=True))
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
    parser.add_argument("--from", dest="start", type=Path, default=None, help="begin with the weights of this checkpoint")
    loop.add_arguments(parser)


def run(args: Any) -> int:
    """`segue train codec`: 0, or 2 with one line where the recipe or the data are wrong."""
    parallel.start()
    first = parallel.rank() == 0
    try:
        path = train_codec(read_recipe(args.recipe), args.data, loop.plan_of(args), args.start)
    except (FileNotFoundError, ValueError) as error:
        print(error, file=sys.stderr)
        return 2
    finally:
        parallel.finish()
    if first:
        print(path)
    return 0
