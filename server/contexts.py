"""What a take is conditioned on, and how long before its entry that has to be known. Control thread only."""

from __future__ import annotations

from segue.server.commands import CommandError
from segue.server.jobs import FilePart, RingPart, RingThenFile
from segue.server.state import Deck, Moment, World
from segue.server.takes import Take

SLACK_S = 0.25  # seconds kept in hand when the engine is to be ready at a given frame
LONGEST_S = 58.0  # what the rings can hold, less their slack


def lead(world: World, steps: int) -> int:
    """Frames before its entry at which a take of so many steps has to begin."""
    return round(world.pace_at(steps).cost * 1.3 + SLACK_S * world.rate)


def context(world: World, deck: Deck, end: int) -> RingPart:
    """The context that ended at frame `end` on a deck. Raises CommandError where too little was heard."""
    heard = max(0, end - deck.heard_from)
    if heard < world.context_min:
        rate = world.rate
        raise CommandError(
            "not-enough-audio", f"not enough audio captured: {heard / rate:.1f} s of {world.context_min / rate:.1f} s"
        )
    return RingPart("sounded", deck.number, end, min(world.context, heard))


def offset(world: World, take: Take, moment: Moment) -> int:
    """Frames between t0 and the entry that is expected, with the margin of a late one."""
    if take.due is not None:
        return max(0, take.due - take.t0)
    return round(world.pace_at(take.job.steps).cost * 1.5) + 4 * moment.block


def known_future(world: World, take: Take, deck: Deck, moment: Moment) -> RingThenFile:
    """Places t0 ahead of now on a file deck, and returns the context up to there."""
    file = deck.file
    if file is None or not file.playing:
        needs = f"{take.job.verb} needs what follows; load a file and play it"
        raise CommandError("no-file", f"deck {deck.number} plays no file: {needs}")
    heard = take.t0
    # What will have been heard by then counts: the file is known ahead.
    take.t0 = take.due if take.due is not None else moment.frame + lead(world, take.job.steps)
    ahead = take.t0 - heard
    past = max(0, min(world.context - ahead, heard - deck.heard_from))
    if past + ahead < world.context_min:
        rate = world.rate
        got = (past + ahead) / rate
        raise CommandError("not-enough-audio", f"not enough audio captured: {got:.1f} s of {world.context_min / rate:.1f} s")
    ahead_kept = min(ahead, world.context)
    coming = FilePart(file.path, file.position(take.t0) - ahead_kept, ahead_kept)
    return RingThenFile(RingPart("sounded", deck.number, heard, past), coming)
