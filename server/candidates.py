"""What is done with candidates: a verb selects one, or one is auditioned on the cue pair before. Control thread only."""

from __future__ import annotations

from collections.abc import Iterator, Mapping

import numpy as np

from segue.server import bridging
from segue.server.commands import CommandError, Value
from segue.server.effects import Audition, Effect, Emit
from segue.server.jobs import Audio
from segue.server.placing import advance, enter, enter_loop
from segue.server.speculation import SPEC_OF, last_frame, of, stale
from segue.server.state import Asked, Moment, World
from segue.server.takes import Again, Take
from segue.server.timeline import join

# Options that a candidate can still be given, or that choose it.
SELECTABLE = frozenset({"beats", "sec", "quant", "xfade", "id", "endless", "seed", "to", "at", "align", "limit", "sampler"})
MADE_WITH = ("task", "steps", "xi", "regime", "sampler", "parameters", "start")  # of a job
RUNG = "candidate"
OFF = "off"


def selected(world: World, asked: Take, bound: Mapping[str, Value], at: int) -> Take | None:
    """The candidate that does what a take just asked for would do, if there is one and it is fresh enough.

    What it lacks at its end is asked for while it plays.
    """
    candidates, key = world.candidates, (asked.job.deck, asked.job.verb)
    candidates.last_used = key
    if asked.target and asked.job.verb == "transition":
        candidates.last_target[asked.job.deck] = asked.target
    if not asked.commit or not set(bound) <= SELECTABLE:
        return None
    entry = asked.due if asked.due is not None else at
    fitting = [take for take in of(candidates, key) if _fits(take, asked, bound) and not stale(world, take, entry)]
    enterable = [take for take in fitting if take.t0 <= entry]
    # A transition out of a file may begin ahead: where no other is left, it is waited for.
    chosen = enterable[-1:] or [take for take in fitting if asked.job.verb == "transition"][:1]
    if not chosen:
        return None
    (take,) = chosen
    candidates.ready.remove(take)
    take.number = asked.number if "id" in bound else take.job.id
    take.address, take.route, take.asked_at, take.rung, take.commit = asked.address, asked.route, asked.asked_at, RUNG, True
    take.fade, take.quant, take.due_beat, take.again = asked.fade, asked.quant, asked.due_beat, asked.again
    take.due, take.spare, take.deadline = max(entry, take.t0), 0, None
    if asked.job.verb not in ("loop", "transition"):
        end, there = take.due + asked.length, last_frame(take)
        take.length, take.beats = asked.length, asked.beats
        if end > there:
            take.length, take.beats = there - take.due, None
            take.again = take.again or Again(SPEC_OF[asked.job.verb], dict(bound), until=end)
    return take


def _fits(take: Take, asked: Take, bound: Mapping[str, Value]) -> bool:
    """Whether a candidate was made with what is asked for; lengths aside, which a loop and a transition have for good."""
    one, two = take.job, asked.job
    alike = all(getattr(one, name) == getattr(two, name) for name in MADE_WITH)
    seeded = int(bound.get("seed", -1) or 0) in (-1, one.seed)
    if one.verb == "loop" and take.length != asked.length:
        return False
    if one.verb == "transition" and (take.beats, take.wish) != (asked.beats, asked.wish):
        return False
    return alike and seeded and take.target == asked.target


def play(world: World, take: Take, moment: Moment) -> Iterator[Effect]:
    """Plays a selected candidate: at once, or when its beat is near."""
    world.remember(take)
    assert take.due is not None  # selected
    if take.due_beat is not None:
        yield from advance(world, take, moment)
    elif take.job.verb == "loop":
        yield from enter_loop(world, take, take.due)
    else:
        yield from enter(world, take, moment, take.due, first_write=True)
    if take.job.verb == "transition":
        yield from bridging.told(world, take)
    age = max(0, take.asked_at - take.t0) / world.rate
    yield Emit(f"/segue/deck/{take.job.deck}/selected", (take.job.verb, take.number, take.job.seed, age))


def audition(world: World, asked: Asked) -> Iterator[Effect]:
    """Plays what stands ready on the cue pair."""
    address = f"/segue/deck/{asked.deck}/auditioned"
    if not world.cue:
        raise CommandError("not-available", "there is no cue pair: start the server with --cue 3, on a device with four outputs")
    if asked.bound.get("verb") == OFF:
        yield Audition(asked.at)
        yield Emit(address, ("", 0, 0.0))
        return
    take = _meant(world, asked)
    take.auditioned = True
    audio = _heard(world, take, asked.at) if "id" not in asked.bound else join(take.pieces, 0, take.made)
    audio = audio[:, : world.cue]
    yield Audition(asked.at, audio)
    yield Emit(address, (take.job.verb, take.job.seed, audio.shape[1] / world.rate))


def _meant(world: World, asked: Asked) -> Take:
    bound = asked.bound
    if "id" in bound:
        held = [take for take in world.takes.values() if take.job.deck == asked.deck and take.number == bound["id"] and take.made]
        if not held:
            raise CommandError("no-job", f"deck {asked.deck} has no job {bound['id']!r} with audio: ask /segue/jobs")
        return held[-1]
    found = [
        take
        for take in world.candidates.ready
        if take.job.deck == asked.deck
        and bound.get("verb", take.job.verb) == take.job.verb
        and bound.get("seed", take.job.seed) == take.job.seed
        and not stale(world, take, asked.at)
    ]
    if not found:
        which = " ".join(f"{name} {bound[name]!s}" for name in ("verb", "seed") if name in bound) or "at all"
        raise CommandError("no-job", f"deck {asked.deck} has no candidate {which}: name verbs with speculate, and wait for one")
    return found[-1]


def _heard(world: World, take: Take, at: int) -> Audio:
    """A candidate from where it would be entered; a loop for as long as the cue pair plays."""
    start = max(0, at - take.t0)
    if take.job.verb != "loop":
        return join(take.pieces, start, last_frame(take) - take.t0)
    whole = join(take.pieces, 0, take.length)
    return whole[:, (start + np.arange(world.cue)) % take.length]
