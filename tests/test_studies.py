"""Studies beyond Table 1: samplers with a choice taken back, contexts and windows of other lengths, counts, training steps."""

from __future__ import annotations

from itertools import pairwise
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch

from segue.engine.engine import Engine
from segue.engine.samplers import sampler
from segue.train import counts, progress, references, report
from segue.train.cases import LATE, LATE_S, Case, Stretch, cases, scored_length
from segue.train.judge import REFERENCE, Judge, Plan
from segue.train.metrics.spectral import flatness
from segue.train.rows import Row
from segue.train.systems import TRUTH, Way, ways

RATE = 44_100


def stretch(song: str, seconds: float, seed: int = 0) -> Stretch:
    """Noise of a length, the same for the same seed."""
    rng = np.random.default_rng(seed)
    audio, other = (0.1 * rng.standard_normal((2, 2, round(seconds * RATE)))).astype(np.float32)
    return Stretch(song, audio, other)


@pytest.mark.parametrize("name", ["ddim+rolled", "+free", "ddim+free+free", "ddpm+"])
def test_a_mark_that_is_none_is_refused(name: str) -> None:
    with pytest.raises(ValueError, match="one of ddim, ddpm"):
        sampler(name)


@pytest.mark.parametrize("base", ["ddim", "ddpm"])
def test_marks_take_back_the_consistency_step_and_the_place_of_the_gradient(base: str) -> None:
    from segue.engine.distance import l2
    from segue.engine.gaussian import Gaussian, ar1
    from segue.engine.problem import Problem, Rows

    frames = 12
    g = torch.Generator().manual_seed(0)
    mask = torch.arange(frames) < 5
    world = Gaussian(ar1(frames), channels=1)
    y, z = torch.ones(1, 1, 5).double(), torch.randn(1, 1, frames, generator=g).double()
    problem = Problem(Rows(mask), y, l2, z)

    def solved(name: str, xi: float, levels: tuple[float, ...] = (1.0, 0.75, 0.5, 0.25, 0.0)) -> Any:
        told = torch.Generator().manual_seed(1)
        return sampler(name)(world, problem, levels, xi=xi, generator=told)

    assert torch.equal(solved(base, 0.1)[..., mask], y)
    assert not torch.allclose(solved(f"{base}+free", 0.1)[..., mask], y)
    assert torch.equal(solved(f"{base}+free", 0.0), solved(f"{base}+x_t+free", 0.0))
    # in one step the gradient on A(x_t) is felt by the measured frames alone, that on A(x_0_hat) by their neighbours too
    without, *both = (
        solved(name, xi, (0.6, 0.3)) for name, xi in ((f"{base}+free", 0), (f"{base}+x_t+free", 1), (f"{base}+free", 1))
    )
    near, far = ((x - without).abs() for x in both)
    assert near[..., mask].min() > 1e-4
    assert near[..., ~mask].max() == 0
    assert far[..., ~mask].max() > 1e-4


def test_longer_stretches_give_more_and_ask_for_more() -> None:
    case = cases("continuation", [stretch("a", 14.0), stretch("b", 14.0, 1)], RATE)[0]
    assert case.left is not None
    assert case.new == scored_length("continuation", RATE, 14.0) == round(8.4 * RATE)
    assert case.left.shape[1] == round(5.6 * RATE)
    late = cases(LATE, [stretch("a", 6.0)], RATE)[0]
    assert late.left is not None
    assert late.new == round(LATE_S * RATE)
    assert late.left.shape[1] == round(4.0 * RATE)


def test_guidance_is_towards_the_stretch_and_continuations_may_be_guided_elsewhere() -> None:
    drawn = [stretch("a", 6.0), stretch("b", 6.0, 1)]
    one = cases("guidance", drawn, RATE)[0]
    assert one.left is None
    assert np.array_equal(one.style, drawn[0].audio)  # type: ignore[arg-type]
    assert np.array_equal(cases("continuation", drawn, RATE)[0].style, drawn[1].audio)  # type: ignore[arg-type]
    assert [way.task for way in ways("guidance", 4, "ddim")] == ["style", "classify"]
    assert [way.name for way in ways("guidance", 4, "ddim", "my/cqt.safetensors", False)] == ["cqt: style ddim 4"]


class Ear:
    """An engine that keeps what it is asked."""

    sample_rate = RATE
    asked: Any = None

    def take(self, request: Any) -> Any:
        self.asked = request
        return np.zeros((2, request.new_frames), np.float32)


def test_a_way_may_hear_less_of_the_context() -> None:
    case, ear = cases(LATE, [stretch("a", 6.0)], RATE)[0], Ear()
    way = Way("continuation", context_s=2.5)
    way.play(ear, case, 1)  # type: ignore[arg-type]
    assert case.left is not None
    assert np.array_equal(ear.asked.left, case.left[:, -round(2.5 * RATE) :])
    assert way.name == "ours continuation ddim 4, context 2.5 s"


def test_a_way_may_have_a_window_of_its_own(monkeypatch: pytest.MonkeyPatch) -> None:
    from segue.engine.checkpoint import load

    judge = object.__new__(Judge)
    way = Way("continuation", 1, window_s=9.0)
    judge._ways, judge.engine, judge._engines = {way.name: way}, Engine(load("live")), {}
    engine = judge._engine_of(way.name)
    assert engine.window_s == pytest.approx(9.0, abs=0.05)
    assert judge._engine_of(way.name) is engine
    left = stretch("a", 5.6).audio
    assert way.play(engine, Case("continuation", "a", stretch("b", 1.0).audio, left), 1).shape == (2, RATE)


def test_flatness_tells_noise_from_tones() -> None:
    rng, time = np.random.default_rng(0), np.arange(RATE) / RATE
    assert flatness(rng.standard_normal((2, RATE))) > 0.8
    assert flatness(np.stack([np.sin(2 * np.pi * 440 * time)] * 2)) < 0.01


def plan() -> Plan:
    return Plan("live", Path(), "toy", 40, ())


def results(outliers: int = 0) -> Any:
    """Takes of three embeddings: real ones like the reference, and as many strangers among them as are loud and noisy."""
    rng = np.random.default_rng(0)
    reference, true = rng.standard_normal((2, 40, 3, 4))
    strange = np.arange(40) < outliers
    e = true + 8 * strange[:, None, None]
    return {
        REFERENCE: {"e": reference},
        TRUTH: {"e": e, "lufs": -20 + 5.0 * strange, "flatness": 0.1 + 0.5 * strange},
    }


def test_fad_falls_with_the_count_and_a_filter_finds_what_spoils_it() -> None:
    rows = {row.metric: row for row in counts.rows_of(plan(), "continuation", results())}
    sizes = sorted(int(metric.rpartition(" ")[2]) for metric in rows if metric.startswith("FAD of"))
    assert sizes[0] == 10
    assert sizes[-1] == 40
    found = [rows[f"FAD of {n}"].value for n in sizes]
    assert all(a > b for a, b in pairwise(found))  # type: ignore[operator]
    assert rows["FAD of 40"].spread == pytest.approx(0, abs=1e-9)
    spoiled = {row.metric: row for row in counts.rows_of(plan(), "continuation", results(10))}
    for name in counts.FILTERS:
        assert spoiled[f"FAD without the {name}"].value < spoiled["FAD without any"].value / 5  # type: ignore[operator]
        assert spoiled[f"FAD without the {name}"].n == spoiled["FAD without any"].n == 30


def test_counts_are_a_table_and_a_picture(tmp_path: Path) -> None:
    rows = counts.rows_of(plan(), "continuation", results(10))
    text = report.into(rows, tmp_path / "R.md", "counts")
    assert "| continuation | real data |" in text
    assert text in (tmp_path / "R.md").read_text()
    assert (tmp_path / "counts.png").read_bytes().startswith(b"\x89PNG")


def test_training_steps_come_from_the_file_or_its_name(tmp_path: Path) -> None:
    from segue.engine import checkpoint

    shipped = Path(checkpoint.__file__).parent / "weights" / "live.safetensors"
    told = checkpoint.load("live").spec.provenance.get(progress.STEPS)
    with pytest.raises(FileNotFoundError, match="segue train pack"):
        progress.checkpoints(tmp_path)
    (tmp_path / "run-000100.safetensors").symlink_to(shipped)
    steps = 100 if told is None else int(told)
    assert progress.checkpoints(tmp_path) == [(steps, tmp_path / "run-000100.safetensors")]


def test_fad_over_training_steps_is_a_line_a_sampler(tmp_path: Path) -> None:
    made = [
        Row("continuation", f"c{n}: continuation {s} 4", s, 4, "FAD", 30.0 / n, None, 9)
        for n in (1, 2, 10)
        for s in ("ddim", "ddpm")
    ]
    rows = progress.labelled(
        [*made, Row("continuation", TRUTH, None, None, "FAD", 1.0, None, 9)], {"c1": 100, "c2": 200, "c10": 1000}
    )
    assert progress.curves(rows)["continuation, continuation ddim 4"] == [(100, 30.0), (200, 15.0), (1000, 3.0)]
    text = report.into(rows, tmp_path / "R.md", "progress")
    assert "| 1000 | 3.00 | 3.00 |" in text
    assert "| real data | 1.00 | 1.00 |" in text
    assert (tmp_path / "progress.png").is_file()


def test_a_model_without_a_row_is_said_to_have_none_and_one_beside_has_its_own() -> None:
    row = Row("continuation", "ours continuation ddim 4", "ddim", 4, "MR", 1.0, None, 3)
    assert "| CQT model (not trained) |" in report.tables([row])
    beside = Row("continuation", "cqt-small: continuation ddim 4", "ddim", 4, "MR", 2.0, None, 3)
    text = report.tables([row, beside])
    assert "not trained" not in text
    assert "| **cqt-small, ddim 4** |" in text


def test_fad_against_sets_is_least_against_the_own(tmp_path: Path) -> None:
    rng = np.random.default_rng(3)
    near, far = rng.standard_normal((12, 6, 4)), rng.standard_normal((9, 6, 4)) + 3
    made = {name: {"e": rng.standard_normal((12, 6, 4))} for name in (REFERENCE, TRUTH, "ours")}
    rows = references.rows_of({"near": near, "far": far}, plan(), "continuation", made)
    found = {(row.system, row.metric): row for row in rows}
    assert {row.n for row in rows} == {8}  # the least set less one, in every row
    for system in (TRUTH, "ours"):
        own, close, away = (found[system, f"FAD against {name}"].value for name in (references.OWN, "near", "far"))
        assert own is not None
        assert close is not None
        assert away is not None
        assert max(own, close) < 2 < 30 < away  # four means, three apart each
    assert ("set: far", "FAD against far") not in found  # a set is no reference to itself
    text = report.into(rows, tmp_path / "R.md", "references")
    assert "FAD against far" in text
    assert text in (tmp_path / "R.md").read_text()


def test_a_set_is_a_name_and_a_folder(tmp_path: Path) -> None:
    assert references.sets_of([f"house={tmp_path}"]) == {"house": tmp_path}
    for word in ("house", f"={tmp_path}", "house=/nowhere"):
        with pytest.raises(ValueError, match="give NAME=FOLDER"):
            references.sets_of([word])
