"""Transitions: from which beat, over how long, into which place of the other deck and at which tempo. Control thread only.

The source's beats are those of its file where one plays, else the server's. Where the target's are known too, its track is
stretched so that they fall on each other, and it plays on at that tempo afterwards.
"""

from __future__ import annotations

import math
from collections.abc import Iterator, Mapping
from dataclasses import replace

import numpy as np

from segue.server.aligning import UNSTRETCHED, Alignment, Beats, Wish, aligned
from segue.server.audio.track import Track, can_stretch
from segue.server.commands import STRETCH_LIMIT, CommandError, Value
from segue.server.contexts import LONGEST_S, context, known_future, lead, offset
from segue.server.effects import Effect, Emit, Prepare
from segue.server.filed import File
from segue.server.jobs import FilePart, PhrasePart, RingPart, RingThenFile, Source
from segue.server.state import Deck, Moment, World
from segue.server.takes import Take

PREROLL_S = 0.5  # of a stretched track before the place where it is entered
BEYOND_BEATS = 2  # after the end of a transition, that are paired too
LATE_FACTOR = 2  # times the expected time, after which a live transition is no longer waited for
MARGIN_BLOCKS = 4  # before its place, at which a transition that is not ready is late


def ask(world: World, take: Take, bound: Mapping[str, Value]) -> None:
    """What a transition was asked for. Raises CommandError."""
    take.target = _target(world, take.job.deck, bound)
    future_of(world, take.target)
    limit = float(bound.get("limit", STRETCH_LIMIT) or 0.0) / 100.0
    at = None if bound.get("at") is None else float(bound["at"] or 0.0)
    take.wish = Wish(bool(bound.get("align", True)), limit, at)


def _target(world: World, deck: int, bound: Mapping[str, Value]) -> int:
    to = bound.get("to")
    if to is None and len(world.decks) == 2:
        to = 3 - deck
    if to is None:
        raise CommandError("bad-argument", f"transition: say `to` which deck, 1 to {len(world.decks)}")
    number = int(to)
    if number > len(world.decks):
        raise CommandError("no-such-deck", f"there is no deck {number}: decks are 1 to {len(world.decks)}")
    if number == deck:
        raise CommandError("bad-argument", f"transition: deck {deck} is where it comes from; `to` is another deck")
    return number


def future_of(world: World, deck: int) -> File | Take:
    """What the target of a transition will play: its file, or a phrase that was captured on it. Raises CommandError."""
    future = world.deck(deck).file or world.phrase(deck)
    if future is None:
        raise CommandError("live-target", f"deck {deck} is live: capture a phrase first or load a file")
    return future


def place(world: World, deck: int, frame: int, quant: str, steps: int) -> tuple[float | None, int]:
    """The first place of a quant at or after a frame that leaves the engine its time: on the beats of what the deck plays."""
    soonest = frame + lead(world, steps)
    file = world.deck(deck).file
    step = world.grid.step(quant)
    if file is None or not file.playing or not file.beats or step < 1.0:
        return world.place(deck, soonest, quant)
    bars = file.downbeat is not None and step >= world.grid.beats_per_bar
    first = _next_beat(file, soonest, round(step) if bars else 1)
    return (None, first) if first is not None else world.place(deck, soonest, quant)


def _next_beat(file: File, frame: int, step: int = 1) -> int | None:
    """The frame of a playing file's first beat at or after one; of every `step`-th counted from its downbeat."""
    origin = file.origin_frame - file.origin_position
    for i, beat in enumerate(file.played_beats):
        if beat + origin >= frame and (step == 1 or (i - (file.downbeat or 0)) % step == 0):
            return round(beat + origin)
    return None


def begin(world: World, take: Take, deck: Deck, moment: Moment) -> None:
    """Fixes t0, the sources, and where and how the target goes on. Raises CommandError."""
    target = future_of(world, take.target)
    playing = deck.file is not None and deck.file.playing
    left: RingPart | RingThenFile
    middle = None
    if playing:
        assert deck.file is not None  # playing
        if take.wish.align:
            _onto_beats(world, take, deck.file, moment)
        left = known_future(world, take, deck, moment)
        n = take.length + max(take.fade, moment.block)
        middle = FilePart(deck.file.path, deck.file.position(take.t0), n)
        take.deadline = take.t0 - MARGIN_BLOCKS * moment.block
    else:
        left = context(world, deck, take.t0)
        expected = offset(world, take, moment)
        take.length += expected + world.pace_at(take.job.steps).cost
        if take.wish.align:
            end = world.grid.frame_of(math.ceil(world.grid.beat_at(take.t0 + take.length) - 1e-6))
            take.length = end - take.t0
        n = take.length + max(take.fade, moment.block)
        take.deadline = take.due if take.due is not None else take.t0 + LATE_FACTOR * expected
    over, right = _target_parts(world, take, target, n)
    take.job = replace(take.job, left=left, middle=middle, middle_right=over, right=right, new_frames=n)


def _onto_beats(world: World, take: Take, file: File, moment: Moment) -> None:
    """Where nobody has said when, the transition begins on the file's next beat; lengths in beats are in the file's."""
    if take.due is None:
        take.due = _next_beat(file, moment.frame + lead(world, take.job.steps))
    if take.beats is None or take.due is None or len(file.beats) < 2:
        return
    frames = np.asarray(file.played_beats) + file.origin_frame - file.origin_position
    numbers = np.arange(len(frames), dtype=float)
    end = float(np.interp(take.due, frames, numbers)) + take.beats
    last = float(np.interp(end, numbers, frames))
    beyond = max(0.0, end - numbers[-1]) * world.rate * 60.0 / file.played_bpm  # the file has beats no more
    length = round(last + beyond) - take.due
    if length > LONGEST_S * world.rate:
        raise CommandError("bad-argument", f"a take lasts {LONGEST_S:g} s at most, got {length / world.rate:.1f} s: ask for less")
    take.length = length


def outgoing(world: World, deck: Deck, start: int, end: int) -> Beats | None:
    """The beats of what a deck plays between two frames, and some beyond; None where they are not known."""
    bar, file = world.grid.beats_per_bar, deck.file
    if file is None or not file.playing:
        first = math.ceil(world.grid.beat_at(start) - 1e-6)
        last = math.floor(world.grid.beat_at(end)) + BEYOND_BEATS
        return Beats([world.grid.place_of(beat) for beat in range(first, last + 1)], -first % bar)
    frames = [beat + file.origin_frame - file.origin_position for beat in file.played_beats]
    inside = [i for i, frame in enumerate(frames) if frame >= start - 1]
    if not inside:
        return None
    first = inside[0]
    count = sum(frame <= end for frame in frames[first:]) + BEYOND_BEATS
    return Beats(frames[first : first + count], None if file.downbeat is None else file.downbeat - first)


def _target_parts(world: World, take: Take, target: File | Take, n: int) -> tuple[Source, Source]:
    """The target over the n frames of the transition, the fade at its end included, and after them."""
    after, level = max(world.context, world.rate), _level_db(world, take)
    beats = outgoing(world, world.deck(take.job.deck), take.t0, take.t0 + take.length) if take.wish.align else None
    if isinstance(target, Take):
        phrase = target.job.left
        assert isinstance(phrase, RingPart)  # session: what `capture` keeps
        start = _into_phrase(world, take, phrase, beats)
        take.target_phrase, take.target_position = target.job.id, start
        return PhrasePart(phrase, start, n), PhrasePart(phrase, start + n, after)
    _into_file(world, take, target, beats)
    if take.target_position + n >= replace(target, path=take.target_track).length:
        raise CommandError("bad-argument", f"transition: the file of deck {take.target} ends within it; say an earlier `at`")
    track = Track.parse(take.target_track)
    path = str(replace(track, gain_db=track.gain_db + level))  # as loud as it will be on its own deck
    start = take.target_position
    return FilePart(path, start, n), FilePart(path, start + n, after)


def _level_db(world: World, take: Take) -> float:
    """How much louder the target's deck is set than the source's, on which the take plays."""
    here, there = (float(world.deck(number).values["gain"] or 0.0) for number in (take.job.deck, take.target))
    return 20.0 * math.log10(there / here) if here > 0.0 and there > 0.0 else 0.0


def _into_file(world: World, take: Take, file: File, beats: Beats | None) -> None:
    """The track that the target will play, and the place in it at t0."""
    own = replace(file.track, factor=1.0, start=0)
    wanted = file.original(file.position(take.t0)) if take.wish.at is None else round(take.wish.at * world.rate)
    take.target_track = str(own) if take.wish.at is not None else file.path
    take.target_position = wanted if take.wish.at is not None else file.position(take.t0)
    if not take.wish.align:
        return
    stretch = can_stretch()
    limit = take.wish.limit if stretch else min(UNSTRETCHED, take.wish.limit)
    bar = world.grid.beats_per_bar
    into = Beats(file.beats, file.downbeat)
    found = None if beats is None else aligned(beats, into, take.t0, wanted, limit, bar, stretch)
    take.alignment = found
    if found is None:
        return
    start = max(0, math.floor(found.place - PREROLL_S * world.rate)) if found.factor != 1.0 else 0
    take.target_track = str(replace(own, factor=found.factor, start=start))
    take.target_position = round((found.place - start) * found.factor)


def _into_phrase(world: World, take: Take, phrase: RingPart, beats: Beats | None) -> int:
    """The place in a captured phrase at t0: its beats are the server's, at the time when it was played."""
    if beats is None:
        return 0
    begun, grid = phrase.end - phrase.frames, world.grid
    first, last = math.ceil(grid.beat_at(begun) - 1e-6), math.ceil(grid.beat_at(phrase.end) - 1e-6)
    once = [grid.place_of(beat) - begun for beat in range(first, last)]
    rounds = 2 + take.length // phrase.frames
    into = Beats([beat + phrase.frames * turn for turn in range(rounds) for beat in once], -first % grid.beats_per_bar)
    take.alignment = aligned(beats, into, take.t0, 0.0, UNSTRETCHED, grid.beats_per_bar, stretch=False)
    return round(take.alignment.place) % phrase.frames if take.alignment else 0


def told(world: World, take: Take) -> Iterator[Effect]:
    """What was decided: clients hear it, and the target's track is made ready."""
    if take.target_track:
        yield Prepare(take.target, take.target_track, take.target_position)
    found, target = take.alignment, world.deck(take.target).file
    deck = world.deck(take.job.deck)
    playing = deck.file is not None and deck.file.playing
    here = deck.file.played_bpm if deck.file is not None and playing else world.grid.bpm_at(take.t0)
    there = target.bpm if target is not None else world.grid.bpm
    error = -1.0 if found is None else 1e3 * found.error / world.rate
    factor = 1.0 if found is None else found.factor
    sentence = _why(take, found, here, there)
    yield Emit("/segue/transition", (take.number, take.job.deck, take.target, factor, here, there, error, sentence))


def _why(take: Take, found: Alignment | None, here: float, there: float) -> str:
    """Why beats do not fall on beats, or empty."""
    if not take.wish.align:
        return "not aligned, as was asked"
    if found is None:
        return "no beats are known of one of the two: not aligned"
    if found.matched:
        return ""
    off = 100.0 * abs(found.ratio - 1.0)
    if not can_stretch():
        return f"{there:.1f} into {here:.1f} BPM is {off:.1f} %: not stretched, python-stretch is missing: install segue[stretch]"
    return f"{there:.1f} into {here:.1f} BPM is {off:.1f} %, more than the limit: not stretched, beats meet in the middle"
