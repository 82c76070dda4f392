"""Where a phrase begins and ends that a performer has played: at the beats that were meant, not when a key came down.

What is played to frame f is heard at f + latency; frames here are those that were played to. Control thread only.
"""

from __future__ import annotations

import math

from segue.server.state import Deck, World


def nearest(world: World, deck: int, frame: int, quant: str) -> int:
    """The place of a quant that is nearest to a frame, before or after it: a press may be late or early. Frame itself for off."""
    loop, step = world.deck(deck).loop, world.grid.step(quant)
    if quant == "loop" and loop is not None:
        return loop[0] + round((frame - loop[0]) / loop[1]) * loop[1]
    return world.grid.frame_of(round(world.grid.beat_at(frame) / step) * step) if step else frame


def meant(world: World, deck: int, asked_at: int, quant: str, heard: int) -> int:
    """The end of the phrase that was meant at `asked_at`: the place nearest to it, or the last that was heard by now."""
    place, step = nearest(world, deck, asked_at, quant), world.grid.step(quant)
    if not step:
        return heard
    if place <= heard:
        return place
    loop = world.deck(deck).loop
    if quant == "loop" and loop is not None:
        return place - math.ceil((place - heard) / loop[1]) * loop[1]
    return world.grid.frame_of(math.floor(world.grid.beat_at(heard) / step) * step)


def lag(world: World, deck: Deck, first: int, last: int) -> int:
    """Frames by which what sounded came after what it was played to: a file and a take that sounded meanwhile by none."""
    if deck.file is not None or not world.latency:
        return 0
    for take in world.takes.values():
        began = take.heard_at
        if take.job.deck == deck.number and began is not None and began < last and take.exit + take.fade > first:
            return 0
    return world.latency
