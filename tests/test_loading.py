"""Loading: level and tempo found out and told, said by the performer instead, bounded, refused; live in a process of its own."""

from __future__ import annotations

import time
from pathlib import Path

import numpy as np
import pytest
import soundfile
from fake_runner import RATE
from hypothesis import given
from hypothesis import strategies as st
from numpy.typing import NDArray
from staged import said

from segue.engine.limiter import CEILING_DBTP, true_peaks
from segue.engine.measure import loudness
from segue.engine.synthesis import compose
from segue.server.analysing import Processes
from segue.server.analysis import Analysis, analysed, regular
from segue.server.loudness import BOUND_DB, Meter, gain_db
from segue.server.stage import Stage


def written(folder: Path, audio: NDArray[np.float32], name: str = "a.wav") -> str:
    soundfile.write(folder / name, audio.T, RATE, subtype="FLOAT")
    return str(folder / name)


def drums(bpm: float, seconds: float, level: float = 0.3, first: float = 0.25) -> NDArray[np.float32]:
    """A bass drum on every beat and a hat between them."""
    audio = np.zeros(round(seconds * RATE))
    t = np.arange(round(0.12 * RATE)) / RATE
    kick, hat = (
        np.sin(2 * np.pi * 55.0 * t) * np.exp(-t / 0.04),
        np.random.default_rng(1).normal(0, 0.15, t.size) * np.exp(-t / 0.01),
    )
    for i, at in enumerate(np.arange(first, seconds - 0.2, 30.0 / bpm)):
        audio[round(at * RATE) :][: t.size] += hat if i % 2 else kick
    return np.stack([level * audio] * 2).astype(np.float32)


def test_a_sine_at_full_scale_on_one_channel_has_the_loudness_of_the_standard() -> None:
    meter = Meter(48_000)
    sine = np.sin(2 * np.pi * 997.0 * np.arange(48_000 * 5) / 48_000).astype(np.float32)
    for i in range(0, sine.size, 7000):
        meter.push(np.stack([sine, 0 * sine])[:, i : i + 7000])
    assert meter.lufs == pytest.approx(-3.01, abs=0.02)
    assert meter.peak_db == pytest.approx(0.0, abs=0.02)


def test_silence_between_the_music_does_not_count() -> None:
    music = np.random.default_rng(1).normal(0, 0.1, (2, 5 * RATE)).astype(np.float32)
    gated, bare = Meter(RATE), Meter(RATE)
    gated.push(np.concatenate([music, np.zeros((2, 20 * RATE), np.float32)], axis=1))
    bare.push(music)
    assert gated.lufs == pytest.approx(bare.lufs, abs=0.2)
    assert bare.lufs == pytest.approx(loudness(music, RATE), abs=0.1)
    assert Meter(RATE).lufs is None


def test_pieces_of_any_size_give_the_peak_of_the_whole() -> None:
    audio = np.random.default_rng(2).normal(0, 0.2, (2, 3 * RATE)).astype(np.float32)
    meter = Meter(RATE)
    for i in range(0, audio.shape[1], 4001):
        meter.push(audio[:, i : i + 4001])
    assert meter.peak_db == pytest.approx(20 * np.log10(true_peaks(audio).max()), abs=0.05)


@given(st.none() | st.floats(-70, 0), st.floats(-120, 3), st.floats(-40, -5))
def test_the_gain_stays_within_its_bounds(lufs: float | None, peak: float, reference: float) -> None:
    gain = gain_db(lufs, peak, reference)
    assert abs(gain) <= BOUND_DB
    assert gain <= 0.0 or peak + gain <= CEILING_DBTP + 1e-9
    if lufs is not None and abs(reference - lufs) <= BOUND_DB and peak + reference - lufs <= CEILING_DBTP:
        assert lufs + gain == pytest.approx(reference)


@pytest.mark.parametrize("seed", range(4))
def test_tempo_and_beats_of_composed_music_are_found(tmp_path: Path, seed: int) -> None:
    piece = compose(np.random.default_rng([77, (0, 1, 3, 9)[seed]]), 40.0)
    what = analysed(written(tmp_path, np.ascontiguousarray(piece.audio.T)), RATE)
    assert what.bpm == pytest.approx(piece.bpm, rel=0.005)
    period = 60.0 * RATE / piece.bpm
    phase = (np.array(what.beats) / period + 0.5) % 1.0 - 0.5
    assert abs(float(np.median(phase))) * period / RATE < 0.010  # s: the first beat is at 0


def test_noise_has_no_beat(tmp_path: Path) -> None:
    what = analysed(written(tmp_path, np.random.default_rng(1).normal(0, 0.1, (2, 20 * RATE)).astype(np.float32)), RATE)
    assert (what.bpm, what.beats) == (0.0, ())


def test_a_file_is_brought_to_the_reference_and_what_was_found_is_told(stage: Stage, tmp_path: Path) -> None:
    audio = drums(110.0, 24.0)
    path = written(tmp_path, audio)
    stage.send("/segue/reference", -20.0)
    stage.send("/segue/deck/1/load", path)
    stage.play(None, RATE // 2)
    ((gain, lufs, peak, bpm, beat),) = said(stage, "/segue/deck/1/track")
    assert lufs + gain == pytest.approx(-20.0, abs=0.1)
    assert bpm == pytest.approx(110.0, abs=0.3)
    off = (beat - 0.25) % (60.0 / 110.0)
    assert min(off, 60.0 / 110.0 - off) < 0.010
    assert peak == pytest.approx(20 * np.log10(np.abs(audio).max()), abs=0.5)
    stage.send("/segue/deck/1/play")
    out = stage.play(None, 2 * RATE)
    np.testing.assert_allclose(out[:, 256 + 200 : RATE], 10 ** (gain / 20) * audio[:, 200 : RATE - 256], rtol=1e-4, atol=1e-6)
    assert said(stage, "/segue/deck/1/file") == [(path, 24.0)]


def test_what_the_performer_says_is_taken(stage: Stage, tmp_path: Path) -> None:
    path = written(tmp_path, drums(110.0, 24.0))
    stage.send("/segue/deck/1/load", path, "gain", -3.0, "bpm", 55.0, "beat", 0.25)
    stage.play(None, RATE // 2)
    ((gain, lufs, peak, bpm, beat),) = said(stage, "/segue/deck/1/track")
    assert (gain, bpm, lufs, peak) == (-3.0, 55.0, -120.0, -120.0)  # nothing was left to be found out
    assert beat == pytest.approx(0.25, abs=1e-3)


def test_regular_beats_are_those_of_the_tempo() -> None:
    beats = regular(10 * RATE, RATE, 120.0, 3.25)
    assert beats[:2] == (round(0.25 * RATE), round(0.75 * RATE))
    assert len(beats) == 20


def test_a_process_says_what_is_wrong_with_a_file(tmp_path: Path) -> None:
    bad = ("nowhere.wav", "text.wav")
    (tmp_path / "text.wav").write_text("not audio at all")
    good = written(tmp_path, drums(120.0, 12.0))
    processes = Processes(RATE)
    try:
        for name in bad:
            processes.ask(str(tmp_path / name))
        processes.ask(good)
        found, until = [], time.monotonic() + 60.0
        while len(found) < 3 and time.monotonic() < until:
            found += processes.poll()
            time.sleep(0.01)
        assert all(name in str(result.what) for name, result in zip(bad, found, strict=False))
        assert isinstance(found[2].what, Analysis)
        assert found[2].what == analysed(good, RATE)
        processes.ask(good)  # known by now
        assert processes.poll()[0].what == found[2].what
    finally:
        processes.close()


def test_a_chain_that_syncopes_led_astray_is_put_right(tmp_path: Path) -> None:
    piece = compose(np.random.default_rng([77, 2]), 40.0)  # a third of it has no drums
    what = analysed(written(tmp_path, np.ascontiguousarray(piece.audio.T)), RATE)
    period = 60.0 * RATE / piece.bpm
    phase = np.abs((np.array(what.beats) / period + 0.5) % 1.0 - 0.5)
    assert float(np.percentile(phase, 95)) * period / RATE < 0.015


def test_beats_of_people_are_not_made_even(tmp_path: Path) -> None:
    rng = np.random.default_rng(5)
    steps = 0.5 * np.cumprod(np.exp(rng.normal(0.0, 0.012, 60)))  # a tempo that wanders
    places = np.cumsum(steps / steps.mean() * 0.5)
    audio = np.zeros(round((places[-1] + 1.0) * RATE))
    burst = rng.normal(0, 0.4, 900) * np.exp(-np.arange(900) / 150.0)
    for at in places:
        audio[round(at * RATE) :][:900] += burst
    what = analysed(written(tmp_path, np.stack([audio, audio]).astype(np.float32)), RATE)
    if what.beats:  # it may as well say that no tempo is sure
        found = np.array(what.beats) / RATE
        assert float(np.median(np.abs(places[4:-4, None] - found[None, :]).min(axis=1))) < 0.01
