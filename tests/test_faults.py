"""Faults that were put into sound are found, one by one, and sound without them has none; takes as files and their check."""

from __future__ import annotations

import argparse
import json
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import soundfile
from numpy.typing import NDArray

from segue.server.cli import main
from segue.train import check, takes
from segue.train.cases import Case
from segue.train.listening import trials
from segue.train.metrics.faults import beyond, click_sharpness, faults, holes, offset, side_over_mid, stuck

RATE = 44_100
Audio = NDArray[np.float32]


def music(seconds: float = 3.0, seed: int = 0) -> Audio:
    """Decaying tones and a drum on every half second, over a little wide noise, in stereo."""
    rng, time = np.random.default_rng(seed), np.arange(round(seconds * RATE)) / RATE
    place = time % 0.5
    tones = sum(np.sin(2 * np.pi * f * time) for f in (110.3, 277.7, 660.1)) * np.exp(-3 * place)
    drum = rng.standard_normal(len(time)) * np.exp(-40 * place)
    wide = 0.005 * rng.standard_normal((2, len(time)))
    return np.asarray(0.08 * tones + 0.15 * drum + wide, np.float32)


def test_music_has_none() -> None:
    assert beyond(faults(music(), RATE)) == []
    assert beyond(faults(np.zeros((2, RATE), np.float32), RATE)) == []


def test_a_click_is_found_where_it_is_and_a_drum_is_none() -> None:
    audio = music()
    audio[:, 60_000] += 0.6
    found = faults(audio, RATE)
    assert found.clicks == 1
    assert beyond(found) == ["clicks"]
    assert abs(int(np.argmax(click_sharpness(audio, RATE))) - 60_000) <= 1


def test_a_step_of_the_wave_is_a_click() -> None:
    audio = music()
    audio[:, 70_000:] = audio[:, 70_000:] * 0.5 + 0.5
    assert faults(audio, RATE).clicks == 1


@pytest.mark.parametrize(("first", "length"), [(30_000, 256), (50_011, 2048)])
def test_a_dropped_buffer_is_a_hole_and_a_rest_is_none(first: int, length: int) -> None:
    audio = music()
    audio[:, first : first + length] = 0
    assert holes(audio, RATE) == [(first, first + length)]
    rest = music()
    rest[:, 44_100:] *= np.exp(-np.arange(rest.shape[1] - 44_100) / 500).astype(np.float32)
    assert holes(rest, RATE) == []


def test_an_offset_is_measured_and_bass_is_none() -> None:
    time = np.arange(3 * RATE) / RATE
    bass = np.stack([0.5 * np.sin(2 * np.pi * 31.7 * time + 1)] * 2)
    assert offset(bass) < 1e-3
    assert offset(bass + np.array([[0.0], [-0.05]])) == pytest.approx(0.05, abs=1e-3)
    assert beyond(faults((music() + 0.05).astype(np.float32), RATE)) == ["dc"]


def test_clipped_peaks_are_found_unless_the_context_has_them() -> None:
    clipped = np.clip(6 * music(), -1, 1)
    found = faults(clipped, RATE)
    assert found.clipped > 0
    assert "clipped" in beyond(found)
    assert "clipped" not in beyond(found, found)


def test_a_lost_side_is_found_beside_a_wide_context() -> None:
    wide, mono = music(), np.tile(music().mean(axis=0), (2, 1))
    assert side_over_mid(mono) == pytest.approx(-100)
    assert beyond(faults(mono, RATE), faults(wide, RATE)) == ["narrow"]
    assert beyond(faults(mono, RATE), faults(mono, RATE)) == []


@pytest.mark.parametrize("lag", [1500, 4096])
def test_a_buffer_played_again_is_stuck_whatever_its_level(lag: int) -> None:
    audio = music()
    audio[:, 60_000 : 60_000 + 2 * lag] = 0.7 * np.tile(audio[:, 60_000 - lag : 60_000], 2)
    assert stuck(audio, RATE) == pytest.approx(2 * lag / RATE, abs=2048 / RATE)
    assert stuck(music(), RATE) == 0


def silent(seconds: float = 1.0) -> Case:
    """A case with a context on either side."""
    audio = music(6.0, seed=3)
    n = round(seconds * RATE)
    return Case("infill", "a song/with signs", audio[:, n : 2 * n], audio[:, :n], audio[:, 2 * n : 3 * n])


class Rate:
    """What a fixed system asks of an engine."""

    sample_rate = RATE


def test_takes_lie_between_their_contexts_as_the_page_reads_them_and_planted_faults_are_told(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    def broken(engine: Any, case: Case, seed: int) -> Audio:
        made = case.truth.copy()
        made[:, 13_000:] += 0.6
        return made

    players = {"real data": takes.chosen("infill", ["real data"], 4, "ddim")["real data"], "broken": broken}
    written = takes.write(Rate(), "infill", [silent(), silent()], players, tmp_path, level=False)  # type: ignore[arg-type]
    assert [one.system for one in written] == ["real data", "broken"] * 2
    sound = soundfile.read(tmp_path / written[0].file, dtype="float32")[0].T
    assert np.array_equal(sound, music(6.0, seed=3)[:, : 3 * RATE])
    assert len(trials(tmp_path, 0)) == 2
    (tmp_path / takes.LIST).write_text(json.dumps({"takes": [vars(one) for one in written]}), encoding="utf-8")
    assert check.run(argparse.Namespace(folder=tmp_path, context=0.0, json=True, into=tmp_path / "R.md")) == 0
    assert "| broken | 2 | 2 | 2 |" in (tmp_path / "R.md").read_text()
    told = json.loads(capsys.readouterr().out)
    assert told["systems"]["real data"]["faulty"] == 0
    assert told["systems"]["broken"] == {
        "takes": 2, "faulty": 2, "clicks": 2, "holes": 0, "dc": 2, "clipped": 0, "narrow": 0, "stuck": 0,
    }  # fmt: skip
    assert [seam["frame"] for seam in told["takes"][0]["seams"]] == [RATE, 2 * RATE]


def test_takes_of_a_prompt_may_be_written_at_one_loudness(tmp_path: Path) -> None:
    quiet = takes.chosen("infill", ["silence", "real data", "repeat-last"], 4, "ddim")
    written = takes.write(Rate(), "infill", [silent()], quiet, tmp_path, level=True)  # type: ignore[arg-type]
    from segue.engine.measure import loudness

    levels = [loudness(soundfile.read(tmp_path / one.file)[0].T, RATE) for one in written]
    assert max(levels) - min(levels) < 0.1


def test_a_folder_without_a_list_is_checked_after_a_given_context(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    audio = music()
    audio[:, 20_000] += 0.6  # in what is said to be context
    (tmp_path / "mine").mkdir()
    soundfile.write(tmp_path / "mine" / "a.wav", audio.T, RATE)
    for context, clicks in ((0.0, 1), (1.0, 0)):
        assert check.run(argparse.Namespace(folder=tmp_path, context=context, json=True, into=None)) == 0
        assert json.loads(capsys.readouterr().out)["systems"]["mine"]["clicks"] == clicks
    assert check.run(argparse.Namespace(folder=tmp_path, context=9.0, json=True, into=None)) == 2
    assert "shorter --context" in capsys.readouterr().err


def test_what_cannot_be_made_or_checked_is_one_sentence(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(ValueError, match="no system 'someone'"):
        takes.chosen("continuation", ["someone"], 4, "ddim")
    assert check.run(argparse.Namespace(folder=tmp_path, context=0.0, json=False, into=None)) == 2
    assert "no audio under" in capsys.readouterr().err
    (tmp_path / "text.wav").write_text("no audio at all")
    assert check.run(argparse.Namespace(folder=tmp_path, context=0.0, json=False, into=None)) == 2
    assert f"check: {tmp_path / 'text.wav'} cannot be read as audio (" in capsys.readouterr().err
    (tmp_path / "text.wav").unlink()
    assert main(["evaluate", "takes", "--clips", "0", "--out", str(tmp_path)]) == 2
    assert "takes: got 0 clips and 4 steps; give one or more of each" in capsys.readouterr().err
    assert not list(tmp_path.iterdir())
