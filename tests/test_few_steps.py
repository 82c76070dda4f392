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
from segue.train import few_steps_table, few_steps_takes
from segue.train.bootstrap import interval, ratio_interval
from segue.train.excerpts import Clip, geometry
from segue.train.few_steps import Asked, Student, apart, frames_of
from segue.train.metrics import frechet
from segue.train.report import into, read_rows
from segue.train.rows import Row

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
    assert len(found) == len(rows) == 2 * 2 * (1 + 2 * 2 + 2 * 3)  # values, their ratios, and the students' changes
    for regime in ("clean, start 1", "guided, start 1"):
        same = found[regime, 2, "after, twin", "MR_change"]
        assert (same.value, same.interval) == (0.0, (0.0, 0.0))
        assert found[regime, 2, "after, twin", "MR"].value == found[regime, 2, "before", "MR"].value
        assert found[regime, 2, "after, broken", "MR_change"].value != 0.0
        few, many = (found[regime, steps, system, "MR"].value for steps, system in ((4, "before"), (6, "before, many steps")))
        ratio = found[regime, 4, "before", "MR_ratio"]
        assert few is not None
        assert ratio.value == pytest.approx(few / many)
        assert ratio.interval[0] <= ratio.value <= ratio.interval[1]
    assert {row.embedder for row in rows if row.metric.startswith("KLD")} == {"ears of a test"}
    assert all(row.n == 3 for row in rows)


def test_takes_from_another_start_are_rows_of_their_own(stage: few_steps_takes.Stage) -> None:
    tasks = []
    for start in (None, 0.25, 1.0):
        tasks += [few_steps_takes.table(replace(stage, start=start), [], Asked((1,), ("clean",), many=1))[0].task]
    assert tasks == ["clean", "clean, start 0.25", "clean, start 1"]


def test_a_ratio_draws_a_clip_in_both_means() -> None:
    rng = np.random.default_rng(0)
    others = rng.uniform(1, 2, 40)
    low, high = ratio_interval(1.1 * others, others)
    assert (low, high) == (pytest.approx(1.1), pytest.approx(1.1))
    low, high = ratio_interval(others + rng.normal(0, 0.2, 40), others)
    assert low < 1 < high
    assert interval(others) == pytest.approx(ratio_interval(others, np.ones(40)))


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


def told() -> list[Row]:
    rows = [Row("clean", "before", "ddim", 4, metric, 1.5, None, 8) for metric in ("frechet", "MR")]
    rows.append(replace(rows[0], system="after, progressive"))
    rows.append(replace(rows[2], metric="frechet_change", value=-0.5, interval=(-0.75, -0.25)))
    for steps, between in ((4, (0.95, 1.06)), (2, (1.12, 1.3)), (1, (0.85, 1.0))):
        rows.append(replace(rows[1], steps=steps, metric="MR_ratio", value=1.01, interval=between))
    return rows


def test_rows_are_printed_as_json_and_as_lines() -> None:
    assert json.loads(few_steps_table.shown(told(), as_json=True))["rows"][1]["metric"] == "MR"
    lines = [line.split() for line in few_steps_table.shown(told(), as_json=False).splitlines()]
    assert lines[1] == ["clean", "4", "before", "1.500", "1.500"]
    assert lines[2] == ["clean", "4", "after,", "progressive", "1.500", "-"]
    assert lines[5][-3:] == ["-0.500", "[-0.750,", "-0.250]"]
    assert [" ".join(line[-2:]) for line in lines[6:]] == ["within 10%", "10% worse", "1.000], open"]


def test_stored_rows_become_a_part_of_a_document(tmp_path: Path) -> None:
    stored, document = tmp_path / "few_steps.json", tmp_path / "R.md"
    stored.write_text(few_steps_table.shown(told(), as_json=True), encoding="utf-8")
    rows, form = read_rows(stored)
    into(rows, document, "few_steps", form)
    head, _, first, *rest = document.read_text(encoding="utf-8").split("\n")[3:-2]
    assert head.startswith("| regime | steps | system | MR | MR over that of many steps, 95 % | frechet | n |")
    assert first == "| clean | 4 | before | 1.50 | 1.01 [0.95, 1.06], within 10% | 1.50 | 8 |"
    assert [line.split(" | ")[1] for line in rest] == ["4", "2", "1"]


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
