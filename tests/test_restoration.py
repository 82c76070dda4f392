"""Restoration: the operators are what they say, a file of any length comes back whole, and what was not lost stays."""

from __future__ import annotations

import json
import tracemalloc
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import soundfile
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from numpy.typing import NDArray
from scipy import signal

from segue.engine import damage as damages
from segue.engine.backends import make
from segue.engine.damage import Clip, Damage, Gaps, LowPass, heard
from segue.engine.interpolation import burg, interpolated
from segue.engine.models.spec import Model
from segue.engine.restoration import Repair, Restorer
from segue.server import restore as command
from segue.server.cli import main
from segue.server.restore import Survey

Audio = NDArray[np.float32]
RATE = 44_100


def tones(seconds: float, rate: int = RATE, seed: int = 0) -> Audio:
    """Five tones of random pitch and phase up to 9 kHz, stereo."""
    rng = np.random.default_rng(seed)
    time = np.arange(round(seconds * rate)) / rate
    pitches, phases = rng.uniform(100, 9000 * rate / RATE, 5), rng.uniform(0, 2 * np.pi, (2, 5))
    return np.stack([0.1 * np.sin(2 * np.pi * pitches * time[:, None] + p).sum(1) for p in phases]).astype(np.float32)


def away(A: Gaps, n: int) -> NDArray[np.bool_]:
    """Samples that no gap nor its fade reaches."""
    near = np.convolve(~A.kept(n), np.ones(2 * damages.GAP_FADE + 1))[damages.GAP_FADE : damages.GAP_FADE + n]
    whole: NDArray[np.bool_] = near == 0
    return whole


DAMAGES: dict[str, Damage] = {
    "lowpass": LowPass(4000.0, RATE),
    "declip": Clip(0.2),
    "gaps": Gaps(((5000, 9000), (20_000, 20_500)), RATE),
}


@pytest.mark.parametrize("kind", damages.KINDS)
def test_a_second_loss_changes_nothing(kind: str) -> None:
    """But on the slope of the low-pass."""
    x = torch.from_numpy(tones(1.0))
    once = DAMAGES[kind](x)
    assert float((once - x).norm() / x.norm()) > 0.05
    if kind == "lowpass":
        once = LowPass(3000.0, RATE)(x)
    middle = slice(4000, -4000)
    assert float((DAMAGES[kind](once) - once)[:, middle].abs().max()) < 1e-5


@pytest.mark.parametrize("kind", damages.KINDS)
def test_mended_audio_has_what_was_measured(kind: str) -> None:
    truth, other = tones(1.0), tones(1.0, seed=1)
    A = DAMAGES[kind]
    y = A(torch.from_numpy(truth)).numpy()
    mended = A.mend(y, other)
    after = A(torch.from_numpy(mended)).numpy()
    # the slope of the low-pass lets a little of the other through; the last thousandth under the level counts as clipped
    slack = {"lowpass": 0.03, "declip": 0.2 * (1 - damages.UNCLIPPED) + 1e-6, "gaps": 1e-6}[kind]
    kept = away(A, y.shape[1]) if isinstance(A, Gaps) else np.ones(y.shape[1], np.bool_)
    assert np.abs(after - y)[:, kept].max() <= slack
    assert np.abs(mended - y).max() > 0.05


def test_clipped_peaks_come_back() -> None:
    truth = tones(2.0)
    A = Clip(0.25)
    y = A(torch.from_numpy(truth)).numpy()
    lost = (np.abs(truth) > 0.25).any(axis=0)

    def error(x: Audio) -> float:
        return float(np.square(x - truth)[:, lost].sum())

    assert error(A.mend(y, y)) < 0.3 * error(y)


def test_made_treble_sounds_when_the_recording_does() -> None:
    """Notes that come and go under the cut-off, and an even hiss as what was made."""
    time = np.arange(2 * RATE) / RATE
    on = (time % 0.5 < 0.25).astype(np.float32)
    y = (0.2 * np.sin(2 * np.pi * 3000 * time) * on * np.ones((2, 1))).astype(np.float32)
    hiss = (0.1 * np.random.default_rng(0).standard_normal(y.shape)).astype(np.float32)
    A = LowPass(4000.0, RATE)
    made = A.mend(y, hiss) - y
    inside = np.roll(on, 1000) * np.roll(on, -1000) > 0  # away from the edges of notes
    outside = np.roll(on, 1000) + np.roll(on, -1000) == 0
    assert np.square(made[:, inside]).mean() > 10 * np.square(made[:, outside]).mean()


def test_a_bass_goes_on_through_a_gap_that_only_noise_was_made_for() -> None:
    """Tones under 2.2 kHz come back as they were; one above them is what was generated."""
    time = np.arange(2 * RATE) / RATE
    low, high = (
        np.float32(0.2) * np.sin(2 * np.pi * np.array([[f], [1.01 * f]]) * time).astype(np.float32) for f in (110.0, 5000.0)
    )
    A = Gaps(((40_000, 48_820),), RATE)
    lost = ~A.kept(2 * RATE)
    noise = (0.01 * np.random.default_rng(0).standard_normal(low.shape)).astype(np.float32)
    made = A.mend(A(torch.from_numpy(low)).numpy(), noise)
    assert np.abs(made - low)[:, lost].max() < 0.05 * np.abs(low).max() + 0.06
    without = A.mend(A(torch.from_numpy(high)).numpy(), noise)
    assert np.abs(without[:, lost]).max() < 0.06  # nothing of a tone that no model made


def test_a_gap_at_the_edge_or_too_long_is_what_was_made() -> None:
    x = tones(3.0)
    for spans in (((-50, 4000),), ((100, 4000),), ((20_000, 20_000 + round(1.1 * damages.LONGEST_S * RATE)),)):
        A = Gaps(spans, RATE)
        made = A.mend(A(torch.from_numpy(tones(3.0, seed=1))).numpy(), x)
        inside = np.convolve(A.kept(x.shape[1]), np.ones(2 * damages.GAP_FADE + 1), "same") == 0
        np.testing.assert_allclose(made[:, inside], x[:, inside], atol=1e-6)


@given(n=st.integers(1, 3000), seed=st.integers(0, 99))
@settings(max_examples=15, deadline=None)
def test_a_sine_is_interpolated_whatever_the_gap(n: int, seed: int) -> None:
    phase, pitch = seed, 80 + 13 * seed
    wave = np.sin(2 * np.pi * pitch * np.arange(30_000) / RATE + phase)[None].astype(np.float32)
    first = 14_000
    y = wave.copy()
    y[:, first : first + n] = 0
    found = interpolated(y, first, first + n, RATE)
    assert found is not None
    assert found.shape == (1, n)
    assert np.abs(found - wave[:, first : first + n]).max() < 0.1


def test_burg_finds_the_coefficients_of_an_autoregression() -> None:
    rng, a = np.random.default_rng(0), np.array([1.0, -1.6, 0.8])
    x = signal.lfilter([1.0], a, rng.standard_normal(20_000))
    np.testing.assert_allclose(burg((x[:8000], x[9000:]), 2), a, atol=0.02)
    assert np.array_equal(burg((np.zeros(50), np.zeros(50)), 4), [1, 0, 0, 0, 0])


def test_the_low_pass_takes_a_tone_above_and_leaves_one_below() -> None:
    time = torch.arange(RATE) / RATE
    low, high = (torch.sin(2 * torch.pi * f * time)[None] for f in (1000.0, 6000.0))
    middle = slice(4000, -4000)
    assert float((LowPass(4000.0, RATE)(low) - low)[:, middle].abs().max()) < 1e-3
    assert float(LowPass(4000.0, RATE)(high)[:, middle].abs().max()) < 1e-3


def test_gradient_of_a_measurement_is_its_finite_difference() -> None:
    g = torch.Generator().manual_seed(0)
    x, along = torch.randn(2, 1, 2, 4096, generator=g, dtype=torch.float64)
    for A in (LowPass(4000.0, RATE), Clip(0.5), Gaps(((100, 900),), RATE)):

        def loss(x: torch.Tensor, A: Damage = A) -> torch.Tensor:
            return heard(A(x)).square().sum()

        x_ = x.clone().requires_grad_()
        slope = float((torch.autograd.grad(loss(x_), x_)[0] * along).sum())
        step = 1e-6
        difference = float((loss(x + step * along) - loss(x - step * along)) / (2 * step))
        assert slope == pytest.approx(difference, rel=1e-4)


def test_a_survey_finds_gaps_whatever_pieces_it_hears() -> None:
    audio = tones(1.0) + np.float32(1e-3)
    audio[:, :1000] = 0
    audio[:, 10_000:12_000] = 0
    audio[:, 20_000:20_010] = 0  # shorter than a gap
    audio[:, 40_000:] = 0
    for piece in (RATE, 700, 11_000):
        survey = Survey(RATE)
        for start in range(0, RATE, piece):
            survey.hear(audio[:, start : start + piece])
        assert survey.gaps == ((10_000, 12_000),)
        assert survey.at == RATE
        assert survey.peak == np.abs(audio).max()


# -- window by window, on the engine's toy world

from test_engine import RATE as TOY  # noqa: E402
from test_engine import model as toy_model  # noqa: E402


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


@pytest.mark.parametrize(
    ("words", "sentence"),
    [
        (["--kind", "lowpass"], "--cutoff: got 0 Hz; from 100 to 22050"),
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
