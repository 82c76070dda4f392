"""The bridge to Live: real UDP on both sides, the real server on one, a stand-in for AbletonOSC on the other."""

from __future__ import annotations

import json
import os
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
from fake_live import FakeLive

from segue.bench.live import serve
from segue.clients.python import Client, SegueError
from segue.clients.python import live as live_module
from segue.clients.python.launches import Follow, Launch, launches

PATIENCE = 20.0
CLIPS: list[list[str | None]] = [
    ["Intro", "Drop [segue generate beats 4 seed 7 with clip 2 1 then scene 2]", None],
    [None, "[segue 2 gain 0.25][segue 9 stop]", "[segue sideways]"],
]
SCENES = ["A [segue tempo 99]", "B", "[segue generate then scene]"]


@pytest.mark.parametrize(
    ("name", "found"),
    [
        ("Verse", ()),
        ("[segue continue]", (Launch("/segue/deck/1/continue", (), 1, True),)),
        ("x [Segue 2 vary k 0.5 beats 4] y", (Launch("/segue/deck/2/vary", ("k", 0.5, "beats", 4), 2, True),)),
        ("[segue 2 stop quant bar]", (Launch("/segue/deck/2/stop", ("quant", "bar"), 2),)),
        ("[segue panic]", (Launch("/segue/panic"),)),
        ("[segue scene/recall 3]", (Launch("/segue/scene/recall", (3,)),)),
        (
            "[segue loop with clip 1 2 then scene 4]",
            (Launch("/segue/deck/1/loop", (), 1, True, (Follow("playing", "clip", (0, 1)), Follow("done", "scene", (3,)))),),
        ),
        ("[segue stop][segue 2 stop]", (Launch("/segue/deck/1/stop", (), 1), Launch("/segue/deck/2/stop", (), 2))),
    ],
)
def test_a_name_says_what_to_fire(name: str, found: tuple[Launch, ...]) -> None:
    assert launches(name) == found


@pytest.mark.parametrize(
    ("name", "sentence"),
    [
        ("[segue]", "needs a verb"),
        ("[segue 2]", "needs a verb"),
        ("[segue stop then scene 1]", "stop makes none"),
        ("[segue continue then scene]", "comes `scene 4`"),
        ("[segue continue then scene 0]", "counted from 1"),
        ("[segue continue then clip 2]", "comes `scene 4`"),
    ],
)
def test_a_name_that_cannot_be_meant_is_a_sentence(name: str, sentence: str) -> None:
    with pytest.raises(SegueError, match=sentence):
        launches(name)


def until(what: Callable[[], Any], name: str) -> Any:
    end = time.monotonic() + PATIENCE
    while time.monotonic() < end:
        found = what()
        if found:
            return found
        time.sleep(0.02)
    raise AssertionError(f"not within {PATIENCE:g} s: {name}")


class House:
    """Server, Live's stand-in, and the program between them."""

    def __init__(self, client: Client, log: Path, live: FakeLive, bridge: subprocess.Popen[str]) -> None:
        self.client, self._log, self.live, self.bridge = client, log, live, bridge

    def commands(self) -> list[tuple[str, list[Any]]]:
        whole, _, _ = self._log.read_text(encoding="utf-8").rpartition("\n")
        lines = map(json.loads, whole.splitlines())
        return [(line["address"], line["args"]) for line in lines if line["kind"] == "command"]

    def arrived(self, address: str, since: int = 0) -> list[Any]:
        return list(until(lambda: [(args,) for known, args in self.commands()[since:] if known == address], address)[0][0])

    def launched(self, *message: Any) -> None:
        until(lambda: message in self.live.got, f"{message} in Live")


def free_port() -> int:
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as taken:
        taken.bind(("127.0.0.1", 0))
        return int(taken.getsockname()[1])


@pytest.fixture(scope="module")
def house() -> Iterator[House]:
    engine = json.dumps([sys.executable, str(Path(__file__).with_name("fake_engine.py")), "0.1"])
    answers = free_port()
    live = FakeLive(answers, CLIPS, SCENES)
    live.start()
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("SEGUE_TEST_ENGINE", engine)
        with serve("--device", "null") as (client, _, log):
            until(lambda: client.status()["engine"] == "ready", "the engine")
            ports = ["--port", str(client.port), "--live-port", str(live.port), "--answers", str(answers)]
            command = [sys.executable, "-m", "segue", "bridge", "ableton", "--json", *ports]
            bridge = subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True, env=dict(os.environ))
            try:
                until(lambda: live.listens("scene", "name", 2) and live.listens("track", "fired_slot_index", 1), "listeners")
                yield House(client, log, live, bridge)
            finally:
                bridge.send_signal(signal.SIGINT)
                _, errors = bridge.communicate(timeout=PATIENCE)
                live.stop()
                assert (bridge.returncode, errors) == (130, "")


def test_the_tempo_of_live_is_the_servers(house: House) -> None:
    assert house.arrived("/segue/tempo") == [126.0]
    since = len(house.commands())
    house.live.set("song", "tempo", to=131.5)
    assert house.arrived("/segue/tempo", since) == [131.5]
    until(lambda: house.client.tempo() == pytest.approx(131.5), "the tempo")


def test_how_things_stand_is_no_launch(house: House) -> None:
    assert not [address for address, _ in house.commands() if "/deck/" in address]


def test_a_clip_fires_its_verb_once_and_what_follows_is_launched(house: House) -> None:
    since = len(house.commands())
    house.live.set("track", "fired_slot_index", 0, to=1)
    house.live.set("track", "playing_slot_index", 0, to=1)
    house.live.set("track", "fired_slot_index", 0, to=-1)
    args = house.arrived("/segue/deck/1/generate", since)
    assert args[:4] == ["beats", 4, "seed", 7]
    house.launched("clip/fire", 1, 0)
    assert ("scene/fire", 1) not in house.live.got
    house.launched("scene/fire", 1)
    assert [address for address, _ in house.commands()[since:]].count("/segue/deck/1/generate") == 1


def test_a_launch_without_quantization_is_seen_when_it_plays(house: House) -> None:
    since = len(house.commands())
    house.live.set("track", "playing_slot_index", 1, to=1)
    assert house.arrived("/segue/deck/2/gain", since) == [0.25]
    house.live.set("track", "playing_slot_index", 1, to=-2)


def test_a_scene_fires_its_message_and_may_be_renamed(house: House) -> None:
    since = len(house.commands())
    house.live.set("scene", "is_triggered", 0, to=True)
    assert house.arrived("/segue/tempo", since) == [99]
    house.live.set("scene", "name", 1, to="B [segue 2 mute 1]")
    house.live.set("scene", "is_triggered", 1, to=True)
    assert house.arrived("/segue/deck/2/mute", since) == [1]


def test_live_stops_and_the_context_is_pinned(house: House) -> None:
    since = len(house.commands())
    house.live.set("song", "is_playing", to=True)
    until(lambda: house.commands()[since:][1:2] == [("/segue/deck/2/freeze", [False])], "both decks go on")
    house.live.send("/live/song/get/beat", 3)
    house.live.send("/live/song/get/beat", 4)
    house.arrived("/segue/downbeat", since)
    house.live.send("/live/song/get/beat", 8)
    house.live.set("song", "is_playing", to=False)
    until(lambda: house.commands()[-1] == ("/segue/deck/2/freeze", [True]), "both decks pinned")
    assert [address for address, _ in house.commands()[since:]].count("/segue/downbeat") == 1


def test_mistakes_are_said_and_garbage_is_survived(house: House) -> None:
    house.live.send("/live/track/get/fired_slot_index", "x")
    house.live.send("/live/song/get/num_tracks", 10**6)
    house.live.send("/live/scene/get/is_triggered", -5, True)
    house.live.send("/live/song/get/tempo")
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as anyone:
        anyone.sendto(b"\xff" * 40, house.live._answers)
    house.live.set("scene", "is_triggered", 2, to=True)
    house.live.set("track", "fired_slot_index", 1, to=2)
    said = ""
    while "sideways" not in said:
        assert house.bridge.stdout is not None
        line = json.loads(house.bridge.stdout.readline())
        said += line.get("sentence", "")
    assert "comes `scene 4`" in said
    assert "there is no deck 9" in said


def rests(live: FakeLive) -> bool:
    """Whether nobody asks Live anything for half a second."""
    before = len(live.got)
    time.sleep(0.5)
    return len(live.got) == before


def test_a_script_that_began_anew_is_listened_to_again(house: House) -> None:
    until(lambda: rests(house.live), "a rest after the flood, which loses datagrams")
    house.live.begin_anew()
    until(lambda: house.live.listens("track", "fired_slot_index", 0), "listeners")
    until(lambda: house.live.got[-1][0] == "track/get/clips/name", "names")
    time.sleep(0.2)
    since = len(house.commands())
    house.live.set("track", "fired_slot_index", 0, to=1)
    house.arrived("/segue/deck/1/generate", since)


def test_a_taken_port_is_one_line(house: House) -> None:
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as taken:
        taken.bind(("0.0.0.0", 0))
        port = str(taken.getsockname()[1])
        command = [sys.executable, "-m", "segue", "bridge", "ableton", "--answers", port, "--port", str(house.client.port)]
        done = subprocess.run(command, capture_output=True, text=True, timeout=PATIENCE, check=False)
    assert (done.returncode, done.stderr.count("\n")) == (2, 1)
    assert f"port {port}, which cannot be had" in done.stderr


def test_the_ports_are_those_that_abletonosc_documents() -> None:
    assert (live_module.SEND_PORT, live_module.ANSWER_PORT) == (11000, 11001)
