"""File decks: loading, transport, transitions between two files, errors."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
import soundfile
from fake_runner import RATE
from numpy.typing import NDArray
from staged import said

from segue.server.stage import Stage


def track(folder: Path, name: str, seconds: float, seed: int) -> tuple[str, NDArray[np.float32]]:
    """A file of noise, and what is in it."""
    audio = np.random.default_rng(seed).normal(0, 0.1, (2, round(seconds * RATE))).astype(np.float32)
    path = folder / name
    soundfile.write(path, audio.T, RATE, subtype="FLOAT")
    return str(path), audio


def two_files(stage: Stage, folder: Path) -> tuple[NDArray[np.float32], NDArray[np.float32]]:
    """A file on each of two decks, and what is in them; the first has played for 4 s."""
    (first, a), (second, b) = track(folder, "a.wav", 30.0, 1), track(folder, "b.wav", 30.0, 2)
    stage.send("/segue/deck/1/load", first, "gain", 0.0)
    stage.send("/segue/deck/2/load", second, "gain", 0.0)
    stage.play(None, RATE // 2)
    stage.send("/segue/deck/1/play")
    stage.play(None, 4 * RATE)
    return a, b


def test_a_file_plays_from_its_first_sample_one_block_after_the_message(stage: Stage, tmp_path: Path) -> None:
    path, audio = track(tmp_path, "a.wav", 6.0, 1)
    stage.send("/segue/deck/1/load", path, "gain", 0.0)
    stage.play(None, RATE // 2)
    assert said(stage, "/segue/deck/1/file") == [(path, 6.0)]
    stage.send("/segue/deck/1/play")
    out = stage.play(None, 2 * RATE)
    np.testing.assert_array_equal(out[:, 256 + 200 : 2 * RATE], audio[:, 200 : 2 * RATE - 256])
    stage.send("/segue/deck/1/pause")
    assert not np.any(stage.play(None, RATE)[:, 1024:])
    stage.send("/segue/deck/1/play")
    out = stage.play(None, RATE)
    start = 2 * RATE  # one block late at the pause as at the start
    np.testing.assert_array_equal(out[:, 512:RATE], audio[:, start + 512 - 256 : start + RATE - 256])


def test_a_transition_arrives_in_the_other_file_on_the_sample(stage: Stage, tmp_path: Path) -> None:
    a, b = two_files(stage, tmp_path)
    stage.send("/segue/deck/1/transition", "to", 2, "at", 5.0, "sec", 2.0)
    before = stage.frame
    out = stage.play(None, 8 * RATE)
    (take,) = said(stage, "/segue/take")
    t0, t1, offset = int(str(take[2])), int(str(take[3])), int(str(take[4]))
    assert offset == 0  # the file's future is known: the context ends where the take begins
    assert t1 == t0
    fade = round(0.02 * RATE)
    at = t1 - before
    position = 4 * RATE + (t1 - before) - 256  # of the first file at t1
    np.testing.assert_array_equal(out[:, :at], a[:, position - at : position])
    n = 2 * RATE + fade  # the way out is part of the take
    ramp = np.linspace(0, 1, n, dtype=np.float32)
    bridge = (1 - ramp) * a[:, position : position + n] + ramp * b[:, 5 * RATE : 5 * RATE + n]
    np.testing.assert_allclose(out[:, at + fade : at + 2 * RATE], bridge[:, fade : 2 * RATE], atol=1e-6)
    after = at + 2 * RATE + fade
    length = out.shape[1] - after
    np.testing.assert_array_equal(out[:, after:], b[:, 7 * RATE + fade : 7 * RATE + fade + length])
    assert said(stage, "/segue/deck/2/state")[-1] == ("dry",)
    assert [args[3] for args in said(stage, "/segue/job")][-1] == "done"


@pytest.mark.parametrize("how", ["stop", "cancel"])
def test_a_transition_that_is_left_does_not_arrive(stage: Stage, tmp_path: Path, how: str) -> None:
    """Stopped half-way, or cancelled before it begins: the first file plays on for good, the second deck rests."""
    a, _ = two_files(stage, tmp_path)
    stage.send("/segue/deck/1/transition", "to", 2, "at", 5.0, "sec", 4.0)
    if how == "cancel":
        while "armed" not in [args[3] for args in said(stage, "/segue/job")]:
            stage.play(None, 256)
    else:
        stage.play(None, 3 * RATE)
        assert said(stage, "/segue/deck/1/state")[-1] != ("dry",)
    stage.send(f"/segue/deck/1/{how}")
    stage.play(None, RATE)
    out = stage.play(None, 6 * RATE)
    offset = int(np.correlate(a[0], out[0, : RATE // 2], "valid").argmax())
    np.testing.assert_array_equal(out, a[:, offset : offset + 6 * RATE])
    assert said(stage, "/segue/deck/1/state")[-1] == ("dry",)


def test_a_transition_in_the_place_of_another_arrives(stage: Stage, tmp_path: Path) -> None:
    """The first was to end after the second does: nothing of it is left to silence the second deck then."""
    _, b = two_files(stage, tmp_path)
    stage.send("/segue/deck/1/transition", "to", 2, "at", 5.0, "sec", 4.0)
    while "armed" not in [args[3] for args in said(stage, "/segue/job")]:
        stage.play(None, 256)
    stage.send("/segue/deck/1/transition", "to", 2, "at", 9.0, "sec", 1.0)
    stage.play(None, 3 * RATE)
    out = stage.play(None, 5 * RATE)
    offset = int(np.correlate(b[0], out[0, : RATE // 2], "valid").argmax())
    np.testing.assert_array_equal(out, b[:, offset : offset + 5 * RATE])


@pytest.mark.parametrize("kind", ["missing", "empty", "text", "folder"])
def test_a_bad_file_is_one_sentence_and_the_deck_lives(stage: Stage, tmp_path: Path, kind: str) -> None:
    path = tmp_path / "x.wav"
    if kind == "empty":
        path.write_bytes(b"")
    elif kind == "text":
        path.write_text("not audio at all, whatever it is called")
    elif kind == "folder":
        path.mkdir()
    stage.send("/segue/deck/1/load", str(path))
    stage.play(None, RATE // 2)
    (fail,) = said(stage, "/segue/fail")
    assert "x.wav" in str(fail[1])
    assert "\n" not in str(fail[1])
    good, _ = track(tmp_path, "good.wav", 2.0, 3)
    stage.send("/segue/deck/1/load", good, "gain", 0.0)
    stage.play(None, RATE // 2)
    assert said(stage, "/segue/deck/1/file") == [(good, 2.0)]


def test_a_transition_to_a_live_deck_is_refused(stage: Stage) -> None:
    stage.play(None, 3 * RATE)
    stage.send("/segue/deck/1/transition", "to", 2)
    assert said(stage, "/segue/fail")[0][1] == "deck 2 is live: capture a phrase first or load a file"


def test_a_transition_to_a_captured_phrase_goes_on_in_its_loop(stage: Stage, tmp_path: Path) -> None:
    path, _ = track(tmp_path, "a.wav", 30.0, 1)
    phrase = np.random.default_rng(9).normal(0, 0.1, (2, 3 * RATE)).astype(np.float32)
    heard = np.concatenate([np.zeros_like(phrase), phrase])  # deck 2 is live
    stage.send("/segue/deck/1/load", path, "gain", 0.0)
    stage.play(heard, 3 * RATE)
    stage.send("/segue/deck/2/capture", "sec", 2.0)
    stage.send("/segue/deck/1/play")
    stage.play(None, 4 * RATE)
    stage.send("/segue/deck/1/transition", "to", 2, "sec", 2.0)
    before = stage.frame
    out = stage.play(None, 8 * RATE)
    (take,) = said(stage, "/segue/take")
    t0 = int(str(take[2]))
    start = t0 - before + 2 * RATE + 2000
    at = (np.arange(before + start, before + out.shape[1]) - t0) % (2 * RATE)
    np.testing.assert_array_equal(out[:, start:], phrase[:, RATE:][:, at])
    assert said(stage, "/segue/deck/2/state")[-1] == ("loop",)


def test_transport_without_a_file_is_refused(stage: Stage) -> None:
    stage.send("/segue/deck/1/play")
    stage.send("/segue/deck/1/seek", 3.0)
    assert [str(a[1]) for a in said(stage, "/segue/fail")] == ["deck 1 has no file: load one"] * 2
