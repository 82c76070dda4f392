"""The measurement of commits against the beat: its arithmetic on made-up recordings, and the real thing, shortly."""

from __future__ import annotations

import json
import shutil
import sys
from pathlib import Path

import numpy as np
import pytest

from segue.bench import phase
from segue.bench.live import LiveError
from segue.bench.phase import RATE, in_jack, onsets, row
from segue.bench.phase_peers import PROGRAMME, stepped, tempo

COMMITS = 12
FEWEST = 3  # of them that must lie apart from periods that the machine lost, for the test to tell anything


def test_the_programme_has_steps_and_ramps_of_two_bpm_a_second() -> None:
    assert {round(abs(last - first) / lasts, 6) for lasts, first, last in PROGRAMME} == {0.0, 2.0}
    assert sum(stepped(part) for part in range(1, len(PROGRAMME) + 1)) >= 3
    assert tempo(15.0 + 5.0) == (1, 130.0)
    whole = sum(part[0] for part in PROGRAMME)
    assert tempo(whole + 20.0) == (len(PROGRAMME) + 1, 130.0)


@pytest.mark.parametrize("late", [0.0, 0.0007, 0.005])
def test_it_finds_errors_that_are_there(late: float) -> None:
    bpm, block, first = 120.0, 256, 51_200
    recording = np.zeros((2, 60 * RATE), np.float32)
    commits = [(0, "bar"), (1, "beat"), (2.25, "1/4"), (4.0, "bar"), (6.0, "beat"), (7.5, "1/4"), (8.0, "bar"), (11.0, "beat")]
    asked = [quant for _, quant in commits]
    for beat, _ in commits:
        start = round((beat * 60.0 / bpm + late + 1.0) * RATE)
        recording[:, start : start + 2000] = 0.5
    found = onsets(recording)
    assert len(found) == len(asked)
    # The master's beat 0 falls a second after the recording's beginning, at 1000.0 s; callbacks wake up to 0.3 ms late.
    rng = np.random.default_rng(1)
    pairs = [(f, 999.0 + (f - first) / RATE + rng.uniform(0.0, 3e-4)) for f in range(first, first + 60 * RATE, block)]
    beats = [(1000.0 + 0.01 * k, 0.02 * k, bpm) for k in range(-200, 6000)]
    said = row("link", block, (0.0, 0.0), asked, found, first, pairs, {"beats": beats, "steps": [1000.0]})
    assert said["median_ms"] == pytest.approx(1e3 * late, abs=0.05)
    assert said["counted"] == len(asked) - 2  # a step at beat 0
    assert said["over_3_ms"] == (said["counted"] if late > 0.003 else 0)
    # The same against ticks in JACK's frames, which begin elsewhere.
    cycles = [(9_000_000 + f - first, at) for f, at in pairs]
    ticks = [(9_000_000.0 + RATE + k * RATE / 48.0, k / 24.0, bpm) for k in range(-48, 3000)]
    said = row("midi", block, (-0.001, 0.001), asked, found, first, pairs, {"beats": ticks, "steps": [0.0], "cycles": cycles})
    assert said["median_ms"] == pytest.approx(1e3 * late, abs=0.02)


def test_periods_that_jack_lost_on_the_way_move_no_error() -> None:
    block, gone = 256, 7 * 256
    frames = np.arange(0, 20 * RATE, block)
    jacks = 5000 + frames + np.where(frames < 10 * RATE, 0, gone)  # JACK went on counting meanwhile
    when = 100.0 + (jacks - 5000) / RATE
    pairs = list(zip(frames.tolist(), (when + 1e-4).tolist(), strict=True))
    cycles = list(zip(jacks.tolist(), when.tolist(), strict=True))
    found = in_jack(np.array([3 * RATE + 11, 15 * RATE + 13]), pairs, cycles, block)
    np.testing.assert_array_equal(found, [5000 + 3 * RATE + 11, 5000 + 15 * RATE + 13 + gone])


def test_where_every_commit_follows_a_loss_no_error_is_told_instead_of_an_invented_one() -> None:
    block, first = 256, 256
    frames = np.arange(first, 4 * RATE, block)
    late = 0.05 * (frames // RATE)  # 50 ms are lost each second
    pairs = [(int(f), 100.0 + f / RATE + l) for f, l in zip(frames, late, strict=True)]
    truth = {"beats": [(100.0 + 0.01 * k, 0.02 * k, 120.0) for k in range(1000)], "steps": []}
    said = row("link", block, (0.0, 0.0), ["beat", "beat"], np.array([RATE + 5000, 2 * RATE + 5000]), first, pairs, truth)
    assert (said["counted"], said["median_ms"], said["max_ms"]) == (0, None, None)
    assert said["lost_periods"] == 3
    assert len(said["after_lost"]) == 2


@pytest.mark.realtime
@pytest.mark.skipif(shutil.which("jackd") is None, reason="jackd is missing: apt-get install jackd2")
@pytest.mark.parametrize("source", ["link", "midi"])
def test_commits_fall_on_the_beats_of_a_real_master(source: str, monkeypatch: pytest.MonkeyPatch) -> None:
    pytest.importorskip("link" if source == "link" else "jack", reason="pip install segue[link,dev]")
    monkeypatch.setenv("SEGUE_TEST_ENGINE", json.dumps([sys.executable, str(Path(__file__).with_name("fake_engine.py")), "0.3"]))
    monkeypatch.delenv("XDG_RUNTIME_DIR", raising=False)
    try:
        said = phase.measure(source, COMMITS, 256, (-0.001, 0.001), 1)
    except LiveError as error:
        pytest.skip(str(error))
    assert said["heard"] == COMMITS
    if said["counted"] < FEWEST:
        pytest.skip(f"jackd lost periods {said['lost_periods']} times meanwhile: {said['counted']} commits lie apart from that")
    assert said["median_ms"] < 1.0
    assert said["max_ms"] < 3.0
