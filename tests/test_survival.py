"""What must never stop the sound: processes killed while a take plays and another is made, on a real JACK server."""

from __future__ import annotations

import json
import shutil
import signal
import sys
import time
from collections.abc import Callable
from pathlib import Path

import numpy as np
import psutil
import pytest
import soundfile

from segue.bench.live import jack, serve
from segue.bench.tape import Player
from segue.clients.python import Event
from segue.server.audio.memory import SharedMemoryError
from segue.server.audio.segment import Segment
from segue.server.audio.values import Op
from segue.server.jobs import Audio

RATE, BLOCK = 44_100, 256
HOLE_S, HOLE_DB = 0.005, -40.0  # a hole: so long and so much below the level of the take
GUARD_S = 0.025  # silence of the input after which the loop is to have stepped in
SLACK_BLOCKS = 6  # of the guard's order on its way to the callback, and of the control process being scheduled
SOON_S = 15.0  # a process that was killed is back
LEVEL = 0.2


def tone(seconds: float) -> Audio:
    """Partials of whole Hz: any second predicts the next, and any 5 ms are about as loud as any other."""
    t = np.arange(RATE) / RATE
    left, right = (sum(np.sin(2 * np.pi * f * t + f) / len(part) for f in part) for part in ((440, 1320), (550, 1100)))
    unit = LEVEL * np.stack([left, right]).astype(np.float32)
    return unit[:, np.arange(round(seconds * RATE)) % RATE]


def holes(audio: Audio) -> list[tuple[int, int]]:
    """(first frame, frames) of each stretch in which every 5 ms window is a hole."""
    n = round(HOLE_S * RATE)
    power = np.convolve(np.mean(np.square(audio, dtype=np.float64), axis=0), np.ones(n) / n, "valid")
    quiet = power < 10 ** (HOLE_DB / 10) * np.mean(np.square(tone(1.0)))
    edges = np.flatnonzero(np.diff(np.concatenate([[0], quiet.astype(np.int8), [0]])))
    return [(int(a), int(b - a + n - 1)) for a, b in zip(edges[::2], edges[1::2], strict=True)]


def clicks(audio: Audio) -> list[int]:
    """Places at which the curvature is beyond three times that of the tone; what lies within 50 ms is one."""
    bend = np.abs(np.diff(audio, 2, axis=1)).max(axis=0)
    found = np.flatnonzero(bend > 3 * np.abs(np.diff(tone(1.0), 2, axis=1)).max())
    return [int(f) for f, before in zip(found, [-RATE, *found[:-1]], strict=True) if f - before > RATE // 20]


def child(of: int, module: str) -> psutil.Process:
    """The process below another that runs a module or program."""
    found = [p for p in psutil.Process(of).children(recursive=True) if any(w.endswith(module) for w in p.cmdline())]
    assert found, f"no {module} below process {of}"
    return found[0]


def state(number: int, *states: str) -> Callable[[Event], bool]:
    return lambda e: e.address == "/segue/job" and e.args[0] == number and e.args[3] in states


def engine_is(said: str) -> Callable[[Event], bool]:
    return lambda e: e.address == "/segue/engine" and e.args[0] == said


@pytest.fixture
def fake_engine(monkeypatch: pytest.MonkeyPatch) -> None:
    """An engine that repeats its context and takes 0.3 s for each piece."""
    program = str(Path(__file__).with_name("fake_engine.py"))
    monkeypatch.setenv("SEGUE_TEST_ENGINE", json.dumps([sys.executable, program, "0.3"]))


@pytest.mark.skipif(shutil.which("jackd") is None, reason="jackd is not installed: apt-get install jackd2")
def test_sound_goes_on_though_engine_and_control_are_killed(tmp_path: Path, fake_engine: None) -> None:
    path, loaded = str(tmp_path / "tone.wav"), str(tmp_path / "other.wav")
    soundfile.write(path, tone(60.0).T, RATE, subtype="FLOAT")
    soundfile.write(loaded, tone(3.0).T, RATE)
    with jack(BLOCK), serve("--host-api", "JACK") as (client, server, _), Player(RATE, BLOCK) as player:
        player.connect("segue")
        client.deck(2).load(loaded)
        client.wait("/segue/deck/2/file", 10.0)
        client.send("/segue/tempo", 60.0)  # bars of whole seconds: the loop goes round in phase
        client.deck(2).xfade(0.125)
        player.start(path)
        time.sleep(6.0)  # of music
        first = client.deck(1).continue_(sec=7.0)
        client.wait(state(first, "running"), 10.0)  # its context is read
        begins = player.segment.frame
        player.mute()
        client.wait(state(first, "playing"), 10.0)
        second = client.deck(1).continue_(sec=20.0, commit=False)
        client.wait(lambda e: state(second, "running")(e) and e.args[4] == 0.0, 10.0)
        child(server.pid, "fake_engine.py").send_signal(signal.SIGKILL)
        failed = client.wait(state(second, "failed"), 5.0)
        assert "engine process ended" in failed.args[5]
        client.wait(engine_is("down"), 5.0)
        client.wait(engine_is("ready"), SOON_S)

        third = client.deck(1).continue_(sec=20.0, commit=False)
        client.wait(state(third, "running"), 10.0)
        time.sleep(0.5)  # what was set is remembered five times a second
        for _ in client.events(timeout=0.0):
            pass
        killed = child(server.pid, "server.control_process")
        killed.send_signal(signal.SIGKILL)
        at = time.monotonic()
        killed.wait(5.0)
        client.wait(engine_is("ready"), SOON_S)
        lost = client.wait(state(third, "failed"), 1.0)
        assert "ask again" in lost.args[5]
        print(f"control back and engine ready after {time.monotonic() - at:.2f} s")
        assert client.ask("/segue/tempo").args == (60.0,)
        assert client.deck(2).xfade() == 0.125
        assert client.status()["decks"][1]["file"] == loaded
        fourth = client.deck(1).continue_(sec=3.0)
        client.wait(state(fourth, "playing"), 10.0)
        time.sleep(1.0)
        audio = player.recording()[:, player.started - player.first + RATE // 2 :]
        muted = begins - player.started - RATE // 2
        counts = client.status()["counters"], player.segment.counters()
    found = [((a - muted) / RATE, n / RATE) for a, n in holes(audio)]
    bends = [(c - muted) / RATE for c in clicks(audio)]
    print("holes:", found, "clicks:", bends, "lost:", [c["gap_xruns"] + c["status_xruns"] for c in counts])
    # One hole, where the performer stops; the loop is there after the guard, the order's way and a busy machine's slack.
    assert max((n for _, n in found), default=0.0) <= GUARD_S + SLACK_BLOCKS * BLOCK / RATE + HOLE_S
    assert all(-0.01 < place < 0.1 for place, _ in found)
    # The performer's own end is abrupt; beyond it nothing clicks but periods that JACK lost.
    assert sum(place > 0.1 for place in bends) <= sum(c["gap_xruns"] + c["status_xruns"] for c in counts)


@pytest.mark.skipif(shutil.which("jackd") is None, reason="jackd is not installed: apt-get install jackd2")
@pytest.mark.parametrize("ending", ["by itself", "by stop"])
def test_a_take_is_known_to_the_control_process_that_comes_after_it(tmp_path: Path, fake_engine: None, ending: str) -> None:
    path, lasts = str(tmp_path / "tone.wav"), 30.0
    soundfile.write(path, tone(60.0).T, RATE, subtype="FLOAT")
    with jack(BLOCK), serve("--host-api", "JACK") as (client, server, _), Player(RATE, BLOCK) as player:
        player.connect("segue")
        player.start(path)
        time.sleep(4.0)  # of music
        number = client.deck(1).continue_(sec=lasts)
        start = client.wait(lambda e: e.address == "/segue/take" and e.args[0] == number, 10.0).args[3]
        client.wait(state(number, "playing"), 1.0)
        time.sleep(4.0)  # all of it is made; what is known is written five times a second
        child(server.pid, "server.control_process").send_signal(signal.SIGKILL)
        again = client.wait(state(number, "playing"), SOON_S)  # told once more
        assert again.args[1:3] == (1, "continue")
        if ending == "by stop":
            client.send("/segue/deck/1/stop", "quant", "off")
        client.wait(state(number, "done"), lasts)
        sounded = Segment.attach(f"segue-{server.pid}")
        try:
            left = next(line for line in reversed(sounded.applied(0)) if line.op in (Op.EXIT, Op.PLAY))
        finally:
            sounded.close()
        assert client.status()["decks"][0]["state"] == "dry"
        if ending == "by stop":
            assert left.op is Op.PLAY
            assert left.applied < start + round(lasts * RATE)
        else:
            assert (left.op, left.applied) == (Op.EXIT, start + round(lasts * RATE))


def test_nothing_outlives_a_server_that_was_killed(fake_engine: None) -> None:
    with serve("--device", "null") as (client, server, _):
        port = client.port
        below = psutil.Process(server.pid).children(recursive=True)
        assert len(below) == 2  # control and engine
        server.send_signal(signal.SIGKILL)
        server.wait(5.0)
        _, alive = psutil.wait_procs(below, 10.0)
        assert not alive
        Segment.attach(f"segue-{server.pid}").close()  # nobody was left to remove it
    with serve("--device", "null", port=port) as (client, _, _):
        assert client.ping(1) == (1,)
        with pytest.raises(SharedMemoryError):
            Segment.attach(f"segue-{server.pid}")
