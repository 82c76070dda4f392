"""The whole server on a stepped clock: place of takes, quant, ladder, seams, failures."""

from __future__ import annotations

from collections.abc import Callable, Iterator

import numpy as np
import pytest
from fake_runner import PERIOD, RATE, STATE, FakeRunner
from numpy.typing import NDArray
from staged import said

from segue.server.config import Config
from segue.server.stage import Stage

Make = Callable[..., Stage]


@pytest.fixture
def make() -> Iterator[Make]:
    stages: list[Stage] = []

    def make_stage(cost_s: float = 0.2, **config: object) -> Stage:
        stages.append(Stage(Config(**config), FakeRunner, STATE, cost_s))  # type: ignore[arg-type]
        return stages[-1]

    yield make_stage
    for stage in stages:
        stage.close()


def noise(seconds: float, seed: int = 3) -> NDArray[np.float32]:
    """A second of noise, repeated: any second of it predicts the next."""
    unit = np.random.default_rng(seed).normal(0, 0.1, (2, PERIOD)).astype(np.float32)
    frames = np.arange(round(seconds * RATE)) % PERIOD
    return unit[:, frames]


@pytest.mark.parametrize("cost", [0.2, 2.0])
def test_what_sounds_at_t1_is_the_take_at_offset_t1_minus_t0(make: Make, cost: float) -> None:
    stage = make(cost)
    audio = noise(12.0)
    stage.play(audio[:, : 4 * RATE], 4 * RATE)
    stage.send("/segue/deck/1/continue", "sec", 2.0, "xfade", 0.0)
    out = stage.play(audio[:, 4 * RATE :], 8 * RATE)  # the performer goes on: the music is periodic
    (take,) = said(stage, "/segue/take")
    _, _, t0, t1, offset, *_ = take
    assert t1 - t0 == offset
    assert offset >= cost * RATE
    np.testing.assert_array_equal(out, audio[:, 4 * RATE : 12 * RATE])  # same place in the bar, to the bit
    assert [args[3] for args in said(stage, "/segue/job")][-2:] == ["playing", "done"]


def test_the_take_sounds_when_the_performer_stops(make: Make) -> None:
    stage = make(0.5)
    audio = noise(6.0)
    stage.play(audio, 6 * RATE)
    stage.send("/segue/deck/1/continue", "sec", 2.0)
    out = stage.play(None, 4 * RATE)
    power = np.square(out).reshape(2, -1, 441).mean(axis=(0, 2))
    assert (power[6:] > 1e-3).all()  # never silent for more than the 20 ms of the guard and its fade
    (take,) = said(stage, "/segue/take")
    t1 = int(take[3])  # type: ignore[call-overload]
    t = np.arange(t1 + 2000, t1 + RATE) % PERIOD
    np.testing.assert_allclose(out[:, t1 + 2000 - 6 * RATE : t1 + RATE - 6 * RATE], audio[:, t], atol=1e-6)


def test_quantised_takes_enter_on_the_bar(make: Make) -> None:
    stage = make(0.3)
    stage.play(noise(5.0), 5 * RATE)
    stage.send("/segue/deck/1/continue", "beats", 4.0, "quant", "bar")
    stage.play(noise(4.0), 4 * RATE)
    (take,) = said(stage, "/segue/take")
    assert take[3] == 6 * RATE  # 120 BPM: bars of two seconds


def test_a_tagged_take_sounds_at_its_tag(make: Make) -> None:
    stage = make(0.3)
    stage.play(noise(3.0), 3 * RATE)
    stage.send("/segue/deck/1/continue", "sec", 1.0, tag=6.5)
    stage.play(noise(5.0), 5 * RATE)
    (take,) = said(stage, "/segue/take")
    assert take[3] == round(6.5 * RATE)


def test_a_tag_that_cannot_be_kept_is_late_but_sounds(make: Make) -> None:
    stage = make(1.0)
    stage.play(noise(3.0), 3 * RATE)
    stage.send("/segue/deck/1/continue", "sec", 1.0, tag=3.1)
    stage.play(noise(5.0), 5 * RATE)
    (take,) = said(stage, "/segue/take")
    assert take[3] >= 4 * RATE  # type: ignore[operator]
    assert take[7] == "late"


def test_a_near_tag_gets_fewer_steps(make: Make) -> None:
    stage = make(1.0)
    stage.play(noise(3.0), 3 * RATE)
    stage.send("/segue/deck/1/continue", "sec", 1.0, "steps", 8, tag=4.0)
    submitted = next(iter(stage.conductor.session.world.takes.values()))
    assert 1 <= submitted.job.steps < 8
    assert submitted.rung == "fewer-steps"


def test_dry_is_bit_identical_around_a_take(make: Make) -> None:
    stage = make(0.2)
    audio = np.random.default_rng(5).normal(0, 0.1, (2, 10 * RATE)).astype(np.float32)
    before = stage.play(audio[:, : 4 * RATE], 4 * RATE)
    stage.send("/segue/deck/1/continue", "sec", 1.0)
    after = stage.play(audio[:, 4 * RATE :], 6 * RATE)
    out = np.concatenate([before, after], axis=1)
    (take,) = said(stage, "/segue/take")
    t1 = int(take[3])  # type: ignore[call-overload]
    end = t1 + RATE + round(0.02 * RATE)
    np.testing.assert_array_equal(out[:, :t1], audio[:, :t1])
    np.testing.assert_array_equal(out[:, end:], audio[:, end:])
    assert np.abs(out[:, t1 + 2000 : end - 2000] - audio[:, t1 + 2000 : end - 2000]).max() > 0.1


def test_too_little_audio_is_said(make: Make) -> None:
    stage = make()
    stage.play(noise(0.8), round(0.8 * RATE))
    stage.send("/segue/deck/1/continue")
    (fail,) = said(stage, "/segue/fail")
    assert fail[1] == "not enough audio captured: 0.8 s of 2.4 s"


def test_a_prepared_take_waits_for_commit_and_can_be_played_again(make: Make) -> None:
    stage = make(0.2)
    audio = noise(20.0)
    stage.play(audio[:, : 4 * RATE], 4 * RATE)
    stage.send("/segue/deck/1/continue", "sec", 1.0, "commit", 0, "id", 7)
    stage.play(audio[:, : 2 * RATE], 2 * RATE)
    assert not said(stage, "/segue/take")
    for _ in range(2):
        stage.send("/segue/deck/1/commit", "id", 7)
        asked = stage.frame
        stage.play(audio[:, : 3 * RATE], 3 * RATE)
        assert said(stage, "/segue/take")[-1][3] == asked + 256  # one block after it arrived
    assert len(said(stage, "/segue/take")) == 2


def test_a_captured_phrase_begins_at_its_beginning(make: Make) -> None:
    stage = make()
    audio = np.random.default_rng(6).normal(0, 0.1, (2, 3 * RATE)).astype(np.float32)
    stage.play(audio, 3 * RATE)
    stage.send("/segue/deck/1/capture", "sec", 1.0)
    number = said(stage, "/segue/job")[-1][0]
    stage.play(None, RATE)
    stage.send("/segue/deck/1/commit", "id", number, "xfade", 0.0)
    out = stage.play(None, RATE)
    np.testing.assert_array_equal(out[:, 256 : 256 + RATE // 2], audio[:, 2 * RATE : 2 * RATE + RATE // 2])


def test_stop_and_cancel_and_release(make: Make) -> None:
    stage = make(0.2)
    audio = noise(20.0)
    stage.play(audio, 4 * RATE)
    stage.send("/segue/deck/1/continue", 0)
    assert not said(stage, "/segue/job")
    stage.send("/segue/deck/1/continue", 1)
    stage.send("/segue/deck/1/cancel")
    assert said(stage, "/segue/job")[-1][3] == "cancelled"
    stage.play(audio, RATE)
    stage.send("/segue/deck/1/continue", "sec", 20.0)
    stage.play(audio, 2 * RATE)
    assert said(stage, "/segue/deck/1/state")[-1] in (("slot_a",), ("slot_b",))
    stage.send("/segue/deck/1/stop")
    stage.play(audio, RATE)
    assert said(stage, "/segue/deck/1/state")[-1] == ("dry",)


def test_an_engine_that_goes_down_fails_the_job_and_the_sound_goes_on(make: Make) -> None:
    stage = make(1.0)
    audio = noise(20.0)
    stage.play(audio, 4 * RATE)
    stage.send("/segue/deck/1/continue", "sec", 10.0)
    stage.play(audio, 2 * RATE)
    stage.send("/segue/deck/1/vary", "sec", 1.0)
    from segue.server.jobs import EngineState

    stage.conductor.worker_event(EngineState("down", "the engine process ended (exit code -9); starting it again in 0.1 s"))
    out = stage.play(None, 6 * RATE)
    assert any("exit code -9" in str(args[1]) for args in said(stage, "/segue/fail"))
    power = np.square(out).reshape(2, -1, 882).mean(axis=(0, 2))
    assert (power[4:] > 1e-3).all()
    stage.conductor.worker_event(STATE)
    stage.send("/segue/deck/1/continue", "sec", 1.0)
    stage.play(audio, 3 * RATE)
    assert said(stage, "/segue/job")[-1][3] == "done"


def test_panic_and_loop_and_undo(make: Make) -> None:
    stage = make(0.2)
    audio = noise(20.0)
    stage.play(audio, 6 * RATE)
    stage.send("/segue/deck/1/loop", "beats", 4.0)
    stage.play(None, 3 * RATE)
    assert said(stage, "/segue/deck/1/state")[-1] == ("loop",)
    stage.send("/segue/panic")
    out = stage.play(None, RATE)
    assert not np.any(out[:, 882:])  # 20 ms after it, and the performer is silent
    stage.send("/segue/deck/1/undo")
    assert "nothing to undo" in str(said(stage, "/segue/fail")[-1][1])


def test_values_are_set_and_asked(make: Make) -> None:
    stage = make()
    stage.send("/segue/tempo", 97.5)
    stage.send("/segue/tempo")
    assert said(stage, "/segue/tempo") == [(97.5,)]
    stage.send("/segue/deck/1/gain", 0.5)
    stage.send("/segue/sync", 9)
    audio = noise(1.0)
    out = stage.play(audio, RATE)
    np.testing.assert_allclose(out[:, 512:], 0.5 * audio[:, 512:], atol=1e-7)
    assert said(stage, "/segue/synced") == [(9,)]


def test_unknown_addresses_and_decks_are_answered(make: Make) -> None:
    stage = make()
    stage.send("/segue/deck/9/continue")
    stage.send("/segue/deck/1/contineu")
    stage.send("/segue/deck/1/continue", "beats", "many")
    sentences = [str(args[1]) for args in said(stage, "/segue/fail")]
    assert "there is no deck 9" in sentences[0]
    assert "continue" in sentences[1]
    assert "beats" in sentences[2]
