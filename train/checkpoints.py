"""Checkpoints of a training, read back: what they are of, and a sentence where they cannot be used."""

from __future__ import annotations

import pickle
from pathlib import Path
from typing import Any

import torch

CODEC, GENERATOR = "spec", "recipe"  # what only a codec's checkpoint has, and only a generator's
NAMES = {CODEC: "a codec", GENERATOR: "a generator"}


def read(path: str | Path, part: str | None = None) -> dict[str, Any]:
    """A checkpoint on the CPU; `part`: CODEC or GENERATOR where it must be of one.

    Raises FileNotFoundError where there is none, ValueError where it is damaged or of something else.
    """
    if not Path(path).is_file():
        raise FileNotFoundError(f"{path}: no such checkpoint; name the .pt file that a training wrote")
    try:
        state = torch.load(path, map_location="cpu", weights_only=True)
    except (OSError, RuntimeError, EOFError, ValueError, KeyError, pickle.UnpicklingError):
        raise ValueError(f"{path}: damaged, or no checkpoint of a training; give another, such as one that --keep left") from None
    held = [name for name in NAMES if isinstance(state, dict) and name in state]
    if not held or (part is not None and part not in held):
        got = NAMES[held[0]] if held else "something else"
        raise ValueError(f"{path}: got a checkpoint of {got}, allowed one of {NAMES[part or GENERATOR]}; name that one")
    return dict(state)
