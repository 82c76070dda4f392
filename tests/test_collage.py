"""Collages: pieces of a context on its own beat, never quoted at length, and what stands there under a take."""

from __future__ import annotations

from dataclasses import replace
from itertools import pairwise

import numpy as np
import pytest
import torch
from numpy.typing import NDArray

from segue.engine.collage import APART, FADE, Collage, Cut, coming_to, going_on, laid, plan
from segue.engine.compose import Line, Parts
from segue.engine.ground import grounded
from segue.engine.measure import step_over_material
from segue.engine.repetition import ALIKE, Heard, placed, repetitions
from segue.engine.shapes import Window

RATE, HOP = 44_100, 1024
SIZES = (9, 18)


def pulses(seconds: float, bpm: float = 123.0) -> NDArray[np.float32]:
    """Clicks of noise on every half beat, every other one louder, over a quiet hum."""
    n = round(seconds * RATE)
    rng = np.random.default_rng(5)
    audio = 0.01 * np.sin(2 * np.pi * 110 * np.arange(n) / RATE) + 1e-4 * rng.standard_normal(n)
    for i, at in enumerate(np.arange(0, n - 2000, 30 * RATE / bpm)):
        burst = rng.standard_normal(1500) * np.exp(-np.arange(1500) / 300)
        audio[round(at) : round(at) + 1500] += burst * (0.5 if i % 2 else 0.2)
    return np.stack([audio, audio]).astype(np.float32)


def levels(audio: NDArray[np.float32]) -> NDArray[np.float64]:
    """Latents of a kind: log levels of four bands of each frame `[4, L]`."""
    frames = audio.mean(axis=0)[: audio.shape[1] // HOP * HOP].reshape(-1, HOP)
    power = np.abs(np.fft.rfft(frames * np.hanning(HOP), axis=1)) ** 2
    return np.log(np.stack([band.mean(axis=1) for band in np.array_split(power, 4, axis=1)]) + 1e-6)


def heard(audio: NDArray[np.float32]) -> Heard:
    """Audio of whole frames as the engine hears it; the last channel of its latents counts frames, and is not compared."""
    x = levels(audio)
    return Heard(np.concatenate([x, np.arange(x.shape[1])[None]]), audio, 4)


def cuts_of(x: NDArray[np.float64], audio: NDArray[np.float32], count: int, rng: np.random.Generator) -> list[Cut]:
    """A plan of `count` frames after the end of what was heard."""
    return plan(x, x[:, -ALIKE:], repetitions(x, audio, HOP, RATE), x.shape[1], count, HOP, SIZES, rng)


def made(seed: int, count: int = 150, seconds: float = 6.0) -> tuple[Collage, NDArray[np.float32]]:
    audio = pulses(seconds)[:, : round(seconds * RATE) // HOP * HOP]
    collage = going_on(heard(audio), count, HOP, RATE, np.random.default_rng(seed))
    assert collage is not None
    return collage, audio


def onsets(audio: NDArray[np.float32]) -> NDArray[np.int64]:
    """Samples at which clicks begin."""
    loud = np.abs(audio.mean(axis=0)) > 0.1
    starts = np.flatnonzero(loud)
    return starts[np.diff(starts, prepend=-5000) > 3000]


def test_lags_are_whole_beats_to_a_millisecond() -> None:
    audio = pulses(6.0)
    beat = 60 * RATE / 123.0
    for lag, worth in repetitions(levels(audio), audio, HOP, RATE):
        assert abs(lag / beat - round(lag / beat)) * beat < 0.001 * RATE
        assert worth < 0.5


def test_a_known_beat_leaves_only_whole_ones_and_another_tempo_changes_nothing() -> None:
    audio, beat = pulses(3.0), 2 * 60 / 123.0  # the grid counts every other pulse
    for at in np.round(np.arange(3) * beat * RATE).astype(int):  # which are others than those between
        audio[:, at : at + 9000] += 0.3 * np.sin(0.02 * np.arange(9000)).astype(np.float32)
    free = [lag / RATE / beat for lag, _ in repetitions(levels(audio), audio, HOP, RATE)]
    known = [lag / RATE / beat for lag, _ in repetitions(levels(audio), audio, HOP, RATE, beat)]
    assert any(abs(lag - round(lag)) > 0.2 for lag in free)
    assert len(known) > 1
    assert all(abs(lag - round(lag)) < 0.01 for lag in known)
    other = [lag / RATE / beat for lag, _ in repetitions(levels(audio), audio, HOP, RATE, 1.09 * beat)]
    assert other == free


@pytest.mark.parametrize("seed", [0, 1, 2, 3])
def test_onsets_stay_on_the_beat(seed: int) -> None:
    collage, audio = made(seed)
    half_beat = 30 * RATE / 123.0
    found = onsets(collage.audio) + audio.shape[1]
    assert len(found) > 8
    off = np.abs(found / half_beat - np.round(found / half_beat)) * half_beat
    assert np.median(off) < 0.005 * RATE
    assert off.max() < 0.012 * RATE  # a piece may move by 10 ms so that its waveform goes on


def test_no_piece_is_followed_by_what_followed_it() -> None:
    audio = pulses(6.0)
    x = levels(audio)
    for seed in range(5):
        cuts = cuts_of(x, audio, 150, np.random.default_rng(seed))
        assert cuts[0].first == 0
        assert sum(cut.frames for cut in cuts) == 150
        assert all(SIZES[0] <= cut.frames <= SIZES[1] for cut in cuts[:-1])
        for one, two in pairwise(cuts):
            assert two.first == one.first + one.frames
            assert abs(one.lag - two.lag) >= APART * HOP


def test_sources_lie_in_the_context() -> None:
    for seed in range(5):
        collage, audio = made(seed)
        assert collage.audio.shape == (2, 150 * HOP)
        known = heard(audio).latents
        frames = collage.latents[-1].astype(int)
        assert len(frames) == 150
        assert np.array_equal(collage.latents, known[:, frames])


def test_equal_seeds_give_equal_collages_and_others_do_not() -> None:
    one, two, other = made(7)[0], made(7)[0], made(8)[0]
    assert np.array_equal(one.audio, two.audio)
    assert np.array_equal(one.latents, two.latents)
    assert not np.array_equal(one.latents, other.latents)


def test_what_leads_to_a_context_is_the_mirror_of_what_goes_on() -> None:
    audio = pulses(6.0)[:, : 258 * HOP]
    to = coming_to(heard(audio).backwards, 80, HOP, RATE, np.random.default_rng(1))
    on = going_on(heard(audio), 80, HOP, RATE, np.random.default_rng(1))
    assert to is not None
    assert on is not None
    assert np.array_equal(to.audio, on.audio[:, ::-1])
    assert np.array_equal(to.latents, on.latents[:, ::-1])


def test_a_tone_goes_on_over_every_splice() -> None:
    n = 250 * HOP
    tone = np.sin(2 * np.pi * 220.5 * np.arange(n) / RATE).astype(np.float32)
    rng = np.random.default_rng(0)
    audio = np.stack([tone, tone])
    x = rng.standard_normal((4, 250))
    cuts = cuts_of(x, audio, 120, rng)
    out = laid(audio, audio[:, -FADE:], cuts, n, HOP, 441)
    assert len(cuts) > 5
    for cut in cuts[1:]:
        around = np.abs(out[0, cut.first * HOP - FADE : cut.first * HOP + FADE])
        assert 0.95 < around.max() < 1.05
        assert step_over_material(out, cut.first * HOP, RATE) < 1.2


def test_too_short_a_context_gives_none() -> None:
    audio = pulses(0.8)[:, : 30 * HOP]
    assert going_on(heard(audio), 50, HOP, RATE, np.random.default_rng(0)) is None


@pytest.mark.parametrize("ago_s", [7.0, 33.3])
def test_a_memory_is_cut_on_the_beat_of_now(ago_s: float) -> None:
    """The context is dull and quiet, as takes of takes become; the pieces are as bright as what was heard long before."""
    whole = pulses(45.0)
    now = (round(40.0 * RATE) // HOP) * HOP
    then = now - (round(ago_s * RATE) // HOP) * HOP
    dull = (0.5 * whole[:, now - 120 * HOP : now]).astype(np.float32)
    memory, context = heard(whole[:, then - 250 * HOP : then]), heard(dull)
    half_beat = 30 * RATE / 123.0
    place = placed(context, memory, SIZES[1], HOP, RATE) + then - 250 * HOP  # in the recording
    off = (now - place) / half_beat
    assert abs(off - round(off)) * half_beat < 0.003 * RATE
    collage = going_on(context, 150, HOP, RATE, np.random.default_rng(3), memory)
    assert collage is not None
    found = onsets(collage.audio) + now
    assert len(found) > 8
    assert np.median(np.abs(found / half_beat - np.round(found / half_beat))) * half_beat < 0.005 * RATE
    assert np.abs(collage.audio).max() > 1.5 * np.abs(dull).max()


def line(left: int, new: int, right: int) -> tuple[Line, Parts]:
    """A line over pulses, with nothing known of its new part."""
    whole = pulses((left + new + right + 1) * HOP / RATE)[:, : (left + new + right) * HOP]
    x = torch.from_numpy(levels(whole)).float()[None]
    x[..., left : left + new] = 0
    before = whole[:, : left * HOP] if left else None
    after = whole[:, (left + new) * HOP :] if right else None
    return Line(x, left, (Window(0, new, left, right),), 1.0), Parts(new * HOP, before, None, after)


@pytest.mark.parametrize(("left", "right"), [(120, 0), (0, 120), (120, 120), (120, 10), (10, 120)])
def test_the_new_part_is_grounded_in_what_there_is(left: int, right: int) -> None:
    given, parts = line(left, 100, right)
    found = grounded(given, parts, 4, HOP, RATE, 3)
    assert found.texture is not None
    assert found.texture.shape[1] == found.x_bar.shape[-1] * HOP
    if parts.before is not None:
        assert np.array_equal(found.texture[:, : left * HOP], parts.before)
    if parts.after is not None:
        assert np.array_equal(found.texture[:, (left + 100) * HOP :], parts.after)
    new = slice(left, left + 100)
    assert (np.abs(found.texture[:, left * HOP : (left + 100) * HOP]).reshape(2, 100, HOP).max(axis=(0, 2)) > 0).all()
    known = torch.cat([given.x_bar[0, :, :left], given.x_bar[0, :, left + 100 :]], dim=1).T
    for frame in found.x_bar[0, :, new].T:
        assert (known == frame).all(dim=1).any()  # every latent frame is one that was there


def test_what_stands_there_is_the_texture_itself() -> None:
    given, parts = line(60, 50, 60)
    middle = pulses(50 * HOP / RATE)[:, : 50 * HOP]
    found = grounded(given, replace(parts, middle=middle), 4, HOP, RATE, 3)
    assert found.texture is not None
    assert np.array_equal(found.texture[:, 60 * HOP : 110 * HOP], middle)
    assert found.x_bar is given.x_bar


def test_without_enough_context_nothing_is_laid() -> None:
    given, parts = line(ALIKE, 50, 0)
    assert grounded(given, parts, 4, HOP, RATE, 3) is given


@pytest.mark.parametrize("right", [0, 120])
def test_what_stands_there_gives_way_to_the_collage_more_and_more(right: int) -> None:
    given, parts = line(120, 100, right)
    new, sound = slice(120, 220), slice(120 * HOP, 220 * HOP)
    middle = 0.1 * np.random.default_rng(4).standard_normal((2, 100 * HOP)).astype(np.float32)
    given.x_bar[..., new] = 7.0
    parts = replace(parts, middle=middle)
    whole = [grounded(given, parts, 4, HOP, RATE, 3, kept=kept) for kept in (1.0, 0.5, 0.2, 0.0)]
    gone = [(one.x_bar[0, 0, new] != 7.0).numpy() for one in whole]
    assert [round(float(one.mean()), 1) for one in gone] == [0.0, 0.5, 0.8, 1.0]
    assert all((fewer <= more).all() for fewer, more in pairwise(gone))
    for one, left_out in zip(whole, gone, strict=True):
        assert one.texture is not None
        same = (one.texture[:, sound] == middle).all(axis=0).reshape(100, HOP)
        assert same[~left_out].sum() >= 0.8 * same[~left_out].size  # all but its seams
        assert not same[left_out].any(axis=1).any()
        assert np.isfinite(one.texture).all()
        after = one.texture[:, 220 * HOP :]
        assert parts.after is None or np.array_equal(after, parts.after[:, : after.shape[1]])
    collage = grounded(given, replace(parts, middle=None), 4, HOP, RATE, 3)
    assert whole[-1].texture is not None
    assert collage.texture is not None
    assert np.array_equal(whole[-1].texture, collage.texture)
    assert torch.equal(whole[-1].x_bar, collage.x_bar)
