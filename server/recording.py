"""Phrases on their way from the rings to a take: captured ones, layers over a loop, loops made with one footswitch.

The rings hear all the time, so a phrase may begin and end before anybody asked for it. What the performer plays to frame f is
heard at f + latency; frames of a recording are those that were played to. Control thread only.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from dataclasses import replace

import numpy as np

from segue.server import verbs
from segue.server.arriving import leave
from segue.server.commands import SPECS, CommandError
from segue.server.effects import Capture, Effect, Loop, Play
from segue.server.fallback import WRAP_S, closed
from segue.server.holding import step_history
from segue.server.jobs import Audio, Job, RingPart
from segue.server.phrases import lag, nearest
from segue.server.placing import LOOPS, advance, ended, said, soonest
from segue.server.state import Asked, Deck, Moment, World
from segue.server.takes import OVER, Again, Recording, State, Take
from segue.server.timeline import join

EARLY_S = 0.05  # before its end a loop is published with what there is of it, so that its beginning is in time
HOLD_S = 0.6  # a footswitch that is held for so long takes back what it did
SHORTEST_S = 0.25  # of a loop
MOST = 16  # recordings at once
CONTINUE = next(spec for spec in SPECS if spec.name == "continue")


def capture(world: World, asked: Asked) -> Iterator[Effect]:
    """Keeps what has just sounded as a prepared take: with a quant what ends at the place that is nearest, once it is heard."""
    deck, heard = world.deck(asked.deck), asked.moment.deck(asked.deck).heard
    quant = str(asked.bound.get("quant", deck.values["quant"]))
    end = nearest(world, deck.number, asked.at, quant) if quant != "off" else min(asked.at, heard)
    frames = verbs.length_of(world, asked.bound, {**deck.values, **asked.bound}, end, before=True)
    if end - deck.heard_from < frames:
        got, rate = end - deck.heard_from, world.rate
        raise CommandError("not-enough-audio", f"not enough audio captured: {got / rate:.1f} s of {frames / rate:.1f} s")
    _room(world)
    behind = lag(world, deck, end - frames, end)
    job = Job(world.next_job, deck.number, "capture", "capture", frames)
    job = replace(job, left=RingPart("sounded", deck.number, end + behind, frames))
    world.next_job += 1
    fade = round(float(deck.values["xfade"] or 0.0) * world.rate)
    command = asked.command
    take = Take(job, command.address, command.sender, job.id, frames - fade, fade, "off", False, None, asked.at)
    take.t0, take.state = end - frames, State.RUNNING
    world.remember(take)
    if heard >= end + behind:
        yield Capture(job.id, deck.number, end + behind, frames)
    else:
        world.recordings.append(Recording(take, end - frames, end, behind))


def overdub(world: World, asked: Asked) -> Iterator[Effect]:
    """Adds one round of what is played over a loop to it."""
    deck = world.deck(asked.deck)
    base = _looping(deck, world, asked.moment)
    if base is None:
        raise CommandError("no-job", f"deck {deck.number} plays no loop to play over: make one with loop, or with the footswitch")
    if _recorded(world, deck) is not None:
        raise CommandError("queue-full", f"deck {deck.number} is being recorded already: wait for its end, or cancel it")
    _room(world)
    first = nearest(world, deck.number, asked.at, str(asked.bound.get("quant", deck.values["quant"])))
    take = _take(world, asked, "overdub", base.length)
    take.t0, take.fade = base.t0, round(WRAP_S * world.rate)
    world.remember(take)
    world.recordings.append(Recording(take, first, first + base.length, _behind(world, deck), base=base))
    yield said(take, 0.0)


def footswitch(world: World, asked: Asked) -> Iterator[Effect]:
    """Pressed: records, closes the loop, or plays on from it, whichever is next; let go after a while: takes that back."""
    deck = world.deck(asked.deck)
    if not asked.bound.get("down", True):
        pressed, deck.pressed = deck.pressed, None
        if pressed is not None and asked.at - pressed[0] >= HOLD_S * world.rate:
            yield from _taken_back(world, asked, pressed[1])
        return
    held = _recorded(world, deck)
    if held is not None and held.last is not None:
        sentence = f"deck {deck.number} is being recorded to its end: press again when that is heard, or cancel it"
        raise CommandError("not-available", sentence)
    if held is not None:
        deck.pressed = asked.at, _close(world, asked, held)
        return
    act = _open if _looping(deck, world, asked.moment) is None else _play_on
    job = act(world, asked)
    deck.pressed = asked.at, job
    yield said(world.takes[job], 0.0)


def _open(world: World, asked: Asked) -> int:
    deck = world.deck(asked.deck)
    _room(world)
    first = nearest(world, deck.number, asked.at, str(deck.values["quant"]))
    take = _take(world, asked, "loop", 0)
    take.t0 = first
    world.remember(take)
    world.recordings.append(Recording(take, first, None, _behind(world, deck)))
    return take.job.id


def _close(world: World, asked: Asked, held: Recording) -> int:
    deck, take = world.deck(asked.deck), held.take
    quant = str(deck.values["quant"])
    last = nearest(world, deck.number, asked.at, quant)
    step = world.grid.step(quant)
    if last <= held.first and step:  # at least one bar, or whatever the quant is
        last = world.grid.frame_of(world.grid.beat_at(held.first) + step)
    frames = last - held.first
    if not SHORTEST_S * world.rate <= frames <= world.longest_loop:
        low, high = SHORTEST_S, world.longest_loop / world.rate
        raise CommandError("bad-argument", f"a loop lasts {low:g} to {high:g} s, got {frames / world.rate:.2f} s: press later")
    held.last, take.length, take.job = last, frames, replace(take.job, new_frames=frames)
    return take.job.id


def _play_on(world: World, asked: Asked) -> int:
    bound = {"endless": True}
    take = verbs.ask(world, CONTINUE, asked.deck, bound, asked.command, asked.at)
    take.again = Again(CONTINUE, dict(bound))
    world.remember(take)
    return take.job.id


def _taken_back(world: World, asked: Asked, job: int) -> Iterator[Effect]:
    """What a press did, undone: a recording is dropped, a loop is left again, what plays on from it and its last layer too."""
    deck, take = world.deck(asked.deck), world.takes.get(job)
    if take is not None and take in world.pending(deck.number):
        yield from ended(take, State.CANCELLED, "the footswitch was held")
        if take.job.task == "record":
            return
    if deck.undo:
        yield from step_history(world, replace(asked, verb="undo", bound={}))
    elif deck.playing is not None:  # there is nothing below the first loop
        deck.redo.append(deck.playing)
        deck.playing, deck.looping, deck.loop = None, False, None
        yield from leave(world, deck.number, asked.at)
        yield Play(deck.number, "dry", asked.at, round(float(deck.values["xfade"] or 0.0) * world.rate), world.play_id())


def follow(world: World, moment: Moment) -> Iterator[Effect]:
    """Reads what was to be recorded and is heard by now; a few times in a block's time or less often."""
    for held in list(world.recordings):
        take = held.take
        if take.state in OVER - {State.DONE}:
            world.recordings.remove(held)
        elif held.last is None:
            if moment.frame - held.first > world.longest_loop:
                world.recordings.remove(held)
                yield from ended(take, State.FAILED, f"a loop lasts {world.longest_loop / world.rate:g} s at most")
        elif take.job.verb == "capture":
            if moment.deck(take.job.deck).heard >= held.last + held.lag:
                yield _read(held, held.last + held.lag, world, take.job.new_frames)
                world.recordings.remove(held)
        else:
            yield from _loop(world, held, held.last, moment)


def _loop(world: World, held: Recording, last: int, moment: Moment) -> Iterator[Effect]:
    """A loop goes round from its end on: first with what was heard of it shortly before, then with all of it."""
    take, heard = held.take, moment.deck(held.take.job.deck).heard
    whole = heard >= last + held.lag
    if take.entry is None and take.state is State.RUNNING:
        if not world.near(last, moment) and moment.frame < last - EARLY_S * world.rate:
            return
        yield _read(held, min(heard, last + held.lag), world)
        take.due = last
        yield from advance(world, take, moment)
        if whole:
            world.recordings.remove(held)
    elif whole and moment.frame >= (take.entry or last) + take.fade + 2 * moment.block:  # the loop before it has faded out
        yield _read(held, last + held.lag, world)
        world.recordings.remove(held)
        if take.state is State.PLAYING:
            fade = round(WRAP_S * world.rate)
            yield Loop(take.job.deck, join(take.pieces, 0, take.length), take.t0)
            yield Play(take.job.deck, "loop", soonest(moment), fade, world.play_id(), take.job.id, "linear")


def _read(held: Recording, end: int, world: World, frames: int | None = None) -> Capture:
    """frames: without it from a wrap's length before the beginning on."""
    wrap = round(WRAP_S * world.rate)
    first = max(0, held.first + held.lag - wrap)
    ring = "sounded" if held.take.job.verb == "capture" else "input"
    return Capture(held.take.job.id, held.take.job.deck, end, max(0, end - first) if frames is None else frames, ring)


def shaped(world: World, take: Take, audio: Audio) -> Audio:
    """What was read for a take as the take has it: a loop closed on itself, a layer turned to the loop's phase and added."""
    held = next((r for r in world.recordings if r.take is take), None)
    if held is None or take.job.verb == "capture":
        return audio
    wrap, n = round(WRAP_S * world.rate), take.length
    missing = max(0, wrap - held.first - held.lag)  # before the stream began
    heard = np.zeros((2, wrap + n), np.float32)
    audio = audio[:, : wrap + n - missing]
    heard[:, missing : missing + audio.shape[1]] = audio
    if audio.shape[1] < wrap + n - missing:  # its end is yet to come
        ramp = min(wrap, audio.shape[1])
        heard[:, missing + audio.shape[1] - ramp : missing + audio.shape[1]] *= np.linspace(1.0, 0.0, ramp, dtype=np.float32)
    layer = np.roll(closed(heard, wrap), held.first - take.t0, axis=1)
    return layer if held.base is None else join(held.base.pieces, 0, n) + layer


def _looping(deck: Deck, world: World, moment: Moment) -> Take | None:
    """The loop that goes round on a deck, if it was asked for."""
    take = world.takes.get(deck.playing) if deck.playing is not None else None
    plays = take is not None and take.job.verb in LOOPS and moment.deck(deck.number).source == "loop"
    return take if plays else None


def _recorded(world: World, deck: Deck) -> Recording | None:
    """The loop or layer that is being recorded on a deck."""
    found = (r for r in world.recordings if r.take.job.deck == deck.number and r.take.job.verb != "capture")
    return next((r for r in found if r.take.state is State.RUNNING), None)


def _take(world: World, asked: Asked, verb: str, frames: int) -> Take:
    deck, command = world.deck(asked.deck), asked.command
    job = Job(world.next_job, deck.number, verb, "record", frames)
    world.next_job += 1
    fade = round(float(deck.values["xfade"] or 0.0) * world.rate)
    take = Take(job, command.address, command.sender, job.id, frames, fade, "off", True, None, asked.at, asked_at=asked.at)
    take.state, take.rung = State.RUNNING, "loop"
    return take


def _behind(world: World, deck: Deck) -> int:
    """Frames by which a deck's input comes after what it was played to."""
    return 0 if deck.file is not None else world.latency


def _room(world: World) -> None:
    if len(world.recordings) >= MOST:
        raise CommandError("queue-full", f"{MOST} phrases are being recorded already: wait, or cancel some")


VERBS: Mapping[str, Callable[[World, Asked], Iterator[Effect]]] = {
    "capture": capture,
    "overdub": overdub,
    "footswitch": footswitch,
}
