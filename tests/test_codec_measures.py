"""The codec's measures answer known damage with known numbers."""

from __future__ import annotations

import pytest
import torch

from segue.train.codec_measures import (
    balance_error,
    buzz,
    comb,
    log_mel_error,
    measure,
    mel_noise_baseline,
    predictability,
    si_sdr,
    side_error,
)
from segue.train.codec_measures import summary as mean_of


def noise(seed: int = 0, samples: int = 65_536) -> torch.Tensor:
    return 0.1 * torch.randn(2, samples, generator=torch.Generator().manual_seed(seed))


def test_a_perfect_copy_has_no_error() -> None:
    row = measure(noise(), noise(), 1024)
    assert row["mel_db"] == 0
    assert row["si_sdr_db"] > 100
    assert row["onset"] == pytest.approx(1, abs=1e-4)
    assert row["buzz"] == row["side_db"] == row["balance_db"] == 0


def test_halving_the_level_is_six_decibels_of_mel_and_nothing_to_si_sdr() -> None:
    assert log_mel_error(noise(), 0.5 * noise()) == pytest.approx(6.02, abs=0.05)
    assert si_sdr(noise(), 0.5 * noise()) > 100


def test_si_sdr_of_noise_at_ten_decibels() -> None:
    assert si_sdr(noise(), noise() + 10**-0.5 * noise(1)) == pytest.approx(10, abs=0.3)


def test_a_waveform_repeated_every_frame_buzzes_and_noise_does_not() -> None:
    repeated = noise(samples=1024).repeat(1, 64)
    assert comb(repeated, 1024) == pytest.approx(1, abs=0.02)
    assert abs(comb(noise(), 1024)) < 0.02
    assert buzz(noise(), repeated, 1024) > 0.9


def test_stereo_errors_see_width_and_balance() -> None:
    x = noise()
    assert side_error(x, x.mean(0, keepdim=True).repeat(2, 1)) > 50
    assert balance_error(x, x * torch.tensor([[2.0], [1.0]])) == pytest.approx(6.02, abs=0.01)


def test_slow_latents_are_predictable_and_white_ones_are_not() -> None:
    white = torch.randn(4, 4_000, generator=torch.Generator().manual_seed(2))
    slow = torch.zeros_like(white)
    for t in range(1, white.shape[1]):
        slow[:, t] = 0.9 * slow[:, t - 1] + white[:, t]
    assert predictability(white) < 0.01
    assert predictability(slow) == pytest.approx(0.81, abs=0.05)


def test_the_baseline_keeps_levels_and_loses_the_waveform() -> None:
    x = noise(5, 88_064)
    y = mel_noise_baseline(x)
    assert y.shape == x.shape
    assert si_sdr(x, y) < -10
    assert float(y.square().mean() / x.square().mean()) == pytest.approx(1, abs=0.5)


def test_summary_takes_the_median_of_si_sdr() -> None:
    rows = [{"mel_db": v, "si_sdr_db": v} for v in (1.0, 2.0, 9.0)]
    assert mean_of(rows) == {"mel_db": 4.0, "si_sdr_db": 2.0}
