"""Mute, solo, scenes and the performance lock, heard and asked for."""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np
import pytest
from fake_runner import STATE, FakeRunner

from segue.server.audio.values import Ring
from segue.server.config import Config
from segue.server.stage import Stage

BLOCK = 256


@pytest.fixture
def stage() -> Iterator[Stage]:
    made = Stage(Config(block=BLOCK), FakeRunner, STATE, 0.2)
    yield made
    made.close()


def levels(stage: Stage) -> tuple[float, float]:
    """What of deck 1 (a constant of 1) and deck 2 (a constant of 10) is heard, once gains have settled."""
    heard = np.repeat(np.array([1.0, 1.0, 10.0, 10.0], np.float32)[:, None], 40 * BLOCK, axis=1)
    value = float(stage.play(heard, 40 * BLOCK)[0, -1])
    return round(value % 10, 4), value // 10


def failed(stage: Stage) -> list[str]:
    return [str(args[1]) for address, args in stage.sent if address == "/segue/fail"]


def test_a_muted_deck_is_silent_and_comes_back_at_its_gain(stage: Stage) -> None:
    assert levels(stage) == (1.0, 1.0)
    stage.send("/segue/deck/1/gain", 0.5)
    stage.send("/segue/deck/1/mute", 1)
    assert levels(stage) == (0.0, 1.0)
    stage.send("/segue/deck/1/gain", 0.25)
    assert levels(stage) == (0.0, 1.0)
    stage.send("/segue/deck/1/mute", 0)
    assert levels(stage) == (0.25, 1.0)


def test_solo_silences_the_others_but_not_a_mute(stage: Stage) -> None:
    stage.send("/segue/deck/1/solo", 1)
    assert levels(stage) == (1.0, 0.0)
    stage.send("/segue/deck/2/solo", 1)
    stage.send("/segue/deck/1/mute", 1)
    assert levels(stage) == (0.0, 1.0)
    stage.send("/segue/deck/*/solo", 0)
    assert levels(stage) == (0.0, 1.0)


def test_a_scene_brings_every_value_back_and_tells_what_changed(stage: Stage) -> None:
    stage.send("/segue/deck/1/gain", 0.5)
    stage.send("/segue/deck/2/quant", "bar")
    stage.send("/segue/scene/save", 3)
    stage.send("/segue/deck/1/gain", 2.0)
    stage.send("/segue/deck/2/quant", "off")
    stage.send("/segue/deck/2/mute", 1)
    assert levels(stage) == (2.0, 0.0)
    stage.sent.clear()
    stage.send("/segue/scene/recall", 3)
    assert levels(stage) == (0.5, 1.0)
    stage.events.tick()
    told = {address: args for address, args in stage.sent if "/deck/" in address and "meters" not in address}
    changes = {"/segue/deck/1/gain": (0.5,), "/segue/deck/2/quant": ("bar",), "/segue/deck/2/mute": (False,)}
    assert changes.items() <= told.items()


def test_a_scene_that_is_not_there_is_a_sentence(stage: Stage) -> None:
    stage.send("/segue/scene/save", 1)
    stage.send("/segue/scene/recall", 7)
    assert failed(stage) == ["scene: there is no scene 7; kept are 1"]


def test_the_lock_refuses_what_would_be_an_accident_and_lets_the_music_go_on(stage: Stage) -> None:
    stage.send("/segue/lock", 1)
    stage.send("/segue/deck/1/load", "nowhere.wav")
    stage.send("/segue/scene/save", 1)
    stage.send("/segue/quit")
    stage.send("/segue/deck/1/gain", 0.5)
    assert levels(stage) == (0.5, 1.0)
    assert [sentence.split(":")[0] for sentence in failed(stage)] == ["load", "save", "quit"]
    assert all("/segue/lock 0" in sentence for sentence in failed(stage))
    stage.send("/segue/meter")
    stage.send("/segue/meter", 3)
    assert [args for address, args in stage.sent if address == "/segue/meter"] == [(4,)]
    assert len(failed(stage)) == 4
    stage.send("/segue/lock", 0)
    stage.send("/segue/scene/save", 1)
    assert len(failed(stage)) == 4


def test_a_muted_monitor_lets_only_takes_through(stage: Stage) -> None:
    tone = np.full((2, 4 * 44_100), 0.25, np.float32)  # the fake engine goes on with what it heard
    stage.play(tone, tone.shape[1])
    stage.send("/segue/monitor", "mute")
    assert levels(stage) == (0.0, 0.0)
    stage.play(tone, tone.shape[1])
    stage.send("/segue/deck/1/continue", "sec", 2.0)
    out = stage.play(tone, tone.shape[1])
    (take,) = [args for address, args in stage.sent if address == "/segue/take"]
    first = int(str(take[3])) - (stage.frame - out.shape[1])
    assert not out[:, : first - BLOCK].any()
    np.testing.assert_allclose(out[:, first + 2000 : first + 80_000], 0.25, atol=1e-6)
    assert not out[:, -44_100:].any()
    stage.send("/segue/monitor", "mute-while-generated")
    stage.send("/segue/generated", 0.5)
    assert levels(stage) == (1.0, 1.0)


def test_one_plays_over_a_loop_with_the_monitor_on_thru(stage: Stage) -> None:
    tone = np.full((2, 4 * 44_100), 0.25, np.float32)
    stage.play(tone, tone.shape[1])
    stage.send("/segue/deck/1/loop", "sec", 1.0)
    stage.play(tone, 2 * 44_100)
    over = np.concatenate([np.full((2, 44_100), 0.125, np.float32), np.zeros((2, 44_100), np.float32)], axis=1)

    def heard() -> tuple[float, float]:
        """While one plays over the loop, and while one rests."""
        out = stage.play(over, over.shape[1])
        return float(out[0, 30_000]), float(out[0, 80_000])

    assert heard() == pytest.approx((0.25, 0.25), abs=1e-3)
    stage.send("/segue/monitor", "thru")
    assert heard() == pytest.approx((0.375, 0.25), abs=1e-3)
    written = stage.segment.read(Ring.SOUNDED, 0, stage.frame, 80_000)
    assert float(written[0, 20_000]) == pytest.approx(0.375, abs=1e-3)  # what one plays is what was heard
    stage.send("/segue/deck/1/stop", "quant", "off")
    assert heard() == pytest.approx((0.125, 0.0), abs=1e-6)
    stage.send("/segue/monitor", "mute")
    assert heard() == (0.0, 0.0)
