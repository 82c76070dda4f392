"""The round trip is measured to the frame, through JACK and through a delay, kept, and taken up by the server."""

from __future__ import annotations

import shutil
import subprocess
import threading
import time
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from segue.bench.live import jack
from segue.server import loopback
from segue.server.app import UNKNOWN, compensated
from segue.server.config import Config
from segue.server.latency import Latency, keep, recalled

RATE, BLOCK, DELAY = 44_100, 256, 1000
STREAM = "system (JACK Audio Connection Kit), 44100 Hz, 256 frames, compiled callback"
needs_jack = pytest.mark.skipif(shutil.which("jackd") is None, reason="jackd is not installed: apt-get install jackd2")


@pytest.mark.parametrize("gain", [1.0, -0.05])
@pytest.mark.parametrize("channel", [0, 1])
def test_a_sequence_is_found_to_the_frame_in_noise_and_in_either_polarity(gain: float, channel: int) -> None:
    played = loopback.sequence()[0]
    heard = np.random.default_rng(1).normal(0, 0.01, (2, 20_000)).astype(np.float32)
    heard[channel, 4321 : 4321 + len(played)] += gain * played
    assert loopback.place(heard, played) == 4321


def test_noise_and_silence_are_no_answer() -> None:
    noise = np.random.default_rng(1).normal(0, 0.1, (2, 20_000)).astype(np.float32)
    for heard in (noise, np.zeros_like(noise)):
        with pytest.raises(loopback.LoopbackError, match="nothing of what was played came back"):
            loopback.place(heard, loopback.sequence()[0])


def test_parts_are_in_the_proportion_that_was_told() -> None:
    trip = loopback.RoundTrip((440, 441, 442), RATE, STREAM, 0.003, 0.001)
    assert (trip.latency.output_s, trip.latency.input_s) == pytest.approx((0.0075, 0.0025))
    assert loopback.RoundTrip((441,), RATE, STREAM, 0.0, 0.0).latency == Latency(0.005, 0.005)


def test_what_was_measured_is_taken_up_on_that_stream_unless_something_else_is_said(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("XDG_CONFIG_HOME", str(tmp_path))
    unsaid = Config(output_latency=UNKNOWN, input_latency=UNKNOWN)
    assert compensated(unsaid, STREAM) == Config()
    keep(STREAM, Latency(0.004, 0.002))
    file = keep(STREAM.replace("256", "64"), Latency(0.001, 0.001))
    assert recalled(STREAM) == Latency(0.004, 0.002)
    assert compensated(unsaid, STREAM) == Config(output_latency=0.004, input_latency=0.002)
    assert compensated(Config(output_latency=0.0, input_latency=0.5), STREAM) == Config(output_latency=0.0, input_latency=0.5)
    file.write_text("{")
    assert recalled(STREAM) == Latency()


@needs_jack
def test_a_wire_of_jacks_is_one_period() -> None:
    with jack(BLOCK):
        trip = loopback.measure(loopback.settings("JACK", None, RATE, BLOCK), wire=True)
    assert set(trip.frames) == {BLOCK}
    assert trip.latency.round_trip_s == pytest.approx(BLOCK / RATE)
    assert trip.told_output_s > 0.0


class Delay:
    """A JACK client that passes on what it hears, DELAY frames later. Its callback is on JACK's thread."""

    def __init__(self) -> None:
        library = pytest.importorskip("jack", reason="JACK-Client is not installed: pip install 'segue[dev]'")
        self.client: Any = library.Client("delay", no_start_server=True)
        self._in, self._out = self.client.inports.register("in"), self.client.outports.register("out")
        self._held = np.zeros(DELAY, np.float32)
        self.client.set_process_callback(self._process)

    def _process(self, frames: int) -> None:
        held = np.concatenate([self._held, self._in.get_array()])
        self._out.get_array()[:] = held[:frames]
        self._held = held[frames:]

    def connect(self, over: threading.Event) -> None:
        """Puts itself between the two ports as soon as they are there."""
        while not over.wait(0.02):
            for ends in (("segue-loop:out_0", "delay:in"), ("delay:out", "segue-loop:in_0")):
                subprocess.run(["jack_connect", *ends], capture_output=True, check=False)


@needs_jack
def test_a_delay_is_measured_to_the_frame() -> None:
    with jack(BLOCK):
        delay, over = Delay(), threading.Event()
        with delay.client:
            plug = threading.Thread(target=delay.connect, args=(over,))
            plug.start()
            try:
                trip = loopback.measure(loopback.settings("JACK", None, RATE, BLOCK))
            finally:
                over.set()
                plug.join()
                time.sleep(0.05)
    assert set(trip.frames) == {DELAY + BLOCK}  # the circle is opened at one place, which costs a period


@needs_jack
def test_without_a_cable_it_says_what_to_do() -> None:
    with jack(BLOCK), pytest.raises(loopback.LoopbackError, match="connect output 1 to input 1"):
        loopback.measure(loopback.settings("JACK", None, RATE, BLOCK))
