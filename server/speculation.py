"""Candidates: takes that are made before anybody asks, so that a verb selects one and sounds a block later.

While a deck plays, the engine makes the verbs that its `speculate` names, when it has nothing else to do and no more than its
share of the time: first what the verb used last lacks, then what others lack, then whatever is oldest anew. Control thread only;
functions from the world to effects. A candidate is no take yet: no list shows it, `cancel` and `commit` do not mean it.
"""

from __future__ import annotations

import math
from collections.abc import Iterator, Mapping
from dataclasses import replace

from segue.server import verbs
from segue.server.commands import SPECS, Command, CommandError, Spec, Value
from segue.server.contexts import lead
from segue.server.effects import Abandon, Effect, Emit, Submit
from segue.server.jobs import Failed, Finished, Piece, WorkerEvent
from segue.server.state import Deck, Moment, World
from segue.server.takes import Candidates, State, Take

VERBS = ("continue", "vary", "loop", "transition", "generate")
MOST = 8  # candidates of a verb
REMEMBERED = 256  # turns of seeds
SOONEST_S = 0.5  # a verb's next one is not made sooner after it
IDLE_S = 2.0  # of a deck that nothing is heard on
STALE_BEATS = 2.0  # what a candidate must have left
BUSY = frozenset({State.QUEUED, State.RUNNING})
Key = tuple[int, str]

SPEC_OF: Mapping[str, Spec] = {spec.name: spec for spec in SPECS if spec.per_deck and spec.name in VERBS}


def enabled(text: str) -> tuple[str, ...]:
    """The verbs that a value of `speculate` names. Raises CommandError."""
    names = tuple(text.replace(",", " ").split())
    if names in ((), ("off",)):
        return ()
    unknown = [name for name in names if name not in VERBS]
    if unknown:
        raise CommandError("bad-argument", f"speculate: takes off or some of {' '.join(VERBS)}, got {unknown[0]}")
    return names


def seeds(text: str) -> tuple[int, ...]:
    """The seeds that a value of `seeds` names. Raises CommandError."""
    words = text.replace(",", " ").split()
    if len(words) > MOST or not all(word.isdecimal() and int(word) < 2**31 for word in words):
        raise CommandError("bad-argument", f"seeds: at most {MOST} whole numbers from 0 to 2147483647, got {text!r}")
    return tuple(dict.fromkeys(int(word) for word in words))


def speculate(world: World, moment: Moment) -> Iterator[Effect]:
    """Has the engine make the candidates that are needed most, if it has nothing else to do; drops what has grown stale."""
    candidates = world.candidates
    gone = [take for take in candidates.ready if stale(world, take, moment.frame)]
    for take in gone + [take for take in _superseded(world, moment) if take not in gone]:
        yield from withdrawn(candidates, take)
    resting = not world.share or moment.frame < candidates.rest_until
    if resting or world.engine != "ready" or candidates.brewing or _busy(world, moment):
        return
    wanted = [(deck.number, verb) for deck in world.decks for verb in enabled(str(deck.values["speculate"]))]
    wanted = [(deck, verb) for deck, verb in wanted if _music(world.deck(deck), moment, world.rate)]
    soonest = moment.frame - round(SOONEST_S * world.rate)
    due = [key for key in wanted if candidates.turn.get(key, soonest) <= soonest]
    if due:
        key = min(due, key=lambda key: _need(world, key))
        candidates.turn[key] = moment.frame
        yield from _brew(world, key, moment, sum(math.ceil(_count(world, one) / world.batch) for one in wanted))


def _busy(world: World, moment: Moment) -> bool:
    """Whether the engine works for somebody who has asked, or is about to."""
    soon = moment.frame + lead(world, world.pace_steps)
    return any(take.state in BUSY and not take.complete and take.start_at <= soon for take in world.takes.values())


def _music(deck: Deck, moment: Moment, rate: int) -> bool:
    facts = moment.deck(deck.number)
    sounds = facts.source != "silence" and (facts.source != "dry" or facts.silent < IDLE_S * rate)
    return deck.frozen is None and sounds


def _need(world: World, key: Key) -> tuple[bool, bool, int]:
    """What a verb lacks comes first, of that the verb used last, then whose turn was longest ago."""
    covered = len(of(world.candidates, key)) >= _count(world, key)
    return covered, not covered and key != world.candidates.last_used, world.candidates.turn.get(key, 0)


def of(candidates: Candidates, key: Key) -> list[Take]:
    """The candidates of a deck's verb, oldest first."""
    return [take for take in candidates.ready if (take.job.deck, take.job.verb) == key]


def _count(world: World, key: Key) -> int:
    values = world.deck(key[0]).values
    return len(seeds(str(values["seeds"]))) or int(values["candidates"] or 1)


def _next_seeds(world: World, key: Key) -> list[int]:
    """As many as are made at once, those first that were made longest ago; -1 draws one."""
    named, size = seeds(str(world.deck(key[0]).values["seeds"])), min(world.batch, _count(world, key))
    return sorted(named, key=lambda seed: world.candidates.seeded.get((*key, seed), -1))[:size] or [-1] * size


def making(world: World, take: Take) -> int:
    """Frames that it takes to make another take like this one."""
    pieces = 1 if take.job.verb == "loop" else math.ceil((take.length + take.spare + take.fade) / world.pace.piece)
    continued = take.job.verb == "transition" and take.job.middle is None  # a live deck's own future is made first
    return pieces * world.pace_at(take.job.steps).cost * (2 if continued else 1)


def _brew(world: World, key: Key, moment: Moment, turns: int) -> Iterator[Effect]:
    """Takes of one verb that differ in their seeds, as one job where the engine makes several at once."""
    candidates, takes = world.candidates, []
    if len(candidates.seeded) > REMEMBERED:
        candidates.seeded.clear()
    try:
        for seed in _next_seeds(world, key):
            take = verbs.ask(world, SPEC_OF[key[1]], key[0], _bound(world, key, seed), Command(_address(key)), moment.frame)
            take.spare += _allowance(world, take, turns)
            verbs.begin(world, take, moment)
            take.state, take.basis = State.RUNNING, basis(world, take)
            candidates.seeded[*key, seed] = moment.frame
            takes.append(take)
    except CommandError:  # too little was heard, or nothing to arrive at: later
        return
    candidates.brewing, candidates.began = {take.job.id: take for take in takes}, moment.frame
    also = tuple((take.job.id, take.job.seed) for take in takes[1:])
    takes[0].job = replace(takes[0].job, also=also)
    yield Submit(takes[0].job)


def _address(key: Key) -> str:
    return SPEC_OF[key[1]].address.format(deck=key[0])


def _bound(world: World, key: Key, seed: int) -> dict[str, Value]:
    bound: dict[str, Value] = {"commit": False, "quant": "off", "seed": seed}
    if key[1] == "transition":
        bound["to"] = _target(world, key[0])
    return bound


def _target(world: World, number: int) -> int:
    """The deck that a transition would arrive at: where the last one went, else the first that has something to play."""
    there = [deck.number for deck in world.decks if deck.number != number and (deck.file or world.phrase(deck.number))]
    last = world.candidates.last_target.get(number)
    if not there:
        raise CommandError("live-target", "no other deck has a file or a captured phrase")
    return last if last in there else there[0]


def _allowance(world: World, take: Take, turns: int) -> int:
    """Frames on top of a take's length, for the age that it may have when it is selected: until it is made anew in its turn."""
    if take.job.verb in ("loop", "transition"):
        return 0
    cost = making(world, take)
    return min(round(turns * cost / max(world.share, 0.1)) + cost, take.length)


def basis(world: World, take: Take) -> tuple[object, ...]:
    """What a candidate is made for beside the music: the places of files, and the phrase that stands for a live target."""
    return tuple(_line(world, number) for number in {take.job.deck, take.target or take.job.deck})


def _line(world: World, number: int) -> tuple[object, ...]:
    file, phrase = world.deck(number).file, world.phrase(number)
    if file is None:
        return ("live", phrase.job.id if phrase else 0)
    return (file.path, file.playing, file.origin_position - (file.origin_frame if file.playing else 0))


def last_frame(take: Take) -> int:
    """The frame at which a candidate is left; of a loop where its phrase's next round ends: then it is the last no more."""
    if take.job.verb == "loop":
        return take.t0 + take.length
    return take.t0 + take.length if take.job.verb == "transition" else take.have - take.fade


def stale(world: World, take: Take, entry: int) -> bool:
    """Whether less than two beats, or than its successor's generation time, remain after an entry; or the music is another.

    A loop goes round until it is left: no successor has to come in time.
    """
    needed = STALE_BEATS * world.grid.frames_per_beat
    if take.job.verb != "loop":
        needed = max(needed, lead(world, take.job.steps))
    return last_frame(take) - max(entry, take.t0) < needed or take.basis != basis(world, take)


def news(world: World, job: int, event: WorkerEvent, moment: Moment) -> Iterator[Effect]:
    """What the engine says of a candidate that is being made."""
    candidates = world.candidates
    take = candidates.brewing[job]
    if isinstance(event, Piece):
        take.pieces.append((event.start, event.audio))
        take.made, take.context_hash = event.start + event.audio.shape[1], event.context_hash
        take.seconds += event.seconds
        take.complete = take.made >= take.job.new_frames
    elif isinstance(event, Finished | Failed):
        del candidates.brewing[take.job.id]
        if not candidates.brewing:  # the engine is left alone for as long as its share says
            spent = moment.frame - candidates.began
            candidates.rest_until = moment.frame + round(spent * (1.0 / max(world.share, 1e-3) - 1.0))
        if isinstance(event, Finished):
            yield from _kept(world, take)


def _kept(world: World, take: Take) -> Iterator[Effect]:
    """A candidate is ready."""
    take.complete, take.state = True, State.READY
    world.candidates.ready.append(take)
    yield Emit(f"/segue/deck/{take.job.deck}/candidate", (take.job.verb, take.t0, last_frame(take), take.job.seed))


def _superseded(world: World, moment: Moment) -> Iterator[Take]:
    """What a younger one has replaced that can be entered by now: one of its seed, else the oldest; auditioned ones stay."""
    groups: dict[Key, list[Take]] = {}
    for take in world.candidates.ready:
        if take.t0 <= moment.frame:
            groups.setdefault((take.job.deck, take.job.verb), []).append(take)
    for key, takes in groups.items():
        twice = [old for i, old in enumerate(takes) if old.job.seed in {one.job.seed for one in takes[i + 1 :]}]
        free = [old for old in takes if not old.auditioned and old not in twice]
        yield from twice
        yield from free[: max(0, len(takes) - len(twice) - _count(world, key))]


def withdrawn(candidates: Candidates, take: Take) -> Iterator[Effect]:
    """A candidate is no more; whoever shows it hears of it."""
    candidates.ready.remove(take)
    yield Emit(f"/segue/deck/{take.job.deck}/candidate", (take.job.verb, take.t0, take.t0, take.job.seed))


def dropped(candidates: Candidates) -> Iterator[Effect]:
    """Whoever asks for a take has the engine at once."""
    for take in candidates.brewing.values():
        yield Abandon(take.job.id)
        candidates.turn.pop((take.job.deck, take.job.verb), None)
    candidates.brewing = {}
