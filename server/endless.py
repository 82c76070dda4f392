"""Continuation without an end: when a take nears its end, the next window is asked for, conditioned on what really sounded.

A candidate that is shorter than what was asked for is continued in the same way, up to where that ends.

Control thread only. The next take is due on the frame where the one before it ends; everything else is as with any other verb.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace

from segue.server import verbs
from segue.server.commands import Command, CommandError
from segue.server.contexts import lead
from segue.server.effects import Effect, Fail
from segue.server.placing import SHORTEST_S, ended, said
from segue.server.state import Moment, World
from segue.server.takes import State, Take

EARLY_S = 0.25  # before the engine has to begin
SEEDS = 2**31


def follow(world: World, moment: Moment) -> Iterator[Effect]:
    """Asks for what follows the takes that are about to end, and drops what follows a take that was ended before its time."""
    for take in list(world.takes.values()):
        if _goes_on(world, take):
            early = lead(world, take.job.steps) + round(EARLY_S * world.rate)
            if moment.frame >= take.exit - early:
                yield from _ask(world, take)
    for take in world.pending():
        before = world.takes.get(take.follows) if take.follows is not None else None
        if before is not None and before.again is None:
            yield from ended(take, State.CANCELLED, "what it was to follow was ended")


def _goes_on(world: World, take: Take) -> bool:
    """Whether something is to follow a take that plays, and has not been asked for yet."""
    if take.again is None or take.state is not State.PLAYING or take.successor is not None:
        return False
    until = take.again.until
    return until is None or until - take.exit > SHORTEST_S * world.rate


def _ask(world: World, take: Take) -> Iterator[Effect]:
    assert take.again is not None  # follow checked
    bound = {name: value for name, value in take.again.bound.items() if name != "id"}
    if take.again.until is not None:
        bound.pop("beats", None)
        bound["sec"] = (take.again.until - take.exit) / world.rate
    if "seed" in bound and int(bound["seed"] or 0) >= 0:
        bound["seed"] = (take.job.seed + 1) % SEEDS
    command, wanted = Command(take.address, (), None, take.route), {**bound, "quant": "off", "commit": True}
    try:
        following = verbs.ask(world, take.again.spec, take.job.deck, wanted, command, take.exit)
    except CommandError as error:
        take.again = None
        yield Fail(take.route, take.address, str(error), error.code)
        return
    following.due, following.due_beat = take.exit, take.exit_beat
    following.start_at = take.exit - lead(world, following.job.steps)
    origin = take.job.id if take.job.origin is None else take.job.origin
    following.job = replace(following.job, origin=origin)
    following.again = replace(take.again, bound=bound)
    following.follows, take.successor = take.job.id, following.job.id
    world.remember(following)
    yield said(following, 0.0)
