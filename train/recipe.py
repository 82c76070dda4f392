"""Recipes: flat YAML files of few keys, beside the name of a preset whose sizes they may change."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import asdict, fields
from pathlib import Path
from typing import Any, TypeVar

import yaml

from segue.engine.models.families import presets
from segue.engine.models.spec import ModelSpec, build

R = TypeVar("R")
RUNS = Path(__file__).parent / "runs"
POSITIVE = ("batch", "frames", "rate", "steps", "judge_rate", "width", "substeps", "settle_clips")


def find(path: Path) -> Path:
    """A recipe by its path, or by its name among those that ship. Raises FileNotFoundError."""
    if path.is_file():
        return path
    shipped = RUNS / f"{path}.yaml"
    if shipped.is_file():
        return shipped
    names = ", ".join(sorted(p.stem for p in RUNS.glob("*.yaml")))
    raise FileNotFoundError(f"recipe {path}: no such file; shipped are {names}; give one of these or a YAML file")


def read(path: Path, allowed: Sequence[str]) -> dict[str, Any]:
    """The values of a recipe. Raises ValueError for an unknown key, or where it is no mapping."""
    found = find(path)
    try:
        values = yaml.safe_load(found.read_text(encoding="utf-8")) or {}
    except yaml.YAMLError as error:
        raise ValueError(f"{path}: no YAML ({' '.join(str(error).split())}); correct it") from error
    if not isinstance(values, dict):
        raise ValueError(f"{path}: got {type(values).__name__}, allowed `key: value` lines; correct it")
    unknown = sorted(set(values) - set(allowed))
    if unknown:
        raise ValueError(f"unknown key {unknown[0]!r} in {path}, allowed {', '.join(allowed)}: correct or remove it")
    return dict(values)


def made(path: Path, kind: type[R], values: Mapping[str, Any]) -> R:
    """A recipe from its values; whole numbers are taken where fractions are.

    Raises ValueError for a value of another type, or for one of POSITIVE that is 0 or less.
    """
    defaults = {f.name: f.default for f in fields(kind)}  # type: ignore[arg-type]
    for key, value in values.items():
        default = defaults.get(key)
        wanted = (int, float) if isinstance(default, float) else type(default)
        plain = isinstance(default, bool | int | float | str)
        if plain and (not isinstance(value, wanted) or (isinstance(value, bool) and not isinstance(default, bool))):
            raise ValueError(f"{key} in {path}: got {value!r}, allowed values such as {default!r}: correct it")
        if key in POSITIVE and value <= 0:
            raise ValueError(f"{key} in {path}: got {value!r}, allowed values above 0 such as {default!r}: correct it")
    return kind(**values)


def preset(path: Path, values: dict[str, Any], default: str = "live") -> ModelSpec:
    """The preset that a recipe names as `model`, taken out of its values. Raises ValueError for another name."""
    name, known = values.pop("model", default), presets()
    if name not in known:
        raise ValueError(f"model {name!r} in {path}, allowed {', '.join(sorted(known))}: choose one")
    return known[name]


def changed(path: Path, part: str, spec: Any, values: dict[str, Any]) -> Any:
    """A preset's codec or denoiser spec with the sizes that a recipe names under `part`. Raises ValueError."""
    other = values.pop(part, None) or {}
    known = [f.name for f in fields(spec)]
    unknown = sorted(set(other) - set(known))
    if unknown:
        raise ValueError(f"unknown key {unknown[0]!r} in {path}, allowed {', '.join(known)}: correct or remove it")
    return build(type(spec), asdict(spec) | other)
