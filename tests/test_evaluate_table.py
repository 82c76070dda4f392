"""The stored evaluation: cases as 4.3 has them, runs that go on, the same numbers from any number of processes, tables."""

from __future__ import annotations

import argparse
import json
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import soundfile
import torch
from made_up_ears import EARS

from segue.engine.guidance import REGIMES
from segue.engine.samplers import sampler
from segue.engine.tasks import tasks
from segue.server import cli
from segue.train import ablate, report, store, table
from segue.train.ablate import STUDIES
from segue.train.cases import CONTEXT_S, LATE, TASKS, WINDOW_S, Stretch, cases, draw, scored_length
from segue.train.rows import Row
from segue.train.store import Store, pieces
from segue.train.systems import CODEC, FADE, FIXED, TRUTH, Way, ways

RATE = 44_100
NONE: Any = None  # an engine that a baseline does not look at


def song(seed: int, seconds: float) -> Any:
    """Tones and noise that change every half second, stereo `[n, 2]`."""
    rng, time = np.random.default_rng(seed), np.arange(round(seconds * RATE)) / RATE
    notes = 110 * 2 ** (rng.integers(0, 30, int(seconds * 2) + 1) / 12)
    tone = 0.2 * np.sin(2 * np.pi * notes[(time * 2).astype(int)] * time) * np.exp(-2 * ((time * 2) % 1))
    return np.stack([tone, 0.7 * tone + 0.01 * rng.standard_normal(len(tone))], axis=1).astype(np.float32)


@pytest.fixture(scope="module")
def data(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("data")
    (folder / "eval").mkdir()
    for i in range(2):
        soundfile.write(folder / "eval" / f"song{i}.wav", song(i, 16.0), RATE)
    return folder


@pytest.fixture(scope="module")
def drawn(data: Path) -> list[Stretch]:
    return draw(data / "eval", 4, RATE)


def test_stretches_are_the_same_again_loud_and_disjoint_in_time_from_their_reference(data: Path, drawn: list[Stretch]) -> None:
    again = draw(data / "eval", 4, RATE)
    assert [one.song for one in drawn] == ["song0", "song0", "song1", "song1"]
    for one, other in zip(drawn, again, strict=True):
        assert np.array_equal(one.audio, other.audio)
        whole = soundfile.read(data / "eval" / f"{one.song}.wav", dtype="float32")[0].T
        places = []
        for part in (one.audio, one.reference):
            hits = np.flatnonzero(np.abs(whole[1] - part[1, 0]) < 1e-6)
            fits = [int(n) for n in hits if n + part.shape[1] <= whole.shape[1]]
            places.append(next(n for n in fits if np.allclose(whole[:, n : n + 5000], part[:, :5000], atol=1e-6)))
        assert abs(places[0] - places[1]) >= round(WINDOW_S * RATE)


def test_no_audio_is_one_sentence(tmp_path: Path) -> None:
    with pytest.raises(FileNotFoundError, match="give --data"):
        draw(tmp_path, 4, RATE)


@pytest.mark.parametrize("task", TASKS)
def test_cases_put_the_parts_where_they_were(task: str, drawn: list[Stretch]) -> None:
    for case, one in zip(cases(task, drawn, RATE), drawn, strict=True):
        assert case.new == scored_length(task, RATE)
        if task in ("continuation", "infill"):
            parts = [part for part in (case.left, case.truth, case.right) if part is not None]
            assert np.array_equal(np.concatenate(parts, axis=1), one.audio)
        if case.left is not None:
            assert case.left.shape[1] >= round(CONTEXT_S * RATE)
        if task == "transition":
            assert case.under is not None
            assert np.array_equal(case.under[0], case.truth)
            assert not np.array_equal(case.under[0], case.under[1])
    with pytest.raises(ValueError, match="one of unconditional"):
        cases("nothing", drawn, RATE)


def test_baselines_are_what_they_say(drawn: list[Stretch]) -> None:
    case = cases("transition", drawn, RATE)[0]
    assert case.under is not None
    assert case.left is not None
    players = FIXED["transition"]
    assert not players["silence"](NONE, case, 0).any()
    assert np.array_equal(players[TRUTH](NONE, case, 0), case.truth)

    class Rate:
        sample_rate = RATE

    repeated = players["repeat-last"](Rate(), case, 0)  # type: ignore[arg-type]
    end = case.left[:, -min(case.new, case.left.shape[1]) :]
    assert np.array_equal(repeated[:, : end.shape[1]], end)
    for name, middle in (("linear crossfade", 0.5), (FADE, np.sqrt(0.5))):
        faded = players[name](NONE, case, 0)
        np.testing.assert_allclose(faded[:, 0], case.under[0][:, 0], atol=1e-4)
        np.testing.assert_allclose(faded[:, -1], case.under[1][:, -1], atol=1e-4)
        half = case.new // 2
        np.testing.assert_allclose(faded[:, half], middle * (case.under[0] + case.under[1])[:, half], atol=1e-4)


def test_ways_are_named_by_what_is_not_usual() -> None:
    assert Way("infill").name == "ours infill ddim 4"
    assert Way("regenerate", 8, "ddpm", "guided", 0.03, (("k", 0.5),)).name == "ours regenerate ddpm 8, k 0.5, guided, xi 0.03"
    assert [way.task for way in ways("infill", 4, "ddim")] == ["infill", "regenerate", "renoise"]


def test_a_store_keeps_pieces_and_refuses_another_plan(tmp_path: Path) -> None:
    kept, parts = Store(tmp_path / "a", {"clips": 5}), pieces("infill", "ours, 4/8", 5, 2)
    assert [(part.first, part.last) for part in parts] == [(0, 2), (2, 4), (4, 5)]
    for part in parts:
        assert not kept.has(part)
        kept.put(part, {"x": np.arange(part.first, part.last)})
    again = Store(tmp_path / "a", {"clips": 5})
    assert all(again.has(part) for part in parts)
    assert again.get(parts)["x"].tolist() == [0, 1, 2, 3, 4]
    with pytest.raises(ValueError, match="clips 5, asked is 6; name another folder"):
        Store(tmp_path / "a", {"clips": 6})


@pytest.fixture
def options(data: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Any:
    (tmp_path / "some_ears.py").write_text(EARS)
    monkeypatch.syspath_prepend(str(tmp_path))
    monkeypatch.setenv("PYTHONPATH", str(tmp_path))  # for the processes
    monkeypatch.setattr(table, "EACH", 2)

    def parsed(*more: str) -> Any:
        parser = argparse.ArgumentParser()
        parser.add_argument("--json", action="store_true")
        table.add_arguments(parser)
        words = ["--json", "--data", str(data), "--embedder", "some_ears:Ears", "--clips", "4", "--steps", "1", *more]
        return parser.parse_args(words)

    return parsed


def numbers(text: str) -> list[dict[str, Any]]:
    rows: list[dict[str, Any]] = json.loads(text)["rows"]
    return rows


def test_a_run_goes_on_and_two_processes_find_what_one_finds(
    options: Any, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    torch.set_num_threads(1)
    one, two = ("--store", str(tmp_path / "one")), ("--store", str(tmp_path / "two"), "--processes", "2")
    tasks = ("--tasks", "transition")
    out = tmp_path / "rows.json"
    assert table.run(options(*one, *tasks, "--out", str(out))) == 0
    first = capsys.readouterr()
    assert "16 of 16 pieces, 0 s left" in first.err
    for file in sorted((tmp_path / "one" / "transition").glob("*.npz"))[3:5]:
        file.unlink()  # as if the run had been stopped
    assert table.run(options(*one, *tasks)) == 0
    again = capsys.readouterr()
    assert "2 of 2 pieces" in again.err
    assert table.run(options(*two, *tasks)) == 0
    rows = numbers(first.out)
    assert rows == numbers(again.out) == numbers(capsys.readouterr().out) == numbers(out.read_text())
    found = {(row["system"], row["metric"]): row for row in rows}
    assert found[TRUTH, "FAD"]["value"] == found[CODEC, "FAD"]["floor"] > 0
    assert found[FADE, "realism"]["value"] == pytest.approx(1)
    assert found[TRUTH, "MR"]["value"] == 0
    assert found[TRUTH, "FAD_excess"]["value"] == 0
    assert found[CODEC, "FAD_excess"]["value"] == pytest.approx(1)
    assert {row["n"] for row in rows} == {4}
    assert {row["embedder"] for row in rows if row["metric"] in ("FAD", "KLD", "realism")} == {"some_ears:Ears"}
    assert "| linear crossfade |" in report.tables([Row(**row) for row in rows])


def test_what_is_amiss_is_one_line(options: Any, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    where = ("--store", str(tmp_path / "store"))
    assert table.run(options(*where, "--data", str(tmp_path))) == 2
    assert "give --data" in capsys.readouterr().err
    assert not list((tmp_path / "store").glob("*.npy"))
    assert table.run(options("--store", str(tmp_path / "few"), "--clips", "2")) == 2
    assert "got 2 stretches of 2 clips, realism needs more than 3" in capsys.readouterr().err
    study = argparse.Namespace(study="xi", tasks=["infil"], most_steps=50)
    assert ablate.run(study) == 2
    assert capsys.readouterr().err == "ablate: xi has no task 'infil'; it has continuation, infill\n"
    assert store.PLAN in {file.name for file in (tmp_path / "store").iterdir()}


def rows_of_a_transition() -> list[Row]:
    rows = [Row("transition", "ours transition ddim 4", "ddim", 4, f"curve {i:02d}", 0.1 * i, None, 3) for i in range(20)]
    rows.append(Row("transition", "ours transition ddim 4", "ddim", 4, "realism", 0.95, 0.12, 3, "yamnet"))
    rows.append(Row("transition", "ours transition ddim 4", "ddim", 4, "MR", 1.0, 0.1, 3))
    return rows


def test_a_report_replaces_what_stands_between_its_markers(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """Several files at once, each in its own form and under its own name."""
    more = Row("transition", "ours transition ddim 4", "ddim", 4, "FAD_excess", 0.8, None, 3, "yamnet", 0.0, (0.7, 0.95))
    kept = {"live.json": ("table", rows_of_a_transition()), "ablation_k.json": (None, [*rows_of_a_transition(), more])}
    for file, (form, rows) in kept.items():
        said = {} if form is None else {"name": form}
        (tmp_path / file).write_text(json.dumps(said | {"rows": [vars(row) for row in rows]}))
    into = tmp_path / "RESULTS.md"
    into.write_text("# Results\n\nWords.\n\n<!-- live: begin -->\nold\n<!-- live: end -->\n\nMore words.\n")
    args = argparse.Namespace(rows=[tmp_path / file for file in kept], into=into, json=True)
    for _ in range(2):
        assert report.run(args) == 0
        text = into.read_text()
        assert "old" not in text
        assert text.startswith("# Results\n\nWords.\n")
        assert "More words.\n\n<!-- ablation_k: begin -->" in text
        assert text.count("| **ours, ddim 4** |") == 1
        assert "0.95 ± 0.12" in text
        assert "| transition | ours transition ddim 4 | 0.80 [0.70, 0.95] | 1.00 |" in text
    parts = json.loads(capsys.readouterr().out.splitlines()[-1])["parts"]
    assert [(part["name"], part["rows"]) for part in parts] == [("live", 22), ("ablation_k", 23)]
    for name in ("live", "ablation_k"):
        assert (tmp_path / f"{name}.png").read_bytes().startswith(b"\x89PNG")
    (tmp_path / "live.json").write_text("{}")
    assert report.run(args) == 2
    assert "holds no rows" in capsys.readouterr().err


def test_every_way_of_every_study_is_allowed_and_named_apart() -> None:
    known = tasks()
    for name, study in STUDIES.items():
        for task, some in study.ways.items():
            assert task in (*TASKS, LATE)
            assert len({way.name for way in some}) == len(some), name
            for way in some:
                known[way.task].check(dict(way.parameters))
                assert way.regime in REGIMES
                assert callable(sampler(way.sampler))


@pytest.mark.usefixtures("options")
def test_the_codec_is_listed_clip_by_clip_beside_noise(data: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    told = tmp_path / "told.md"
    argv = ["evaluate", "codec", "--data", str(data), "--clips", "2", "--embedder", "some_ears:Ears", "--into", str(told)]
    assert cli.main([*argv, "--json"]) == 0
    found = json.loads(capsys.readouterr().out)
    ours, noise = found["rows"]
    assert (ours["system"], ours["n"]) == ("codec", 2)
    assert ours["rtf"] > 0
    assert ours["si_sdr_db"] > noise["si_sdr_db"]
    assert ours["over_floor"] == pytest.approx(ours["fad"] / ours["floor"])
    assert len([clip for clip in found["clips"] if clip["system"] == "codec"]) == 2
    assert "over_floor" in told.read_text(encoding="utf-8")
    assert cli.main(["evaluate", "codec", "--data", str(tmp_path / "none")]) == 2


def test_the_ladder_of_variations_is_told_clip_by_clip(data: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert cli.main(["evaluate", "ladder", "--data", str(data), "--clips", "2", "--steps", "1", "--json"]) == 0
    found = json.loads(capsys.readouterr().out)
    table = np.array(found["clips"])
    assert table.shape == (found["n"], len(found["rows"])) == (2, 5)
    assert found["strictly_rising"] == (np.diff(table, axis=1) > 0).all(axis=1).mean()
    assert [row["mr"] for row in found["rows"]] == pytest.approx(table.mean(axis=0))
    assert cli.main(["evaluate", "ladder", "--data", str(tmp_path / "none")]) == 2


@pytest.mark.parametrize("command", ["ladder", "kicks"])
def test_music_too_short_to_be_judged_is_said(command: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    (tmp_path / "eval").mkdir()
    soundfile.write(tmp_path / "eval" / "short.wav", 0.1 * np.ones((44_100, 2)), 44_100)
    assert cli.main(["evaluate", command, "--data", str(tmp_path), "--clips", "1"]) == 2
    assert "clips: got no two loud stretches of 1 clips; ask for more" in capsys.readouterr().err


def test_kicks_of_transitions_are_told_beside_the_crossfade_s(
    data: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert cli.main(["evaluate", "kicks", "--data", str(data), "--clips", "2", "--steps", "1", "--json"]) == 0
    rows = json.loads(capsys.readouterr().out)["rows"]
    assert rows[0]["system"] == FADE
    assert rows[2]["value"] == pytest.approx(rows[1]["value"] - rows[0]["value"])
    assert {row["n"] for row in rows} == {2}
    assert cli.main(["evaluate", "kicks", "--data", str(tmp_path / "none")]) == 2
