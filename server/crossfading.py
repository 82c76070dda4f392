"""The plain constant-power crossfade: what a transition becomes at its place when the engine fails or is late.

It needs no engine and no data: the callback fades one deck out and the other in. Control thread only.
"""

from __future__ import annotations

from collections.abc import Iterator

from segue.server.effects import Abandon, Effect, Loop, Play, Transport
from segue.server.placing import CROSSFADE, said, soonest
from segue.server.state import Moment, World
from segue.server.takes import State, Take
from segue.server.timeline import join

SHORTEST_S = 0.5  # that it lasts, however late it begins


def can(take: Take) -> bool:
    """Whether a take is a transition whose places are known and which nothing has entered yet."""
    known = take.target_track != "" or take.target_phrase is not None
    return take.job.verb == "transition" and take.commit and known and take.entry is None


def late(take: Take, moment: Moment) -> bool:
    """Whether a transition has to begin now, ready or not."""
    return can(take) and take.deadline is not None and moment.frame >= take.deadline


def crossfade(world: World, take: Take, moment: Moment, why: str) -> Iterator[Effect]:
    """From one deck to the other over the length that was asked for, at the place that was chosen."""
    if not take.complete and take.state in (State.RUNNING, State.READY):
        yield Abandon(take.job.id)
    first = max(take.t0, soonest(moment))
    last = max(take.t0 + take.length + take.fade, first + round(SHORTEST_S * world.rate))
    n, target, source = last - first, take.target, world.deck(take.job.deck)
    silent = max(first - take.fade, soonest(moment))
    take.rung, take.complete, take.state = CROSSFADE, True, State.ARMED
    take.entry, take.exit, take.exit_beat, take.fade = first, last, None, 0
    take.play_id = world.play_id()
    place = take.target_position + (first - take.t0)
    yield Play(target, "silence", silent, first - silent, world.play_id())
    if take.target_phrase is not None:
        phrase = world.takes[take.target_phrase]
        world.deck(target).looping = True
        yield Loop(target, join(phrase.pieces, 0, phrase.made), first - place)
        yield Play(target, "loop", first, n, world.play_id())
    else:
        yield Transport(target, first, place, True, take.target_track, exact=True)
        yield Play(target, "dry", first, n, world.play_id())
    yield Play(source.number, "silence", first, n, take.play_id, take.job.id)
    if source.file is not None and source.file.playing:
        yield Transport(source.number, last, source.file.position(last), False, source.file.path)
    yield said(take, 1.0, why)
