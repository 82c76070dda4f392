"""What was heard before is known again, at its place, and a collage keeps from it."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
from numpy.typing import NDArray
from test_collage import HOP, RATE, heard, pulses

from segue.engine import collage
from segue.engine.collage import going_on
from segue.engine.novelty import COARSE, EVERY_S, HEARD, Played, coarse


def music(seconds: float, seed: int = 0) -> NDArray[np.float32]:
    """Noise below 500 Hz, two sides."""
    low = np.repeat(np.random.default_rng(seed).standard_normal((2, round(seconds * RATE / 44))), 44, axis=1)
    return (0.1 * low).astype(np.float32)


def likenesses(past: NDArray[np.float32], new: NDArray[np.float32]) -> list[tuple[int, float]]:
    """Where each window begins, and how much like something earlier it is."""
    played, low = Played(coarse(past), RATE), coarse(new)
    return [(place, played.alike(low, place)) for place in played.places(len(low))]


@pytest.mark.parametrize("sign", [1, -1])
@pytest.mark.parametrize("earlier_s", [-5.0, 0.7])
def test_a_second_that_comes_again_is_known_and_where_it_does(earlier_s: float, sign: int) -> None:
    past, new = music(8.0), music(6.0, 1)
    whole, window = np.concatenate([past, new], axis=1), Played(coarse(past), RATE).window
    again, earlier = past.shape[1] + 3 * window * COARSE, past.shape[1] + round(earlier_s * RATE / COARSE) * COARSE
    whole[:, again : again + window * COARSE] = sign * whole[:, earlier : earlier + window * COARSE]
    for place, alike in likenesses(past, whole[:, past.shape[1] :]):
        near = abs(place - 3 * window) * COARSE / RATE
        assert alike > HEARD or near > 0.1
        assert alike < 0.3 or near < 1.1


def test_what_was_never_heard_and_silence_are_new() -> None:
    found = likenesses(music(8.0), music(4.0, 1))
    assert len(found) == round(4.0 / EVERY_S)
    assert max(alike for _, alike in found) < 0.3
    assert not any(alike for place, alike in likenesses(music(8.0), np.zeros((2, 4 * RATE), np.float32)) if place >= 0)
    assert not any(alike for _, alike in likenesses(music(0.2), music(1.2)))


@pytest.mark.parametrize("seed", [0, 1, 2, 3])
def test_a_collage_that_was_played_is_not_laid_again(seed: int) -> None:
    audio = pulses(6.0)[:, : 258 * HOP]
    context, rng = heard(audio), np.random.default_rng
    first = going_on(context, 150, HOP, RATE, rng(seed))
    assert first is not None
    played = np.concatenate([first.audio, audio], axis=1)
    other = going_on(context, 150, HOP, RATE, rng(seed), played=Played(coarse(played), RATE))
    assert other is not None
    before, after = (max(alike for _, alike in likenesses(played, one.audio)) for one in (first, other))
    assert before > 0.99
    assert after < 0.9


def test_the_part_of_a_take_that_is_not_heard_may_be_anything() -> None:
    past, new = music(8.0), music(6.0, 1)
    unheard = round(1.3 * RATE / COARSE) * COARSE
    take = np.concatenate([past[:, -unheard:], new], axis=1)  # what plays until then, as the take itself has it
    played = Played(coarse(past), RATE, unheard)
    assert np.array_equal(played.following(take), coarse(new))
    audio = pulses(6.0)[:, : 258 * HOP]
    free = going_on(heard(audio), 150, HOP, RATE, np.random.default_rng(3))
    assert free is not None
    before = coarse(np.concatenate([free.audio, audio], axis=1))  # it has been played
    kept, other = (
        going_on(heard(audio), 150, HOP, RATE, np.random.default_rng(3), played=Played(before, RATE, beyond))
        for beyond in (150 * HOP, 0)
    )
    assert kept is not None
    assert other is not None
    assert np.array_equal(kept.audio, free.audio)
    assert not np.array_equal(other.audio, free.audio)


@pytest.mark.parametrize("beside", [COARSE // 2, RATE // 8])
def test_a_copy_between_two_samples_or_two_windows_is_one(beside: int) -> None:
    past, new = music(8.0), music(4.0, 1)
    size, at = RATE, 2 * RATE // 4 * 4 + beside
    new[:, at : at + size] = past[:, RATE : RATE + size]
    assert max(alike for _, alike in likenesses(past, new)) > HEARD


def test_music_that_cannot_but_come_again_is_tried_a_bounded_number_of_times(monkeypatch: pytest.MonkeyPatch) -> None:
    """Two bars that are alike to the sample: every way to go on was heard before."""
    bar = music(2.0, 3)
    audio = np.tile(bar, 3)[:, : 258 * HOP]
    tried = list[int]()
    first_plan = collage.plan

    def plan(*args: Any) -> list[collage.Cut]:
        tried.append(1)
        return first_plan(*args)

    monkeypatch.setattr(collage, "plan", plan)
    found = going_on(heard(audio), 150, HOP, RATE, np.random.default_rng(0), played=Played(coarse(np.tile(audio, 4)), RATE))
    assert found is not None
    assert collage.TRIES < len(tried) <= collage.MOST + 1


def test_the_longer_it_is_looked_for_the_less_a_good_fit_matters(monkeypatch: pytest.MonkeyPatch) -> None:
    bar, chances = music(2.0, 3), list[float]()
    audio, first_plan = np.tile(bar, 3)[:, : 258 * HOP], collage.plan

    def plan(*args: Any) -> list[collage.Cut]:
        chances.append(args[-1] if isinstance(args[-1], float) else collage.CHANCE)
        return first_plan(*args)

    monkeypatch.setattr(collage, "plan", plan)
    going_on(heard(audio), 150, HOP, RATE, np.random.default_rng(0), played=Played(coarse(np.tile(audio, 4)), RATE))
    tried = chances[: 2 + collage.DOUBLED]  # as it is at first, tried once so, and on to twice as much
    assert tried[:2] == [collage.CHANCE, collage.CHANCE]
    assert tried[-1] == pytest.approx(2 * collage.CHANCE)
    assert max(chances) == pytest.approx(collage.CHANCE * 2 ** ((collage.TRIES - 1) / collage.DOUBLED))
