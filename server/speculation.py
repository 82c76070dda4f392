"""Candidates: takes that are made before anybody asks, so that a verb selects one and sounds a block later.

While a deck plays, the engine makes the verbs that its `speculate` names, one at a time and only when it has nothing else to do.
A candidate is replaced by a younger one as often as the share of the engine's time allows. Control thread only; functions from
the world to effects. A candidate is no take yet: no list shows it, `cancel` and `commit` do not mean it.
"""

from __future__ import annotations

import math
from collections.abc import Iterator, Mapping

from segue.server import verbs
from segue.server.commands import SPECS, Command, CommandError, Spec, Value
from segue.server.effects import Abandon, Effect, Emit, Submit
from segue.server.jobs import Failed, Finished, Piece, WorkerEvent
from segue.server.placing import advance, enter
from segue.server.state import Candidates, Moment, State, Take, World

VERBS = ("continue", "vary", "generate")  # those that need nothing but a deck
SHARE = 0.5  # of the engine's time
SOONEST_S = 0.5  # a younger candidate is not made sooner
IDLE_S = 2.0  # of a deck that nothing is heard on
SELECTABLE = frozenset({"beats", "sec", "quant", "xfade", "id", "endless"})  # options that a candidate can still be given
RUNG = "candidate"
BUSY = frozenset({State.QUEUED, State.RUNNING})

_SPECS: Mapping[str, Spec] = {spec.name: spec for spec in SPECS if spec.per_deck and spec.name in VERBS}


def enabled(text: str) -> tuple[str, ...]:
    """The verbs that a value of `speculate` names. Raises CommandError."""
    names = tuple(text.replace(",", " ").split())
    if names in ((), ("off",)):
        return ()
    unknown = [name for name in names if name not in VERBS]
    if unknown:
        raise CommandError("bad-argument", f"speculate: takes off or some of {' '.join(VERBS)}, got {unknown[0]}")
    return names


def speculate(world: World, moment: Moment) -> Iterator[Effect]:
    """Has the engine make the candidate that is needed most, if it has nothing else to do."""
    candidates = world.candidates
    busy = any(take.state in BUSY and not take.complete for take in world.takes.values())
    if world.engine != "ready" or busy or candidates.brewing is not None:
        return
    wanted = [(deck.number, verb) for deck in world.decks for verb in enabled(str(deck.values["speculate"]))]
    wanted = [(deck, verb) for deck, verb in wanted if _music(world, deck, moment)]
    due = [key for key in wanted if moment.frame >= candidates.next_at.get(key, 0)]
    if due:
        due.sort(key=lambda key: (key != candidates.last_used, candidates.next_at.get(key, 0)))
        yield from _brew(world, due[0], moment)


def _music(world: World, number: int, moment: Moment) -> bool:
    facts = moment.deck(number)
    return world.deck(number).frozen is None and (facts.source != "dry" or facts.silent < IDLE_S * world.rate)


def _brew(world: World, key: tuple[int, str], moment: Moment) -> Iterator[Effect]:
    deck, verb = key
    candidates = world.candidates
    command = Command(f"/segue/deck/{deck}/{verb}")
    cost = world.pace_at(int(world.deck(deck).values["steps"] or 4)).cost
    try:
        take = verbs.ask(world, _SPECS[verb], deck, {"commit": False, "quant": "off"}, command, moment.frame)
        pieces = math.ceil((take.length + take.fade) / world.pace.piece) + 1
        interval = max(round(pieces * cost / SHARE), round(SOONEST_S * world.rate))
        take.spare += interval + 2 * pieces * cost  # so old it may be when it is selected
        verbs.begin(world, take, moment)
    except CommandError:  # too little was heard: later
        candidates.next_at[key] = moment.frame + round(SOONEST_S * world.rate)
        return
    take.state = State.RUNNING
    candidates.brewing, candidates.next_at[key] = take, moment.frame + interval
    yield Submit(take.job)


def news(world: World, event: WorkerEvent) -> Iterator[Effect]:
    """What the engine says of a candidate."""
    candidates = world.candidates
    take = candidates.brewing
    assert take is not None  # whoever calls has looked
    if isinstance(event, Failed):
        candidates.brewing = None
    elif isinstance(event, Piece):
        take.pieces.append((event.start, event.audio))
        take.made, take.context_hash = event.start + event.audio.shape[1], event.context_hash
        take.seconds += event.seconds
        take.complete = take.made >= take.job.new_frames
    elif isinstance(event, Finished):
        take.complete, take.state, candidates.brewing = True, State.READY, None
        candidates.ready[take.job.deck, take.job.verb] = take
        yield Emit(f"/segue/deck/{take.job.deck}/candidate", (take.job.verb, take.t0, take.have))


def dropped(candidates: Candidates) -> Iterator[Effect]:
    """Whoever asks for a take has the engine at once."""
    if candidates.brewing is not None:
        yield Abandon(candidates.brewing.job.id)
        candidates.next_at[candidates.brewing.job.deck, candidates.brewing.job.verb] = 0
        candidates.brewing = None


def selected(world: World, asked: Take, bound: Mapping[str, Value], at: int) -> Take | None:
    """The candidate that does what a take just asked for would do, if there is one and it is fresh enough.

    Fresh: from where the take would enter, as much of it is left as was asked for.
    """
    candidates, key = world.candidates, (asked.job.deck, asked.job.verb)
    candidates.last_used = key
    take = candidates.ready.get(key)
    if take is None or not asked.commit or not set(bound) <= SELECTABLE:
        return None
    entry = asked.due if asked.due is not None else at
    if take.have - entry < asked.length + asked.fade or entry < take.t0:
        return None
    del candidates.ready[key]
    candidates.next_at[key] = 0
    take.number = asked.number if "id" in bound else take.job.id
    take.address, take.route, take.asked_at, take.rung, take.commit = asked.address, asked.route, asked.asked_at, RUNG, True
    take.length, take.fade, take.beats, take.spare = asked.length, asked.fade, asked.beats, 0
    take.quant, take.due, take.due_beat, take.again = asked.quant, entry, asked.due_beat, asked.again
    return take


def play(world: World, take: Take, moment: Moment) -> Iterator[Effect]:
    """Plays a selected candidate: at once, or when its beat is near."""
    world.remember(take)
    assert take.due is not None  # selected
    if take.due_beat is None:
        yield from enter(world, take, moment, take.due, first_write=True)
    else:
        yield from advance(world, take, moment)
