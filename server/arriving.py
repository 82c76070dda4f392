"""What a transition does to its two decks: the target goes on from its end, or, where it is left before that, stays at rest."""

from __future__ import annotations

from collections.abc import Iterator

from segue.server.effects import Effect, Loop, Play, Revoke, Transport
from segue.server.state import World
from segue.server.takes import State, Take
from segue.server.timeline import join

ROLLING_S = 0.05  # the target's file moves so long before it is heard: where it starts it is faded in


def arrive(world: World, take: Take) -> Iterator[Effect]:
    """The target deck plays on from where the transition leaves it, on the sample; the source deck's file rests."""
    source, target = world.deck(take.job.deck), take.target
    assert take.entry is not None  # called by enter
    take.landing = (world.play_id(), world.play_id(), world.play_id(), world.play_id())
    still, heard, rolling, resting = take.landing
    take.before = (source.file, world.deck(target).file)
    yield Play(target, "silence", take.entry, take.fade, still)
    if take.target_phrase is not None:
        phrase = world.takes[take.target_phrase]
        world.deck(target).looping = True
        yield Loop(target, join(phrase.pieces, 0, phrase.made), take.t0 - take.target_position)
        yield Play(target, "loop", take.exit, take.fade, heard, curve="linear")
    else:
        yield _roll(world, take, True, rolling)
        yield Play(target, "dry", take.exit, take.fade, heard, curve="linear")
    if source.file is not None and source.file.playing:
        end = take.exit + take.fade
        yield Transport(source.number, end, source.file.position(end), False, source.file.path, id=resting)


def stay(world: World, take: Take, frame: int | None = None) -> Iterator[Effect]:
    """A transition that is left at a frame, or never begun, does not arrive: the target rests, the source deck's file plays on.

    What was ordered is taken back, not ordered otherwise: another transition may have orders of its own for those frames.
    """
    if not take.landing:
        return
    for number in take.landing:
        yield Revoke(number)
    take.landing = ()
    if take.target_phrase is not None:
        world.deck(take.target).looping = False
    rolls = _roll(world, take, False)
    for deck, file in zip((take.job.deck, take.target), take.before, strict=True):
        held = world.deck(deck)
        if held.file is not None and file is not None:
            held.file = file
    if frame is not None and take.target_phrase is None and frame >= rolls.frame:  # it moves already, unheard
        yield rolls


def leave(world: World, deck: int, frame: int) -> Iterator[Effect]:
    """What plays on a deck ends at `frame` at the latest."""
    for take in list(world.takes.values()):
        if take.job.deck == deck and take.state is State.PLAYING:
            if frame < take.exit:
                yield from stay(world, take, frame)
            take.exit, take.exit_beat, take.again = min(take.exit, frame), None, None


def _roll(world: World, take: Take, playing: bool, number: int = 0) -> Transport:
    """The target's file from just before the transition's end on."""
    assert take.entry is not None  # it was entered
    frame = max(take.entry + take.fade, take.exit - round(ROLLING_S * world.rate))
    position = take.target_position + (frame - take.t0)
    return Transport(take.target, frame, position, playing, take.target_track, exact=playing, id=number)
