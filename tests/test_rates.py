"""A device at 48 kHz: the model's rate inside, the device's outside, the pitch the same."""

from __future__ import annotations

import json
import shutil
import sys
import time
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import soundfile

from segue.bench.live import jack, serve
from segue.server.audio.values import Ring
from segue.server.inference import Inference
from segue.server.jobs import Audio, FilePart, Finished, Job, Piece, RingPart

MODEL, DEVICE = 44_100, 48_000
TONE = 1000.0
END = 10 * DEVICE
EDGE = 200  # frames: what a resampler's filter reaches
FLOOR, SEAM = 1e-5, 0.01  # of a tone of amplitude 0.8


@dataclass
class Part:
    start: int
    audio: Audio
    steps: int = 4
    context_hash: str = ""


class Repeater:
    """An engine at 44.1 kHz whose new audio is 100 ms of its context, over and over: 100 whole periods of 1 kHz."""

    sample_rate, new_frames = MODEL, 3 * MODEL + 77

    def pieces(self, request: Any, on_step: Any = None, cancelled: Any = None) -> Iterator[Part]:
        unit = request.left[:, -MODEL // 5 : -MODEL // 10]
        for start in range(0, request.new_frames, self.new_frames):
            frames = np.arange(start, min(start + self.new_frames, request.new_frames))
            yield Part(start, np.ascontiguousarray(unit[:, frames % unit.shape[1]]))


class Rings:
    """A ring that has heard 1 kHz at the device's rate since frame 0."""

    def read(self, ring: Ring, deck: int, end_frame: int, n: int) -> Audio:
        return tone(end_frame - n, n)


def tone(first: int, n: int) -> Audio:
    phase = 2 * np.pi * TONE * np.arange(first, first + n) / DEVICE
    return 0.8 * np.stack([np.sin(phase), np.cos(phase)]).astype(np.float32)  # under the limiter


@pytest.mark.parametrize("seconds", [2.0, 8.0])
def test_a_tone_comes_back_as_the_same_tone_without_a_seam(seconds: float) -> None:
    frames = round(seconds * DEVICE)
    following = FilePart(__file__, END + frames, DEVICE)
    audio = made(Job(1, 1, "infill", "infill", frames, left=RingPart("sounded", 1, END, 3 * DEVICE), right=following))
    error = np.abs(audio - tone(END, frames)).max(axis=0)
    assert error[EDGE:-EDGE].max() < FLOOR
    assert error.max() < SEAM  # where the end of what was heard is the end of what a resampler can know


def test_without_what_follows_only_the_very_end_differs() -> None:
    frames = 2 * DEVICE + 13
    audio = made(Job(1, 1, "continue", "continuation", frames, left=RingPart("sounded", 1, END, 3 * DEVICE)))
    error = np.abs(audio - tone(END, frames)).max(axis=0)
    assert error[EDGE:-EDGE].max() < FLOOR
    assert error[:-EDGE].max() < SEAM


def made(job: Job) -> Audio:
    """All the audio of a job, whose pieces follow each other without a gap."""
    inference = Inference(Repeater(), Rings(), DEVICE)  # type: ignore[arg-type]
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr("segue.server.inference.read_region", lambda path, start, n, rate: tone(start, n))
        events = list(inference.run(job, lambda: False, lambda share: None))
    assert isinstance(events[-1], Finished), events[-1]
    pieces = [event for event in events if isinstance(event, Piece)]
    assert [p.start for p in pieces] == list(np.cumsum([0, *(p.audio.shape[1] for p in pieces[:-1])]))
    audio = np.concatenate([p.audio for p in pieces], axis=1)
    assert audio.shape[1] == job.new_frames
    return audio


@pytest.mark.skipif(shutil.which("jackd") is None, reason="jackd is not installed: apt-get install jackd2")
def test_a_server_takes_the_rate_of_its_device_and_continues(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    program = str(Path(__file__).with_name("fake_engine.py"))
    monkeypatch.setenv("SEGUE_TEST_ENGINE", json.dumps([sys.executable, program, "0.1"]))
    path = tmp_path / "tone.wav"
    soundfile.write(path, tone(0, 12 * DEVICE).T, DEVICE, subtype="FLOAT")
    with jack(256, DEVICE), serve("--host-api", "JACK") as (client, _, _):
        assert client.status()["sample_rate"] == DEVICE
        deck = client.deck(1)
        deck.load(str(path), gain=0.0)
        assert client.wait("/segue/deck/1/file", 10.0).args[1] == pytest.approx(12.0)
        deck.play()
        while client.status()["decks"][0]["position"] < 3.0:
            time.sleep(0.05)
        number = deck.continue_(sec=1.0)
        client.job(number, "playing", 20.0)
        take = client.wait("/segue/take", 10.0)
        assert take.args[0] == number
        client.job(number, "done", 20.0)
