"""Real audio under generated envelopes: unchanged where they are, moved by as much as they are."""

from __future__ import annotations

import numpy as np
import pytest
import torch
from numpy.typing import NDArray
from scipy import signal

from segue.engine.texture import BASS_HZ, BOUND_DB, HOP, KICKS_DB, REACH, moved

RATE, N = 44_100, 80 * HOP


def noise(seed: int) -> NDArray[np.float32]:
    return (0.1 * np.random.default_rng(seed).standard_normal((2, N))).astype(np.float32)


def band_power(audio: NDArray[np.float32], low: float, high: float) -> float:
    band = signal.sosfilt(signal.butter(6, (low, high), "bandpass", fs=RATE, output="sos"), audio[:, REACH:-REACH])
    return float(np.square(band).mean())


def test_what_has_not_changed_comes_back() -> None:
    texture, decoded = noise(0), torch.from_numpy(noise(1))
    out = moved(texture, decoded, decoded.clone(), RATE)
    assert np.abs(out - texture)[:, REACH:-REACH].max() < 1e-5


@pytest.mark.parametrize("decibels", [-7.0, 3.0])
def test_a_band_moves_by_as_much_as_its_envelope(decibels: float) -> None:
    texture, there = noise(0), noise(1)
    high = signal.sosfiltfilt(signal.butter(6, 4000, "highpass", fs=RATE, output="sos"), there).astype(np.float32)
    made = there + high * np.float32(10 ** (decibels / 20) - 1)
    out = moved(texture, torch.from_numpy(made), torch.from_numpy(there), RATE)
    assert 10 * np.log10(band_power(out, 6000, 15000) / band_power(texture, 6000, 15000)) == pytest.approx(decibels, abs=0.7)
    assert 10 * np.log10(band_power(out, 300, 2000) / band_power(texture, 300, 2000)) == pytest.approx(0.0, abs=0.3)


def test_what_is_wanted_beyond_the_bound_comes_from_the_decoder() -> None:
    quiet, made = 1e-4 * noise(0), noise(1)
    out = moved(quiet, torch.from_numpy(made), torch.from_numpy(quiet), RATE)
    inside = slice(REACH, N - REACH)
    alike = float((out * made)[:, inside].sum() / np.sqrt(np.square(out[:, inside]).sum() * np.square(made[:, inside]).sum()))
    assert alike > 0.99
    assert 20 * np.log10(np.std(out[:, inside]) / np.std(made[:, inside])) == pytest.approx(0.0, abs=0.5)


def test_in_the_bass_the_decoder_is_silent_where_something_is_heard() -> None:
    texture, there = noise(0), noise(1)
    low = signal.butter(6, BASS_HZ / 2, "lowpass", fs=RATE, output="sos")
    out = moved(texture, torch.from_numpy(100 * there), torch.from_numpy(there), RATE)
    inside = slice(REACH, N - REACH)
    bass, given = (signal.sosfiltfilt(low, audio)[:, inside] for audio in (out, texture))
    assert np.corrcoef(bass.ravel(), given.ravel())[0, 1] > 0.98
    assert 20 * np.log10(np.std(bass) / np.std(given)) == pytest.approx(BOUND_DB[1], abs=0.5)
    assert np.std(out[:, inside]) > 10 * np.std(texture[:, inside])  # above it what is wanted is there


def test_silence_that_stays_silent_is_silent() -> None:
    still = torch.zeros(2, N)
    assert np.abs(moved(np.zeros((2, N), np.float32), still, still, RATE)).max() == 0


def test_no_band_falls_further_than_its_bound() -> None:
    texture, there = noise(0), noise(1)
    out = moved(texture, torch.zeros(2, N), torch.from_numpy(there), RATE)
    assert 10 * np.log10(band_power(out, 300, 15000) / band_power(texture, 300, 15000)) == pytest.approx(BOUND_DB[0], abs=0.5)


def test_a_part_equals_the_whole_within_reach() -> None:
    texture, made, there = noise(0), torch.from_numpy(noise(1)), torch.from_numpy(noise(2))
    whole = moved(texture, made, there, RATE)
    first, last = 20 * HOP, 60 * HOP
    part = moved(texture[:, first:last], made[:, first:last], there[:, first:last], RATE)
    assert np.abs(part - whole[:, first:last])[:, REACH:-REACH].max() < 1e-5


def test_in_the_bass_of_a_crossfade_little_is_taken_away() -> None:
    texture, there = noise(0), noise(1)
    out = moved(texture, torch.zeros(2, N), torch.from_numpy(there), RATE, KICKS_DB)
    for low, high, bound in ((30, BASS_HZ / 2, KICKS_DB), (2 * BASS_HZ, 15000, BOUND_DB[0])):
        assert 10 * np.log10(band_power(out, low, high) / band_power(texture, low, high)) == pytest.approx(bound, abs=0.7)
