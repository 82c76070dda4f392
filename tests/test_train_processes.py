"""Two processes train as one does: gradients averaged, or weights spread; and a run that is killed goes on as if it were not."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import time
from dataclasses import asdict, replace
from pathlib import Path

import pytest
import torch
import torch.multiprocessing as multiprocessing
import yaml
from safetensors.torch import save_file

from segue.engine.models.dit import DitSpec
from segue.train import loop, parallel
from segue.train.diffusion import Run, train_diffusion
from segue.train.diffusion_recipe import Recipe
from segue.train.latents import Latents
from segue.train.loop import Plan

STEPS = 10
TOLERANCE = 1e-5
SMALL = DitSpec(channels=3, width=32, layers=2, heads=2, rank=8, kernel=3)
# AdamW divides by the root of tiny second moments, which blows up the last bits of a sum; a paper-like rate keeps that in bounds
RECIPE = Recipe(SMALL, batch=8, frames=24, rate=1e-3, warm_up=5, steps=STEPS, precision="fp32", check_steps=0)


@pytest.fixture
def latents(tmp_path: Path) -> Path:
    g = torch.Generator().manual_seed(0)
    save_file({f"song{i}/0": torch.randn(3, 60, generator=g).half() for i in range(6)}, tmp_path / "z.safetensors")
    return tmp_path / "z.safetensors"


def work(rank: int, files: list[str], rendezvous: str, out: str) -> None:
    """One of two processes: trains with averaged gradients, then with spread weights, and the first half of a third run."""
    torch.set_num_threads(1)
    torch.distributed.init_process_group("gloo", rank=rank, world_size=2, init_method=f"file://{rendezvous}")
    latents = Latents([Path(file) for file in files], RECIPE.frames)
    for name, recipe in (("averaged", RECIPE), ("spread", replace(RECIPE, shard=True, check_steps=4))):
        train_diffusion(recipe, latents, latents, Plan(Path(out) / name))
    half = Run(replace(RECIPE, shard=True), latents)
    while half.step < STEPS // 2:
        half.advance(half.step / STEPS)
    (Path(out) / "resumed").mkdir(exist_ok=True)
    loop.save(half, Path(out) / "resumed" / "diffusion.pt")
    torch.distributed.barrier()
    train_diffusion(replace(RECIPE, shard=True), latents, latents, Plan(Path(out) / "resumed", resume=True))
    parallel.finish()


def weights(path: Path, part: str) -> torch.Tensor:
    state = torch.load(path, weights_only=True)
    assert state["step"] == STEPS
    return torch.cat([value.flatten() for value in state[part].values()])


def test_two_processes_train_as_one_does(latents: Path, tmp_path: Path) -> None:
    loaded = Latents([latents], RECIPE.frames)
    begin = torch.cat([p.detach().flatten() for p in Run(RECIPE).dit.parameters()])
    one = train_diffusion(RECIPE, loaded, loaded, Plan(tmp_path / "one"))
    multiprocessing.spawn(work, ([str(latents)], str(tmp_path / "rendezvous"), str(tmp_path)), nprocs=2)
    assert float((weights(one, "dit") - begin).abs().max()) > 100 * TOLERANCE, "ten steps go somewhere"
    for name in ("averaged", "spread", "resumed"):
        for part in ("dit", "ema"):
            apart = float((weights(tmp_path / name / "diffusion.pt", part) - weights(one, part)).abs().max())
            assert apart < TOLERANCE, f"{name} {part}: {apart}"
    # a checkpoint of two processes goes on in one
    alone = Run(RECIPE, loaded)
    loop.resume(alone, tmp_path / "resumed" / "diffusion.pt")
    assert alone.step == STEPS


def test_a_batch_that_cannot_be_shared_is_refused(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(parallel, "world", lambda: 3)
    with pytest.raises(ValueError, match="got 8 items for 3 processes"):
        parallel.share(8)


def test_one_process_cannot_spread_its_weights() -> None:
    with pytest.raises(ValueError, match="start it with torchrun"):
        Run(replace(RECIPE, shard=True))


def figures(folder: Path) -> dict[int, list[float]]:
    """Every loss that was told for a step, in order."""
    told: dict[int, list[float]] = {}
    for line in (folder / "diffusion.jsonl").read_text().splitlines():
        row = json.loads(line)
        told.setdefault(row["step"], []).append(row["loss"])
    return told


def test_a_killed_run_goes_on_with_the_same_losses(latents: Path, tmp_path: Path) -> None:
    recipe = {"denoiser": asdict(SMALL), "batch": 8, "frames": 24, "steps": 400, "check_steps": 0}
    (tmp_path / "tiny.yaml").write_text(yaml.safe_dump(recipe))
    command = [sys.executable, "-m", "segue", "train", "diffusion"]
    options = ["--recipe", str(tmp_path / "tiny.yaml"), "--latents", str(latents)]
    options += ["--out", str(tmp_path / "killed"), "--minutes", "1e6", "--save-seconds", "0.3", "--report-steps", "1"]
    environment = os.environ | {"OMP_NUM_THREADS": "1"}
    process = subprocess.Popen([*command, *options], stderr=subprocess.DEVNULL, env=environment)
    try:
        deadline = time.monotonic() + 90
        while not (tmp_path / "killed" / "diffusion.pt").is_file() and process.poll() is None:
            assert time.monotonic() < deadline
            time.sleep(0.01)
    finally:
        process.send_signal(signal.SIGKILL)
        assert process.wait() == -signal.SIGKILL, "it was at work when it was killed"
    saved = torch.load(tmp_path / "killed" / "diffusion.pt", weights_only=True)
    steps = saved["step"] + 25
    assert 0 < saved["step"] < 400
    from segue.train.diffusion_recipe import read_recipe

    read = read_recipe(tmp_path / "tiny.yaml")
    loaded = Latents([latents], read.frames)
    torch.set_num_threads(1)
    resumed, whole = Run(read, loaded), Run(read, loaded)
    loop.resume(resumed, tmp_path / "killed" / "diffusion.pt")
    after = [resumed.advance(resumed.step / read.steps)["loss"] for _ in range(25)]
    before = [whole.advance(whole.step / read.steps)["loss"] for _ in range(steps)]
    told = figures(tmp_path / "killed")
    assert before[-25:] == after
    assert all(before[step - 1] in losses for step, losses in told.items() if step <= steps)
