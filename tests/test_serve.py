"""Conversations with a real server on a real JACK server: every client that the documentation names, and what it then plays."""

from __future__ import annotations

import contextlib
import json
import os
import shutil
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import soundfile
from fake_runner import PERIOD
from test_midi import Sender

import segue
from segue.bench.demo import segment_of
from segue.bench.live import LiveError, jack, serve, stop
from segue.bench.tape import Player
from segue.clients.python import Client, Event
from segue.server.audio.segment import Segment
from segue.server.audio.values import Ring
from segue.server.jobs import Audio

RATE, BLOCK = 44_100, 256
ROOT = Path(__file__).resolve().parent.parent
PATIENCE = 20.0
TAPE_S = 120.0
LIFE = ["queued", "running", "ready", "armed", "playing", "done"]

pytestmark = pytest.mark.skipif(shutil.which("jackd") is None, reason="jackd is missing: apt-get install jackd2")


def needs(program: str, package: str) -> pytest.MarkDecorator:
    return pytest.mark.skipif(shutil.which(program) is None, reason=f"{program} is missing: apt-get install {package}")


@dataclass
class House:
    """A server that hears a tape of noise on deck 1, its log, and who records it."""

    client: Client
    log: Path
    segment: Segment
    player: Player
    jack: str
    tape: Audio
    path: str

    def forget(self) -> None:
        """Drops what was said so far."""
        self.client.ask("/segue/sync", 1)
        for _ in self.client.events(timeout=0.0):
            pass

    def life(self, what: Callable[[Event], bool], last: str = "done") -> tuple[int, list[str]]:
        """Number and states of the job whose first event this is, up to a state."""
        first = self.client.wait(lambda e: e.address == "/segue/job" and what(e), PATIENCE)
        number, states = int(first.args[0]), [str(first.args[3])]
        while states[-1] != last:
            event = self.client.wait(lambda e: e.address == "/segue/job" and e.args[0] == number, PATIENCE)
            assert event.args[3] not in ("failed", "late", "dropped"), event.args
            if event.args[3] != states[-1]:
                states.append(str(event.args[3]))
        return number, states

    def logged(self, what: Callable[[dict[str, Any]], bool]) -> dict[str, Any]:
        """The line of the show log for which this is true."""
        until = time.monotonic() + PATIENCE
        while time.monotonic() < until:
            whole, _, _ = self.log.read_text(encoding="utf-8").rpartition("\n")
            for line in map(json.loads, whole.splitlines()):
                if what(line):
                    return dict(line)
            time.sleep(0.05)
        raise AssertionError("the show log does not tell of it")


def begins(verb: str, deck: int = 1) -> Callable[[Event], bool]:
    return lambda e: e.args[1:4] == (deck, verb, "queued")


@pytest.fixture(scope="module")
def house(tmp_path_factory: pytest.TempPathFactory) -> Iterator[House]:
    tape = 0.1 * np.random.default_rng(1).standard_normal((2, round(TAPE_S * RATE)), np.float32)
    path = tmp_path_factory.mktemp("tape") / "tape.wav"
    soundfile.write(path, tape.T, RATE, subtype="FLOAT")
    engine = json.dumps([sys.executable, str(Path(__file__).with_name("fake_engine.py")), "0.3"])
    options = ["--host-api", "JACK", "--decks", "3", "--midi", "pads"]
    with pytest.MonkeyPatch.context() as patch, contextlib.ExitStack() as stack:
        patch.setenv("SEGUE_TEST_ENGINE", engine)
        patch.delenv("XDG_RUNTIME_DIR", raising=False)
        try:
            name = stack.enter_context(jack(BLOCK))
        except LiveError as error:
            pytest.skip(str(error))
        client, server, log = stack.enter_context(serve(*options))
        segment = stack.enter_context(segment_of(server.pid))
        player = stack.enter_context(Player(RATE, BLOCK))
        player.connect("segue")
        player.start(str(path))
        time.sleep(3.5)  # of music, so that there is something to go on from
        yield House(client, log, segment, player, name, tape, str(path))


def test_the_client_asks_and_is_answered(house: House) -> None:
    status = house.client.status()
    assert (status["sample_rate"], status["block"], status["engine"]) == (RATE, BLOCK, "ready")
    assert len(status["decks"]) == 3
    assert house.client.ask("/segue/version").args == (segue.__version__,)
    assert house.client.ask("/segue/sync", 77).args == (77,)
    assert house.client.ask("/segue/notify").args[0] == pytest.approx(30.0)
    assert house.client.ping(1, "two", 3.5) == (1, "two", 3.5)


def test_a_continuation_lives_in_order_and_lies_where_it_says(house: House) -> None:
    house.forget()
    number = house.client.deck(1).continue_(sec=1.0, seed=5)
    found, states = house.life(begins("continue"))
    assert found == number
    assert [s for s in LIFE if s in states] == states
    assert states[0] == "queued"
    assert states[-2:] == ["playing", "done"]
    take = house.client.wait("/segue/take", PATIENCE).args
    assert take[0] == number
    assert take[4] == take[3] - take[2]
    assert take[4] >= 0.3 * RATE  # as long as it took to make
    assert take[5] == 5


def osc(house: House, *args: str) -> None:
    """Sends by liblo's oscsend."""
    subprocess.run(["oscsend", "127.0.0.1", str(house.client.port), *args], check=True, timeout=PATIENCE)


@needs("oscsend", "liblo-tools")
def test_oscsend_continues(house: House) -> None:
    house.forget()
    osc(house, "/segue/deck/1/continue", "sfsi", "sec", "0.5", "id", "411")
    number, states = house.life(begins("continue"))
    assert number == 411
    assert states[-1] == "done"


@needs("oscsend", "liblo-tools")
def test_oscsend_bridges_two_files(house: House, tmp_path: Path) -> None:
    house.forget()
    for deck, seed in ((2, 6), (3, 7)):
        audio = np.random.default_rng(seed).normal(0, 0.05, (2, 12 * RATE)).astype(np.float32)
        soundfile.write(tmp_path / f"{deck}.wav", audio.T, RATE, subtype="FLOAT")
        osc(house, f"/segue/deck/{deck}/load", "s", str(tmp_path / f"{deck}.wav"))
        file = house.client.wait(f"/segue/deck/{deck}/file", PATIENCE)
        assert file.args == (str(tmp_path / f"{deck}.wav"), 12.0)
    osc(house, "/segue/deck/2/play")
    until = time.monotonic() + PATIENCE
    while house.client.status()["decks"][1]["position"] < 2.8:  # a context's length
        assert time.monotonic() < until, "the file does not play"
        time.sleep(0.05)
    osc(house, "/segue/deck/2/transition", "sisfsf", "to", "3", "at", "2.0", "sec", "1.0")
    house.life(begins("transition", 2))
    status = house.client.status()
    assert status["decks"][2]["state"] == "dry"
    assert status["decks"][2]["position"] > 3.0  # `at` and the length of the bridge
    for deck in (2, 3):
        osc(house, f"/segue/deck/{deck}/pause")
    house.client.ask("/segue/sync", 2)


@needs("pd", "puredata-core")
def test_pure_data_continues_with_the_shipped_patch(house: House) -> None:
    house.forget()
    messages = [f"segue-server 127.0.0.1 {house.client.port}", "segue-1-beats 1", "segue-1-continue bang"]
    argv = ["pd", "-nogui", "-noaudio", "-nomidi", "-noprefs", "-open", str(ROOT / "clients" / "pd" / "segue.pd")]
    with subprocess.Popen(
        argv + [part for message in messages for part in ("-send", message)], stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL
    ) as program:
        try:
            number, _ = house.life(begins("continue"))
        finally:
            stop(program)
    take = house.logged(lambda line: line["kind"] == "take" and line["deck"] == 1 and line["frames"] == RATE // 2)
    assert take["verb"] == "continue"
    assert number > 0


SCLANG = """
(
var server = NetAddr("127.0.0.1", {port});
fork {{
    server.sendMsg('/segue/deck/1/continue', \\sec, 0.5, \\commit, 0, \\id, 611);
    2.wait;
    server.sendBundle(0.5, ['/segue/deck/1/commit', \\id, 611]);
    1.wait;
    0.exit;
}};
)
"""


@needs("sclang", "supercollider-language")
def test_sclang_sends_a_message_and_a_bundle_kept_to_the_frame(house: House, tmp_path: Path) -> None:
    house.forget()
    script = tmp_path / "conversation.scd"
    script.write_text(SCLANG.format(port=house.client.port))
    home = {"HOME": str(tmp_path), "XDG_CONFIG_HOME": str(tmp_path), "XDG_DATA_HOME": str(tmp_path)}
    environment = {**os.environ, **home, "QT_QPA_PLATFORM": "offscreen", "QTWEBENGINE_DISABLE_SANDBOX": "1"}
    with subprocess.Popen(
        ["sclang", str(script)], stdin=subprocess.DEVNULL, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL, env=environment
    ) as program:
        try:
            number, states = house.life(begins("continue"))
        finally:
            stop(program)
    assert number == 611
    assert states.index("ready") < states.index("playing")
    command = house.logged(lambda line: line["kind"] == "command" and line["address"].endswith("/commit"))
    play = house.logged(lambda line: line["kind"] == "applied" and line["op"] == "PLAY" and line["scheduled"] == command["at"])
    assert play["frame"] == play["scheduled"]
    ahead = command["at"] - (command["frame"] - command["waited_frames"])  # from arrival to the tag
    assert 0.25 * RATE < ahead <= 0.5 * RATE
    assert house.client.wait("/segue/take", PATIENCE).args[3] == command["at"]


def test_a_jack_midi_client_continues_and_stops(house: House) -> None:
    pytest.importorskip("rtmidi", reason="python-rtmidi is missing: pip install segue[midi]")
    if os.path.exists("/dev/snd/seq"):
        pytest.skip("MIDI comes from ALSA on this machine")
    house.forget()
    pads = Sender(house.jack)
    try:
        until = time.monotonic() + PATIENCE
        while not house.client.status()["jobs"]:  # the server looks for new ports once a second
            assert time.monotonic() < until, "MIDI does not arrive"
            pads.waiting.put(b"\x90\x24\x64")
            time.sleep(0.1)
        number, _ = house.life(begins("continue"), "playing")
        assert number > 0
        pads.waiting.put(b"\x90\x2b\x64")  # stop
        until = time.monotonic() + PATIENCE
        while house.client.status()["decks"][0]["state"] != "dry" or house.client.status()["jobs"]:
            assert time.monotonic() < until, "the take goes on"
            time.sleep(0.05)
    finally:
        pads.close()


def found(tape: Audio, part: Audio) -> int:
    """Where in the tape a part of it lies."""
    (places,) = np.nonzero((tape[:, : -part.shape[1]] == part[:, :1]).all(axis=0))
    (place,) = [int(p) for p in places if np.array_equal(tape[:, p : p + part.shape[1]], part)]
    return place


def lost(house: House) -> list[int]:
    """What the machine has dropped so far, on either side."""
    both = (house.segment.counters(), house.player.segment.counters())
    names = ("status_xruns", "gap_xruns", "lost_frames", "underruns", "feed_underruns")
    return [counters[name] for counters in both for name in names]


def test_what_another_client_records_is_the_tape_and_the_takes(house: House) -> None:
    for _ in range(3):
        house.player.start(house.path)
        before = lost(house)
        began, take = performed(house)
        recording = house.player.recording()
        if lost(house) == before:
            break
    else:
        pytest.skip("this machine is too busy: JACK dropped cycles in each of three attempts")
    compare(house, recording, began, take)


def performed(house: House) -> tuple[int, tuple[Any, ...]]:
    """The frame at which a continuation without fades was asked for, and its take."""
    house.forget()
    time.sleep(4.0)  # of music
    began = house.segment.frame
    house.client.deck(1).continue_(sec=1.0, xfade=0.0)
    house.life(begins("continue"))
    take = house.client.wait("/segue/take", PATIENCE).args
    time.sleep(0.5)
    return began, take


def compare(house: House, whole: Audio, began: int, take: tuple[Any, ...]) -> None:
    """What was recorded is the tape, and the take where it says."""
    end = house.segment.written(Ring.INPUT, 0)
    tape_began = end - BLOCK - found(house.tape, house.segment.read(Ring.INPUT, 0, end, BLOCK))  # server's frame
    t0, t1 = take[2] - tape_began, take[3] - tape_began  # both in frames of the tape from here on
    heard = whole[:, -round(4.0 * RATE) :]
    heard_from = found(house.tape, heard[:, -BLOCK:]) + BLOCK - heard.shape[1]  # the tape's frame of its first sample
    expected = house.tape[:, heard_from : heard_from + heard.shape[1]].copy()
    assert house.player.origin(house.segment) == tape_began + heard_from + heard.shape[1] - whole.shape[1]
    at = t1 - heard_from
    assert t1 > began - tape_began
    assert at > RATE
    again = t0 - PERIOD + (t1 - t0 + np.arange(RATE)) % PERIOD  # the engine repeats the second before t0 on and on
    expected[:, at : at + RATE] = house.tape[:, again]
    np.testing.assert_array_equal(heard, expected)
