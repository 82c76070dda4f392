"""Sources of tempo and quantised commits: a server on a stepped clock, and sources that step, ramp, vanish or talk nonsense."""

from __future__ import annotations

import math
import os
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import numpy as np
import pytest
from fake_runner import RATE, STATE, FakeRunner
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from segue.server import effects as fx
from segue.server.config import Config
from segue.server.stage import Stage
from segue.server.state import World
from segue.server.sync.beats import AHEAD_S, Beats
from segue.server.sync.line import Line, Phase, Playing, SourceState
from segue.server.sync.sources import News
from segue.server.tempo import STEEPEST, Grid

BLOCK = 256


class Pretended:
    """A source that says at each poll what a function makes of the frame."""

    name = "internal"

    def __init__(self) -> None:
        self.say: Callable[[int], list[News]] = lambda frame: []
        self.frame: Callable[[], int] = lambda: 0
        self.told: list[object] = []

    def poll(self) -> list[News]:
        return self.say(self.frame()) if self.name != "internal" else []

    def use(self, name: str, bpm: float, beat: float, frame: int, bar: int) -> None:
        self.name = name

    def set_tempo(self, bpm: float, frame: int) -> None:
        self.told.append(bpm)

    def start(self, on: bool, frame: int) -> None:
        self.told.append(on)


class House:
    """A stage whose tempo comes from a pretended source."""

    def __init__(self) -> None:
        self.stage = Stage(Config(block=BLOCK), FakeRunner, STATE, 0.2)
        self.source = Pretended()
        self.source.frame = lambda: self.stage.frame
        self.stage.conductor.performer.sources = self.source  # type: ignore[assignment]
        self.rng = np.random.default_rng(1)
        self.beats: list[tuple[int, float]] = []

    @property
    def world(self) -> World:
        return self.stage.conductor.session.world

    def play(self, seconds: float) -> None:
        """Time goes on; the grid's beat is noted at every block, and must only ever rise, and never fast."""
        for _ in range(round(seconds * RATE / BLOCK)):
            block = self.rng.normal(0, 0.1, (4, BLOCK)).astype(np.float32)
            self.stage.step(block, BLOCK)
            self.beats.append((self.stage.frame, self.world.grid.beat_at(self.stage.frame)))

    def said(self, address: str) -> list[tuple[object, ...]]:
        return [args for sent, args in self.stage.sent if sent == address]

    def entries(self) -> list[int]:
        return [int(args[3]) for args in self.said("/segue/take")]  # type: ignore[call-overload]


@pytest.fixture
def house() -> Iterator[House]:
    made = House()
    yield made
    made.stage.close()


def steady(bpm: float, beat: float = 0.0, phase: Phase = Phase.BARS) -> Callable[[int], list[News]]:
    return lambda frame: [Line(frame, beat + frame * bpm / (60.0 * RATE), bpm, phase)]


def test_a_change_of_source_moves_no_beat_and_ends_on_its_beats(house: House) -> None:
    house.play(3.0)
    house.source.say = steady(131.0, 1.7)
    house.stage.send("/segue/sync/source", "link")
    house.play(14.0)
    house.stage.send("/segue/sync/source", "internal")
    house.play(2.0)
    house.stage.send("/segue/sync/source", "tap")
    house.play(1.0)
    steps = np.diff([beat for _, beat in house.beats]) / BLOCK * 60.0 * RATE
    assert steps.min() >= 131.0 * (1 - STEEPEST) - 1e-6
    assert steps.max() <= 131.0 * (1 + STEEPEST) + 1e-6
    frame = house.stage.frame
    ours, theirs = house.world.grid.beat_at(frame), 1.7 + frame * 131.0 / (60.0 * RATE)
    assert (ours - theirs + 2.0) % 4.0 - 2.0 == pytest.approx(0.0, abs=1e-4)
    assert [args[0] for args in house.said("/segue/sync/source")] == ["link", "internal", "tap"]
    assert house.said("/segue/tempo")[-1][0] == pytest.approx(131.0)


@pytest.mark.parametrize("quant", ["1/4", "beat", "bar", "2bar"])
def test_commits_fall_on_the_source_s_beats_through_a_ramp(house: House, quant: str) -> None:
    start, bpm, slope = 2 * RATE, 120.0, 2.0

    def beat(frame: float) -> float:
        t = (frame - start) / RATE
        return 4.0 + t * bpm / 60.0 + slope * t * t / 120.0

    house.source.say = lambda frame: [Line(frame, beat(frame), bpm + slope * (frame - start) / RATE, Phase.BARS)]
    house.play(2.0)
    house.stage.send("/segue/sync/source", "link")
    house.play(4.0)
    house.stage.send("/segue/deck/1/capture", "sec", 1.0)
    house.stage.send("/segue/deck/1/commit", "quant", quant)
    house.play(6.0)
    house.stage.send("/segue/deck/1/continue", "beats", 8.0, "quant", quant)
    house.play(12.0)
    assert len(house.entries()) == 2
    unit = house.world.grid.step(quant)
    for entry in house.entries():
        error = beat(entry) / unit
        assert abs(error - round(error)) * unit * 60.0 / bpm < 0.001


def test_a_take_of_n_bars_is_as_long_as_its_bars_became(house: House) -> None:
    tempo = {"bpm": 120.0}
    knots = [(0, 0.0)]

    def say(frame: int) -> list[News]:
        last, beat = knots[-1]
        beat += (frame - last) * tempo["bpm"] / (60.0 * RATE)
        knots.append((frame, beat))
        tempo["bpm"] -= 0.002  # about a third of a BPM a second, downwards
        return [Line(frame, beat, tempo["bpm"], Phase.BARS)]

    house.source.say = say
    house.play(1.0)
    house.stage.send("/segue/sync/source", "midi")
    house.play(4.0)
    house.stage.send("/segue/deck/1/continue", "beats", 8.0, "quant", "bar")
    house.play(4.0)
    (take,) = [t for t in house.world.takes.values() if t.job.verb == "continue"]
    assert take.exit_beat is not None
    house.play(5.0)
    grid = house.world.grid
    entry, end = house.entries()[0], take.exit
    first = round(grid.beat_at(entry) / 4) * 4
    assert end == pytest.approx(grid.frame_of(first + 8.0), abs=25)  # what the last 50 ms of a ramp add: half a millisecond
    assert entry == pytest.approx(grid.frame_of(first), abs=25)
    assert end - entry > 8 * 60 * RATE / 120.0  # it became longer than it was when it was asked for
    assert take.state == "done"


def test_n_bars_at_a_constant_tempo_are_exact_to_the_sample(house: House) -> None:
    house.stage.send("/segue/tempo", 93.7)
    house.play(6.0)
    grid = house.world.grid
    for bars in (1, 2):
        house.stage.send("/segue/deck/1/continue", "beats", 4.0 * bars, "quant", "bar")
        house.play(9.0)
        take = list(house.world.takes.values())[-1]
        first = round(grid.beat_at(house.entries()[-1]) / 4) * 4
        assert house.entries()[-1] == grid.frame_of(first)
        assert take.exit == grid.frame_of(first + 4 * bars)


def test_a_beat_becomes_a_frame_no_more_than_50_ms_before(house: House) -> None:
    house.play(4.2)
    house.stage.send("/segue/deck/1/capture", "sec", 1.0)
    house.stage.send("/segue/deck/1/commit", "quant", "bar")
    armed = lambda: any(args[3] == "armed" for args in house.said("/segue/job"))  # noqa: E731
    house.play(1.6)
    assert not armed()
    house.stage.send("/segue/tempo", 60.0)  # 0.2 s before the bar: it is 0.4 s now
    house.play(0.3)
    assert not armed()
    place = house.world.grid.next(house.stage.frame, "bar")
    while not armed():
        house.play(BLOCK / RATE)
    assert place - house.stage.frame <= 0.05 * RATE + BLOCK
    house.play(1.0)
    assert house.entries() == [place]


def test_stop_and_play_wait_for_their_beat_and_panic_forgets_them(house: House) -> None:
    house.play(4.2)
    house.stage.send("/segue/deck/1/capture", "sec", 2.0)
    house.stage.send("/segue/deck/1/commit")
    house.play(0.3)
    house.stage.send("/segue/deck/1/stop", "quant", "beat")
    house.play(0.1)
    assert house.said("/segue/deck/1/state")[-1] != ("dry",)
    house.play(1.0)
    assert house.said("/segue/deck/1/state")[-1] == ("dry",)
    house.stage.send("/segue/deck/1/commit", "quant", "4bar")
    assert len(house.world.later) == 1
    assert house.said("/segue/deck/1/next")[-1][0] == "commit"
    house.stage.send("/segue/panic")
    assert house.world.later == []


def test_a_start_of_the_master_begins_a_bar_at_once(house: House) -> None:
    house.play(1.3)
    house.source.say = steady(120.0, 0.77, Phase.TEMPO)
    house.stage.send("/segue/sync/source", "midi")
    house.play(1.0)
    assert house.world.grid.beat_at(house.stage.frame) == pytest.approx(house.stage.frame / RATE * 2.0, abs=1e-6)
    begun = house.stage.frame + BLOCK
    house.source.say = lambda frame: [
        Line(frame, (frame - begun) * 2.0 / RATE, 120.0, Phase.BARS, jump=frame == begun),
        Playing(True),
    ]
    house.play(0.5)
    assert (house.world.grid.beat_at(begun) + 1e-6) % 4.0 < 1e-5
    assert house.said("/segue/transport") == [(1,)]


def test_a_performer_who_moves_the_beat_keeps_it_moved(house: House) -> None:
    house.source.say = steady(120.0)
    house.stage.send("/segue/sync/source", "midi")
    house.play(2.0)
    house.stage.send("/segue/nudge", 0.25)
    house.play(3.0)
    assert house.world.grid.beat_at(house.stage.frame) == pytest.approx(house.stage.frame / RATE * 2.0 - 0.25, abs=1e-4)
    house.stage.send("/segue/downbeat")
    at = house.stage.frame + BLOCK
    house.play(3.0)
    assert (house.world.grid.beat_at(at) + 1e-4) % 4.0 < 2e-4


def test_another_meter_leaves_the_source_s_beats_where_they_are(house: House) -> None:
    house.source.say = steady(120.0)
    house.stage.send("/segue/sync/source", "link")
    house.play(4.3)  # in the third bar of four, the fourth of three
    house.stage.send("/segue/meter", 3)
    asked = len(house.beats)
    house.play(3.0)
    steps = np.diff([beat for _, beat in house.beats[asked + 1 :]]) / BLOCK * 60.0 * RATE
    np.testing.assert_allclose(steps, 120.0, atol=1e-6)
    beat = house.world.grid.beat_at(house.stage.frame) - house.stage.frame / RATE * 2.0
    assert beat == pytest.approx(round(beat), abs=1e-4)
    assert round(beat + 8.0) % 3 == 0  # the bar that was under way began at the source's beat 8


def test_only_ours_and_links_tempo_can_be_set(house: House) -> None:
    house.stage.send("/segue/sync/source", "midi")
    house.stage.send("/segue/tempo", 99.0)
    assert house.said("/segue/fail")[-1][0] == "/segue/tempo"
    assert house.world.grid.bpm == 120.0
    house.stage.send("/segue/sync/source", "link")
    house.stage.send("/segue/tempo", 99.0)
    house.stage.send("/segue/transport", 1)
    assert house.source.told == [99.0, True]
    house.stage.send("/segue/sync/source", "tap")
    for _ in range(6):
        house.stage.send("/segue/tap")
        house.play(0.4992290249433107)  # 86 blocks: 120.19 BPM
    assert house.world.grid.bpm == pytest.approx(120.19, abs=0.02)


NEWS = st.one_of(
    st.builds(
        Line,
        st.floats(-1e12, 1e12) | st.floats(0, 1e6),
        st.floats(-1e9, 1e9) | st.floats(0, 100),
        st.floats() | st.sampled_from([0.0, 10_000.0, math.nan, math.inf, -1.0, 120.0]),
        st.sampled_from(Phase),
        st.booleans(),
    ),
    st.builds(Playing, st.booleans()),
    st.builds(SourceState, st.sampled_from(["locked", "lost"]), st.just("")),
)


@settings(max_examples=40, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(news=st.lists(NEWS, min_size=1, max_size=12))
def test_whatever_a_source_says_the_grid_stays_one(house: House, news: list[News]) -> None:
    house.source.say = lambda frame: []
    house.stage.send("/segue/sync/source", "internal")
    house.stage.send("/segue/sync/source", "midi")
    house.play(0.1)
    rest = iter(news)
    house.source.say = lambda frame: [one] if (one := next(rest, None)) else []
    house.stage.send("/segue/deck/1/stop", "quant", "bar")
    house.play(0.2)
    grid = house.world.grid
    assert 20.0 <= grid.bpm <= 300.0
    assert all(math.isfinite(x) for knot in grid.knots for x in (knot.frame, knot.beat, knot.bpm))
    assert all(20.0 * (1 - STEEPEST) <= knot.bpm <= 300.0 * (1 + STEEPEST) for knot in grid.knots)
    before = house.stage.frame
    house.play(0.05)
    assert house.stage.frame > before


@pytest.mark.parametrize("value", [0, float("nan"), 10_000, -3, "fast", float("inf")])
def test_no_tempo_that_is_none_is_taken(house: House, value: float | str) -> None:
    house.stage.send("/segue/tempo", value)
    house.play(0.1)
    assert house.world.grid.bpm == 120.0
    assert house.said("/segue/fail")


def test_beats_are_told_once_and_at_least_50_ms_ahead() -> None:
    grid, beats, told = Grid(RATE, 133.0), Beats(), []
    for frame in range(0, 20 * RATE, BLOCK):
        if frame == 5120 * BLOCK // 4:
            grid = grid.with_bpm(180.0, frame)
        for beat, at in beats.due(grid, frame):
            told.append(beat)
            assert 0.05 * RATE <= at - frame <= AHEAD_S * RATE + 1
    assert told == list(range(told[0], told[0] + len(told)))
    assert len(told) > 44


def test_a_jump_back_of_the_grid_is_told_again() -> None:
    beats = Beats()
    list(beats.due(Grid(RATE), 100 * RATE))
    back = Grid(RATE, origin=90.0 * RATE)
    told = [beat for frame in range(100 * RATE, 102 * RATE, BLOCK) for beat, _ in beats.due(back, frame)]
    assert told[-1] == 24
    assert len(told) >= 3


def test_a_source_that_is_not_installed_is_a_sentence(house: House, monkeypatch: pytest.MonkeyPatch) -> None:
    from segue.server.stage import SteppedTime
    from segue.server.sync.sources import Sources

    monkeypatch.setitem(sys.modules, "link", None)
    house.stage.conductor.performer.sources = Sources(SteppedTime(RATE))
    house.stage.send("/segue/sync/source", "link")
    house.play(0.1)
    assert house.said("/segue/sync/state")[-1][:2] == ("link", "missing")
    assert 'pip install "segue[link]"' in str(house.said("/segue/sync/state")[-1][2])
    assert fx.Source("link").name == "link"


PEER = """
import sys, time, link
peer = link.Link(float(sys.argv[1])); peer.startStopSyncEnabled = True; peer.enabled = True
for line in sys.stdin:
    word, *rest = line.split()
    state, now = peer.captureSessionState(), peer.clock().micros()
    if word == "tempo":
        state.setTempo(float(rest[0]), now)
    elif word == "play":
        state.setIsPlaying(rest[0] == "1", now)
    if word != "ask":
        peer.commitSessionState(state)
        state = peer.captureSessionState()
    print(peer.numPeers(), state.tempo(), int(state.isPlaying()), now, state.beatAtTime(now, 4.0), flush=True)
"""


class Peer:
    """A second, real Link peer in a process of its own."""

    def __init__(self, bpm: float) -> None:
        argv = [sys.executable, "-c", PEER, str(bpm)]
        self.process = subprocess.Popen(argv, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True)

    def ask(self, words: str = "ask") -> tuple[int, float, int, int, float]:
        assert self.process.stdin is not None
        assert self.process.stdout is not None
        self.process.stdin.write(words + "\n")
        self.process.stdin.flush()
        peers, tempo, playing, now, beat = self.process.stdout.readline().split()
        return int(peers), float(tempo), int(playing), int(now), float(beat)

    def close(self) -> None:
        self.process.kill()
        self.process.wait()
        for pipe in (self.process.stdin, self.process.stdout):
            assert pipe is not None
            pipe.close()


def until(true: Callable[[], bool], seconds: float = 15.0) -> None:
    end = time.monotonic() + seconds
    while not true():
        assert time.monotonic() < end
        time.sleep(0.02)


def test_tempo_beat_and_transport_travel_between_two_link_processes() -> None:
    pytest.importorskip("link", reason="Ableton Link is missing: pip install segue[link]")
    from segue.server.sync.link import LinkPeer

    other = Peer(101.0)
    ours = None
    try:
        assert other.ask()[1] == 101.0
        ours = LinkPeer(140.0, 0.0, time.time(), 4)
        peer = ours
        until(lambda: peer.read().peers == 1 and other.ask()[0] == 1)
        tempo = other.ask()[1]
        until(lambda: peer.read().bpm == pytest.approx(other.ask()[1], abs=1e-3))
        ours.set_tempo(tempo + 7.0, time.time())
        until(lambda: other.ask()[1] == pytest.approx(tempo + 7.0, abs=1e-3))
        other.ask("tempo 88")
        until(lambda: peer.read().bpm == pytest.approx(88.0, abs=1e-3))
        time.sleep(0.2)
        difference = []
        for _ in range(5):
            raw = time.clock_gettime(time.CLOCK_MONOTONIC_RAW) if hasattr(time, "CLOCK_MONOTONIC_RAW") else 0.0
            offset = time.time() - raw
            *_, micros, beat = other.ask()
            now = peer.read()
            here = now.beat - (now.time - offset - micros * 1e-6) * now.bpm / 60.0
            difference.append(abs((here - beat + 2.0) % 4.0 - 2.0) * 60.0 / now.bpm)
        assert float(np.median(difference)) < 0.001 or not hasattr(time, "CLOCK_MONOTONIC_RAW")
        ours.start(True, time.time())
        until(lambda: other.ask()[2] == 1)
        other.ask("play 0")
        until(lambda: not peer.read().playing)
        other.close()  # a peer that vanishes without a word
        other = Peer(50.0)
        until(lambda: peer.read().peers <= 1)
        assert peer.read().bpm > 20.0
    finally:
        if ours is not None:
            ours.close()
        other.close()


def test_another_implementation_of_link_agrees() -> None:
    pytest.importorskip("link", reason="Ableton Link is missing: pip install segue[link]")
    pytest.importorskip("aalink", reason="aalink is missing: pip install segue[dev]")
    from segue.server.sync.link import LinkPeer

    program = (
        "import asyncio, sys, aalink\n"
        "async def main():\n"
        "    peer = aalink.Link(77.0); peer.enabled = True\n"
        "    for _ in range(400):\n"
        "        await asyncio.sleep(0.05); print(peer.num_peers, peer.tempo, flush=True)\n"
        "asyncio.run(main())\n"
    )
    environment = {**os.environ, "PYTHONPATH": str(Path(__file__).parent)}
    with subprocess.Popen([sys.executable, "-c", program], stdout=subprocess.PIPE, text=True, env=environment) as other:
        ours = LinkPeer(140.0, 0.0, time.time(), 4)
        try:
            until(lambda: ours.read().peers >= 1)
            ours.set_tempo(123.0, time.time())
            assert other.stdout is not None
            end = time.monotonic() + 15.0
            for line in other.stdout:
                peers, tempo = line.split()
                if int(peers) >= 1 and float(tempo) == pytest.approx(123.0, abs=0.01):
                    break
                assert time.monotonic() < end
        finally:
            ours.close()
            other.kill()


def test_the_quant_loop_is_where_the_deck_s_own_loop_begins_again(house: House) -> None:
    house.play(4.3)
    house.stage.send("/segue/deck/1/loop", "sec", 1.3)
    house.play(2.0)
    (loop,) = [t for t in house.world.takes.values() if t.job.verb == "loop"]
    house.stage.send("/segue/deck/1/stop", "quant", "loop")
    asked = house.stage.frame
    while house.said("/segue/deck/1/state")[-1] == ("loop",):
        house.play(BLOCK / RATE)
    length = round(1.3 * RATE)
    assert 0 <= house.stage.frame - (loop.t0 + -(-(asked - loop.t0) // length) * length) <= 2 * BLOCK
    assert house.world.place(1, asked, "loop")[0] is not None  # no loop any more: a bar
