"""A collage: what could come next, cut from what was heard along the lags at which the music repeats itself.

Music repeats, and what repeats tells where the beat is. Pieces of what was heard are laid one after another, each a whole
number of repetitions later than it was played, so that every onset stays on its beat; a piece ends where the two places that it
leads from and to sound alike, and the next is never the one that followed it, so that nothing is quoted at length. They are cut
from the context itself, or from an earlier stretch that is not a take itself, at the place where that is most like the context.
(Unit selection, Schwarz 2006; the splice of two places that look alike, Kwatra et al. 2003.)
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import partial

import numpy as np
from numpy.typing import NDArray
from scipy import signal

from segue.engine.novelty import COARSE, HEARD, Played
from segue.engine.repetition import ALIKE, LEAST, Audio, Heard, Values, differences, placed, repetitions
from segue.engine.seam import spliced

SHORTEST_S, LONGEST_S = 0.2, 0.42  # of a piece: a syllable or an eighth, and less than what would be heard as a quotation
APART = 3  # frames by which the lags of two neighbours differ at least
REPEATS = 3.0  # weight of how badly a lag repeats beside how badly a splice fits
BEGINS = 1.0  # the same for the first piece, which has to go on from what was heard
CHANCE = 0.3  # by how much the noise may change a cost at first
FADE = 1024  # samples of a splice
SHIFT_S = 0.010  # by which a piece may move so that its waveform goes on: half a period of 50 Hz
STAYING = 0.3  # correlation that it must gain to move so far
TRIES = 12  # other ways to go on that are tried where a second was played before
DOUBLED = 2  # tries after which the noise may change a cost by twice as much: what fits best has been tried
MOST = 40  # of them a take: about 0.4 s of one core, which music that repeats itself takes in vain


@dataclass(frozen=True)
class Cut:
    """A piece: `frames` from `first` on, counted from now, that sounded `lag` samples before."""

    first: int
    frames: int
    lag: float


@dataclass(frozen=True)
class Collage:
    """latents: `[C, count]` of the pieces that stand there. audio: `[2, count * hop]`, their sound."""

    latents: Values
    audio: Audio


def going_on(
    context: Heard,
    count: int,
    hop: int,
    rate: int,
    rng: np.random.Generator,
    memory: Heard | None = None,
    beat_s: float | None = None,
    played: Played | None = None,
) -> Collage | None:
    """`count` frames after a context, cut from it or from a memory; None where that is too short to cut from.

    beat_s: as of `repetitions`. played: what sounded before these are heard; seconds of it are not to come again.
    """
    sizes = (max(1, round(SHORTEST_S * rate / hop)), max(1, round(LONGEST_S * rate / hop)))
    source = context if memory is None else memory
    length = source.x.shape[1]
    if min(length, context.x.shape[1]) < 2 * sizes[1] + ALIKE or count < 1:
        return None
    now = length * hop if memory is None else placed(context, memory, sizes[1], hop, rate)
    lags = repetitions(source.x, source.audio, hop, rate, beat_s)
    planned = partial(plan, source.x, context.x[:, -ALIKE:], lags, round(now / hop), count, hop, sizes, rng)
    heard = partial(laid, source.audio, context.audio[:, -FADE:], now=now, hop=hop, shift=round(SHIFT_S * rate))
    cuts, audio = _least_heard(planned, heard, played, hop, rng)
    frames = np.concatenate([(now - round(cut.lag)) // hop + cut.first + np.arange(cut.frames) for cut in cuts])
    return Collage(source.latents[:, np.clip(frames, 0, length - 1)], audio)


def _least_heard(
    planned: Callable[..., list[Cut]],
    heard: Callable[[list[Cut]], Audio],
    past: Played | None,
    hop: int,
    rng: np.random.Generator,
) -> tuple[list[Cut], Audio]:
    """A plan and its sound. Second by second, of TRIES ways to go on from somewhere in it the one least like what was played
    before; the first that is new ends the search, and so do MOST tries in all."""
    cuts = planned()
    audio = heard(cuts)
    if past is None:
        return cuts, audio
    tries = MOST
    for place in past.places(len(past.following(audio))):
        least = past.alike(past.following(audio), place)
        for n in range(min(TRIES, tries)):
            if least <= HEARD:
                break
            tries -= 1
            within = past.unheard + (place + int(rng.integers(past.window))) * COARSE
            other = planned([cut for cut in cuts if cut.first * hop < within], CHANCE * 2 ** (n / DOUBLED))
            sound = heard(other)
            alike = past.alike_around(past.following(sound), place, least)
            if alike < least:
                cuts, audio, least = other, sound, alike
    return cuts, audio


def coming_to(
    context: Heard, count: int, hop: int, rate: int, rng: np.random.Generator, beat_s: float | None = None
) -> Collage | None:
    """`going_on`, backwards in time: `count` frames that lead to a context."""
    mirrored = going_on(context.backwards, count, hop, rate, rng, beat_s=beat_s)
    if mirrored is None:
        return None
    return Collage(mirrored.latents[:, ::-1], np.ascontiguousarray(mirrored.audio[:, ::-1]))


def plan(
    x: Values,
    ending: Values,
    lags: list[tuple[float, float]],
    now: int,
    count: int,
    hop: int,
    sizes: tuple[int, int],
    rng: np.random.Generator,
    begun: Sequence[Cut] = (),
    chance: float = CHANCE,
) -> list[Cut]:
    """Pieces of latents `[C, L]` that fill `count` frames from frame `now` on. sizes: frames of a piece, least and most.

    ending: `[C, ALIKE]`, what was heard before them. begun: pieces that stay, but that the last of them may end elsewhere.
    chance: by how much the noise may change a cost.
    """
    spread = 2 * float(x.var(axis=1).mean()) + LEAST
    offered = _multiples(lags, now - x.shape[1], now + count, hop)
    if not offered:
        offered = [(float(now // 2 * hop), 1.0)]
    alike, all_lags, worths = _alike(x), *np.array(offered).T
    cuts = list(begun[:-1])
    first, lag = (begun[-1].first, begun[-1].lag) if cuts else (0, _begin(x, ending, offered, now, hop, sizes[1], spread, rng))
    while first < count:
        ends = np.arange(first + sizes[0], first + sizes[1] + 1)
        others = np.abs(all_lags - lag) >= APART * hop
        fits = _fits(alike, now + ends, lag, all_lags[others], hop, sizes[1])
        costs = (fits / spread + REPEATS * worths[others, None]) * (1 + chance * rng.random(fits.shape))
        best = float(costs.min(initial=np.inf))
        if np.isfinite(best):
            other, at = np.unravel_index(costs.argmin(), costs.shape)
            chosen = (int(ends[at]), float(all_lags[others][other]))
        else:  # nothing else reaches that far
            chosen = (int(ends[-1]), _reaching(offered, now + int(ends[-1]), x.shape[1], hop, sizes[1], rng))
        end = min(count, chosen[0])
        cuts.append(Cut(first, end - first, lag))
        first, lag = end, chosen[1]
    return cuts


def _multiples(lags: list[tuple[float, float]], least: int, most: int, hop: int) -> list[tuple[float, float]]:
    """Every lag with its multiples between so many frames, each with its worth."""
    return [(n * lag, worth) for lag, worth in lags for n in range(int(np.ceil(least * hop / lag)), int(most * hop / lag) + 1)]


def _begin(
    x: Values,
    ending: Values,
    offered: list[tuple[float, float]],
    now: int,
    hop: int,
    longest: int,
    spread: float,
    rng: np.random.Generator,
) -> float:
    """The first lag: what came before it is most like what was heard."""
    best, chosen = np.inf, offered[0][0]
    for lag, worth in offered:
        start = now - round(lag / hop)
        if ALIKE <= start <= x.shape[1] - longest:
            cost = float(np.square(x[:, start - ALIKE : start] - ending).mean()) / spread + BEGINS * worth
            cost *= 1 + CHANCE * float(rng.random())
            if cost < best:
                best, chosen = cost, lag
    return chosen


def _alike(x: Values) -> Values:
    """`[L - ALIKE + 1, same]` mean squared difference of every two stretches of ALIKE frames of `[C, L]`, by their beginnings."""
    apart, size = differences(x), x.shape[1] - ALIKE + 1
    alike: Values = sum((apart[n : n + size, n : n + size] for n in range(ALIKE)), np.zeros((size, size))) / ALIKE
    return alike


def _fits(alike: Values, ends: NDArray[np.int64], lag: float, others: Values, hop: int, longest: int) -> Values:
    """`[len(others), len(ends)]`: of what `_alike` gives, that around each end where one lag leads from and each other to;
    infinite out of reach."""
    length = len(alike) + ALIKE - 1
    one, two = ends - round(lag / hop), ends - np.round(others / hop).astype(np.int64)[:, None]
    allowed = (two >= ALIKE) & (two + longest <= length) & (one >= ALIKE // 2) & (one + ALIKE // 2 <= length)
    around = (np.clip(end - ALIKE // 2, 0, len(alike) - 1) for end in (one, two))
    return np.where(allowed, alike[tuple(around)], np.inf)


def _reaching(
    offered: list[tuple[float, float]], at: int, length: int, hop: int, longest: int, rng: np.random.Generator
) -> float:
    """Any lag with which the frames from `at` on were heard, or the one that brings them to the end of what was."""
    fitting = [lag for lag, _ in offered if ALIKE <= at - round(lag / hop) <= length - longest]
    return float(rng.choice(fitting)) if fitting else float((at + longest - length) * hop)


def laid(audio: Audio, ending: Audio, cuts: list[Cut], now: int, hop: int, shift: int) -> Audio:
    """The sound `[2, count * hop]` of pieces of `[2, n]` from sample `now` on, each moved by at most `shift` so that it goes on.

    ending: `[2, FADE]`, what was heard before them.
    """
    half = FADE // 2
    out = np.zeros((2, (cuts[-1].first + cuts[-1].frames) * hop + half), np.float32)
    for cut in cuts:
        begin, size = cut.first * hop, cut.frames * hop
        head = half if cut.first else 0
        # the first piece is compared with what was just heard, the others with what the last goes on with
        compared = (now + begin - round(cut.lag) - (half if cut.first else FADE), FADE)
        start = now + begin - round(cut.lag) + _moved(audio, compared, ending, shift)
        piece = _stretch(audio, start - head, head + size + half)
        if cut.first:
            out[:, begin - half : begin + half] = spliced(out[:, begin - half : begin + half], piece[:, :FADE])
        out[:, begin + head : begin + size + half] = piece[:, 2 * head :]
        ending = out[:, begin + size - half : begin + size + half]
    return out[:, :-half]


def _moved(audio: Audio, compared: tuple[int, int], ending: Audio, shift: int) -> int:
    """By how many samples to move so that audio from compared[0] on, compared[1] long, is most like `ending` `[2, same]`."""
    start, size = compared
    low, high = max(-shift, -start), min(shift, audio.shape[1] - start - size)
    if low > high:
        return 0
    there, here = audio[:, start + low : start + high + size].mean(axis=0), ending.mean(axis=0)
    energy = np.concatenate([[0.0], np.cumsum(np.square(there, dtype=np.float64))])
    norms = np.sqrt((energy[size:] - energy[:-size]) * np.square(here, dtype=np.float64).sum()) + LEAST
    gained = (
        signal.correlate(there, here, mode="valid", method="direct") / norms - STAYING * np.abs(np.arange(low, high + 1)) / shift
    )
    return low + int(gained.argmax())


def _stretch(audio: Audio, start: int, size: int) -> Audio:
    """`[2, size]` of audio from a sample on, silent beyond its ends."""
    out = np.zeros((2, size), np.float32)
    first, last = max(0, start), min(audio.shape[1], start + size)
    if last > first:
        out[:, first - start : last - start] = audio[:, first:last]
    return out
