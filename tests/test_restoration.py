"""Restoration: a file of any length comes back whole, and what was not lost stays; window by window, on the toy world."""

from __future__ import annotations

import json
import tracemalloc
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import soundfile
import torch
from damaged import RATE, Audio, away, tones
from toy import RATE as TOY
from toy import model as toy_model

from segue.engine import damage as damages
from segue.engine.backends import make
from segue.engine.damage import Clip, Damage, Gaps, LowPass
from segue.engine.models.spec import Model
from segue.engine.restoration import Repair, Restorer
from segue.server import restore as command
from segue.server.cli import main


@pytest.fixture(scope="module")
def toy() -> Model:
    return make("eager", toy_model())


def reader(audio: Audio):  # type: ignore[no-untyped-def]
    def read(first: int, n: int) -> Audio:
        out = np.zeros((2, n), np.float32)
        part = audio[:, first : first + n]
        out[:, : part.shape[1]] = part
        return out

    return read


@pytest.mark.parametrize("seconds", [0.01, 0.5, 0.6, 1.5])
@pytest.mark.parametrize("kind", damages.KINDS)
def test_any_length_comes_back_whole_and_measured(toy: Model, kind: str, seconds: float) -> None:
    truth = tones(seconds, TOY)
    A: Damage = {"lowpass": LowPass(1000.0, TOY), "declip": Clip(0.1), "gaps": Gaps(((2000, 2400), (9000, 9100)), TOY)}[kind]
    y = A(torch.from_numpy(truth)).numpy()
    repair = Repair(A, T=0.5, steps=2, weight=0.5 if kind == "lowpass" else 0.0)
    pieces = list(Restorer(toy).pieces(reader(y), y.shape[1], repair))
    made = np.concatenate(pieces, axis=1)
    assert made.shape == y.shape
    assert len(pieces) == Restorer(toy).windows(y.shape[1])
    assert np.isfinite(made).all()
    if isinstance(A, Gaps):
        far = away(A, y.shape[1])
        np.testing.assert_allclose(made[:, far], y[:, far], atol=1e-6)
        assert seconds < 0.4 or np.abs(made[:, ~A.kept(y.shape[1])]).max() > 1e-3
    again = np.concatenate(list(Restorer(toy).pieces(reader(y), y.shape[1], repair)), axis=1)
    assert np.array_equal(made, again)
    other = list(Restorer(toy).pieces(reader(y), y.shape[1], replace(repair, seed=1)))
    assert kind == "gaps" or not np.array_equal(np.concatenate(other, axis=1), made)


def test_what_was_kept_stays_bit_by_bit(toy: Model) -> None:
    """Over several windows and their crossfades: samples that did not clip, samples away from gaps, the band below the slope."""
    truth = tones(1.7, TOY)
    n = truth.shape[1]
    gaps = Gaps(((2000, 2400), (9000, 9100)), TOY)
    kept = {Clip(0.1): np.abs(truth) < 0.1 * damages.UNCLIPPED, gaps: np.stack([away(gaps, n)] * 2)}
    for A, where in kept.items():
        y = A(torch.from_numpy(truth)).numpy()
        made = np.concatenate(list(Restorer(toy).pieces(reader(y), n, Repair(A, steps=1))), axis=1)
        assert 0.2 < where.mean() < 1
        assert np.array_equal(made[where], y[where])
        assert not np.array_equal(made, y)
    y = LowPass(1000.0, TOY)(torch.from_numpy(truth)).numpy()
    made = np.concatenate(list(Restorer(toy).pieces(reader(y), n, Repair(LowPass(1000.0, TOY), steps=1))), axis=1)
    added, there = (np.abs(np.fft.rfft(part * np.hanning(n))) for part in (made - y, y))
    below = round(1000 * (1 - 2 * damages.SLOPE) * n / TOY)
    assert np.square(added[:, :below]).sum() < 1e-12 * np.square(there[:, :below]).sum()
    assert np.square(added[:, below:]).sum() > 1e-7 * np.square(there).sum()


def test_windows_join_without_a_step(toy: Model) -> None:
    """Where nothing is lost but what the low-pass took, the seams are no rougher than the rest."""
    y = LowPass(1000.0, TOY)(torch.from_numpy(tones(4.0, TOY))).numpy()
    made = np.concatenate(list(Restorer(toy).pieces(reader(y), y.shape[1], Repair(LowPass(1000.0, TOY), steps=2))), axis=1)
    bend = np.abs(np.diff(made, n=2, axis=1)).max(axis=0)
    seams = [n * Restorer(toy).step + 3 * toy.hop for n in range(1, Restorer(toy).windows(y.shape[1]))]
    near = np.zeros(len(bend), np.bool_)
    for seam in seams:
        near[seam - 200 : seam + 800] = True
    assert bend[near].max() <= 1.5 * bend[~near].max()


# -- the command


@pytest.fixture
def recording(tmp_path: Path) -> Path:
    audio = tones(2.0)
    audio[:, 30_000:34_000] = 0
    path = tmp_path / "old.wav"
    soundfile.write(path, audio.T, RATE, subtype="PCM_24")
    return path


def test_the_command_restores_a_file(recording: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    out = tmp_path / "new.wav"
    assert main(["restore", str(recording), str(out), "--kind", "gaps", "--steps", "1", "--json"]) == 0
    said = capsys.readouterr()
    report = json.loads(said.out)
    assert (report["frames"], report["gaps"], report["windows"]) == (2 * RATE, 1, 1)
    assert "1 of 1 windows, 0 s left" in said.err
    made, rate = soundfile.read(out, always_2d=True)
    before, _ = soundfile.read(recording, always_2d=True)
    assert (rate, len(made)) == (RATE, 2 * RATE)
    assert np.abs(made[:29_000] - before[:29_000]).max() < 1e-6
    assert np.abs(made[30_500:33_500]).max() > 1e-3


def test_the_cut_off_is_found_where_it_is_not_given(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    noise = (0.1 * np.random.default_rng(0).standard_normal((2, RATE))).astype(np.float32)
    dull, bright, out = tmp_path / "dull.wav", tmp_path / "bright.wav", tmp_path / "new.wav"
    soundfile.write(dull, LowPass(5000.0, RATE)(torch.from_numpy(noise)).numpy().T, RATE, subtype="PCM_24")
    soundfile.write(bright, noise.T, RATE, subtype="PCM_24")
    assert main(["restore", str(dull), str(out), "--kind", "lowpass", "--steps", "1", "--json"]) == 0
    assert json.loads(capsys.readouterr().out)["cutoff"] == pytest.approx(5000, rel=0.02)
    assert main(["restore", str(bright), str(out), "--kind", "lowpass"]) == 2
    assert "give it as --cutoff HZ" in capsys.readouterr().err


@pytest.mark.parametrize(
    ("words", "sentence"),
    [
        (["--kind", "lowpass", "--cutoff", "50"], "--cutoff: got 50 Hz; from 100 to 22050"),
        (["--kind", "lowpass", "--cutoff", "30000"], "--cutoff: got 30000 Hz; from 100 to 22050"),
        (["--kind", "declip", "--level", "2"], "--level: got 2; above 0 and at most the recording's peak"),
        (["--kind", "gaps", "--T", "2"], "T lies between 0 and 1, got 2"),
        (["--kind", "gaps", "--steps", "0"], "--steps: got 0; at least 1"),
        (["--kind", "gaps", "--model", "nowhere"], "nowhere: no such model or file"),
    ],
)
def test_what_cannot_be_is_one_line(
    recording: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str], words: list[str], sentence: str
) -> None:
    assert main(["restore", str(recording), str(tmp_path / "new.wav"), *words]) == 2
    err = capsys.readouterr().err
    assert sentence in err
    assert err.count("\n") == 1
    assert not (tmp_path / "new.wav").exists()


def test_a_recording_is_not_written_over_itself_and_silence_has_nothing_to_restore(
    recording: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert main(["restore", str(recording), str(recording), "--kind", "gaps"]) == 2
    assert "is the recording itself" in capsys.readouterr().err
    silent = tmp_path / "silent.wav"
    soundfile.write(silent, np.zeros((RATE, 2)), RATE)
    assert main(["restore", str(silent), str(tmp_path / "new.wav"), "--kind", "declip"]) == 2
    assert "the recording is silent" in capsys.readouterr().err


def test_memory_does_not_grow_with_the_recording(toy: Model) -> None:
    def most(seconds: float) -> int:
        tracemalloc.start()
        unit = tones(1.0, TOY)

        def read(first: int, n: int) -> Audio:
            return unit[:, (first + np.arange(n)) % TOY]

        for _ in Restorer(toy).pieces(read, round(seconds * TOY), Repair(LowPass(1000.0, TOY), steps=1, weight=0.0)):
            pass
        peak = tracemalloc.get_traced_memory()[1]
        tracemalloc.stop()
        return peak

    assert most(9.0) < 1.5 * most(3.0)


def test_the_command_names_the_kinds_of_the_engine() -> None:
    assert command.KINDS == damages.KINDS == tuple(command.START) == tuple(command.PULL)


@pytest.mark.parametrize(
    ("name", "sentence"),
    [
        ("new.mp3", "got a name that ends in .mp3, allowed are those of 24-bit formats; give one in .wav or .flac"),
        ("new.song", "got a name that ends in .song"),
        ("new", "got a name that has no ending"),
        ("nowhere/new.wav", "nowhere is no folder; make it first"),
    ],
)
def test_where_nothing_can_be_written_is_said_before_anything_is_made(
    recording: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str], name: str, sentence: str
) -> None:
    score = Path(__file__).parents[1] / "examples" / "continue.yaml"
    for words in (["restore", "--kind", "gaps", "--model", "nowhere"], ["render", "--score", str(score), "--model", "nowhere"]):
        assert main([words[0], str(recording), str(tmp_path / name), *words[1:]]) == 2
        err = capsys.readouterr().err
        assert sentence in err
        assert err.count("\n") == 1
    assert main(["demo", "--out", str(tmp_path / name), "--model", "nowhere"]) == 2
    assert sentence in capsys.readouterr().err
    assert [path.name for path in tmp_path.iterdir()] == [recording.name]


def test_peaks_beyond_full_scale_are_kept_by_lowering_the_whole(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """A recording that clips at full scale, as most that clip do, is not clipped again where it is written."""
    truth = tones(2.0)
    loud = 2 * truth / np.abs(truth).max()
    path, out = tmp_path / "loud.wav", tmp_path / "new.flac"
    soundfile.write(path, loud.T.clip(-1, 1), RATE, subtype="PCM_24")
    assert main(["restore", str(path), str(out), "--kind", "declip", "--steps", "1", "--json"]) == 0
    report = json.loads(capsys.readouterr().out)
    made, clipped = (soundfile.read(file, always_2d=True)[0].T for file in (out, path))
    beyond = made / 10 ** (report["gain_db"] / 20)
    assert report["gain_db"] < -1
    assert np.abs(made).max() <= 1
    assert np.abs(beyond).max() > 1.1
    whole = np.abs(clipped) < 0.9
    assert np.abs(beyond[whole] - clipped[whole]).max() < 1e-5
    assert {file.name for file in tmp_path.iterdir()} == {"loud.wav", "new.flac"}


def test_a_mono_recording_stays_mono(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    path, out = tmp_path / "mono.wav", tmp_path / "new.wav"
    soundfile.write(path, tones(2.0)[0].clip(-0.1, 0.1), RATE, subtype="PCM_24")
    assert main(["restore", str(path), str(out), "--kind", "declip", "--steps", "1", "--json"]) == 0
    report = json.loads(capsys.readouterr().out)
    assert (report["channels"], soundfile.info(out).channels, report["gain_db"]) == (1, 1, 0)
