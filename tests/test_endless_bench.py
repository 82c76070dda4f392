"""`segue evaluate endless`: what is said of a recording, and of a short one that the real server plays with the shipped model."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import soundfile

from segue.bench.endless import course, gaps
from segue.server.cli import main

RATE = 44_100


def told(capsys: pytest.CaptureFixture[str], *words: str) -> dict[str, Any]:
    """What the command prints."""
    assert main(["evaluate", "endless", "--json", *words]) == 0
    found: dict[str, Any] = json.loads(capsys.readouterr().out)
    return found


def test_a_recording_is_judged_by_what_was_put_into_it(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    rng, n = np.random.default_rng(0), 60 * RATE
    place = np.arange(n) % (RATE // 2)
    audio = (0.2 * np.exp(-place / 500) + 0.003) * rng.standard_normal((2, n)) * 10 ** (-np.arange(n) / RATE / 60 * 6 / 20)
    audio[:, 50 * RATE : 51 * RATE] = audio[:, 10 * RATE : 11 * RATE]  # heard before
    audio[:, 1_000_123:1_001_147] = 0  # a dropped buffer
    soundfile.write(tmp_path / "long.wav", audio.T, RATE, subtype="FLOAT")
    found = told(capsys, "--heard", str(tmp_path / "long.wav"), "--bpm", "120")["endless"]
    assert found["seconds"] == 60
    assert found["loudness_lufs"]["per_minute"] == pytest.approx(-6, abs=0.3)
    assert found["tempo"]["departure_percent"] < 0.5
    assert found["faults"]["holes"] == 1
    assert found["dc"] < 1e-3
    assert found["windows"] == 59
    assert [(one["at_s"], round(one["earlier_s"], 3)) for one in found["repeats"]] == [(50.0, 10.0)]
    assert found["repeated"] == 1


def test_gaps_and_courses_are_counted() -> None:
    takes = [{"start_frame": first, "frames": 100} for first in (0, 200, 100, 350)]
    assert gaps(takes) == 1
    assert course([], 1.0) is None
    assert course([1.0], 1.0) == {"mean": 1.0, "per_minute": None, "least": 1.0, "largest": 1.0}
    line = course([1.0, 2.0, 3.0], 30.0)
    assert line is not None
    assert line["per_minute"] == pytest.approx(2.0)
    assert (line["least"], line["largest"]) == (1.0, 3.0)


def test_the_server_plays_on_take_after_take(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    found = told(capsys, "--minutes", "0.25", "--into", str(tmp_path / "R.md"))
    assert "| windows of 1 s | " in (tmp_path / "R.md").read_text()
    assert found["takes"] >= 4
    assert found["gaps"] == 0
    assert found["endless"]["seconds"] >= 12
    assert found["source"]["windows"] > 10


def test_what_cannot_be_played_is_one_sentence(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["evaluate", "endless", "--input", str(tmp_path / "none.wav")]) == 2
    assert capsys.readouterr().err.count("\n") == 1
