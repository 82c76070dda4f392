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
    """A recipe from its values; whole numbers are taken where fractions are, lists become tuples.

    Raises ValueError for a value of another type, or one outside its range.
    """
    defaults = {f.name: f.default for f in fields(kind)}  # type: ignore[arg-type]
    for key, value in values.items():
        default = defaults.get(key)
        check(path, key, value, default)
        if key in POSITIVE and value <= 0:
            raise ValueError(f"{key} in {path}: got {value!r}, allowed values above 0 such as {default!r}: correct it")
        if key == "ema" and not 0 <= value < 1:
            raise ValueError(f"ema in {path}: got {value!r}, allowed a share from 0 to below 1 such as {default!r}: correct it")
    return kind(**{key: tuple(value) if isinstance(value, list) else value for key, value in values.items()})


def check(path: Path, key: str, value: Any, default: Any) -> None:
    """Raises ValueError where a value is not of the default's kind: a number or a word, or a list of such."""
    many = isinstance(default, tuple)
    one = (default[0] if default else "name") if many else default
    if not isinstance(one, bool | int | float | str):
        return
    wanted = (int, float) if isinstance(one, float) else type(one)
    each = value if many and isinstance(value, list | tuple) else [value]
    plain = all(isinstance(v, wanted) and (isinstance(one, bool) or not isinstance(v, bool)) for v in each)
    if not plain or many != isinstance(value, list | tuple):
        example = list(default) or ["name", "other name"] if many else default
        raise ValueError(f"{key} in {path}: got {value!r}, allowed values such as {example!r}: correct it")


def preset(path: Path, values: dict[str, Any], default: str = "live") -> ModelSpec:
    """The preset that a recipe names as `model`, taken out of its values. Raises ValueError for another name."""
    name, known = values.pop("model", default), presets()
    if not isinstance(name, str) or name not in known:
        raise ValueError(f"model {name!r} in {path}, allowed {', '.join(sorted(known))}: choose one")
    return known[name]


def changed(path: Path, part: str, spec: Any, values: dict[str, Any]) -> Any:
    """A preset's codec or denoiser spec with the sizes that a recipe names under `part`. Raises ValueError."""
    other = values.pop(part, None) or {}
    if not isinstance(other, dict):
        raise ValueError(f"{part} in {path}: got {other!r}, allowed sizes such as {{width: 320, layers: 6}}: correct it")
    known = [f.name for f in fields(spec)]
    unknown = sorted(set(other) - set(known))
    if unknown:
        raise ValueError(f"unknown key {unknown[0]!r} in {path}, allowed {', '.join(known)}: correct or remove it")
    for key, value in other.items():
        check(path, f"{part}: {key}", value, getattr(spec, key))
    return build(type(spec), asdict(spec) | other)
