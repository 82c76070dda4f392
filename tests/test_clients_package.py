"""The Python client as a distribution of its own: built, installed into a bare environment, and used against a live server."""

from __future__ import annotations

import importlib.metadata
import json
import os
import shutil
import subprocess
import sys
import time
import tomllib
import zipfile
from collections.abc import Iterator
from pathlib import Path

import pytest

import segue
from segue.bench.live import serve

ROOT = Path(__file__).resolve().parent.parent
SOURCE = ROOT / "clients" / "python"
PATIENCE = 60.0
PEER = """
import asyncio, importlib.util, sys
from segue_client import AsyncClient, Client, SegueError

port = int(sys.argv[1])
assert [name for name in ("segue", "torch", "numpy") if importlib.util.find_spec(name)] == []
with Client(port=port) as segue:
    job = segue.deck(1).generate(beats=8, seed=3)
    assert segue.job(job, "playing").args[0] == job
    assert segue.ping("here") == ("here",)
    try:
        segue.ask("/segue/deck/9/gain")
    except SegueError as error:
        print(error)

async def talk():
    async with AsyncClient(port=port) as segue:
        segue.deck(1).gain(0.5)
        print(await segue.deck(1).gain(), (await segue.status())["engine"])

asyncio.run(talk())
"""


@pytest.fixture(scope="module")
def wheel(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Built from a copy, since building leaves files behind; nothing is fetched."""
    folder = tmp_path_factory.mktemp("client")
    shutil.copytree(SOURCE, folder / "source", ignore=shutil.ignore_patterns("__pycache__", "build", "*.egg-info"))
    pip = [sys.executable, "-m", "pip", "wheel", "--quiet", "--no-build-isolation", "--no-deps", "--no-index"]
    subprocess.run([*pip, "-w", folder, folder / "source"], check=True, timeout=PATIENCE)
    (made,) = folder.glob("*.whl")
    return made


@pytest.fixture(scope="module")
def bare(wheel: Path) -> Path:
    """The Python of an environment that holds the client and what it needs, and nothing else."""
    folder = wheel.parent / "bare"
    subprocess.run([sys.executable, "-m", "venv", "--without-pip", folder], check=True, timeout=PATIENCE)
    python = folder / "bin" / "python"
    (packages,) = folder.glob("lib/python*/site-packages")
    osc = importlib.metadata.distribution("python-osc")
    for part in {Path(str(file)).parts[0] for file in osc.files or ()} - {".."}:
        shutil.copytree(Path(str(osc.locate_file(part))), packages / part)
    pip = [sys.executable, "-m", "pip", "--python", python, "install", "--quiet", "--no-index", wheel]
    subprocess.run(pip, check=True, timeout=PATIENCE)  # pip checks that what it needs is there
    return python


@pytest.fixture(scope="module")
def port() -> Iterator[int]:
    """That of a whole server with no device and a small engine."""
    engine = json.dumps([sys.executable, str(Path(__file__).with_name("fake_engine.py")), "0.1"])
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("SEGUE_TEST_ENGINE", engine)
        with serve("--device", "null") as (client, _, _):
            until = time.monotonic() + PATIENCE
            while client.status()["engine"] != "ready" and time.monotonic() < until:
                time.sleep(0.1)
            yield client.port


def outside(command: list[str | Path], folder: Path) -> subprocess.CompletedProcess[str]:
    """Runs it where nothing of the repository is found."""
    clean = {name: value for name, value in os.environ.items() if not name.startswith("PYTHON")}
    return subprocess.run(command, capture_output=True, text=True, timeout=PATIENCE, cwd=folder, env=clean, check=False)


def test_it_works_alone_against_a_live_server(bare: Path, port: int, tmp_path: Path) -> None:
    done = outside([bare, "-W", "error", "-c", PEER, str(port)], tmp_path)
    assert (done.returncode, done.stderr) == (0, "")
    assert done.stdout.splitlines()[-1] == "0.5 ready"
    assert "there is no deck 9" in done.stdout


def test_its_program_sends_and_says_what_came_back(bare: Path, port: int, tmp_path: Path) -> None:
    program = bare.with_name("segue-send")
    done = outside([program, "deck/1/gain", "0.25", "--port", str(port)], tmp_path)
    assert done.returncode == 0, done.stderr
    done = outside([program, "deck/9/gain", "--port", str(port)], tmp_path)
    assert done.returncode == 1
    assert "there is no deck 9" in done.stdout
    done = outside([program, "ping", "--port", "9", "--timeout", "0.5"], tmp_path)
    assert (done.returncode, done.stderr.count("\n")) == (1, 1)


def test_the_wheel_holds_every_module_and_needs_one_package(wheel: Path) -> None:
    with zipfile.ZipFile(wheel) as packed:
        names = {name for name in packed.namelist() if name.startswith("segue_client/")}
        (about,) = (name for name in packed.namelist() if name.endswith("METADATA"))
        needs = [line for line in packed.read(about).decode().splitlines() if line.startswith("Requires-Dist")]
    assert names == {f"segue_client/{file.name}" for file in (*SOURCE.glob("*.py"), SOURCE / "py.typed")}
    assert needs == ["Requires-Dist: python-osc>=1.9"]


def test_it_has_the_version_and_the_licence_of_the_server() -> None:
    about = tomllib.loads((SOURCE / "pyproject.toml").read_text())["project"]
    assert about["version"] == segue.__version__
    assert (SOURCE / "LICENSE").read_bytes() == (ROOT / "LICENSE").read_bytes()
