"""Measures the round trip: a maximum-length sequence goes out, comes back by a cable or a wire of JACK's, and is looked for.

It is played and heard by the same callback as the music, so that frames mean the same; the input is not passed on meanwhile.
"""

from __future__ import annotations

import os
import shutil
import statistics
import subprocess
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass

import numpy as np
from scipy.signal import fftconvolve, max_len_seq

from segue.server.audio import device
from segue.server.audio.device import Plan
from segue.server.audio.process import Keeper
from segue.server.audio.rings import Audio
from segue.server.audio.segment import Segment
from segue.server.audio.values import Bus, Command, Policy, Ring, Source
from segue.server.config import Config
from segue.server.latency import LONGEST_S, Latency

TIMES = 5
BITS = 12  # of the sequence: 4095 samples, a tenth of a second
LEVEL = 0.25
AHEAD_S = 0.2  # so long before it sounds it is written
CLEAR = 8.0  # times the typical value of the correlation that the peak has to reach
SPREAD_S = 0.001  # by which the measurements may differ
NOTHING = "nothing of what was played came back: connect output 1 to input 1 with a cable, levels up, or add --wire on JACK"


class LoopbackError(RuntimeError):
    """No measurement; str() is a sentence."""


@dataclass(frozen=True)
class RoundTrip:
    """What was measured. frames: of each time. stream: the audio process's word for it. told: by the back-end, 0 for nothing."""

    frames: tuple[int, ...]
    rate: int
    stream: str
    told_output_s: float
    told_input_s: float

    @property
    def latency(self) -> Latency:
        """The median, in the proportion of the parts that the back-end tells; half each where it tells none."""
        whole = statistics.median(self.frames) / self.rate
        told = self.told_output_s + self.told_input_s
        output = whole * (self.told_output_s / told if told > 0 else 0.5)
        return Latency(output, whole - output)


def measure(config: Config, wire: bool = False) -> RoundTrip:
    """Opens the device and measures. wire: JACK connects output 1 to input 1 itself. Raises LoopbackError, DeviceError."""
    plan = _plan(config)
    keeper = Keeper(config)
    try:
        segment = keeper.segment
        segment.push(Command.set_gain(0, 0.0, bus=Bus.DRY))  # the circle would howl
        for deck in range(segment.decks):
            segment.push(Command.play(deck, Source.SILENCE))
        keeper.open()
        with _wired(config.client_name) if wire else _left():
            frames = tuple(_round_trip(segment, n) for n in range(TIMES))
        if max(frames) - min(frames) > SPREAD_S * segment.rate:
            found = ", ".join(map(str, frames))
            raise LoopbackError(f"the round trip is not steady: {found} frames; end what else is running, and measure again")
        told = (_told(plan, "output"), _told(plan, "input"))
        return RoundTrip(frames, segment.rate, segment.sentence, *told)
    finally:
        keeper.close()


def _plan(config: Config) -> Plan:
    try:
        device.restart(config.client_name)
        return device.plan(config.host_api, config.device, config.rate, config.block)
    finally:
        device.release()


def _told(plan: Plan, which: str) -> float:
    sd = device.portaudio()
    try:
        sd._initialize()
        side = plan.output if which == "output" else plan.input
        return float(sd.query_devices(side.index)[f"default_low_{which}_latency"]) if side else 0.0
    except sd.PortAudioError:
        return 0.0
    finally:
        device.release()


@contextmanager
def _left() -> Iterator[None]:
    yield


@contextmanager
def _wired(client: str) -> Iterator[None]:
    if shutil.which("jack_connect") is None:
        raise LoopbackError("--wire needs jack_connect: install JACK's tools (Debian: apt-get install jackd2), or use a cable")
    ends = f"{client}:out_0", f"{client}:in_0"
    done = subprocess.run(["jack_connect", *ends], capture_output=True, text=True, check=False)
    if done.returncode:
        raise LoopbackError(f"JACK did not connect {ends[0]} to {ends[1]}: --wire is for JACK; elsewhere use a cable")
    yield
    subprocess.run(["jack_disconnect", *ends], capture_output=True, check=False)


def sequence() -> Audio:
    """What is played: `[2, 2^BITS - 1]`, the right silent."""
    left = LEVEL * (2.0 * max_len_seq(BITS)[0] - 1.0)
    return np.stack([left, np.zeros_like(left)]).astype(np.float32)


def _round_trip(segment: Segment, number: int) -> int:
    played, slot = sequence(), number % 2
    n, first = played.shape[1], segment.frame + round(AHEAD_S * segment.rate)
    padded = np.concatenate([played, np.zeros((2, 4 * segment.block), np.float32)], axis=1)
    segment.write_slot(0, slot, first, padded)
    segment.publish_slot(0, slot, number + 1, first, first + padded.shape[1], first + n, 0, Policy.SILENCE)
    segment.push(Command.play(0, Source.SLOT_A if slot == 0 else Source.SLOT_B, first, take=number + 1))
    end = first + n + round(LONGEST_S * segment.rate)
    until = time.monotonic() + AHEAD_S + LONGEST_S + 5.0
    while segment.written(Ring.INPUT, 0) < end:
        if time.monotonic() > until:
            raise LoopbackError("the device stopped while the round trip was measured; try again")
        time.sleep(0.01)
    return place(segment.read(Ring.INPUT, 0, end, end - first), played[0])


def place(heard: Audio, played: Audio) -> int:
    """The frame of `heard` [2, n] at which `played` [m] begins, in either polarity and channel. Raises LoopbackError."""
    found = [np.abs(fftconvolve(channel, played[::-1], "valid")) for channel in heard]
    best = max(found, key=lambda one: float(one.max()))
    if best.max() <= CLEAR * np.median(best) or best.max() < 1e-6:
        raise LoopbackError(NOTHING)
    return int(best.argmax())


def settings(host_api: str | None, name: str | None, rate: int, block: int) -> Config:
    """What is opened for a measurement."""
    return Config(segment=f"segue-loop-{os.getpid()}", rate=rate, block=block, decks=1, host_api=host_api, device=name,
                  client_name="segue-loop")  # fmt: skip
