"""Schedule and conversions of B.1."""

from __future__ import annotations

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from segue.engine.paper import alpha, eps_hat, levels, noised, over, sigma, v_of, x_0_hat, xi_at


def test_ends_are_exact() -> None:
    ends = torch.tensor([0.0, 1.0])
    assert alpha(ends).tolist() == [1.0, 0.0]
    assert sigma(ends).tolist() == [0.0, 1.0]


@settings(deadline=None)
@given(st.floats(0, 1))
def test_power_is_kept_and_alpha_is_the_cosine(t: float) -> None:
    level = torch.tensor(t, dtype=torch.float64)
    assert float(alpha(level) ** 2 + sigma(level) ** 2) == pytest.approx(1)
    assert float(alpha(level)) == pytest.approx(float(torch.cos(torch.pi * level / 2)), abs=1e-12)


@settings(deadline=None)
@given(st.lists(st.floats(0, 1), min_size=4, max_size=4), st.integers(0, 99))
def test_round_trip_at_every_level(t: list[float], seed: int) -> None:
    """The ends 0 and 1 included, one level a frame."""
    g = torch.Generator().manual_seed(seed)
    x_0, eps = torch.randn(2, 1, 3, 4, generator=g, dtype=torch.float64)
    level = torch.tensor([t], dtype=torch.float64)
    x_t, v = noised(x_0, eps, level), v_of(x_0, eps, level)
    torch.testing.assert_close(x_0_hat(x_t, v, level), x_0)
    torch.testing.assert_close(eps_hat(x_t, v, level), eps)


def test_levels_per_item_and_per_frame() -> None:
    x = torch.zeros(2, 3, 5, 4)
    assert over(torch.zeros(2), x).shape == (2, 1, 1, 1)
    assert over(torch.zeros(2, 4), x).shape == (2, 1, 1, 4)
    with pytest.raises(ValueError, match=r"t is \[B\], or \[B, T\]"):
        over(torch.zeros(2, 5), x)


def test_levels_fall_from_T_to_0() -> None:
    assert levels(4) == [1.0, 0.75, 0.5, 0.25, 0.0]
    assert levels(2, 0.5) == [0.5, 0.25, 0.0]
    with pytest.raises(ValueError, match="at least 1 step"):
        levels(0)


def test_xi_is_quoted_at_fifty_steps() -> None:
    assert xi_at(0.03, 50) == 0.03
    assert 4 * xi_at(0.03, 4) == pytest.approx(50 * 0.03)
