"""What a recording lost: the operators are what they say, and mend with what was made."""

from __future__ import annotations

import numpy as np
import pytest
import torch
from damaged import RATE, Audio, away, tones
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy import signal

from segue.engine import damage as damages
from segue.engine.damage import Clip, Damage, Gaps, LowPass, heard
from segue.engine.interpolation import burg, interpolated
from segue.engine.treble import SURE
from segue.server.survey import Survey

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
    assert np.abs(mended - y).max() > (0.005 if kind == "lowpass" else 0.05)


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


def coloured(slope_db: float, seed: int) -> Audio:
    """Noise of rms 0.1 whose spectrum falls by so much an octave, 3 s."""
    spectrum = np.fft.rfft(np.random.default_rng(seed).standard_normal((2, 3 * RATE)))
    octaves = np.log2(np.maximum(np.fft.rfftfreq(3 * RATE, 1 / RATE), 100) / 1000)
    noise = np.fft.irfft(spectrum * 10 ** (-slope_db * octaves / 20), n=3 * RATE)
    return (0.1 * noise / noise.std()).astype(np.float32)


def test_made_treble_is_as_loud_as_the_band_beside_it_says_whatever_its_own_level() -> None:
    A, truth, other = LowPass(4000.0, RATE), coloured(9, 0), coloured(9, 1)
    y = A(torch.from_numpy(truth)).numpy()
    made = [A.mend(y, np.float32(gain) * other) - y for gain in (0.3, 1, 30)]
    for one in made:
        np.testing.assert_allclose(one, made[1], atol=1e-3 * np.abs(made[1]).max())
    above = truth - y
    assert 10 * np.log10(np.square(made[1]).mean() / np.square(above).mean()) == pytest.approx(20 * np.log10(SURE), abs=1.5)


@pytest.mark.parametrize("slope_db", [6, 12])
def test_made_treble_costs_no_more_than_a_share_of_the_band_that_was_lost(slope_db: float) -> None:
    """Even if what is made falls off far less: the measured slope holds it down."""
    A, truth, bright = LowPass(4000.0, RATE), coloured(slope_db, 0), coloured(0, 1)
    y = A(torch.from_numpy(truth)).numpy()
    made = A.mend(y, bright)
    error, lost = np.square(made - truth).mean(), np.square(y - truth).mean()
    assert lost < error < (1 + 2 * SURE**2) * lost


def test_made_treble_below_a_cut_off_of_few_bins_is_quiet() -> None:
    x, y = coloured(0, 0), np.zeros((2, 3 * RATE), np.float32)
    A = LowPass(120.0, RATE)
    made = A.mend(y, x)
    assert np.square(made).mean() == pytest.approx(SURE**2 * np.square(x).mean(), rel=0.02)


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


def test_a_survey_finds_the_cut_off_and_none_where_there_is_none() -> None:
    audio = coloured(6, 0)
    survey = Survey(RATE)
    survey.hear(audio)
    assert survey.cutoff() is None
    for cutoff in (1500.0, 4000.0, 11_000.0):
        survey = Survey(RATE)
        survey.hear(LowPass(cutoff, RATE)(torch.from_numpy(audio)).numpy())
        assert survey.cutoff() == pytest.approx(cutoff, rel=0.02)
