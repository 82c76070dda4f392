"""From pieces of a take to what the audio process is told: slot, entry, extension, exit."""

from __future__ import annotations

from collections.abc import Iterator

from segue.server.arriving import arrive, leave, stay
from segue.server.effects import Abandon, Effect, Emit, Fail, Loop, Play, Publish, Revoke, Write
from segue.server.state import HISTORY, Deck, Moment, World
from segue.server.takes import State, Take
from segue.server.timeline import LEAD_BLOCKS, join, reanchored, sustained

FIXED = frozenset({"transition", "infill"})  # what follows them lies at a given frame
LOOPS = frozenset({"loop", "overdub"})  # they go round
SLOTS = ("slot_a", "slot_b")
FIRST_WRITE_S = 0.25  # of a prepared take this much is written before it is started, the rest just after
CROSSFADE = "crossfade"  # the rung of a transition that a plain one stands in for
SHORTEST_S = 0.1  # what must be left of a take to be worth entering


def soonest(moment: Moment) -> int:
    """The first frame at which a new command surely takes effect."""
    return moment.frame + LEAD_BLOCKS * moment.block


def said(take: Take, progress: float = 1.0, sentence: str = "") -> Emit:
    """A job's state, as clients hear it."""
    return Emit("/segue/job", (take.number, take.job.deck, take.job.verb, take.state.value, progress, sentence))


def ended(take: Take, state: State, sentence: str = "") -> Iterator[Effect]:
    """A take that will not be played, or not to its end: the engine and the callback are told."""
    if take.state in (State.RUNNING, State.READY, State.ARMED) and not take.complete and not take.recorded:
        yield Abandon(take.job.id)
    if take.play_id and take.state is State.ARMED:
        yield Revoke(take.play_id)
    take.state = state
    yield said(take, 1.0, sentence)


def advance(world: World, take: Take, moment: Moment) -> Iterator[Effect]:
    """What to do for a take that has new audio, or whose time comes: enter it, extend it, or wait."""
    if take.job.verb in LOOPS:
        if take.complete and take.entry is None and take.commit:
            place = _place(world, take, moment)
            if not _waits(world, take, moment, place):
                yield from enter_loop(world, take, max(place, soonest(moment)))
        return
    if take.entry is not None:
        yield from _extend(take)
        return
    if take.commit and _too_late(world, take, moment):
        sentence = "it was made too late to be played: the engine is too slow, or busy with other jobs"
        world.misses["failed"] += 1
        yield from ended(take, State.FAILED, sentence)
        yield Fail(take.route, take.address, sentence, "generation-failed")
        return
    t1 = entry_of(world, take, moment) if take.made else None
    if take.state is State.RUNNING and (t1 is not None or take.complete):
        take.state = State.READY
        yield said(take)
    if take.commit and t1 is not None and not _waits(world, take, moment, t1):
        yield from enter(world, take, moment, t1, first_write=True)


def _waits(world: World, take: Take, moment: Moment, t1: int) -> bool:
    """Whether the place of a take is a beat that is not near yet, and so may still move."""
    return take.quant != "off" and (take.due_beat is not None or t1 != take.due) and not world.near(t1, moment)


def _place(world: World, take: Take, moment: Moment) -> int:
    """Where a take would enter if it were ready: at its time, else as soon as it can, or at the next place of its quant."""
    now = soonest(moment)
    if take.due is not None and take.due >= now:
        return take.due
    if take.due is None or take.quant == "off":
        return now
    return world.place(take.job.deck, now, take.quant)[1]


def retimed(world: World, moment: Moment) -> Iterator[Effect]:
    """After a change of the grid: beats that are not near yet fall on other frames."""
    for take in world.takes.values():
        if take.due_beat is not None and take.entry is None and take.due is not None and not world.near(take.due, moment):
            due = world.grid.frame_of(take.due_beat)
            take.start_at, take.due = take.start_at + due - take.due, due
            if take.beats is not None and take.state is State.QUEUED:
                take.length = world.grid.frame_of(take.due_beat + take.beats) - due
        elif take.exit_beat is not None and take.state in (State.ARMED, State.PLAYING):
            yield from _end_moved(world, take, moment)


def _end_moved(world: World, take: Take, moment: Moment) -> Iterator[Effect]:
    assert take.exit_beat is not None  # retimed checked
    end = world.grid.frame_of(take.exit_beat)
    end = min(end, take.have - take.fade) if take.complete else end
    if end != take.exit and not world.near(min(end, take.exit), moment):
        take.exit = end
        assert take.entry is not None  # armed
        yield _publish(take, take.entry, take.have)


def entry_of(world: World, take: Take, moment: Moment) -> int | None:
    """t1, or None while it has to wait. A due take that is not ready in time goes on to its next place, marked late."""
    late = take.due is not None and take.due < soonest(moment)
    t1 = _place(world, take, moment)
    if take.job.verb in FIXED or take.quant == "off" or take.due is None:
        t1 = max(t1, take.t0)
    if take.complete:
        ready = True  # what is left is enough, or the take moves by whole bars
    else:
        pace = world.pace_of(take.job)
        ready = sustained(t1, take.have, t1 + needed(take), moment.frame + pace.cost, pace)
    if not ready:
        return None
    if late:
        take.rung = "late"
    return t1


def _too_late(world: World, take: Take, moment: Moment) -> bool:
    """Whether a take whose place is fixed, between two files, has nothing left that could be entered."""
    left = take.t0 + take.length - soonest(moment)
    return take.complete and take.job.verb in FIXED and left < take.fade + SHORTEST_S * world.rate


def needed(take: Take) -> int:
    """Frames that a take must last from its entry on, its way out included."""
    return take.length + take.fade


def enter(world: World, take: Take, moment: Moment, t1: int, first_write: bool = False) -> Iterator[Effect]:
    """Writes a take into the free slot and plays it from t1 at offset t1 - t0."""
    deck = world.deck(take.job.deck)
    if take.job.verb == "capture":  # a phrase begins at its beginning
        take.t0 = t1
    fixed_end = take.job.verb in FIXED
    if take.complete and not fixed_end and take.have - t1 < min(needed(take), take.made):
        shifted = reanchored(take.t0, take.made, t1, min(needed(take), take.made), world.grid)
        take.shift += shifted - take.t0
        take.t0 = shifted
    take.entry = t1
    take.exit, take.exit_beat = _end(world, take, t1)
    if take.complete:
        take.exit = min(take.exit, take.have - take.fade)
    yield from _displace(world, take)
    free = [slot for slot in (1 - deck.slot, deck.slot) if not moment.deck(deck.number).busy[slot]]
    if not free:  # both sound, in the middle of a fade: once more at the next tick
        take.entry, take.due, take.commit, take.state = None, None, True, State.READY
        return
    take.slot = deck.slot = free[0]
    take.play_id = world.play_id()
    take.state = State.ARMED
    if first_write:
        head = min(take.have, t1 + round(FIRST_WRITE_S * world.rate))
        yield _write(take, t1, head)
        yield _publish(take, t1, head)
        yield _play(take, t1)
        yield _write(take, head, take.have)
        yield _publish(take, t1, take.have)
    else:
        yield _write(take, t1, take.have)
        yield _publish(take, t1, take.have)
        yield _play(take, t1)
    yield said(take)
    if take.job.verb == "transition":
        yield from arrive(world, take)
    yield from _enough(take)


def _end(world: World, take: Take, t1: int) -> tuple[int, float | None]:
    """Where a take that is entered at t1 ends: at a beat, where its length was asked for in beats and nothing fixes its end."""
    if take.job.verb in FIXED:
        return take.t0 + take.length, None
    if take.beats is None:
        return t1 + take.length, None
    beat = world.grid.beat_at(t1)
    place = round(beat * 4.0) / 4.0  # t1 is the frame nearest to it, where the take has a quant
    end = (place if world.grid.frame_of(place) == t1 else beat) + take.beats
    return world.grid.frame_of(end), end


def _displace(world: World, take: Take) -> Iterator[Effect]:
    """Takes back whatever is armed on the deck: the newer take has its place."""
    for other in world.pending(take.job.deck):
        if other.state is State.ARMED:
            yield Revoke(other.play_id)
            yield from stay(world, other)
            if other is not take:
                other.state = State.DROPPED
                yield said(other, 1.0, "another take took its place")


def _write(take: Take, start: int, end: int) -> Write:
    return Write(take.job.deck, take.slot, start, join(take.pieces, start - take.t0, end - take.t0))


def _publish(take: Take, first: int, last: int) -> Publish:
    policy = "silence" if take.job.verb == "transition" else "ladder"
    return Publish(take.job.deck, take.slot, take.job.id, first, last, take.exit, take.fade, policy)


def _play(take: Take, t1: int) -> Play:
    return Play(take.job.deck, SLOTS[take.slot], t1, take.fade, take.play_id, take.job.id)


def _silent_id(world: World) -> int:
    world.next_play += 1
    return world.next_play - 1


def _extend(take: Take) -> Iterator[Effect]:
    if take.rung == CROSSFADE:  # that plays in its stead, and the engine ends the job all the same
        return
    start, audio = take.pieces[-1]
    first = take.t0 + start
    assert take.entry is not None  # advance checked
    if first + audio.shape[1] == take.have and take.state in (State.ARMED, State.PLAYING):
        yield Write(take.job.deck, take.slot, first, audio)
        if take.complete:
            take.exit = min(take.exit, take.have - take.fade)
        yield _publish(take, take.entry, take.have)
    yield from _enough(take)


def _enough(take: Take) -> Iterator[Effect]:
    if not take.complete and take.have >= take.exit + take.spare + take.fade:
        take.complete = True
        yield Abandon(take.job.id)


def enter_loop(world: World, take: Take, t1: int) -> Iterator[Effect]:
    """Makes a take the deck's loop, and plays it from t1 on."""
    deck = world.deck(take.job.deck)
    take.entry = t1
    take.exit = 2**62
    take.play_id = world.play_id()
    take.state = State.ARMED
    alike = deck.loop == (take.t0, take.length)  # the same loop with a layer more or less
    deck.looping, deck.loop = True, (take.t0, take.length)
    yield Loop(take.job.deck, join(take.pieces, 0, take.length), take.t0)
    curve = "linear" if alike else "equal-power"
    yield Play(take.job.deck, "loop", take.entry, take.fade, take.play_id, take.job.id, curve)
    yield said(take)


def started(world: World, take: Take, frame: int) -> Iterator[Effect]:
    """The callback has entered a take at `frame`."""
    deck: Deck = world.deck(take.job.deck)
    yield from leave(world, deck.number, frame)
    take.state = State.PLAYING
    take.heard_at = frame
    if take.rung in world.misses:
        world.misses[take.rung] += 1
    deck.looping = take.job.verb in LOOPS
    if deck.playing is not None and deck.playing != take.job.id:
        deck.undo = [*deck.undo, deck.playing][-HISTORY:]
    deck.playing = take.job.id if take.made else None
    yield said(take)
    yield Emit(
        "/segue/take",
        (take.number, take.job.deck, take.t0, frame, frame - take.t0, take.job.seed, take.job.steps, take.rung),
    )
