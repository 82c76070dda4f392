"""Bad input of every kind: one clear sentence, exit code 2 at start-up, and a server that goes on."""

from __future__ import annotations

import contextlib
import json
import os
import random
import socket
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import soundfile

from segue.bench.live import free_port, serve, stop
from segue.clients.python import Client, SegueError

FAKE = [sys.executable, str(Path(__file__).with_name("fake_engine.py")), "0.1"]
PATIENCE_S = 60.0


def refused(*options: str, env: dict[str, str] | None = None) -> str:
    """What `segue serve` says last on its way out."""
    argv = [sys.executable, "-m", "segue", "serve", *options]
    environment = {**os.environ, **(env or {})}
    done = subprocess.run(argv, capture_output=True, text=True, timeout=PATIENCE_S, env=environment, check=False)
    assert done.returncode == 2, done.stderr
    assert "Traceback" not in done.stderr
    return done.stderr.strip().splitlines()[-1]


def no_jack() -> dict[str, str]:
    """A machine without a JACK server."""
    return {"JACK_DEFAULT_SERVER": f"nobody{os.getpid()}", "JACK_NO_START_SERVER": "1"}


@pytest.mark.parametrize(
    ("options", "said"),
    [
        (("--device", "null", "--rate", "1000"), "--rate lies between 8000 and 192000, got 1000"),
        (("--device", "null", "--block", "1"), "--block lies between 16 and 8192, got 1"),
        (("--device", "null", "--port", "70000"), "--port lies between 1 and 65535, got 70000"),
        (("--device", "null", "--tempo", "nan"), "--tempo lies between 20 and 300, got nan"),
        (("--device", "null", "--load", "/nowhere/at/all.wav"), "/nowhere/at/all.wav is no file"),
        (("--device", "null", "--log", "/nowhere/at/all.jsonl"), "/nowhere/at/all.jsonl"),
        (("--device", "no such device"), "no output device that is called no such device"),
        (("--host-api", "no such api"), "no output device that is called no such api"),
    ],
)
def test_start_up_errors_are_one_sentence(options: tuple[str, ...], said: str) -> None:
    line = refused(*options, env=no_jack())
    assert line.startswith("segue serve: ")
    assert said in line


def test_a_port_in_use_is_named() -> None:
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as other:
        other.bind(("127.0.0.1", 0))
        port = other.getsockname()[1]
        line = refused("--device", "null", "--port", str(port))
    assert f"port {port} on 127.0.0.1 is in use" in line
    assert "--port" in line


def test_an_address_that_is_not_ours_is_named() -> None:
    line = refused("--device", "null", "--host", "203.0.113.1", "--port", str(free_port()))
    assert "cannot listen on 203.0.113.1" in line


def test_without_portaudio_it_says_what_to_install(tmp_path: Path) -> None:
    (tmp_path / "sounddevice.py").write_text("raise OSError('PortAudio library not found')\n")
    line = refused("--port", str(free_port()), env={"PYTHONPATH": str(tmp_path)})
    assert "PortAudio library not found" in line
    assert "libportaudio2" in line


def test_without_a_compiler_the_twin_serves(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "sitecustomize.py").write_text("import sys\nsys.modules['segue.server.audio._core'] = None\n")
    monkeypatch.setenv("PYTHONPATH", str(tmp_path))
    monkeypatch.setenv("SEGUE_TEST_ENGINE", json.dumps(FAKE))
    with serve("--device", "null", "--block", "2048") as (client, _, _):
        before = client.status()["frame"]
        client.ask("/segue/sync", 5)
        time.sleep(0.3)
        assert client.status()["frame"] > before


@pytest.mark.parametrize("kind", ["missing", "corrupt"])
def test_a_checkpoint_that_cannot_be_used_leaves_the_server_playing_dry(tmp_path: Path, kind: str) -> None:
    path = tmp_path / "model.safetensors"
    if kind == "corrupt":
        path.write_bytes(random.Random(1).randbytes(5000))
    port = free_port()
    argv = [sys.executable, "-m", "segue", "serve", "--device", "null", "--port", str(port), "--model", str(path)]
    server = subprocess.Popen(argv)
    try:
        status = until_down(port)
        assert str(path) in status["engine_sentence"]
        assert "Traceback" not in status["engine_sentence"]
        with Client(port=port) as client:
            frame = client.status()["frame"]
            client.deck(1).gain(0.5)
            client.ask("/segue/sync", 1)
            status = client.status()
            assert status["frame"] > frame
            assert status["decks"][0]["state"] == "dry"
    finally:
        stop(server)


def until_down(port: int) -> dict[str, Any]:
    """The status, once the engine has given up."""
    deadline = time.monotonic() + PATIENCE_S
    while time.monotonic() < deadline:
        try:
            with Client(port=port, timeout=1.0) as client:
                status = client.status()
        except SegueError:
            continue
        if status["engine"] == "down":
            return status
        time.sleep(0.1)
    raise AssertionError("the engine did not say that it cannot start")


@pytest.fixture(scope="module")
def client() -> Iterator[Client]:
    """One server for everything below: what one test does to it, the next would notice."""
    before = os.environ.get("SEGUE_TEST_ENGINE")
    os.environ["SEGUE_TEST_ENGINE"] = json.dumps(FAKE)
    try:
        with serve("--device", "null") as (made, _, _):
            yield made
    finally:
        del os.environ["SEGUE_TEST_ENGINE"]
        if before is not None:
            os.environ["SEGUE_TEST_ENGINE"] = before


def failure(client: Client, address: str, *args: object) -> str:
    """The sentence that a message is answered with."""
    for _ in client.events(timeout=0.0):
        pass
    for _ in range(10):
        client.send(address, *args)
        with contextlib.suppress(SegueError):  # of failures, a sender is told twenty a second, then only how many more there were
            event = client.wait(lambda e: e.address == "/segue/fail" and e.args[0] == address, 2.0)
            assert client.ping(7, timeout=20.0) == (7,)
            return str(event.args[1])
    raise AssertionError(f"{address} {args!r} was not answered")


def test_too_little_context_says_how_much_there_is(client: Client, tmp_path: Path) -> None:
    path = tmp_path / "a.wav"
    soundfile.write(path, np.full((44_100, 2), 0.1), 44_100)
    deck = client.deck(2)
    deck.load(str(path))
    client.wait("/segue/deck/2/file", 20.0)
    deck.play()  # what counts as heard begins here
    client.ask("/segue/sync", 1)
    said = failure(client, "/segue/deck/2/continue", "sec", 1.0)
    assert said.startswith("not enough audio captured: ")
    assert said.endswith(" s of 2.4 s")


@pytest.mark.parametrize("kind", ["missing", "folder", "empty", "text", "no frames", "long name"])
def test_a_file_that_cannot_be_used_is_one_sentence(client: Client, tmp_path: Path, kind: str) -> None:
    path = tmp_path / "input.wav"
    if kind == "folder":
        path.mkdir()
    elif kind == "empty":
        path.touch()
    elif kind == "text":
        path.write_text("these are words\n" * 100)
    elif kind == "no frames":
        soundfile.write(path, np.zeros((0, 2)), 44_100)
    elif kind == "long name":
        path = tmp_path / ("x" * 1100)
    said = failure(client, "/segue/deck/1/load", str(path))
    assert said.startswith("load: ")
    assert "\n" not in said


@pytest.mark.parametrize(("kind", "rate", "channels"), [("8 kHz mono", 8000, 1), ("96 kHz", 96_000, 2), ("NaN", 44_100, 2)])
def test_files_of_other_forms_play(client: Client, tmp_path: Path, kind: str, rate: int, channels: int) -> None:
    path = tmp_path / "input.wav"
    audio = 0.1 * np.random.default_rng(3).standard_normal((2 * rate, channels), np.float32)
    if kind == "NaN":
        audio[:] = np.nan
    soundfile.write(path, audio, rate, subtype="FLOAT")
    assert heard(client, path, 0.0) == pytest.approx(2.0, abs=0.001)
    assert client.status()["counters"]["nonfinite"] == 0


def test_an_hour_is_loaded_at_once_and_sought_in(client: Client, tmp_path: Path) -> None:
    path = tmp_path / "hour.wav"
    noise = np.random.default_rng(4).integers(-8, 8, 8000 * 60).astype(np.int16) * 256
    with soundfile.SoundFile(path, "w", 8000, 1, subtype="PCM_U8") as file:
        for _ in range(60):
            file.write(noise)
    began = time.monotonic()
    assert heard(client, path, 3500.0) == pytest.approx(3600.0, abs=0.01)
    assert time.monotonic() - began < 20.0


def heard(client: Client, path: Path, place: float) -> float:
    """Loads a file, plays it from a place, sees it move; its length in seconds."""
    deck = client.deck(1)
    for _ in client.events(timeout=0.0):
        pass
    deck.load(str(path))
    length = client.wait("/segue/deck/1/file", 20.0).args[1]
    deck.play()
    deck.seek(sec=place)
    deadline = time.monotonic() + 10.0
    while not place < client.status()["decks"][0]["position"] < place + 60.0:
        assert time.monotonic() < deadline
        time.sleep(0.02)
    deck.pause()
    return float(length)


@pytest.mark.parametrize(
    ("address", "args", "said"),
    [
        ("/segue/deck/1/gain", ("loud",), "gain"),
        ("/segue/deck/1/gain", (float("nan"),), "gain"),
        ("/segue/deck/1/continue", ("beats", "many"), "beats"),
        ("/segue/deck/1/continue", ("beats",), "beats"),
        ("/segue/deck/1/continue", ("bars", 3), "bars"),
        ("/segue/deck/1/continue", ("sec", 1e9), "sec"),
        ("/segue/deck/1/kontinue", (), "kontinue"),
        ("/segue/deck/9/continue", (), "9"),
        ("/segue/deck/0/continue", (), "0"),
        ("/other/thing", (1,), "/other/thing"),
        ("/segue/tempo", (-1.0,), "tempo"),
        ("/segue/deck/1/play", ("quant", "never"), "quant"),
        ("/segue/deck/1/transition", ("to", 1), "deck 1"),
        ("/segue/deck/1/commit", (), "no job"),
    ],
)
def test_wrong_messages_are_answered(client: Client, address: str, args: tuple[object, ...], said: str) -> None:
    assert said in failure(client, address, *args)


def test_garbage_is_answered_or_ignored_and_survived(client: Client) -> None:
    chance = random.Random(5)
    before = client.status()
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as out:
        out.connect(("127.0.0.1", client.port))
        for packet in (b"", b"\0", b"#bundle\0", b"/segue/ping\0,", b"#bundle\0" * 200, b"/" * 60_000):
            out.send(packet)
        for _ in range(500):
            out.send(chance.randbytes(chance.randrange(1, 400)))
            mangled = bytearray(b"/segue/deck/1/gain\0\0,f\0\0\x3f\x80\0\0")
            mangled[chance.randrange(len(mangled))] = chance.randrange(256)
            out.send(bytes(mangled))
    assert client.ping(3) == (3,)
    after = client.status()
    assert after["door"]["errors"] == before["door"]["errors"]
    assert after["door"]["bad"] > before["door"]["bad"]
    assert after["frame"] > before["frame"]
