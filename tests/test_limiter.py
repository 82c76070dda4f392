"""No true peak gets over the ceiling, quiet audio passes to the bit, and pieces make no difference."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy.signal import resample_poly

from segue.engine.limiter import AHEAD_S, CEILING_DBTP, Limiter

RATE = 44_100
CEILING = 10 ** (CEILING_DBTP / 20)


def limited(audio: np.ndarray, cuts: list[int]) -> np.ndarray:
    limiter = Limiter(RATE)
    return np.concatenate([*map(limiter.push, np.split(audio, cuts, axis=1)), limiter.flush()], axis=1)


def loud(seconds: float, seed: int, gain: float) -> np.ndarray:
    """Noise with bursts, and with a tone whose peaks lie between the samples."""
    rng = np.random.default_rng(seed)
    n = round(seconds * RATE)
    envelope = np.repeat(rng.choice([0.05, 0.3, 1.0], n // 441 + 1), 441)[:n]
    tone = np.sin(2 * np.pi * RATE / 4 * np.arange(n) / RATE + np.pi / 4)
    return (gain * envelope * (0.3 * rng.standard_normal((2, n)) + tone)).astype(np.float32)


@settings(deadline=None, max_examples=20)
@given(seed=st.integers(0, 1000), gain=st.floats(0.2, 8.0), cuts=st.lists(st.integers(0, 22_050), max_size=5))
def test_nothing_exceeds_the_ceiling_however_it_is_cut(seed: int, gain: float, cuts: list[int]) -> None:
    audio = loud(0.5, seed, gain)
    out = limited(audio, sorted(cuts))
    assert out.shape == audio.shape
    peak = np.abs(resample_poly(out.astype(np.float64), 16, 1, axis=1, window=("kaiser", 8.0)))[:, 800:-800].max()
    assert peak <= CEILING * 10 ** (0.4 / 20)  # four points a sample find a peak to 0.4 dB, as BS.1770 says of its meter
    assert np.abs(out).max() <= CEILING + 1e-6
    np.testing.assert_allclose(out, limited(audio, []), atol=2e-4 * gain)


def test_what_is_quiet_passes_to_the_bit() -> None:
    audio = loud(0.5, 1, 0.1)
    np.testing.assert_array_equal(limited(audio, [100, 9000]), audio)


def test_the_gain_moves_smoothly_and_comes_back() -> None:
    audio = np.full((2, RATE), 0.5, np.float32)
    audio[:, 20_000:20_010] = 2.0
    gain = limited(audio, [])[0] / audio[0]
    assert gain[20_005] == pytest.approx(CEILING / 2.0, rel=0.1)
    assert np.abs(np.diff(gain)).max() <= 1.0 / (AHEAD_S * RATE)
    assert (gain[:19_000] == 1.0).all()
    assert (gain[30_000:] == 1.0).all()
