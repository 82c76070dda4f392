"""The performance score: what it draws, what it hears, what it makes of it, and a short one on a real JACK server."""

from __future__ import annotations

import itertools
import json
import math
import shutil
import sys
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import numpy as np
import pytest
import soundfile

from segue.bench import score, score_tempo
from segue.bench.score_ear import AROUND, GAP_S, Heard, due, gaps, longest_run, powers
from segue.bench.score_part import Part
from segue.bench.slow_engine import Slower
from segue.clients.python import Event
from segue.server.binding import bind
from segue.server.commands import CommandError, Kind, addresses
from segue.server.jobs import Finished, Job, Piece, Running, WorkerEvent
from segue.server.sync.link import LinkPeer

RATE = 44_100
WINDOW = round(GAP_S * RATE)
LATER = {"load", "commit"}  # refused for what they name, not for how it is said


def test_a_gap_is_found_and_a_rest_and_an_ending_are_none() -> None:
    music = np.random.default_rng(1).normal(0, 0.1, (2, 400 * WINDOW)).astype(np.float32)
    music[:, 100 * WINDOW : 150 * WINDOW] = 0.0
    expected, heard = powers(music, WINDOW), powers(music, WINDOW)
    assert len(gaps(heard, expected)) == 0
    for first, last in ((40, 41), (200, 230)):
        broken = music.copy()
        broken[:, first * WINDOW : last * WINDOW] *= 0.005
        np.testing.assert_array_equal(gaps(powers(broken, WINDOW), expected), np.arange(first, last))
    late = powers(np.roll(music, AROUND * WINDOW, axis=1), WINDOW)  # by as much as two clients' cycles may differ
    assert len(gaps(late[AROUND:], expected[AROUND:])) == 0


def test_silence_while_the_performer_plays_is_measured() -> None:
    loud, quiet = np.full(100, 1e-2), np.zeros(100)
    heard = Heard(WINDOW, [loud, quiet, loud], [loud, loud, loud], [loud, loud, loud])
    found = heard.report(RATE)
    assert found["longest_silence_s"] == pytest.approx(100 * WINDOW / RATE, abs=1e-3)
    assert (found["gaps"], found["gap_windows"]) == (1, 100)
    assert Heard(WINDOW).report(RATE)["gaps"] == 0
    assert longest_run(np.array([False, True, True, False, True])) == (1, 2)


def test_a_rest_in_a_file_that_plays_is_music() -> None:
    loud, quiet = np.full(10, 1e-2), np.zeros(10)
    np.testing.assert_array_equal(due(loud, []), loud)
    np.testing.assert_array_equal(due(loud, [loud]), loud)
    rest = np.concatenate([loud[:4], quiet[4:6], loud[6:]])
    np.testing.assert_array_equal(due(loud, [loud, rest]), rest)


def test_what_is_drawn_is_valid_but_for_what_must_be_refused_and_is_the_same_again() -> None:
    known = addresses()
    acts = list(itertools.islice(Part(3, ["a.wav"]).acts(), 600))
    assert str(acts) == str(list(itertools.islice(Part(3, ["a.wav"]).acts(), 600)))
    for act in acts:
        spec = known.get(act.address, (None, None))[0]
        if spec is None:
            assert act.bad
            continue
        try:
            bind(spec, act.args)
            assert not act.bad or spec.name in LATER, act
        except CommandError:
            assert act.bad, act
    verbs = {known[a.address][0].name for a in acts if a.address in known and known[a.address][0].kind is Kind.VERB}
    assert {"continue", "transition", "infill", "vary", "loop", "style", "generate", "overdub", "footswitch", "undo"} <= verbs


def test_a_dearer_engine_makes_the_same_later() -> None:
    class Inner:
        def run(self, job: Job, cancelled: Callable[[], bool], on_share: Callable[[float], None]) -> Iterator[WorkerEvent]:
            yield Running(job.id)
            yield Piece(job.id, 0, np.zeros((2, 10), np.float32), 0.01, 4)
            yield Finished(job.id)

    events = list(Slower(Inner(), 2.0).run(Job(1, 1, "continue", "continuation", 10), lambda: False, lambda share: None))
    assert [type(e) for e in events] == [Running, Piece, Finished]
    assert isinstance(events[1], Piece)
    assert events[1].seconds == 0.02


def test_every_bar_that_is_missed_is_named() -> None:
    good = {
        "counters": {"late": 3}, "unanswered": 0, "stuck_jobs": 0, "gaps": 0, "drift_frames": 0, "torn_reads": 0,
        "accepted_bad": 0, "longest_silence_s": 0.0, "tempo": {"failed": ""},
    }  # fmt: skip
    assert score.failures(good) == []
    assert score.failures(good | {"counters": {"underruns": 1}, "gaps": 2}) == ["underruns", "gaps"]
    assert score.failures(good | {"longest_silence_s": 0.5}) == ["longest_silence_s"]
    assert score.failures(good | {"tempo": {"failed": "ImportError: no link"}}) == ["scenes"]


def test_the_witness_tells_a_beat_that_the_performer_moved_from_one_that_is_off(monkeypatch: pytest.MonkeyPatch) -> None:
    pytest.importorskip("link", reason="LinkPython-extern is not installed: pip install 'segue[link]'")
    monkeypatch.setattr(score_tempo, "SETTLED_BEATS", 0.0)
    witness, ours = score_tempo.Witness(), LinkPeer(120.0, 0.0, time.time(), 4)
    since = time.time()

    def hears(later: float) -> list[float]:
        """What is noted of four beats, each so many beats later than the session's."""
        known = len(witness.errors)
        now = ours.read()
        for beat in range(math.ceil(now.beat) + 3, math.ceil(now.beat) + 7):
            at = now.time + (beat + later - now.beat) * 60.0 / now.bpm
            witness.hear(Event("/segue/beat", (1, 1), at), since)
        return [error for _, error in witness.errors[known:]]

    try:
        until = time.monotonic() + 15.0
        while not ours.read().peers or not hears(0.0):
            assert time.monotonic() < until
            time.sleep(0.05)
        time.sleep(0.5)  # both are in one session
        beat = 60.0 / ours.read().bpm
        assert np.abs(hears(0.0)).max() < score_tempo.FAR_MS
        np.testing.assert_allclose(hears(0.1), [100.0 * beat] * 4, atol=score_tempo.FAR_MS)
        witness.move("/segue/nudge", (0.1,))
        assert np.abs(hears(0.1)).max() < score_tempo.FAR_MS
        assert np.abs(hears(0.0)).max() > 10.0
        witness.move("/segue/downbeat", ())
        assert len(hears(0.37)) == 3
        assert np.abs(hears(0.37)).max() < score_tempo.FAR_MS
        assert witness.moves == 2
        since = time.time()  # taken again: the session's own beats count
        assert np.abs(hears(0.0)).max() < score_tempo.FAR_MS
    finally:
        ours.close()
        witness.close()


@pytest.mark.skipif(shutil.which("jackd") is None, reason="jackd is not installed: apt-get install jackd2")
def test_a_short_performance(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> None:
    pytest.importorskip("link", reason="LinkPython-extern is not installed: pip install 'segue[link]'")
    program = str(Path(__file__).with_name("fake_engine.py"))
    monkeypatch.setenv("SEGUE_TEST_ENGINE", json.dumps([sys.executable, program, "0.2"]))
    noise = np.random.default_rng(1).normal(0, 0.1, (30 * RATE, 2)).astype(np.float32)
    soundfile.write(tmp_path / "noise.wav", noise, RATE)
    score.main(["--minutes", "0.2", "--seed", "2", "--input", str(tmp_path), "--json"])
    report = json.loads(capsys.readouterr().out)
    print(report)
    assert report["commands"] >= 3
    assert (report["unanswered"], report["accepted_bad"], report["stuck_jobs"]) == (0, 0, 0)
    assert not report["counters"].get("underruns")
    assert report["tempo"]["scenes"]["ramp"] == 1
    assert report["heard_s"] > 10.0
