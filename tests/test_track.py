"""Tracks: a file at another level or tempo, read as the same samples however one got there; texts and refusals."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
import soundfile
from hypothesis import given
from hypothesis import strategies as st

from segue.server.audio import track as tracks
from segue.server.audio.files import FileError
from segue.server.audio.track import Track, can_stretch, open_track, read_region

RATE = 44_100
stretcher = pytest.mark.skipif(not can_stretch(), reason="python-stretch is not installed: pip install 'segue[stretch]'")


def clicks(folder: Path, seconds: float = 40.0, every: float = 0.5) -> str:
    """Short bursts of noise, one every half second from 0 on, over a quiet tone."""
    t = np.arange(round(seconds * RATE))
    audio = 0.02 * np.sin(2 * np.pi * 220.0 * t / RATE)
    burst = np.random.default_rng(1).normal(0, 0.3, 400) * np.exp(-np.arange(400) / 80.0)
    for at in np.arange(0.0, seconds - 0.1, every):
        audio[round(at * RATE) :][:400] += burst
    path = folder / "clicks.wav"
    soundfile.write(path, np.stack([audio, audio], 1), RATE, subtype="FLOAT")
    return str(path)


@given(st.text(st.characters(codec="utf-8"), max_size=40), st.floats(-60, 60), st.floats(0.5, 2.0), st.integers(0, 10**9))
def test_the_text_of_a_track_is_that_track(path: str, gain: float, factor: float, start: int) -> None:
    track = Track("/" + path, gain, factor, start if factor != 1.0 else 0)
    assert Track.parse(str(track)) == track


@pytest.mark.parametrize("text", ["segue-track:", "segue-track:1:2", "segue-track:a:1.0:0:/x", "segue-track:0.0:9.0:0:/x"])
def test_a_text_that_is_no_track_is_refused(text: str) -> None:
    with pytest.raises(FileError, match="is no track"):
        open_track(text, RATE)


def test_a_gain_is_exact_and_no_gain_is_the_file(tmp_path: Path) -> None:
    path = clicks(tmp_path, 2.0)
    plain = read_region(path, 1000, 5000, RATE)
    np.testing.assert_array_equal(read_region(str(Track(path)), 1000, 5000, RATE), plain)
    louder = read_region(str(Track(path, 20.0 * float(np.log10(2.0)))), 1000, 5000, RATE)
    np.testing.assert_allclose(louder, 2.0 * plain, rtol=1e-6)


@stretcher
@pytest.mark.parametrize("factor", [0.93, 1.07])
def test_beats_fall_where_the_factor_says_also_across_chunks(tmp_path: Path, factor: float) -> None:
    path, start = clicks(tmp_path), 3 * RATE
    with open_track(str(Track(path, 0.0, factor, start)), RATE) as reader:
        assert reader.length == round(37 * RATE * factor)
        audio = np.abs(reader.read(reader.length)).max(axis=0)
    errors = []
    for at in np.arange(1.0, 36.0, 0.5):
        place = round(at * RATE * factor)
        window = audio[place - 2000 : place + 2000]
        errors.append((int(np.argmax(window > 0.5 * window.max())) - 2000) / RATE * 1e3)
    assert np.abs(errors).max() < 5.0  # ms
    assert abs(float(np.median(errors))) < 2.0


@stretcher
def test_the_samples_do_not_depend_on_how_one_got_there(tmp_path: Path) -> None:
    text = str(Track(clicks(tmp_path), 3.0, 1.05, RATE))
    whole = read_region(text, 0, 20 * RATE, RATE)
    tracks._chunk.cache_clear()
    seam = round(tracks.CHUNK_S * RATE)
    for start, n in ((seam - 300, 600), (1234, 77), (seam, 10), (seam + 1, 4000)):
        np.testing.assert_array_equal(read_region(text, start, n, RATE), whole[:, start : start + n])
    assert not np.any(read_region(text, -500, 400, RATE))


@stretcher
def test_no_step_where_two_chunks_meet(tmp_path: Path) -> None:
    t = np.arange(40 * RATE) / RATE
    path = tmp_path / "tone.wav"
    soundfile.write(path, np.stack([0.5 * np.sin(2 * np.pi * 330.0 * t)] * 2, 1), RATE, subtype="FLOAT")
    seam = round(tracks.CHUNK_S * RATE)
    audio = read_region(str(Track(str(path), 0.0, 0.96, 0)), seam - RATE, 2 * RATE, RATE)
    steps = np.abs(np.diff(audio, axis=1)).max(axis=0)
    assert steps[RATE - 10 : RATE + 2000].max() < 2.0 * steps[: RATE - 2000].max()


def test_without_the_stretcher_another_tempo_says_which_extra(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    path = clicks(tmp_path, 2.0)
    monkeypatch.setattr(tracks, "can_stretch", lambda: False)
    with pytest.raises(FileError, match=r"segue\[stretch\]"):
        open_track(str(Track(path, 0.0, 1.02, 0)), RATE)
