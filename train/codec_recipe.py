"""What a training of a codec is: its recipe, and the codec that it begins with."""

from __future__ import annotations

from dataclasses import dataclass, field, fields
from pathlib import Path
from typing import Any

from torch import nn

from segue.engine.models.families import families
from segue.engine.models.shaped import CodecShape
from segue.engine.models.spec import FAMILY
from segue.engine.models.vae import CodecSpec
from segue.train import precision
from segue.train.recipe import changed, made, preset, read

STAGES = ("both", "decoder")
SETTLE_CLIPS = 200


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
    recipe = made(path, Recipe, values | named)
    if len(recipe.latent_noise) != len(Recipe.latent_noise):
        got, such = list(recipe.latent_noise), list(Recipe.latent_noise)
        raise ValueError(f"latent_noise in {path}: got {got}, allowed two levels such as {such}: correct it")
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
