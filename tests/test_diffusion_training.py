"""Training of the generator: contexts, levels, the loss on new frames only, exact resumption, and that it learns."""

from __future__ import annotations

from pathlib import Path

import pytest
import torch
from safetensors.torch import save_file
from torch import Tensor

from segue.engine.models.dit import Dit, DitSpec
from segue.server.cli import main
from segue.train.contexts import SHORTEST, context_masks
from segue.train.diffusion import FEW_STEP_LEVELS, Run, draw_levels, train_diffusion, train_step, v_loss
from segue.train.diffusion_recipe import Recipe, read_recipe
from segue.train.latents import Latents
from segue.train.listen import report
from segue.train.loop import Plan

FRAMES = 24
RECIPE = Recipe(
    DitSpec(channels=3, width=32, layers=2, heads=2, rank=8, kernel=3), batch=8, frames=FRAMES, warm_up=5, rate=5e-3, ema=0.9
)


def seeded(seed: int) -> torch.Generator:
    return torch.Generator().manual_seed(seed)


@pytest.fixture
def files(tmp_path: Path) -> list[Path]:
    """Songs that each keep one value: the context tells all."""
    g = seeded(0)
    songs = {
        f"song{i}/0": torch.randn(3, 1, generator=g).expand(-1, 60) + 0.1 * torch.randn(3, 60, generator=g) for i in range(8)
    }
    save_file({key: z.half().contiguous() for key, z in songs.items()}, tmp_path / "latents.safetensors")
    return [tmp_path / "latents.safetensors"]


def test_every_window_keeps_something_to_make() -> None:
    masks = context_masks(500, 100, seeded(1))
    new = (~masks).float().mean(dim=1)
    assert float(new.min()) >= SHORTEST - 0.02
    assert bool((~masks).all(dim=1).any()), "some windows have no context"
    starts, ends = masks[:, 0], masks[:, -1]
    assert bool((starts & ~ends).any())
    assert bool((starts & ends).any())
    assert bool((~starts & ~ends & masks.any(dim=1)).any())


def test_levels_cover_their_range_and_never_mark_context() -> None:
    t = draw_levels(400, 1.5, 0.25, seeded(1))
    assert float(t.min()) > 0
    assert float(t.max()) <= 1
    assert 0.15 < float(sum((t == level).float().mean() for level in FEW_STEP_LEVELS)) < 0.35
    assert float((t > 0.5).float().mean()) > 0.55


def test_the_loss_ignores_context_frames() -> None:
    class Wrong(Dit):
        def forward(self, x_t: Tensor, t: Tensor, cond: Tensor | None = None) -> Tensor:
            return super().forward(x_t, t, cond) + 100 * (t == 0)[:, None]

    x_0, eps = torch.randn(2, 2, 3, FRAMES, generator=seeded(2))
    t = torch.full((2, FRAMES), 0.5)
    t[:, :10] = 0
    torch.testing.assert_close(v_loss(Wrong(RECIPE.denoiser), x_0, eps, t), v_loss(Dit(RECIPE.denoiser), x_0, eps, t))


def test_windows_differ_by_song(files: list[Path]) -> None:
    latents = Latents(files, FRAMES)
    ours, theirs = latents.pairs(20, seeded(3))
    assert ours.shape == theirs.shape == (20, 3, FRAMES)
    assert float((ours - theirs).abs().mean(dim=(1, 2)).min()) > 0.1


def test_too_short_songs_are_named(files: list[Path]) -> None:
    with pytest.raises(FileNotFoundError, match="no latents of 61 frames or more"):
        Latents(files, 61)


def test_training_lowers_the_loss_and_context_counts(files: list[Path]) -> None:
    latents = Latents(files, FRAMES)
    run = Run(RECIPE)
    losses = [train_step(run, latents, step / 120) for step in range(120)]
    assert sum(losses[-20:]) < 0.6 * sum(losses[:20])
    gap = float(report(run.ema.module, latents).split("gap ")[1].split(" %")[0])
    assert gap > 20


def test_a_resumed_run_goes_on_exactly(files: list[Path], tmp_path: Path) -> None:
    latents = Latents(files, FRAMES)
    recipe = Recipe(**{**vars(RECIPE), "steps": 6, "check_steps": 100})
    whole = train_diffusion(recipe, latents, latents, Plan(tmp_path / "whole"))
    run = Run(recipe)
    (tmp_path / "half").mkdir()
    for step in range(3):
        train_step(run, latents, step / 6)
    torch.save(run.state(), tmp_path / "half" / "diffusion.pt")
    resumed = train_diffusion(recipe, latents, latents, Plan(tmp_path / "half", resume=True))
    a, b = (torch.load(path, weights_only=True) for path in (whole, resumed))
    assert a["step"] == b["step"] == 6
    for part in ("dit", "ema"):
        assert all(torch.equal(a[part][key], b[part][key]) for key in a[part])


def test_another_network_is_not_resumed() -> None:
    other = Run(Recipe(DitSpec(channels=3, width=32, layers=1, heads=2)))
    with pytest.raises(ValueError, match="resume: got a run of"):
        Run(RECIPE).restore(other.state())


def test_the_recipe_that_ships_reads(tmp_path: Path) -> None:
    recipe = read_recipe(Path(__file__).parents[1] / "train" / "runs" / "live.yaml")
    assert recipe.denoiser.channels == 64
    (tmp_path / "bad.yaml").write_text("denoiser: {widht: 3}")
    with pytest.raises(ValueError, match="unknown key 'widht'"):
        read_recipe(tmp_path / "bad.yaml")


def test_a_run_begins_with_the_generator_of_another(files: list[Path], tmp_path: Path) -> None:
    latents, steps = Latents(files, FRAMES), 30
    first = train_diffusion(Recipe(**{**vars(RECIPE), "steps": steps}), latents, latents, Plan(tmp_path / "first"))
    recipe = tmp_path / "on.yaml"
    sizes = "{channels: 3, width: 32, layers: 2, heads: 2, rank: 8, kernel: 3}"
    recipe.write_text(f"denoiser: {sizes}\nframes: {FRAMES}\nbatch: 4\nsteps: 1\nrate: 1.0e-9\ncheck_steps: 0\n")
    out = tmp_path / "on"
    folder = str(files[0].parent)
    argv = ["train", "diffusion", "--recipe", str(recipe), "--latents", folder, "--from", str(first), "--out", str(out)]
    assert main(argv) == 0
    a, b = (torch.load(path, weights_only=True) for path in (first, out / "diffusion.pt"))
    assert b["step"] == 1
    assert all(torch.allclose(a["ema"][key], b["ema"][key], atol=1e-6) for key in a["ema"])


def test_a_generator_of_another_size_is_not_begun_with() -> None:
    run, carried = Run(RECIPE), DitSpec(**{**vars(RECIPE.denoiser), "carried": 1})
    run.begin(carried, run.dit.state_dict())
    with pytest.raises(ValueError, match=r"from: got a generator of .*'width': 64.* give the recipe its sizes"):
        run.begin(DitSpec(channels=3, width=64, layers=1, heads=2), run.dit.state_dict())
