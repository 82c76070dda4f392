"""The recipe of a generator: what a run of `segue train diffusion` is, read from YAML, and the sizes of a stored one."""

from __future__ import annotations

from dataclasses import asdict, dataclass, field, fields, replace
from pathlib import Path
from typing import Any

from segue.engine.models.dit import DitSpec
from segue.engine.models.families import families
from segue.engine.models.spec import FAMILY, DenoiserShape, build
from segue.train import precision
from segue.train.condition import CLASSES, CONDITIONS, STATISTICS
from segue.train.latents import Latents
from segue.train.recipe import changed, made, preset, read


@dataclass(frozen=True)
class Recipe:
    """What a run is. `batch` windows of `frames` latent frames a step, over all processes; `rate` is the peak learning rate.

    level_power p draws t = 1 - (1 - u)^p, stratified: above 1 the noisy end, which decides what is played, comes more often.
    few_step: the share of windows whose t is one of FEW_STEP_LEVELS. shard: spread the weights over the processes (FSDP).
    condition: what a denoiser with a `cond_dim` is told, one of CONDITIONS; of classes those in `classes`, by default all.
    check_steps, sample_steps: steps between two looks at held-out windows, and two sets of sample clips; 0 for none.
    """

    denoiser: DenoiserShape = field(default_factory=DitSpec)
    batch: int = 16
    frames: int = 258
    rate: float = 1e-3
    warm_up: int = 200
    ema: float = 0.998
    level_power: float = 1.5
    few_step: float = 0.25
    precision: str = "bf16"
    shard: bool = False
    condition: str = STATISTICS
    classes: tuple[str, ...] = ()
    steps: int = 100_000
    check_steps: int = 300
    sample_steps: int = 0
    seed: int = 1
    model: str = "live"
    family: str = FAMILY


def read_recipe(path: Path) -> Recipe:
    """A recipe from YAML; `model` names the preset whose family, window and sizes hold. Raises `ValueError`."""
    values = read(path, [f.name for f in fields(Recipe) if f.name != "family"])
    spec = preset(path, values)
    named = {"model": spec.name, "family": spec.family, "denoiser": changed(path, "denoiser", spec.denoiser, values)}
    recipe = made(path, Recipe, {"frames": spec.window_frames} | values | named)
    precision.check(recipe.precision)
    if recipe.condition not in CONDITIONS:
        raise ValueError(f"condition {recipe.condition!r} in {path}, allowed {', '.join(CONDITIONS)}: choose one")
    return recipe


def with_classes(recipe: Recipe, latents: Latents) -> Recipe:
    """A recipe that tells classes, with their names and a condition of their number; any other as it is.

    Raises ValueError where the latents have no class, not one of the recipe's, or the family takes no condition.
    """
    if recipe.condition != CLASSES:
        return recipe
    found = sorted(set(latents.classes.values()))
    names = recipe.classes or tuple(found)
    if not found or set(names) - set(found):
        got = ", ".join(found) or "none"
        raise ValueError(f"classes: the latents have {got}; prepare music in a folder a class, or with metadata, and encode it")
    if not hasattr(recipe.denoiser, "cond_dim"):
        raise ValueError(f"condition: the family {recipe.family} takes none; choose latent-dit or slides-mel, slides-latent")
    denoiser = build(type(recipe.denoiser), asdict(recipe.denoiser) | {"cond_dim": len(names)})  # type: ignore[call-overload]
    return replace(recipe, classes=names, denoiser=denoiser)


def stored_denoiser(recipe: dict[str, Any]) -> DenoiserShape:
    """The denoiser's spec out of a checkpoint's recipe."""
    spec: DenoiserShape = build(families()[recipe.get("family", FAMILY)].denoiser_spec, recipe["denoiser"])
    return spec


def trained_as(spec: DenoiserShape) -> DenoiserShape:
    """The sizes that a generator was trained with: which channels it carries on is decided where it is packed."""
    return replace(spec, carried=0) if isinstance(spec, DitSpec) else spec
