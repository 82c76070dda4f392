"""The table of a distillation: its measures on known answers, its takes on the engine's toy world, and its words."""

from __future__ import annotations

import json
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import torch
from numpy.typing import NDArray
from torch import Tensor
from toy import model as toy_model

from segue.engine.backends import make
from segue.engine.engine import Engine
from segue.server.cli import main
from segue.train import few_steps, few_steps_takes
from segue.train.excerpts import Clip, geometry
from segue.train.few_steps import Asked, Student, apart, frames_of
from segue.train.metrics import frechet

Values = NDArray[np.float64]


def seeded(seed: int) -> torch.Generator:
    return torch.Generator().manual_seed(seed)


def test_latent_frames_stand_beside_their_steps() -> None:
    x = torch.randn(2, 3, 10, generator=seeded(1))
    frames = frames_of(x)
    assert frames.shape == (2, 9, 6)
    np.testing.assert_allclose(frames[1, 4], torch.cat((x[1, :, 5], x[1, :, 5] - x[1, :, 4])).numpy(), rtol=1e-6)
    assert apart(x, x) == pytest.approx(0, abs=1e-6)


def test_a_difference_of_distances_knows_what_it_is_sure_of() -> None:
    real, near, far = torch.randn(3, 12, 40, 2, generator=seeded(1)).double().numpy()

    def distance(made: Values) -> float:
        return frechet.frechet(real.reshape(-1, 2), made.reshape(-1, 2))

    less, low, high = frechet.difference(real, 2 * far, near)
    assert less == pytest.approx(distance(near) - distance(2 * far), abs=1e-9)
    assert low < less < high < 0
    _, low, high = frechet.difference(real, far, near)
    assert low < 0 < high


class Ears:
    """Two patches a take: its level and its roughness; their signs as classes."""

    name, rate = "ears of a test", 8000

    def patches(self, audio: Tensor) -> Tensor:
        halves = audio.unflatten(1, (2, -1)) if audio.shape[1] % 2 == 0 else audio[:, :-1].unflatten(1, (2, -1))
        return torch.stack((halves.square().mean(2), halves.diff(dim=2).square().mean(2)), dim=2)

    def classes(self, patches: Tensor) -> Tensor:
        return patches.mean(1).sigmoid()


@pytest.fixture(scope="module")
def stage() -> few_steps_takes.Stage:
    model = make("eager", toy_model())
    window, context = geometry(Engine(model))
    audio = (0.1 * np.random.default_rng(0).standard_normal((3, 2, window))).astype(np.float32)
    clips = [Clip(f"song {i}", part, part, context) for i, part in enumerate(audio)]
    p = np.full((3, 2), 0.5)
    return few_steps_takes.Stage(model, clips, Ears(), p, 1.0)


def test_a_student_that_is_its_teacher_differs_in_nothing(stage: few_steps_takes.Stage) -> None:
    """And one that learned something else does; a student of two steps is judged at two steps alone."""
    twin, broken = Student("twin", 2, stage.model.denoiser), Student("broken", 2, Silent())
    rows = few_steps_takes.table(stage, [twin, broken], Asked((4, 2), ("clean", "guided"), many=6))
    found = {(row.task, row.steps, row.system, row.metric): row for row in rows}
    assert len(found) == len(rows) == 2 * 2 * ((1 + 2 + 2) + (2 + 2))  # values, and shares of those but for many steps
    for regime in ("clean", "guided"):
        same = found[regime, 2, "after, twin", "MR"]
        assert (same.difference, same.interval) == (0.0, (0.0, 0.0))
        assert same.value == found[regime, 2, "before", "MR"].value
        assert found[regime, 2, "after, broken", "MR"].difference != 0.0
        few, many = (found[regime, steps, system, "MR"].value for steps, system in ((4, "before"), (6, "before, many steps")))
        assert found[regime, 4, "before", "MR_share"].value == pytest.approx(few / many - 1)
    assert {row.embedder for row in rows if row.metric == "KLD"} == {"ears of a test"}
    assert all(row.n == 3 for row in rows)


class Silent:
    """A denoiser whose v is always 0: it learned nothing."""

    per_frame_t = True

    def v(self, x_t: Tensor, t: Tensor) -> Tensor:
        return torch.zeros_like(x_t)

    def vjp(self, x_t: Tensor, t: Tensor, g: Tensor) -> tuple[Tensor, Tensor]:
        return torch.zeros_like(x_t), torch.zeros_like(g)


def test_the_heat_of_the_teacher_is_not_the_students(stage: few_steps_takes.Stage) -> None:
    hot = replace(stage, model=replace(stage.model, spec=replace(stage.model.spec, heat=3.0)))
    student = Student("twin", 2, stage.model.denoiser)
    cold = few_steps_takes.takes(stage, None, "clean", 2)
    assert np.array_equal(few_steps_takes.takes(hot, student, "clean", 2), cold)
    assert not np.array_equal(few_steps_takes.takes(hot, None, "clean", 2), cold)


def test_rows_are_printed_as_json_and_as_lines() -> None:
    rows = [few_steps.Row("clean", few_steps.BEFORE, "ddim", 4, metric, 1.5, 8) for metric in ("frechet", "std")]
    rows.append(replace(rows[0], system="after, progressive", difference=-0.5, interval=(-0.75, -0.25)))
    assert json.loads(few_steps.shown(rows, as_json=True))["rows"][1]["metric"] == "std"
    lines = [line.split() for line in few_steps.shown(rows, as_json=False).splitlines()]
    assert lines[1] == ["clean", "4", "before", "1.500", "1.500"]
    assert lines[2] == ["clean", "4", "after,", "progressive", "1.500", "-"]
    assert lines[3][-3:] == ["-0.500", "[-0.750,", "-0.250]"]


@pytest.mark.parametrize(
    ("words", "sentence"),
    [
        ([], "got neither --latents nor --clips"),
        (["--clips", "1", "--after", "plain.pt"], "got a checkpoint that was not distilled"),
    ],
)
def test_what_cannot_be_compared_is_one_line(
    words: list[str], sentence: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.chdir(tmp_path)
    torch.save({"recipe": {}}, "plain.pt")
    assert main(["train", "compare", "--before", "live", *words]) == 2
    err = capsys.readouterr().err
    assert sentence in err
    assert err.count("\n") == 1
