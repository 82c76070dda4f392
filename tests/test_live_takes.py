"""Takes of the model that ships, on the music that ships: real sound stays real, on its beat, and is not quoted at length."""

from __future__ import annotations

from dataclasses import replace
from functools import lru_cache
from pathlib import Path

import numpy as np
import pytest
import soundfile
from numpy.typing import NDArray

from segue.engine.checkpoint import load
from segue.engine.engine import Engine, EngineError, Request
from segue.engine.measure import likeness, loudness, step_over_material
from segue.engine.novelty import coarse
from segue.engine.paper import K, level_of_share
from segue.engine.texture import REACH

RATE = 44_100
CLIP = Path(__file__).parent.parent / "examples" / "clip_a.flac"


@lru_cache(maxsize=1)
def engine() -> Engine:
    return Engine(load("live"))


@lru_cache(maxsize=1)
def clip() -> NDArray[np.float32]:
    audio: NDArray[np.float32] = soundfile.read(CLIP, dtype="float32", always_2d=True)[0].T
    return np.ascontiguousarray(audio)


def continuation(seconds: float = 3.0, seed: int = 1) -> Request:
    return Request("continuation", round(seconds * RATE), clip()[:, 2 * RATE : 8 * RATE], seed=seed, match_level=False)


def test_what_is_not_varied_comes_back_as_it_was() -> None:
    left, middle, right = (clip()[:, a * RATE : b * RATE] for a, b in ((1, 4), (4, 6), (6, 9)))
    request = Request("renoise", 2 * RATE, left, middle, right=right, parameters={"T": 0.0}, match_level=False)
    kept = engine().take(request)
    varied = engine().take(replace(request, parameters={"T": 0.9}))
    inside = slice(RATE // 10, -RATE // 10)  # the seams are joined by prediction

    def apart(take: NDArray[np.float32]) -> float:
        return float(np.square((take - middle)[:, inside]).mean() / np.square(middle[:, inside]).mean())

    assert apart(kept) < 1e-4
    assert apart(varied) > 0.01


def test_a_variation_of_noise_alone_has_nothing_of_what_stood_there() -> None:
    """k = 1: not even its sound under other envelopes; up to the share of noise that keeps the outline it is all there."""
    left, middle, right = (clip()[:, a * RATE : b * RATE] for a, b in ((1, 4), (4, 6), (6, 9)))
    takes = [
        engine().take(Request("renoise", 2 * RATE, left, middle, right=right, parameters={"T": level_of_share(k)}))
        for k in (K, 1.0)
    ]
    outline, new = (float(abs((one * middle).sum()) / np.sqrt(np.square(one).sum() * np.square(middle).sum())) for one in takes)
    assert outline > 0.8
    assert new < outline / 2
    whole = np.concatenate([left, takes[1], right], axis=1)
    assert max(step_over_material(whole, left.shape[1] + at, RATE) for at in (0, 2 * RATE)) <= 1.0


def test_a_collage_alone_is_pieces_of_the_context() -> None:
    request = replace(continuation(), start=0.0)
    assert request.left is not None
    assert likeness(engine().take(request), request.left, 0.15, RATE) > 0.99


def test_a_take_is_no_quotation_and_seeds_differ() -> None:
    one, two = (engine().take(continuation(seed=seed)) for seed in (1, 2))
    left = continuation().left
    assert left is not None
    assert likeness(one, left, 1.0, RATE) < 0.95
    alike = float((one * two).sum() / np.sqrt(np.square(one).sum() * np.square(two).sum()))
    assert alike < 0.9


def test_what_was_played_is_not_played_again() -> None:
    """The same request twice: the second is told that the first was heard."""
    request = continuation()
    assert request.left is not None
    one = engine().take(request)
    other = engine().take(replace(request, played=coarse(np.concatenate([one, request.left], axis=1))))
    assert likeness(other, one, 1.0, RATE) < 0.9


def test_a_long_take_has_no_seam_between_its_pieces() -> None:
    pieces = list(engine().pieces(continuation(9.0)))
    take = np.concatenate([piece.audio for piece in pieces], axis=1)
    assert len(pieces) >= 2
    assert take.shape[1] == 9 * RATE
    for piece in pieces[1:]:
        assert step_over_material(take, piece.start, RATE) < 1.0


def test_a_memory_is_what_a_take_is_cut_from() -> None:
    request = replace(continuation(), start=0.0)
    assert request.left is not None
    noise = (0.05 * np.random.default_rng(1).standard_normal(request.left.shape)).astype(np.float32)
    take = engine().take(replace(request, left=noise, memory=request.left))
    late = take[:, REACH:]
    assert likeness(late, request.left, 0.15, RATE) > 0.99
    assert likeness(late, noise, 0.15, RATE) < 0.5


def test_a_take_with_a_memory_comes_back_to_its_level() -> None:
    """What sounded last has crept up by 5 dB; the end of the take is as loud as what was heard first."""
    left = continuation().left
    assert left is not None
    crept = left * np.float32(10 ** (5 / 20))
    request = replace(continuation(4.0), left=crept, memory=left, match_level=True)
    take = engine().take(request)
    assert loudness(take[:, :RATE], RATE) > loudness(left, RATE) + 2.5
    assert loudness(take[:, -RATE:], RATE) < loudness(left, RATE) + 1.5


@pytest.mark.parametrize("start", [-0.1, 1.5, float("nan")])
def test_a_level_out_of_range_is_a_sentence(start: float) -> None:
    with pytest.raises(EngineError, match=r"^start: got .*; 0 keeps the collage"):
        engine().take(replace(continuation(), start=start))
