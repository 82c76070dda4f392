"""A take from nothing: a groove on the bars of whoever asks, at the model's loudness, moved by the model."""

from __future__ import annotations

import numpy as np
import pytest

from segue.engine import measure
from segue.engine.checkpoint import load
from segue.engine.engine import Engine, Request
from segue.engine.groove import groove
from segue.engine.synthesis import STYLES, Composer, hits, styles_at
from segue.train.metrics.faults import CLICK, click_sharpness

RATE = 44_100


def request(seconds: float, bpm: float | None, downbeat: int | None = 0, seed: int = 1, meter: int = 4) -> Request:
    beat = None if bpm is None else 60.0 / bpm
    return Request("generate", round(seconds * RATE), seed=seed, beat_s=beat, downbeat=downbeat, beats_per_bar=meter)


@pytest.mark.parametrize("bpm", [96.0, 120.0, 147.0, 168.0])  # whole samples a bar
def test_its_bars_lie_where_they_are_asked_for(bpm: float) -> None:
    late = round(0.37 * RATE)
    on, off = (groove(request(9.0, bpm, downbeat), RATE, -18.0) for downbeat in (0, late))
    bar = round(4 * 60.0 / bpm * RATE)
    n = on.shape[1] - max(bar, late)
    second, theirs = on[:, bar : bar + n], off[:, late : late + n]  # the groove begins within its first bar
    np.testing.assert_allclose(theirs, second * np.float32(np.abs(theirs).max() / np.abs(second).max()), atol=1e-5)
    later = groove(request(9.0, bpm, late + bar), RATE, -18.0)
    np.testing.assert_array_equal(off, later)  # a bar later is the same bar


def test_the_kick_is_on_the_beat() -> None:
    """Of a house piece, by the energy below 120 Hz just after each beat and between beats."""
    seed = next(s for s in range(100) if Composer(np.random.default_rng(s), 124.0).style == "house")
    audio, beat = groove(request(7.5, 124.0, seed=seed), RATE, -18.0).mean(axis=0), 60.0 / 124.0 * RATE
    X = np.fft.rfft(audio)
    X[int(120 * len(audio) / RATE) :] = 0
    low = np.square(np.fft.irfft(X, len(audio)))
    on, off = (np.mean([low[int((n + at) * beat) :][:3000].mean() for n in range(12)]) for at in (0.0, 0.6))
    assert on > 2.0 * off


@pytest.mark.parametrize(("rate", "meter", "bpm"), [(RATE, 3, 120.0), (48_000, 4, 120.0), (RATE, 7, 61.0), (RATE, 4, None)])
def test_any_metre_rate_and_no_tempo(rate: int, meter: int, bpm: float | None) -> None:
    one = groove(request(20.0, bpm, meter=meter), rate, -18.0)
    assert one.shape == (2, 20 * RATE)
    assert one.dtype == np.float32
    assert np.isfinite(one).all()
    assert measure.loudness(one, rate) == pytest.approx(-18.0, abs=0.2)
    assert not np.array_equal(one, groove(request(20.0, bpm, seed=2, meter=meter), rate, -18.0))


def test_styles_follow_the_tempo_and_bars_their_metre() -> None:
    assert styles_at(90) == ["hip-hop"]
    assert set(styles_at(127)) == {"house", "techno", "breaks"} & set(STYLES)
    assert styles_at(300) == ["drum and bass"]
    assert hits(np.random.default_rng(0), "x...", 12) == [0, 4, 8]


def test_nothing_in_it_clicks() -> None:
    """Kicks that ended before they had died away, and a gain that dipped at once, were heard in one take of six."""
    for seed in range(12):
        assert click_sharpness(groove(request(5.0, None, seed=seed), RATE, -18.0), RATE).max() < CLICK
    for seed in range(3):  # longer than what is composed: it goes round
        assert click_sharpness(groove(request(20.0, 120.0, 30_000, seed), RATE, -18.0), RATE).max() < CLICK


def test_a_take_from_nothing_is_music_where_noise_alone_is_none() -> None:
    engine, asked = Engine(load("live")), request(3.0, 120.0)
    over, noise = engine.take(asked), engine.take(Request(**{**vars(asked), "start": 1.0}))
    assert over.shape == noise.shape == (2, 3 * RATE)
    assert np.array_equal(over, engine.take(asked))
    laid = groove(asked, RATE, -18.0)
    assert 0.5 < alike(over, laid) < 0.98  # the model has moved it
    assert abs(alike(noise, laid)) < 0.05
    assert measure.loudness(over, RATE) == pytest.approx(-18.0, abs=4.0)


def alike(a: np.ndarray, b: np.ndarray) -> float:
    return float(np.corrcoef(a.ravel(), b.ravel())[0, 1])
