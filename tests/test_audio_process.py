"""The audio process as it really runs: silently in real time, and on a real JACK server beside a recorder that is not ours."""

from __future__ import annotations

import json
import os
import shutil
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

import numpy as np
import pytest
from audio import NO_CORE, fresh_name

from segue.server.audio import device
from segue.server.audio.device import Device, DeviceError
from segue.server.audio.memory import SharedMemoryError
from segue.server.audio.rings import Audio
from segue.server.audio.segment import Segment
from segue.server.audio.values import Command, Ring, Source, StreamState
from segue.server.audio.wiring import wired

PERIOD, RATE = 128, 44_100
PATIENCE_S = 30.0
RUN = """
import json, sys
from types import SimpleNamespace
from segue.server.audio.process import run_audio
try:
    run_audio(SimpleNamespace(**json.loads(sys.argv[1])))
except OSError as error:
    sys.exit(str(error))
"""


def until(said: Callable[[], object], what: str) -> None:
    deadline = time.monotonic() + PATIENCE_S
    while not said():
        assert time.monotonic() < deadline, f"{what}: not within {PATIENCE_S} s"
        time.sleep(0.01)


@contextmanager
def audio_process(host_api: str, env: dict[str, str] | None = None) -> Iterator[tuple[Segment, subprocess.Popen[str]]]:
    settings = {
        "segment": fresh_name(), "rate": RATE, "block": PERIOD, "decks": 2, "cue": 0, "device": None, "host_api": host_api,
        "client_name": "segue-test", "inputs": [], "open_inputs": 0,
    }  # fmt: skip
    command = [sys.executable, "-c", RUN, json.dumps(settings)]
    process = subprocess.Popen(command, env=env, stderr=subprocess.PIPE, text=True)
    found: list[Segment] = []

    def running() -> bool:
        assert process.poll() is None, process.stderr.read() if process.stderr else ""
        if not found:
            try:
                found.append(Segment.attach(str(settings["segment"])))
            except SharedMemoryError:
                return False
        return found[0].stream_state is StreamState.RUNNING and found[0].frame > 0

    try:
        until(running, "the stream")
        yield found[0], process
    finally:
        if found:
            found[0].ask_stop()
            found[0].close()
        try:
            process.wait(10)
        except subprocess.TimeoutExpired:
            process.kill()
            process.wait()
        if process.stderr:
            process.stderr.close()


def test_without_a_device_it_plays_silence_in_real_time() -> None:
    with audio_process("null") as (s, process):
        before = s.clock_pair()
        until(lambda: s.frame > before.frame + RATE // 2, "half a second of frames")
        after = s.clock_pair()
        frames, seconds = after.frame - before.frame, (after.monotonic - before.monotonic) * 1e-9
        assert frames / seconds == pytest.approx(RATE, rel=0.2)
        assert abs(after.realtime * 1e-9 - time.time()) < 5.0
        assert not s.read(Ring.SOUNDED, 0, s.frame - PERIOD, 100).any()
        s.ask_stop()
        assert process.wait(10) == 0
        with pytest.raises(SharedMemoryError):
            Segment.attach(s.name)


def test_a_take_plays_to_its_end_though_control_was_killed() -> None:
    with audio_process("null") as (s, _):
        code = f"""
import os, signal
import numpy as np
from segue.server.audio.segment import Segment
from segue.server.audio.values import Command, Policy, Source
s = Segment.attach({s.name!r})
t0 = s.frame + 8192
s.write_slot(0, 0, t0, np.full((2, 30_000), 0.5, np.float32))
s.publish_slot(0, 0, 1, t0, t0 + 30_000, t0 + 20_000, 441)
s.publish_loop(0, np.full((2, 1000), 0.25, np.float32), 0)
s.push(Command.play(0, Source.SLOT_A, t0, id=1))
os.kill(os.getpid(), signal.SIGKILL)
"""
        assert subprocess.run([sys.executable, "-c", code]).returncode == -signal.SIGKILL
        until(lambda: len(s.applied(0)) == 2, "entry and exit")
        entry, leaving = s.applied(0)
        assert leaving.applied == entry.applied + 20_000
        assert leaving.source == Source.LOOP  # nobody plays, so the gate is closed
        until(lambda: s.frame > leaving.applied + 1024, "the loop")
        heard = s.read(Ring.SOUNDED, 0, leaving.applied + 1024, 21_024)
        assert (heard[:, :20_000] == 0.5).all()
        assert heard[:, 20_000:].min() >= 0.25
        assert (heard[:, 20_441:] == 0.25).all()


def test_a_device_that_is_not_there_is_one_sentence() -> None:
    settings = {"segment": fresh_name(), "rate": RATE, "block": 128, "decks": 2, "cue": 0, "device": "no such", "host_api": None}
    command = [sys.executable, "-c", RUN, json.dumps(settings | {"client_name": "segue-test", "inputs": [], "open_inputs": 0})]
    said = subprocess.run(command, capture_output=True, text=True)
    assert said.returncode == 1
    assert "no output device that is called no such" in said.stderr
    assert "Traceback" not in said.stderr


def test_without_portaudio_it_says_what_to_install(tmp_path: Path) -> None:
    (tmp_path / "sounddevice.py").write_text("raise OSError('PortAudio library not found')")
    settings = {"segment": fresh_name(), "rate": RATE, "block": 128, "decks": 2, "cue": 0, "device": None, "host_api": None}
    code = f"import sys; sys.path.insert(0, {str(tmp_path)!r})\n" + RUN
    command = [sys.executable, "-c", code, json.dumps(settings | {"client_name": "segue-test", "inputs": [], "open_inputs": 0})]
    said = subprocess.run(command, capture_output=True, text=True)
    assert "PortAudio library not found; install PortAudio" in said.stderr
    assert "Traceback" not in said.stderr


def test_the_host_api_is_named_and_jack_comes_first() -> None:
    card, system = Device(0, "HDA Intel", "ALSA", 2, 2, 48_000), Device(3, "system", "JACK Audio Connection Kit", 2, 2, 44_100)
    speaker, microphone = Device(1, "Speakers", "Windows WASAPI", 0, 2, 48_000), Device(2, "Mic", "Windows WASAPI", 1, 0, 48_000)
    found, defaults = [card, speaker, microphone, system], {"Windows WASAPI": (2, 1)}
    assert device.choose(found, None, None, {}) == (system, system)
    assert device.choose(found, "alsa", None, {}) == (card, card)
    assert device.choose(found, None, "hda", {}) == (card, card)
    assert device.choose(found, "WASAPI", None, defaults) == (speaker, microphone)
    with pytest.raises(DeviceError, match="called ALSA speakers"):
        device.choose(found, "ALSA", "speakers", {})


def test_channels_are_dealt_to_decks_in_pairs() -> None:
    assert wired(2, 4) == ((0, 1), (2, 3))
    assert wired(3, 3) == ((0, 1), (2, 2), (-1, -1))
    assert wired(1, 0) == ((-1, -1),)


class Recorder:
    """A JACK client that plays known noise by JACK's own frame count, and records by it."""

    def __init__(self, seconds: float) -> None:
        import jack

        self.client = jack.Client("recorder", no_start_server=True)
        self.noise = np.random.default_rng(0).uniform(-0.5, 0.5, 1 << 16).astype(np.float32)
        self.audio: Audio = np.full(round(seconds * RATE), np.nan, np.float32)
        self.start = -1
        self._in, self._out = self.client.inports.register("in"), self.client.outports.register("out")
        self.client.set_process_callback(self._process)
        self.client.activate()

    def _process(self, frames: int) -> None:
        now = self.client.last_frame_time
        self.start = now if self.start < 0 else self.start
        self._out.get_array()[:] = self.noise[(now + np.arange(frames)) % len(self.noise)]
        place = now - self.start
        if 0 <= place <= len(self.audio) - frames:
            self.audio[place : place + frames] = self._in.get_array()

    def close(self) -> None:
        self.client.deactivate()
        self.client.close()


@pytest.fixture
def jack_server() -> Iterator[dict[str, str]]:
    if shutil.which("jackd") is None:
        pytest.skip("jackd is not installed")
    pytest.importorskip("jack", reason="JACK-Client is not installed")
    name = f"segue-test-{os.getpid()}"
    env = {**os.environ, "JACK_DEFAULT_SERVER": name, "JACK_NO_AUDIO_RESERVATION": "1"}
    command = ["jackd", "-n", name, "-r", "-d", "dummy", "-r", str(RATE), "-p", str(PERIOD)]
    server = subprocess.Popen(command, env=env, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
    answers = ["jack_wait", "-s", name, "-w", "-t", "10"]
    before = os.environ.get("JACK_DEFAULT_SERVER")
    os.environ["JACK_DEFAULT_SERVER"] = name
    try:
        ready = shutil.which("jack_wait") is None or subprocess.run(answers, env=env, capture_output=True).returncode == 0
        if not ready or server.poll() is not None:
            pytest.skip("jackd does not start here")
        yield env
    finally:
        server.terminate()
        server.wait()
        if before is None:
            del os.environ["JACK_DEFAULT_SERVER"]
        else:
            os.environ["JACK_DEFAULT_SERVER"] = before


def place_of(needle: Audio, haystack: Audio) -> int:
    """Where needle begins in haystack, to the bit; -1 if nowhere."""
    (candidates,) = np.nonzero(haystack[: len(haystack) - len(needle) + 1] == needle[0])
    return next((int(i) for i in candidates if np.array_equal(haystack[i : i + len(needle)], needle)), -1)


@pytest.mark.skipif(NO_CORE, reason="core.c is not compiled here")
def test_on_jack_a_command_sounds_on_its_frame(jack_server: dict[str, str]) -> None:
    with audio_process("JACK", jack_server) as (s, _):
        assert (s.rate, s.block) == (RATE, PERIOD)
        assert "JACK" in s.sentence
        recorder = Recorder(12.0)
        try:
            recorder.client.connect("recorder:out", "segue-test:in_0")
            recorder.client.connect("segue-test:out_0", "recorder:in")
            first = s.frame + RATE // 2
            take = np.random.default_rng(1).uniform(-0.5, 0.5, (2, 4 * RATE)).astype(np.float32)
            s.write_slot(0, 0, first, take)
            s.publish_slot(0, 0, 1, first, first + take.shape[1])
            frames = [first + i * 3001 for i in range(1, 41)]
            for i, frame in enumerate(frames):
                s.push(Command.play(0, Source.DRY if i % 2 else Source.SLOT_A, frame, id=i))
            until(lambda: len(s.applied(0)) == len(frames), "all commands")
            until(lambda: s.frame > frames[-1] + 4 * PERIOD, "the rest")
        finally:
            recorder.close()
        assert all(line.applied == line.scheduled for line in s.applied(0))
        shifts = []
        for i, frame in enumerate(frames):
            heard, other = (recorder.audio, recorder.noise) if i % 2 == 0 else (recorder.audio[::-1], recorder.noise[::-1])
            generated = take[0, frame - first :][:64] if i % 2 == 0 else take[0, : frame - first][::-1][:64]
            at = place_of(generated, heard)  # odd commands leave the take: the same seen backwards
            if at < 64 or place_of(heard[at - 64 : at], other) < 0:
                continue  # the recorder, which is Python, missed a cycle here, or its noise began anew
            shifts.append((at if i % 2 == 0 else len(heard) - at) - frame)
        assert len(shifts) >= len(frames) // 2, f"{len(shifts)} of {len(frames)} could be judged"
        assert len({shift % PERIOD for shift in shifts}) == 1, "a switch fell off its frame (lost cycles are whole periods)"
        assert shifts == sorted(shifts)


@pytest.mark.skipif(NO_CORE, reason="core.c is not compiled here")
def test_the_stream_comes_back_when_its_process_is_killed(jack_server: dict[str, str]) -> None:
    with audio_process("JACK", jack_server) as (s, process):
        frame = s.frame
        (host,) = Path(f"/proc/{process.pid}/task/{process.pid}/children").read_text().split()
        os.kill(int(host), signal.SIGKILL)
        until(lambda: s.counters()["restarts"] == 1 and s.stream_state is StreamState.RUNNING, "the restart")
        until(lambda: s.frame > frame + RATE // 4, "sound")


@pytest.mark.skipif(NO_CORE, reason="core.c is not compiled here")
def test_nothing_is_left_behind_when_the_audio_process_is_killed(jack_server: dict[str, str]) -> None:
    def gone() -> bool:
        try:
            Segment.attach(name).close()
        except SharedMemoryError:
            return True
        return False

    with audio_process("JACK", jack_server) as (s, process):
        name = s.name
        process.kill()
        until(gone, "the end of the stream's process")


def test_portaudio_is_let_go_and_taken_up_again_any_number_of_times():
    try:
        device.portaudio()
    except DeviceError as error:
        pytest.skip(str(error))
    for _ in range(2):
        device.restart("segue-test")
        assert isinstance(device.devices(), list)
        device.release()
        device.release()
