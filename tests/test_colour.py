"""Colour: what the codec did to a sound is found on the context and taken back, without delay."""

from __future__ import annotations

import numpy as np
import pytest
from scipy import signal

from segue.engine.colour import HALF, Audio, corrected, correction
from segue.engine.measure import log_mel

RATE = 44_100


def noise(seconds: float = 2.0, seed: int = 1) -> Audio:
    return (0.1 * np.random.default_rng(seed).standard_normal((2, round(seconds * RATE)))).astype(np.float32)


def test_equal_sounds_need_no_correction() -> None:
    audio = noise()
    np.testing.assert_allclose(corrected(audio, correction(audio, audio, RATE))[:, HALF:-HALF], audio[:, HALF:-HALF], atol=2e-3)


def test_what_a_shelf_did_is_undone() -> None:
    audio = noise()
    coloured = signal.lfilter([1, 0.6], [1], audio, axis=1).astype(np.float32)
    taps = correction(audio, coloured, RATE)
    there, before, after = (log_mel(a, RATE).mean(axis=1) for a in (audio, coloured, corrected(coloured, taps)))
    assert np.abs(before - there)[5:].max() > 0.4
    assert np.abs(after - there)[5:].max() < 0.1


def test_bands_that_the_context_lacks_stay_silent() -> None:
    audio = noise()
    low = signal.sosfilt(signal.ellip(12, 0.1, 110, 8000, fs=RATE, output="sos"), audio, axis=1).astype(np.float32)
    made = corrected(audio, correction(low, audio, RATE))
    top = log_mel(made, RATE)[-10:].mean() - log_mel(audio, RATE)[-10:].mean()
    assert top < -3.5, "nepers: more than 30 dB down"


def test_the_filter_has_no_delay() -> None:
    click = np.zeros((2, 3 * HALF), np.float32)
    click[:, HALF + 100] = 1
    coloured = signal.lfilter([1, 0.6], [1], noise(), axis=1).astype(np.float32)
    assert int(corrected(click, correction(noise(), coloured, RATE))[0].argmax()) == HALF + 100


@pytest.mark.parametrize("seconds", [0.01, 1.0])
def test_silence_and_crumbs_have_no_colour(seconds: float) -> None:
    silent = np.zeros_like(noise(seconds))
    assert correction(silent, noise(seconds), RATE) is None
    assert corrected(silent, None) is silent
