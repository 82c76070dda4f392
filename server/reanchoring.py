"""Transitions and infills whose place has moved: made anew where time is left, told where it is not. Control thread only.

What follows them lies at a frame of a file, so they cannot be stretched to a beat that has moved since they were begun.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace

from segue.server.contexts import lead
from segue.server.effects import Abandon, Effect
from segue.server.placing import FIXED, said
from segue.server.state import Moment, World
from segue.server.takes import State, Take

OFF_S = 0.005  # that a beat may move without consequence
TIMES = 2  # that a take is made anew: a tempo that never rests would have it made for ever


def anchor(world: World, take: Take) -> None:
    """Notes which beat a take that has just been begun counts on: the one it enters at, or the one a live deck's ends at."""
    if take.job.verb not in FIXED:
        return
    if take.due_beat is not None and take.t0 == take.due:
        take.anchor = (take.t0, take.due_beat)
    elif take.alignment is not None and take.due_beat is None and take.due is None:
        end = take.t0 + take.length
        take.anchor = (end, world.grid.beat_at(end))


def moved(world: World, moment: Moment) -> Iterator[Effect]:
    """After a change of the grid."""
    for take in list(world.takes.values()):
        if take.anchor is None or take.entry is not None or take.state not in (State.RUNNING, State.READY):
            continue
        frame, beat = take.anchor
        off = world.grid.frame_of(beat) - frame
        if abs(off) <= OFF_S * world.rate:
            continue
        in_time = take.due_beat is None or world.grid.frame_of(beat) - moment.frame >= lead(world, take.job.steps)
        if take.again_made < TIMES and in_time:
            yield from _anew(world, take, moment)
        elif not take.told_off:
            take.told_off = True
            ms = 1e3 * off / world.rate
            yield said(
                take, 0.0, f"the tempo has moved by {abs(ms):.0f} ms since it was begun: its beats do not fall on the server's"
            )


def _anew(world: World, take: Take, moment: Moment) -> Iterator[Effect]:
    """As if it had been asked for now, under its own number."""
    yield Abandon(take.job.id)
    del world.takes[take.job.id]
    take.job = replace(take.job, id=world.next_job)
    world.next_job += 1
    world.takes[take.job.id] = take
    take.pieces, take.made, take.complete, take.state = [], 0, False, State.QUEUED
    take.anchor, take.alignment, take.again_made = None, None, take.again_made + 1
    take.length = take.asked_length
    if take.due_beat is not None:
        take.due = world.grid.frame_of(take.due_beat)
        take.start_at = take.due - lead(world, take.job.steps)
    if take.beats is not None:
        take.length = world.grid.length(take.due if take.due is not None else moment.frame, take.beats)
    yield said(take, 0.0, "the tempo has moved: it is made anew for its beat")
