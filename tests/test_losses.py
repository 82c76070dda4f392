"""The codec's distances: zero at equality, symmetric, and the energy distance rewards the right spread."""

from __future__ import annotations

import pytest
import torch

from segue.train.losses import RESOLUTIONS, energy_distance, kl, mel_matrix, spectral_distance, spectrum, views


def noise(seed: int, *shape: int) -> torch.Tensor:
    return torch.randn(shape, generator=torch.Generator().manual_seed(seed))


@pytest.mark.parametrize(("window", "bands"), RESOLUTIONS)
@pytest.mark.parametrize("mid_side", [False, True])
def test_distance_is_zero_only_at_equality(window: int, bands: int, mid_side: bool) -> None:
    x = noise(0, 2, 2, 8192) * 0.1
    d = spectral_distance(window, bands, mid_side, 44_100)
    assert float(d(x, x)) == 0
    assert float(d(x + 0.01 * noise(1, 2, 2, 8192), x)) > 0.01
    torch.testing.assert_close(d(x, 0.5 * x), d(0.5 * x, x))


@pytest.mark.parametrize(("window", "bands"), RESOLUTIONS)
def test_every_mel_band_hears_something_and_averages(window: int, bands: int) -> None:
    matrix = mel_matrix(window, bands, 44_100)
    torch.testing.assert_close(matrix.sum(dim=0), torch.ones(bands))


def test_spectrum_keeps_the_variance_of_white_noise() -> None:
    power = spectrum(noise(2, 1, 2, 65536), 512)[..., 4:-4, 4:-4].abs().square().mean()
    assert 0.95 < float(power) < 1.05


def test_mid_side_is_a_rotation() -> None:
    x = noise(3, 1, 2, 100)
    torch.testing.assert_close(views(views(x, True), True), x)


def test_energy_distance_is_least_at_the_true_spread() -> None:
    """Draws of N(0, s^2) against data of N(0, 1) under d = |y - x|: the minimum over s lies at 1, not at 0."""
    x, a, b = noise(4, 40_000), noise(5, 40_000), noise(6, 40_000)
    values = [float(energy_distance(torch.nn.functional.l1_loss, x, s * a, s * b)) for s in (0.0, 0.5, 1.0, 1.5, 2.0)]
    assert min(values) == values[2]


def test_kl_of_a_standard_normal_is_zero_and_grows_with_the_mean() -> None:
    zero = torch.zeros(2, 3, 64)
    assert float(kl(zero, zero)) == 0
    assert float(kl(zero + 1, zero)) == pytest.approx(0.5)
