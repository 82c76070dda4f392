"""What pyproject.toml says is what the folders hold, and what a wheel would ship."""

import tomllib
from pathlib import Path

import segue
from segue.engine import backends, tasks
from segue.engine.models import families

ROOT = Path(__file__).resolve().parent.parent
PROJECT = tomllib.loads((ROOT / "pyproject.toml").read_text())
SETUPTOOLS = PROJECT["tool"]["setuptools"]
ROOMS = ("segue", "engine", "server", "clients", "train", "bench", "examples")


def folder(package: str) -> Path:
    """Where the package map puts a package."""
    room, _, rest = package.removeprefix("segue").lstrip(".").partition(".")
    return ROOT / SETUPTOOLS["package-dir"][f"segue.{room}" if room else "segue"] / rest.replace(".", "/")


def test_every_folder_with_python_in_it_is_a_listed_package():
    inits = {p.parent for room in ROOMS for p in (ROOT / room).rglob("__init__.py")}
    loose = {p.parent for room in ROOMS for p in (ROOT / room).rglob("*.py")}
    assert {folder(p) for p in SETUPTOOLS["packages"]} == inits == loose


def test_package_data_exists_and_ships_the_callback_and_the_type_marker():
    data = SETUPTOOLS["package-data"]
    empty = [(p, g) for p, globs in data.items() for g in globs if not g.startswith("*") and not (folder(p) / g).exists()]
    assert empty == []
    assert {"core.c", "core.h"} <= set(data["segue.server.audio"])
    assert "py.typed" in data["segue"]
    assert "*.safetensors" in data["segue.engine.weights"]


def test_weights_stay_under_their_limit():
    assert sum(p.stat().st_size for p in (ROOT / "engine" / "weights").rglob("*") if p.is_file()) < 32_000_000


def test_extras_and_version():
    extras = set(PROJECT["project"]["optional-dependencies"])
    assert extras >= {"midi", "link", "discovery", "onnx", "tensorrt", "train", "eval", "dev"}
    assert segue.__version__ in (ROOT / "CHANGELOG.md").read_text()


def test_built_in_parts_are_registered_like_anyones():
    registered = PROJECT["project"]["entry-points"]
    assert registered == {group.GROUP: group.BUILT_IN for group in (tasks, backends, families)}
