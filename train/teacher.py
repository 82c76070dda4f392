"""A trained generator from wherever it lies: what a distillation learns from, and what its students are read as."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import cast

import torch
from torch import nn

from segue.engine.checkpoint import load
from segue.engine.models.spec import DenoiserShape
from segue.engine.protocols import Denoiser
from segue.train import checkpoints
from segue.train.condition import CLASSES, STATISTICS
from segue.train.diffusion import denoiser_of
from segue.train.diffusion_recipe import stored_denoiser
from segue.train.few_steps import Student


@dataclass(frozen=True)
class Teacher:
    """A trained generator: its weights, sizes, family, preset, window in latent frames, heat, and classes (see ModelSpec).

    condition: what it was told while it trained, of those in train/condition.py.
    """

    module: nn.Module
    denoiser: DenoiserShape
    frames: int
    family: str
    model: str
    heat: float = 0.0
    classes: tuple[str, ...] = ()
    condition: str = STATISTICS


def read_teacher(name: str, device: torch.device) -> Teacher:
    """From a checkpoint of `train diffusion` or `train distill`, a model file, or a shipped model. Raises as `load` does."""
    heat = 0.0
    if Path(name).suffix == ".pt":
        state = checkpoints.read(name, checkpoints.GENERATOR)
        recipe, weights = state["recipe"], state["ema"]
        spec, frames = stored_denoiser(recipe), int(recipe["frames"])
        family, model = recipe.get("family", "latent-dit"), recipe.get("model", "live")
        classes, condition = tuple(recipe.get("classes", ())), recipe.get("condition", STATISTICS)
    else:
        loaded = load(name)
        assert isinstance(loaded.denoiser, nn.Module)
        weights, frames = loaded.denoiser.state_dict(), loaded.window_frames
        spec, family, model = loaded.spec.denoiser, loaded.spec.family, loaded.spec.name
        heat, classes = loaded.spec.heat, loaded.spec.classes
        condition = CLASSES if classes else STATISTICS
    module = denoiser_of(family, spec, device)
    module.load_state_dict(weights)
    return Teacher(module.eval().requires_grad_(False), spec, frames, family, model, heat, classes, condition)


def read_student(path: Path, device: torch.device) -> Student:
    """A checkpoint of `train distill`, with its method and number of steps. Raises ValueError for another checkpoint."""
    state = checkpoints.read(path, checkpoints.GENERATOR)
    if "student_steps" not in state:
        raise ValueError(f"{path}: got a checkpoint that was not distilled; name a distilled-N.pt of `train distill`")
    module = read_teacher(str(path), device).module
    return Student(state["recipe"]["method"], int(state["student_steps"]), cast(Denoiser, module))
