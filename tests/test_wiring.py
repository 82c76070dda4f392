"""Which channels a deck hears: texts, options, on a stepped clock, and on jackd with a player of its own."""

from __future__ import annotations

import json
import sys
import time
from contextlib import ExitStack
from pathlib import Path

import numpy as np
import pytest
import soundfile
from fake_runner import RATE, STATE, FakeRunner
from hypothesis import given
from hypothesis import strategies as st

from segue.bench.live import LiveError, jack, serve
from segue.bench.tape import Player
from segue.clients.python import Client
from segue.server.audio.device import Device, DeviceError, Plan, geometry
from segue.server.audio.wiring import pair_of, text_of, wishes
from segue.server.config import Config
from segue.server.stage import Stage


@given(st.integers(-1, 63), st.integers(0, 63))
def test_the_text_of_a_pair_is_that_pair(left: int, right: int) -> None:
    pair = (left, right) if left >= 0 else (-1, -1)
    assert pair_of(text_of(pair)) == pair


@pytest.mark.parametrize("text", ["", "0", "1,2,3", "a", "65", "1,-2", "1;2"])
def test_other_texts_are_refused(text: str) -> None:
    with pytest.raises(ValueError, match="one or two channels"):
        pair_of(text)


@pytest.mark.parametrize("text", ["3,4", "0=1", "5=1,2", "x=1"])
def test_an_option_names_a_deck(text: str) -> None:
    with pytest.raises(ValueError, match="a deck from 1 to 4"):
        wishes([text], 4)


def test_a_device_with_too_few_inputs_is_refused_and_more_are_opened_for_later() -> None:
    card = Device(0, "card", "ALSA", 6, 2, RATE)
    assert geometry(Plan(card, card, RATE, 128), 2, inputs=["2=6"]).inputs == ((0, 1), (5, 5))
    assert geometry(Plan(card, card, RATE, 128), 2, open_inputs=6).in_channels == 6
    with pytest.raises(DeviceError, match="input 8 is to be heard, card has 6"):
        geometry(Plan(card, card, RATE, 128), 2, inputs=["1=7,8"])


def test_four_decks_hear_what_they_were_given_and_change_it_live() -> None:
    stage = Stage(Config(decks=4, inputs=("1=7,8", "2=3", "4=none")), FakeRunner, STATE, 0.3)
    try:
        levels = np.arange(1, 9, dtype=np.float32)[:, None] / 16.0
        block = np.repeat(levels, 256, axis=1)
        stage.send("/segue/deck/1/solo", 1)
        stage.step(block, 256)
        heard = []
        for deck in range(1, 5):
            stage.send("/segue/deck/1/solo", int(deck == 1))
            stage.send(f"/segue/deck/{deck}/solo", 1)
            for _ in range(4):
                out = stage.step(block, 256)
            heard.append((float(out[0, -1]) * 16, float(out[1, -1]) * 16))
            stage.send(f"/segue/deck/{deck}/solo", 0)
        assert heard == [(7.0, 8.0), (3.0, 3.0), (5.0, 6.0), (0.0, 0.0)]
        stage.send("/segue/deck/4/solo", 1)
        stage.send("/segue/deck/4/inputs", "2,1")
        for _ in range(4):
            out = stage.step(block, 256)
        assert (float(out[0, -1]) * 16, float(out[1, -1]) * 16) == (2.0, 1.0)
        stage.send("/segue/deck/4/inputs")
        assert stage.sent[-1] == ("/segue/deck/4/inputs", ("2,1",))
        stage.send("/segue/deck/4/inputs", "9")
        assert "8 channels are open, got 9" in str(stage.sent[-1][1])
        stage.send("/segue/deck/4/inputs", "nine")
        assert "such as 3,4" in str(stage.sent[-1][1])
    finally:
        stage.close()


def rms(client: Client, deck: int) -> float:
    """The level of a deck's input, asked for now."""
    for _ in client.events(timeout=0.0):
        pass
    client.send("/segue/meters")
    return float(client.wait(f"/segue/deck/{deck}/meters", 5.0).args[1])


def test_on_jack_a_player_is_heard_by_the_deck_that_has_its_channels(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    program = str(Path(__file__).with_name("fake_engine.py"))
    monkeypatch.setenv("SEGUE_TEST_ENGINE", json.dumps([sys.executable, program, "0.1"]))
    tone = 0.25 * np.sin(2 * np.pi * 441.0 * np.arange(60 * RATE) / RATE)
    soundfile.write(tmp_path / "tone.wav", np.stack([tone, tone], 1).astype(np.float32), RATE, subtype="FLOAT")
    options = (
        "--host-api",
        "JACK",
        "--name",
        "segue-D",
        "--decks",
        "4",
        "--inputs",
        "3=1,2",
        "--inputs",
        "1=4",
        "--inputs",
        "2=3",
    )
    with ExitStack() as stack:
        try:
            stack.enter_context(jack(256))
        except LiveError as error:
            pytest.skip(str(error))
        client, _, _ = stack.enter_context(serve(*options))
        player = stack.enter_context(Player(RATE, 256))
        player.connect("segue-D")  # its left and right into in_0 and in_1
        player.start(str(tmp_path / "tone.wav"))
        time.sleep(1.5)
        assert rms(client, 3) == pytest.approx(0.25 / np.sqrt(2), rel=0.05)
        assert [rms(client, deck) for deck in (1, 2)] == [0.0, 0.0]
        client.send("/segue/deck/1/inputs", "2")
        client.ask("/segue/sync", 1)
        time.sleep(0.2)
        assert rms(client, 1) == pytest.approx(0.25 / np.sqrt(2), rel=0.05)
