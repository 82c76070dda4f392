"""The measurement of transitions: what it says of tracks whose beats are known, on a stepped clock with a plain runner."""

from __future__ import annotations

import argparse
from pathlib import Path

import numpy as np
import pytest
import soundfile
from fake_runner import RATE, STATE, FakeRunner

from segue.bench import transitions
from segue.bench.judge import alignment, smoothness, summary, true_beats
from segue.bench.transitions import SYSTEMS, Song, near
from segue.engine.synthesis import compose
from segue.server.audio.track import can_stretch


def test_distances_are_those_of_the_track_with_fewer_beats() -> None:
    slow, fast = true_beats(60.0, 0.5, 20.0), true_beats(120.0, 0.51, 20.0)
    found = alignment(slow, fast, 2.0, 18.0)
    assert found["median_ms"] == pytest.approx(10.0)
    assert alignment(slow, true_beats(60.0, 0.0, 20.0), 2.0, 18.0)["median_ms"] == pytest.approx(500.0)
    assert alignment(slow, fast[:1], 2.0, 18.0)["median_ms"] is None


def test_a_hole_in_the_loudness_is_seen() -> None:
    audio = np.random.default_rng(1).normal(0, 0.1, (2, 20 * RATE)).astype(np.float32)
    even = smoothness(audio, 8 * RATE, 14 * RATE, RATE)
    assert even["dip_lu"] < 0.5
    assert even["largest_step_lu"] < 0.5
    audio[:, 10 * RATE : 12 * RATE] *= 0.25
    hole = smoothness(audio, 8 * RATE, 14 * RATE, RATE)
    assert hole["dip_lu"] == pytest.approx(12.0, abs=0.5)
    assert hole["largest_step_lu"] == pytest.approx(12.0, abs=0.5)


def test_tempi_are_near_by_the_octave_and_not_the_same() -> None:
    assert near(120.0, 126.0, 8.0)
    assert near(87.0, 180.0, 8.0)
    assert not near(120.0, 120.1, 8.0)
    assert not near(100.0, 130.0, 8.0)


@pytest.mark.skipif(not can_stretch(), reason="python-stretch is not installed: pip install 'segue[stretch]'")
def test_ours_lies_on_the_beat_where_the_plain_crossfade_does_not(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(transitions, "beats_by_librosa", lambda audio, rate: np.zeros(0))  # an extra; here the truth is known
    songs = []
    for number in (0, 10):  # house at 126 and electro at 124 BPM
        piece = compose(np.random.default_rng([77, number]), 48.0)
        path = tmp_path / f"{number}.wav"
        soundfile.write(path, piece.audio, RATE)
        songs.append(Song(piece.style, str(path), piece.bpm, piece.bpm))
    args = argparse.Namespace(beats=8.0, limit=8.0)
    rows = {row["system"]: row for row in transitions.measured((FakeRunner, STATE), songs[0], songs[1], args)}
    assert set(rows) == set(SYSTEMS)
    assert rows["ours"]["rung"] == "finished"
    assert rows["ours"]["factor"] == pytest.approx(songs[1].bpm / songs[0].bpm, rel=2e-3)
    assert rows["ours"]["true_beats"]["median_ms"] < 12.0
    assert rows["plain"]["true_beats"]["median_ms"] > 4 * rows["ours"]["true_beats"]["median_ms"]
    assert summary(list(rows.values()), "composed", "ours")["n"] == 1
