"""What is said of an hour: tempi of clicks that rush, windows that were copied, and a recording whose faults are known."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
from numpy.typing import NDArray

from segue.train.metrics.drift import Beat, beat_of, drift, explained, tempo_drift
from segue.train.metrics.repeats import repeats

RATE = 44_100
Audio = NDArray[np.float32]


def clicks(seconds: float, bpm: float, per_minute: float = 0.0) -> Audio:
    """Clicks whose tempo moves evenly, over a little noise."""
    rng = np.random.default_rng(4)
    out, at = 0.002 * rng.standard_normal(round(seconds * RATE)), 0.1
    while at < seconds - 0.1:
        start = round(at * RATE)
        out[start : start + 800] += rng.standard_normal(800) * np.exp(-np.arange(800) / 100)
        at += 60 / (bpm + per_minute * at / 60)
    return np.stack([out, out]).astype(np.float32)


@pytest.mark.parametrize("bpm", [92.0, 120.0, 143.5])
def test_a_steady_tempo_is_found_and_does_not_drift(bpm: float) -> None:
    found = tempo_drift(clicks(60, bpm), RATE)
    assert found is not None
    assert found.bpm == pytest.approx(bpm, abs=0.2)
    assert found.departure_percent < 0.2
    assert found.held == 1
    assert found.share > 0.4


def test_a_tempo_that_rushes_is_told_by_its_slope() -> None:
    found = tempo_drift(clicks(100, 120, 3.0), RATE)
    assert found is not None
    assert found.bpm_per_minute == pytest.approx(3.0, rel=0.1)
    assert found.departure_percent == pytest.approx(100 * 4 / 120.5, rel=0.15)


def test_octaves_are_folded_and_silence_has_no_beat() -> None:
    found = drift([Beat(120, 0.5), Beat(60.3, 0.5), None, Beat(240, 0.5)], 20)
    assert found is not None
    assert found.departure_percent == pytest.approx(0.5)
    assert found.stretches == 3
    assert beat_of(np.zeros(1000), 86.0) is None
    one = drift([None, Beat(120, 0.5)], 20, 119)
    assert one is not None
    assert one.bpm_per_minute is None
    assert one.departure_percent == pytest.approx(100 / 119)
    assert drift([None], 20) is None


def test_noise_has_no_beat_to_speak_of() -> None:
    noise = np.random.default_rng(1).standard_normal(1700)
    found = beat_of(noise, 86.0)
    assert found is not None
    assert found.share < 0.1
    wave = np.cos(2 * np.pi * 0.023 * np.arange(1700) + 1)
    assert explained(wave, 0.023) == pytest.approx(1, abs=1e-6)


def noise(seconds: float, seed: int = 0) -> Audio:
    """Noise with its energy in the low end, as music has it."""
    rng = np.random.default_rng(seed)
    spectrum = np.fft.rfft(rng.standard_normal((2, round(seconds * RATE))))
    frequency = np.fft.rfftfreq(round(seconds * RATE), 1 / RATE)
    return np.asarray(0.1 * np.fft.irfft(spectrum / (1 + frequency / 300), axis=-1), np.float32)


def found_in(audio: Audio) -> list[Any]:
    def read(first: int, count: int) -> Audio:
        return audio[:, first : first + count]

    return repeats(read, audio.shape[1], RATE)


def test_a_copied_window_is_found_at_its_place_and_new_ones_are_not_alike() -> None:
    audio = noise(40.0)
    audio[:, 30 * RATE : 32 * RATE] = -0.5 * audio[:, 123_457 : 123_457 + 2 * RATE]
    found = {round(one.at_s): one for one in found_in(audio)}
    assert len(found) == 39
    for second in (30, 31):
        assert found[second].correlation > 0.999
        assert found[second].earlier_s == pytest.approx(123_457 / RATE + second - 30, abs=1 / RATE)
    assert max(one.correlation for second, one in found.items() if second not in (30, 31)) < 0.5


def test_only_what_ended_before_counts_and_silence_repeats_nothing() -> None:
    audio = np.zeros((2, 6 * RATE), np.float32)
    audio[:, 2 * RATE : 4 * RATE] = np.tile(noise(0.5), (1, 4))  # a loop of half a second
    found = found_in(audio)
    assert [one.at_s for one in found] == [2.0, 3.0]
    assert found[0].correlation < 0.9  # all that is like it lies in itself
    assert found[1].correlation > 0.99
