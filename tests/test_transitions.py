"""Transitions on the beat, on a stepped clock: live and file decks, tempi, places, and the plain crossfade in their stead."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from pathlib import Path

import numpy as np
import pytest
import soundfile
from fake_runner import RATE, STATE, FakeRunner
from numpy.typing import NDArray
from staged import said

from segue.engine.shapes import constant_power
from segue.server import bridging
from segue.server.audio.segment import Segment
from segue.server.audio.track import can_stretch, read_region
from segue.server.config import Config
from segue.server.jobs import EngineState, Finished
from segue.server.stage import Stage

Make = Callable[..., Stage]
stretcher = pytest.mark.skipif(not can_stretch(), reason="python-stretch is not installed: pip install 'segue[stretch]'")
MS = RATE / 1000.0


class Failing(FakeRunner):
    """An engine that fails every job."""

    def __init__(self, segment: Segment) -> None:
        super().__init__(segment)
        self.fail = "the model is not itself today"


@pytest.fixture
def make() -> Iterator[Make]:
    stages: list[Stage] = []

    def make_stage(cost_s: float = 0.3, runner: type[FakeRunner] = FakeRunner, **config: object) -> Stage:
        stages.append(Stage(Config(**config), runner, STATE, cost_s))  # type: ignore[arg-type]
        return stages[-1]

    yield make_stage
    for stage in stages:
        stage.close()


def pulse(bpm: float, seconds: float, first: float = 0.2, seed: int = 1) -> NDArray[np.float32]:
    """A short burst on every beat over a quiet tone, `[2, n]`."""
    n = round(seconds * RATE)
    audio = 0.02 * np.sin(2 * np.pi * 110.0 * seed * np.arange(n) / RATE)
    burst = np.random.default_rng(seed).normal(0, 0.4, 900) * np.exp(-np.arange(900) / 150.0)
    for at in np.arange(first, seconds - 0.1, 60.0 / bpm):
        audio[round(at * RATE) :][:900] += burst
    return np.stack([audio, audio]).astype(np.float32)


def file(folder: Path, name: str, audio: NDArray[np.float32]) -> str:
    soundfile.write(folder / name, audio.T, RATE, subtype="FLOAT")
    return str(folder / name)


def onsets(audio: NDArray[np.float32], every_s: float = 0.2) -> NDArray[np.float64]:
    """Frames at which bursts begin."""
    level = np.abs(audio).max(axis=0)
    loud, found, last = np.flatnonzero(level > 0.2), [], -RATE
    for frame in loud:
        if frame - last > every_s * RATE:
            found.append(frame)
            last = frame
    return np.array(found, float)


def two_files(stage: Stage, folder: Path, bpm: tuple[float, float], decks: tuple[int, int] = (1, 2)) -> tuple[str, str]:
    """Two pulses of these tempi on two decks, said to be so; the first plays for four seconds."""
    paths = file(folder, "a.wav", pulse(bpm[0], 60.0, 0.2, 1)), file(folder, "b.wav", pulse(bpm[1], 60.0, 0.3, 2))
    for deck, path, tempo, first in zip(decks, paths, bpm, (0.2, 0.3), strict=True):
        stage.send(f"/segue/deck/{deck}/load", path, "gain", 0.0, "bpm", tempo, "beat", first)
    stage.play(None, RATE // 2)
    stage.send(f"/segue/deck/{decks[0]}/play")
    stage.play(None, 4 * RATE)
    return paths


@stretcher
@pytest.mark.parametrize("decks", [(1, 2), (4, 3)])
@pytest.mark.parametrize("bpm", [(120.0, 126.0), (128.0, 122.0)])
def test_beats_of_both_files_fall_on_each_other_and_the_second_plays_on(
    make: Make, tmp_path: Path, bpm: tuple[float, float], decks: tuple[int, int]
) -> None:
    stage = make(decks=max(decks))
    first, _ = two_files(stage, tmp_path, bpm, decks)
    source, target = decks
    stage.send(f"/segue/deck/{source}/transition", "to", target, "at", 10.0, "beats", 8.0, "xfade", 0.0)
    before = stage.frame
    out = stage.play(None, 14 * RATE)
    (take,) = said(stage, "/segue/take")
    t0, t1 = int(take[2]), int(take[3])
    assert t0 == t1
    (facts,) = said(stage, "/segue/transition")
    assert facts[3] == pytest.approx(bpm[1] / bpm[0], rel=1e-4)
    assert facts[7] == ""
    file_of = stage.conductor.session.world.deck(target).file
    assert file_of is not None
    length = next(iter(stage.conductor.session.world.takes.values())).length
    assert length == pytest.approx(8 * 60.0 * RATE / bpm[0], abs=1.5)  # each beat lies on a frame
    begun = t0 - file_of.origin_frame + file_of.origin_position
    mine = onsets(read_region(first, t0 - before + 4 * RATE - 256, length, RATE))
    theirs = onsets(read_region(file_of.path, begun, length, RATE))
    assert len(mine) >= 7
    assert np.abs(mine[:, None] - theirs[None, :]).min(axis=1).max() < 4.0 * MS
    end = t0 - before + length
    rest = out.shape[1] - end
    np.testing.assert_array_equal(out[:, end:], read_region(file_of.path, begun + length, rest, RATE))
    played = onsets(out[:, t0 - before :])
    assert np.abs(np.diff(played) - 60.0 * RATE / bpm[0]).max() < 6.0 * MS  # one tempo from the first track into the second


@stretcher
def test_a_transition_that_nobody_times_begins_and_ends_on_a_beat(make: Make, tmp_path: Path) -> None:
    stage = make()
    two_files(stage, tmp_path, (120.0, 124.0))
    stage.send("/segue/deck/1/transition", "beats", 6.0)
    stage.play(None, 8 * RATE)
    (take,) = said(stage, "/segue/take")
    world = stage.conductor.session.world
    started = next(iter(world.takes.values()))
    beat = (int(take[3]) - round(0.5 * RATE) - 256 - 0.2 * RATE) / (0.5 * RATE)  # of the first file, which began a block late
    assert abs(beat - round(beat)) < 1e-3
    assert started.length == 3 * RATE


def test_beyond_the_limit_and_without_beats_it_says_so(make: Make, tmp_path: Path) -> None:
    stage = make()
    two_files(stage, tmp_path, (100.0, 125.0))
    stage.send("/segue/deck/1/transition", "at", 5.0, "beats", 8.0)
    stage.play(None, 8 * RATE)
    (facts,) = said(stage, "/segue/transition")
    assert facts[3] == 1.0
    assert "25.0 %" in str(facts[7])
    noise = file(tmp_path, "n.wav", np.random.default_rng(1).normal(0, 0.1, (2, 20 * RATE)).astype(np.float32))
    stage.send("/segue/deck/1/load", noise)
    stage.play(None, RATE)
    stage.send("/segue/deck/2/transition", "to", 1, "sec", 2.0)
    stage.play(None, 2 * RATE)
    assert "no beats are known" in str(said(stage, "/segue/transition")[-1][7])


def test_without_the_stretcher_it_says_which_extra(make: Make, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(bridging, "can_stretch", lambda: False)
    stage = make()
    two_files(stage, tmp_path, (120.0, 126.0))
    stage.send("/segue/deck/1/transition", "at", 5.0, "beats", 8.0)
    stage.play(None, 8 * RATE)
    (facts,) = said(stage, "/segue/transition")
    assert facts[3] == 1.0
    assert "segue[stretch]" in str(facts[7])


def test_asked_not_to_align_it_goes_just_there(make: Make, tmp_path: Path) -> None:
    stage = make()
    two_files(stage, tmp_path, (120.0, 126.0))
    stage.send("/segue/deck/1/transition", "at", 5.0, "sec", 2.0, "align", 0)
    stage.play(None, 4 * RATE)
    (take,) = said(stage, "/segue/take")
    held = stage.conductor.session.world.deck(2).file
    assert held is not None
    assert int(take[2]) - held.origin_frame + held.origin_position == 5 * RATE


@stretcher
def test_a_live_deck_goes_over_into_a_file_on_the_grid(make: Make, tmp_path: Path) -> None:
    stage = make(tempo=120.0)
    path = file(tmp_path, "b.wav", pulse(125.0, 60.0, 0.3, 2))
    stage.send("/segue/deck/2/load", path, "gain", 0.0, "bpm", 125.0, "beat", 0.3)
    live = pulse(120.0, 12.0, 0.0, 1)
    stage.play(live[:, : 5 * RATE], 5 * RATE)
    stage.send("/segue/deck/1/transition", "to", 2, "at", 10.0, "beats", 4.0)
    out = stage.play(live[:, 5 * RATE :], 12 * RATE)
    world = stage.conductor.session.world
    end = next(take.exit for take in world.takes.values()) + RATE // 10
    assert world.grid.beat_at(end - RATE // 10) % 1.0 == pytest.approx(0.0, abs=1e-3)
    beats = (onsets(out[:, end - 5 * RATE :]) + end) / (0.5 * RATE)
    assert len(beats) > 6
    assert np.abs(beats - np.round(beats)).max() * 0.5 * RATE < 4.0 * MS


def test_a_file_goes_over_into_a_live_decks_phrase_on_the_beat(make: Make, tmp_path: Path) -> None:
    stage = make(tempo=120.0)
    path = file(tmp_path, "a.wav", pulse(120.0, 60.0, 0.37, 1))
    stage.send("/segue/deck/1/load", path, "gain", 0.0, "bpm", 120.0, "beat", 0.37)
    heard = np.concatenate([np.zeros((2, 6 * RATE), np.float32), pulse(120.0, 6.0, 0.0, 2)])[[0, 0, 1, 1]]
    heard = np.concatenate([np.zeros((2, 6 * RATE), np.float32), pulse(120.0, 6.0, 0.0, 2)], axis=0)
    stage.play(heard, 6 * RATE)
    stage.send("/segue/deck/2/capture", "beats", 4.0)
    stage.send("/segue/deck/1/play")
    stage.play(None, 4 * RATE)
    stage.send("/segue/deck/1/transition", "to", 2, "beats", 8.0)
    before = stage.frame
    out = stage.play(None, 12 * RATE)
    started = next(take for take in stage.conductor.session.world.takes.values() if take.job.verb == "transition")
    place = started.exit + RATE // 10 - before
    began = 6 * RATE + 256 + 0.37 * RATE  # a beat of the file, on the stream
    beats = (onsets(out[:, place:]) + before + place - began) / (0.5 * RATE)
    assert len(beats) > 6
    assert np.abs(beats - np.round(beats)).max() * 0.5 * RATE < 4.0 * MS
    assert said(stage, "/segue/deck/2/state")[-1] == ("loop",)


def plain(stage: Stage, paths: tuple[str, str], before: int, out: NDArray[np.float32]) -> None:
    """What sounded is one file, a constant-power crossfade, and the other file, which plays on."""
    (take,) = said(stage, "/segue/take")
    assert take[7] == "crossfade"
    first = int(take[3])
    started = stage.conductor.session.world.takes[1]
    n = started.exit - first
    held = stage.conductor.session.world.deck(2).file
    assert held is not None
    place = first - held.origin_frame + held.origin_position
    f_out, f_in = constant_power(n)
    position = 4 * RATE - 256 + first - before
    mix = f_out * read_region(paths[0], position, n, RATE) + f_in * read_region(held.path, place, n, RATE)
    at = first - before
    np.testing.assert_allclose(out[:, at + 200 : at + n], mix[:, 200:], atol=2e-4)
    rest = out.shape[1] - at - n
    np.testing.assert_array_equal(out[:, at + n :], read_region(held.path, place + n, rest, RATE))
    assert said(stage, "/segue/job")[-1][3] == "done"


@pytest.mark.parametrize("kind", ["fails", "late", "half made", "down", "never started"])
def test_the_plain_crossfade_stands_in_for_the_engine(make: Make, tmp_path: Path, kind: str) -> None:
    stage = make(0.3, Failing if kind == "fails" else FakeRunner)
    paths = two_files(stage, tmp_path, (120.0, 120.0))
    if kind in ("late", "half made"):
        stage.worker._cost = 10 * RATE  # far more than it said
    if kind == "never started":
        stage.conductor.worker_event(EngineState("down", "it has gone"))
    stage.send("/segue/deck/1/transition", "to", 2, "at", 5.0, "beats", 4.0)
    before = stage.frame
    out = [stage.play(None, RATE // 10)]
    if kind == "down":
        stage.conductor.worker_event(EngineState("down", "it has gone"))
    out.append(stage.play(None, 2 * RATE))
    if kind == "half made":  # a piece had come, and was too little to begin with
        take = stage.conductor.session.world.takes[1]
        take.pieces, take.made = [(0, np.zeros((2, 1000), np.float32))], 1000
    stage.conductor.worker_event(Finished(1))  # as the engine says of what it has dropped
    out.append(stage.play(None, 6 * RATE))
    plain(stage, paths, before, np.concatenate(out, axis=1))


def test_a_crossfade_cannot_be_undone_into_nothing(make: Make, tmp_path: Path) -> None:
    stage = make(0.3, Failing)
    two_files(stage, tmp_path, (120.0, 120.0))
    stage.send("/segue/deck/1/transition", "to", 2, "at", 5.0, "beats", 4.0)
    stage.play(None, 6 * RATE)
    stage.send("/segue/deck/1/undo")
    assert "nothing to undo" in str(said(stage, "/segue/fail")[-1][1])


@stretcher
def test_a_seek_returns_to_the_files_own_tempo(make: Make, tmp_path: Path) -> None:
    stage = make()
    _, second = two_files(stage, tmp_path, (120.0, 126.0))
    stage.send("/segue/deck/1/transition", "to", 2, "at", 10.0, "beats", 4.0)
    stage.play(None, 6 * RATE)
    stage.send("/segue/deck/2/seek", 20.0)
    before = stage.frame
    out = stage.play(None, 3 * RATE)
    held = stage.conductor.session.world.deck(2).file
    assert held is not None
    assert held.path == second
    start = before + RATE - held.origin_frame + held.origin_position
    np.testing.assert_array_equal(out[:, RATE:], read_region(second, start, 2 * RATE, RATE))


@stretcher
@pytest.mark.parametrize(("bpm", "sentence"), [(116.0, "made anew"), (125.0, "made anew")])
def test_a_live_transition_is_made_anew_when_the_tempo_moves(make: Make, tmp_path: Path, bpm: float, sentence: str) -> None:
    stage = make(1.5, tempo=120.0)
    path = file(tmp_path, "b.wav", pulse(122.0, 60.0, 0.3, 2))
    stage.send("/segue/deck/2/load", path, "gain", 0.0, "bpm", 122.0, "beat", 0.3)
    live = pulse(120.0, 30.0, 0.0, 1)
    stage.play(live[:, : 5 * RATE], 5 * RATE)
    stage.send("/segue/deck/1/transition", "to", 2, "at", 10.0, "beats", 4.0, "id", 9)
    stage.play(live[:, 5 * RATE :], RATE // 2)
    stage.send("/segue/tempo", bpm)
    before = stage.frame
    out = stage.play(live, 14 * RATE)
    assert any(sentence in str(args[5]) and args[0] == 9 for args in said(stage, "/segue/job"))
    world = stage.conductor.session.world
    end = next(take.exit for take in world.takes.values() if take.number == 9) + RATE // 10
    beats = np.array([world.grid.beat_at(frame) for frame in onsets(out[:, end - before :]) + end])
    assert len(beats) > 6
    assert np.abs(beats - np.round(beats)).max() * 60.0 / bpm < 0.004


def test_an_infill_that_cannot_be_made_anew_says_so(make: Make, tmp_path: Path) -> None:
    stage = make(0.6, tempo=120.0)
    path = file(tmp_path, "a.wav", np.random.default_rng(1).normal(0, 0.1, (2, 40 * RATE)).astype(np.float32))
    stage.send("/segue/deck/1/load", path, "gain", 0.0, "bpm", 100.0, "beat", 0.0)
    stage.play(None, RATE // 2)
    stage.send("/segue/deck/1/play")
    stage.play(None, 4 * RATE)
    stage.send("/segue/deck/1/infill", "beats", 4.0, "quant", "bar")
    for _ in range(200):
        stage.play(None, RATE // 50)
        if said(stage, "/segue/job")[-1][3] == "running":
            break
    stage.play(None, RATE // 2)
    stage.send("/segue/tempo", 140.0)
    stage.play(None, 2 * RATE)
    assert any("its beats do not fall on the server's" in str(args[5]) for args in said(stage, "/segue/job"))
