"""`segue evaluate endless`: what is said of a recording, and of a short one that the real server plays with the shipped model."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import soundfile

from segue.bench.endless import AFTER_S, SOURCE, asked_s, course, gaps, loudness_range
from segue.bench.endless_pieces import excerpts, figures, holding, table
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


def test_a_short_source_is_continued_before_it_ends() -> None:
    assert asked_s(24.0, 90.0, 0.8) == AFTER_S
    for length_s, bpm in ((7.5, 120.0), (8.0, 120.0), (9.3, 103.0)):
        first_bar = asked_s(length_s, bpm, 0.8) + 1.3 * 0.8 + 0.25 + 4 * 60 / bpm  # the lead of a take, and the wait for a bar
        assert 2.4 < first_bar <= length_s
    assert asked_s(1.0, 60.0, 0.8) == 0.0


def test_a_loudness_range_is_that_of_ebu_tech_3342() -> None:
    assert loudness_range([-20.0] * 20 + [-30.0] * 20) == pytest.approx(10, abs=0.1)  # its minimum requirement of two tones
    assert loudness_range([-20.0] * 20 + [-20.0] * 20) == pytest.approx(0, abs=1e-9)
    assert loudness_range([-20.0] * 30 + [-50.0] * 30) == pytest.approx(0, abs=0.1)  # 20 LU below the mean is no music
    assert loudness_range([-20.0] * 2) is None
    assert loudness_range([-90.0] * 20) is None


def test_the_last_milliseconds_of_a_wave_are_no_offset(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    wave = 0.3 * np.sin(2 * np.pi * 20 * np.arange(round(20.02 * RATE)) / RATE)  # the last 20 ms are its upper half
    soundfile.write(tmp_path / "wave.wav", np.stack([wave, wave], axis=1), RATE, subtype="FLOAT")
    assert told(capsys, "--heard", str(tmp_path / "wave.wav"))["endless"]["dc"] < 1e-3


def piece(level: float, spread: float, moved: float, repeated: int, own: int = 9, held: float = 1.0) -> dict[str, Any]:
    """What is said of a piece and of its source, which is at -20 LUFS with flux 10."""

    def part(mean: float, flux: float, again: int) -> dict[str, Any]:
        return {
            "seconds": 60.0, "loudness_lufs": {"mean": mean, "per_minute": 0.0}, "loudness_range_lu": spread, "dc": 0.001,
            "flux": {"mean": flux}, "repeated": again, "most_alike": 0.5, "tempo": {"held": held, "share": 0.6},
            "faults": {"clicks": 0, "holes": 0, "clipped": 0, "stuck_s": 0.0},
        }  # fmt: skip

    told = {"takes": 15, "gaps": 0, "largest_step_over_material": 0.5 + 0.3 * repeated}
    return {**told, "endless": part(level, moved, repeated), "source": part(-20.0, 10.0, own)}


def test_pieces_are_counted_by_what_they_hold() -> None:
    rows = [{"piece": "one"} | figures(piece(-21.0, 2.0, 5.0, 0)), {"piece": "two"} | figures(piece(-24.0, 4.0, 9.0, 3, 0, 0.5))]
    counts = list(holding(rows).values())
    assert counts == [1, 1, 2, 2, 1, 1, 0, 1, 2, 1, 2]
    assert list(holding([rows[0] | {"source_repeated": 0}]).values())[6] == 1
    assert "| one | -1.0 | 2.0 (2.0) | +0.0 | 0.50 | 0 (9) |" in table(rows)
    assert table(rows).endswith("no gap: 2.")


def test_a_folder_without_audio_is_one_sentence(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(FileNotFoundError):
        excerpts(tmp_path)
    assert main(["evaluate", "endless", "--pieces", str(tmp_path)]) == 2
    assert capsys.readouterr().err.count("\n") == 1


def test_a_minute_of_every_piece_is_a_row_each(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    audio, rate = soundfile.read(SOURCE, always_2d=True)
    (tmp_path / "pieces").mkdir()
    soundfile.write(tmp_path / "pieces" / "a.wav", audio[: 14 * rate], rate)
    (tmp_path / "pieces" / "b.wav").write_bytes(b"RIFF")
    words = ["--minutes", "0.1", "--pieces", str(tmp_path / "pieces"), "--into", str(tmp_path / "R.md")]
    found = told(capsys, *words)
    assert [row["piece"] for row in found["pieces"]] == ["a"]
    assert found["pieces"][0]["takes"] >= 2
    assert found["pieces"][0]["flux_share"] > 0
    assert "| a | " in (tmp_path / "R.md").read_text()


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
