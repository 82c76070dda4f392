"""The program that prints the slides' table, with fewer steps than the slides'."""

from __future__ import annotations

import json

import pytest

from segue.bench import slides_quality, slides_speed
from segue.server.cli import main


def test_it_prints_times_quality_and_inversion(monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> None:
    for module in (slides_speed, slides_quality):
        monkeypatch.setattr(module, "SAMPLERS", {"ddpm": 6, "ddim": 3})
    monkeypatch.setattr(slides_quality, "CLIP_S", 2.0)
    asked = ["--only", "slides-latent-256x256", "--timed-steps", "1", "--train-steps", "12", "--minutes", "0.5", "--samples", "4"]
    assert main(["bench", "slides", *asked, "--clips", "1", "--json"]) == 0
    printed = json.loads(capsys.readouterr().out)
    (row,) = printed["speed"]
    assert (row["columns"], row["bands"], row["printed_ddpm_s"]) == (256, 256, 0.116)
    assert row["ddpm_step_s"] > 0
    assert row["ddpm_s"] is None  # a whole run was not measured
    scored = {q["system"]: q for q in printed["quality"]}
    assert set(scored) == {"ddpm", "ddim", "data", "noise"}
    assert scored["data"]["frechet"] < scored["noise"]["frechet"]
    assert (scored["ddpm"]["steps"], scored["ddim"]["steps"]) == (6, 3)
    assert printed["v_loss_last"] < printed["v_loss_first"]
    errors = {(i["bands"], i["system"]): i["worst_db"] for i in printed["inversion"]}
    assert all(db < 1.0 for (_, system), db in errors.items() if system == "ours")
    assert all(errors[bands, "ours"] < errors[bands, "griffin-lim"] for bands in (32, 64, 128, 256))


def test_whole_runs_are_measured_where_they_are_asked_for(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr(slides_speed, "SAMPLERS", {"ddpm": 4, "ddim": 2})
    asked = ["--only", "slides-latent-256x256", "--timed-steps", "0", "--train-steps", "0", "--clips", "0"]
    assert main(["bench", "slides", *asked, "--json"]) == 0
    (row,) = json.loads(capsys.readouterr().out)["speed"]
    assert row["ddpm_s"] == pytest.approx(4 * row["ddpm_step_s"])
    assert main(["bench", "slides", *asked]) == 0
    assert "slides-latent-256x256" in capsys.readouterr().out


def test_the_row_of_samples_is_timed_too(capsys: pytest.CaptureFixture[str]) -> None:
    """[1, 65536] of the slides: as many positions, and no time printed beside it."""
    asked = ["--only", "slides-waveform-65536x1", "--timed-steps", "1", "--train-steps", "0", "--clips", "0"]
    assert main(["bench", "slides", *asked, "--json"]) == 0
    (row,) = json.loads(capsys.readouterr().out)["speed"]
    assert (row["columns"], row["bands"], row["printed_ddpm_s"]) == (65536, 1, None)
    assert row["sample_s"] == pytest.approx(2.96, abs=0.02)
    assert row["ddim_step_s"] > 0


def test_a_row_that_is_not_there_is_named(capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["bench", "slides", "--only", "slides-mel-7x7"]) == 2
    assert "no row 'slides-mel-7x7'; there are slides-waveform-65536x1, slides-mel-64x64" in capsys.readouterr().err
