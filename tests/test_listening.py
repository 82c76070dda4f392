"""Tempo and beats of music: the estimate on sounds made here and on real pieces, the vote, and the listener as a process."""

from __future__ import annotations

import os
import time
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
import soundfile
import soxr
from fake_runner import STATE, FakeRunner
from hypothesis import given
from hypothesis import strategies as st
from numpy.typing import NDArray

from segue.server.config import Config
from segue.server.stage import Stage
from segue.server.sync.comb import Found, find
from segue.server.sync.line import Line, SourceState
from segue.server.sync.listener import Listener
from segue.server.sync.listening import Listening
from segue.server.sync.onsets import HOP, ONSET, envelope, flattened
from segue.server.sync.tracker import MOST, VOTES, Tracker

RATE = 44_100
DATA = Path(os.environ.get("SEGUE_DATA", Path(__file__).parent.parent.parent / "shared" / "data"))
LOOPS = {"bleepy-103": 103.0, "diorama": 128.0, "kfuc-120": 120.0}


def drums(bpm: Callable[[float], float], seconds: float, first: float = 0.3) -> tuple[NDArray[np.float32], list[float]]:
    """A bass drum on beats, noise on halves, quieter noise on quarters; and the frames of the beats."""
    rng = np.random.default_rng(1)
    out, beats, at, step = 0.001 * rng.standard_normal(round(seconds * RATE)), [], first, 0
    while at < seconds - 0.2:
        start = round(at * RATE)
        t = np.arange(6000) / RATE
        if step % 4 == 0:
            sound = 0.8 * np.sin(2 * np.pi * 60 * t) * np.exp(-t / 0.05) + 0.3 * rng.standard_normal(6000) * np.exp(-t / 0.003)
            beats.append(at * RATE)
        else:
            sound = (0.2 if step % 4 == 2 else 0.08) * rng.standard_normal(6000) * np.exp(-t / 0.01)
        out[start : start + 6000] += sound[: out.size - start]
        at, step = at + 15.0 / bpm(at), step + 1
    return np.stack([out, out]).astype(np.float32), beats


def off(frame: float, beats: list[float], period: float) -> float:
    """Seconds from a frame to the nearest beat, the beats going on."""
    error = (frame - beats[-1]) / period
    return (error - round(error)) * period / RATE


@pytest.mark.parametrize("bpm", [85.0, 103.0, 120.0, 133.3, 155.0])
def test_tempo_and_beat_of_a_drum_pattern(bpm: float) -> None:
    audio, beats = drums(lambda t: bpm, 14.0)
    found = find(flattened(envelope(audio, RATE), RATE), RATE / HOP)
    assert found is not None
    assert 60.0 * RATE / (HOP * found.period) == pytest.approx(bpm, abs=0.3)
    assert abs(off(found.beat * HOP + ONSET, beats, 60.0 * RATE / bpm)) < 0.010


@pytest.mark.parametrize("name", LOOPS)
def test_loops_of_known_tempo_are_within_one_bpm(name: str) -> None:
    path = DATA / "eval" / f"white-noise-audio-{name}.mp3"
    if not path.is_file():
        pytest.skip(f"{path} is missing: set SEGUE_DATA to the folder of evaluation music")
    audio, rate = soundfile.read(path, dtype="float32", always_2d=True)
    found = find(flattened(envelope(soxr.resample(audio, rate, RATE).T, RATE), RATE), RATE / HOP)
    assert found is not None
    assert 60.0 * RATE / (HOP * found.period) == pytest.approx(LOOPS[name], abs=1.0)


@pytest.mark.parametrize("audio", [np.zeros((2, 8 * RATE)), np.zeros((2, 100)), np.ones((2, 8 * RATE))])
def test_what_has_no_beat_has_none(audio: NDArray[np.float64]) -> None:
    assert find(flattened(envelope(audio.astype(np.float32), RATE), RATE), RATE / HOP) is None


def heard(audio: NDArray[np.float32], listener: Listener) -> list[float]:
    """BPM after each half second of the audio, 0 for none."""
    found = []
    for written in range(RATE // 2, audio.shape[1], RATE // 2):
        first, end = listener.wanted(written)
        if end > first:
            now = listener.hear(audio[:, first:end])
            found.append(60.0 * RATE / now.period if now else 0.0)
    return found


def test_the_listener_follows_a_change_and_counts_every_beat() -> None:
    audio, beats = drums(lambda t: 124.0 if t < 20.0 else 100.0, 48.0)
    listener = Listener(RATE)
    tempi = heard(audio, listener)
    assert [round(t) for t in tempi[20:38]] == [124] * 18
    assert [round(t) for t in tempi[-16:]] == [100] * 16
    now = listener._tracker.heard
    assert now is not None
    assert abs(off(now.frame, beats, 60.0 * RATE / 100.0)) < 0.015


def test_silence_loses_the_beat() -> None:
    audio, _ = drums(lambda t: 120.0, 10.0)
    tempi = heard(np.concatenate([audio, np.zeros((2, 30 * RATE), np.float32)], axis=1), Listener(RATE))
    assert round(tempi[17]) == 120
    assert tempi[-1] == 0.0


FOUND = st.none() | st.builds(Found, st.floats(40, 200), st.floats(0, 3000), st.floats(0, 1))


@given(st.lists(FOUND, max_size=40))
def test_one_estimate_never_moves_the_tempo(estimates: list[Found | None]) -> None:
    tracker, frame = Tracker(), 0.0
    for one in estimates:
        before = tracker.heard
        after = tracker.take(one, HOP, frame)
        frame += RATE / 2
        if before is not None and after is not None and abs(after.period / before.period - 1.0) > 0.05:
            votes = [p for p in tracker._periods if p and abs(p / after.period - 1.0) <= 0.04]
            assert len(votes) >= MOST
        assert after is None or after.period > 0.0
    assert len(tracker._periods) <= VOTES


def test_the_process_hears_a_stream_and_comes_back_when_it_is_killed() -> None:
    stage = Stage(Config(), FakeRunner, STATE, 0.2)
    listening = Listening(stage.segment.name)
    audio, beats = drums(lambda t: 128.0, 90.0)
    played = 0

    def line_after(line: Line | None) -> Line:
        nonlocal played
        until = time.monotonic() + 30.0
        while time.monotonic() < until:
            for news in listening.poll():
                if isinstance(news, Line) and (line is None or news.frame > line.frame):
                    return news
            stage.play(audio[:, played : played + RATE], RATE)  # four times as fast as life
            played += RATE
            time.sleep(0.25)
        raise AssertionError("nothing was heard")

    try:
        assert next(iter(listening.poll())) == SourceState("waiting", "no beat was heard yet")
        line = line_after(None)
        assert line.bpm == pytest.approx(128.0, abs=1.0)
        assert abs(off(line.frame, beats, 60.0 * RATE / 128.0)) < 0.015
        assert listening._process is not None
        listening._process.kill()
        listening._process.wait()
        assert any(isinstance(news, SourceState) and news.state == "lost" for news in listening.poll())
        assert line_after(line).bpm == pytest.approx(128.0, abs=1.0)
    finally:
        listening.close()
        stage.close()
