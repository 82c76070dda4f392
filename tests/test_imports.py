"""Nothing happens at import, and the command answers `--help` without PyTorch."""

import ast
import json
import os
import subprocess
import sys
import tomllib
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parent.parent
HELP_SECONDS = 0.5
HEAVY = {"torch", "numpy", "scipy", "sounddevice"}
OURS = {"segue", "setuptools"} | {name.lstrip("_") for name in sys.stdlib_module_names}
DISTRIBUTION = {
    "python_stretch": "python-stretch",
    "yaml": "pyyaml", "rtmidi": "python-rtmidi", "pythonosc": "python-osc", "jack": "JACK-Client",
    "tensorrt_rtx": "tensorrt-rtx",
}  # fmt: skip
PROBE = """
import json, sys, time
begun = time.process_time()
from segue.server.cli import main
code = main({argv!r})
print(json.dumps([code, time.process_time() - begun, sorted(sys.modules)]), file=sys.stderr)
"""


def probe(*argv: str) -> tuple[int, float, set[str]]:
    """(exit code, CPU seconds, modules loaded) of the command in a fresh interpreter."""
    done = subprocess.run([sys.executable, "-c", PROBE.format(argv=list(argv))], capture_output=True, text=True, check=True)
    code, seconds, modules = json.loads(done.stderr.splitlines()[-1])
    return code, seconds, set(modules)


@pytest.mark.parametrize("argv", [["--help"], ["train", "--help"], ["bench", "--help"], ["--version"]])
def test_help_is_quick_and_loads_nothing_heavy(argv):
    code, seconds, modules = probe(*argv)
    assert code == 0
    assert seconds < HELP_SECONDS
    assert not modules & HEAVY


@pytest.mark.parametrize("command", ["serve", "send", "devices", "commands", "doctor"])
def test_help_of_what_needs_no_model_does_not_load_torch(command):
    done = subprocess.run(
        [sys.executable, "-X", "importtime", "-m", "segue", command, "--help"], capture_output=True, text=True, check=True
    )
    loaded = {line.rsplit("|", 1)[-1].strip() for line in done.stderr.splitlines() if line.startswith("import time:")}
    assert "usage: segue" in done.stdout
    assert "torch" not in loaded


def test_importing_everything_leaves_the_folder_and_the_environment_alone(tmp_path):
    names = [
        ".".join(("segue", *file.relative_to(ROOT).with_suffix("").parts))
        for room in ("engine", "server", "clients")
        for file in sorted((ROOT / room).rglob("*.py"))
        if file.name not in ("__init__.py", "build_core.py", "__main__.py")
    ]
    assert len(names) > 20
    code = (
        "import importlib, os, json, threading\nbefore = dict(os.environ)\n"
        f"for name in {names!r}: importlib.import_module(name)\n"
        "print(json.dumps([dict(os.environ) == before, threading.active_count()]))"
    )
    done = subprocess.run([sys.executable, "-c", code], cwd=tmp_path, capture_output=True, text=True, env={**os.environ})
    assert done.returncode == 0, done.stderr
    same_environment, threads = json.loads(done.stdout.splitlines()[-1])
    assert same_environment
    assert threads == 1
    assert done.stdout.count("\n") == 1
    assert list(tmp_path.iterdir()) == []


def third_party(file: Path) -> set[str]:
    """Top-level modules that a file imports and that are neither ours nor of the standard library."""
    nodes = list(ast.walk(ast.parse(file.read_text(encoding="utf-8"))))
    modules = [alias.name for node in nodes if isinstance(node, ast.Import) for alias in node.names]
    modules += [node.module for node in nodes if isinstance(node, ast.ImportFrom) and node.module]
    beside = {path.stem for path in file.parent.glob("*.py")}
    return {module.partition(".")[0].lstrip("_") for module in modules} - OURS - beside


def test_every_third_party_import_is_a_declared_dependency():
    project = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]
    declared = [d.lower() for group in (project["dependencies"], *project["optional-dependencies"].values()) for d in group]
    wrong = [
        f"{file.relative_to(ROOT)}: {module}"
        for room in ("engine", "server", "clients", "train", "bench", "tests", "examples")
        for file in (ROOT / room).rglob("*.py")
        for module in third_party(file)
        if not any(d.startswith(DISTRIBUTION.get(module, module).lower()) for d in declared)
    ]
    assert wrong == []
