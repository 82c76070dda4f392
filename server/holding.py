"""Verbs on takes that exist and on files: commit, cancel, stop, freeze, undo, redo, load, play, pause, seek, cue.

Functions from the world and what was asked to effects; the session calls them. Each may raise CommandError.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from dataclasses import replace

from segue.server.arriving import leave, stay
from segue.server.candidates import audition
from segue.server.commands import CommandError, Value
from segue.server.effects import Effect, Emit, LoadFile, Play, Transport
from segue.server.filed import File
from segue.server.placing import LOOPS, advance, ended, enter
from segue.server.state import Asked, Deck, Later, Moment, World
from segue.server.takes import State, Take

PENDING = frozenset({State.QUEUED, State.RUNNING, State.READY, State.ARMED, State.LATE})
PLAYABLE = frozenset(State) - {State.CANCELLED, State.FAILED, State.DROPPED}


LATER = 64  # halves of verbs that wait for their beats


def at_place(world: World, asked: Asked, quant: str, job: int = 0) -> Iterator[Effect]:
    """The second half of a verb, at the next place of a quant: now where that is near, else when it has become so."""
    beat, frame = (None, asked.at) if quant == "off" else world.place(asked.deck, asked.at, quant)
    if beat is None or world.near(frame, asked.moment):
        yield from AT_PLACE[asked.verb](world, asked, job, frame)
        return
    if len(world.later) >= LATER:
        raise CommandError("queue-full", f"{LATER} commands wait for their beats already: wait, or panic")
    world.later.append(Later(beat, asked, job))
    ahead = beat - world.grid.beat_at(asked.moment.frame)
    yield Emit(f"/segue/deck/{asked.deck}/next", (asked.verb, ahead))


def due_now(world: World, moment: Moment) -> Iterator[Effect]:
    """Carries out what waited for a beat that is near now. Each may raise CommandError."""
    for later in [one for one in world.later if world.near(world.grid.frame_of(one.beat), moment)]:
        world.later.remove(later)
        frame = max(world.grid.frame_of(later.beat), moment.frame + moment.block)
        yield from AT_PLACE[later.asked.verb](world, replace(later.asked, moment=moment), later.job, frame)


def _seconds(asked: Asked, name: str, default: Value = 0.0) -> float:
    return float(asked.bound.get(name, default) or 0.0)


def _find(world: World, asked: Asked, states: frozenset[State]) -> Take:
    found = [t for t in world.takes.values() if t.job.deck == asked.deck and t.state in states]
    if "id" in asked.bound:
        found = [t for t in found if t.number == asked.bound["id"]]
    if not found:
        which = f"no job {asked.bound['id']!r}" if "id" in asked.bound else "no job"
        raise CommandError("no-job", f"deck {asked.deck} has {which} that could be meant: ask /segue/jobs")
    return found[-1]


def commit(world: World, asked: Asked) -> Iterator[Effect]:
    """Plays a prepared take, or lets one play that is still being made."""
    take = _find(world, asked, PLAYABLE)
    quant = str(asked.bound.get("quant", "off"))
    if "xfade" in asked.bound:
        take.fade = round(_seconds(asked, "xfade") * world.rate)
    if take.complete or take.state is State.READY:
        _check_made(take)
        yield from at_place(world, asked, quant, take.job.id)
        return
    take.commit, take.quant = True, quant
    take.due_beat, due = world.place(asked.deck, asked.at, quant)
    take.due = due if quant != "off" or asked.command.time else None


def _replay_at(world: World, asked: Asked, job: int, frame: int) -> Iterator[Effect]:
    take = world.takes.get(job)
    if take is not None and take.state in PLAYABLE:
        yield from replay(world, take, frame, asked.moment)


def _check_made(take: Take) -> None:
    if not take.made:
        raise CommandError("no-job", f"job {take.number} has no audio yet: wait until it is ready")


def replay(world: World, take: Take, t1: int, moment: Moment) -> Iterator[Effect]:
    """Plays a prepared take at t1."""
    _check_made(take)
    take.commit = True
    if take.job.verb in LOOPS:
        take.entry, take.due, take.due_beat = None, t1, None
        yield from advance(world, take, moment)
    else:
        yield from enter(world, take, moment, t1, first_write=True)


def cancel(world: World, asked: Asked) -> Iterator[Effect]:
    """Drops the newest pending job, or the one that is named."""
    take = _find(world, asked, PENDING)
    yield from stay(world, take)
    yield from ended(take, State.CANCELLED)


def stop(world: World, asked: Asked) -> Iterator[Effect]:
    """Returns to dry; what is on its way is dropped, what was prepared is kept."""
    deck = world.deck(asked.deck)
    for take in world.pending(deck.number):
        if take.commit:
            yield from stay(world, take)
            yield from ended(take, State.CANCELLED, "stopped")
    world.later = [one for one in world.later if one.asked.deck != asked.deck or one.asked.verb in ("play", "pause")]
    yield from at_place(world, asked, str(asked.bound.get("quant", deck.values["quant"])))


def _stop_at(world: World, asked: Asked, job: int, frame: int) -> Iterator[Effect]:
    deck = world.deck(asked.deck)
    fade = round(_seconds(asked, "xfade", deck.values["xfade"]) * world.rate)
    deck.looping, deck.guarded, deck.loop = False, False, None
    yield from leave(world, deck.number, frame)
    yield Play(deck.number, "dry", frame, fade, world.play_id())


def freeze(world: World, asked: Asked) -> Iterator[Effect]:
    """Pins the context to this moment, or unpins it."""
    pinned = asked.moment.deck(asked.deck).heard if asked.bound.get("on", True) else None
    world.deck(asked.deck).frozen = pinned
    yield from ()


def step_history(world: World, asked: Asked) -> Iterator[Effect]:
    """undo: plays the take before this one; redo: the one that undo left."""
    deck: Deck = world.deck(asked.deck)
    source, other = (deck.undo, deck.redo) if asked.verb == "undo" else (deck.redo, deck.undo)
    if not source:
        raise CommandError("no-job", f"deck {deck.number} has nothing to {asked.verb}")
    take = world.takes[source.pop()]
    if deck.playing is not None and deck.playing != take.job.id:
        other.append(deck.playing)
    deck.playing = take.job.id  # so that its entry does not count as a new step
    yield from at_place(world, asked, str(deck.values["quant"]), take.job.id)


def load(world: World, asked: Asked) -> Iterator[Effect]:
    """Asks for a file, which makes this a file deck."""
    told = [None if asked.bound.get(name) is None else _seconds(asked, name) for name in ("gain", "bpm", "beat")]
    sender, address = asked.command.sender, asked.command.address
    yield LoadFile(asked.deck, str(asked.bound["path"]), sender, address, world.reference, *told)


def _file(world: World, deck: int) -> File:
    file = world.deck(deck).file
    if file is None:
        raise CommandError("no-file", f"deck {deck} has no file: load one")
    return file


def play_or_pause(world: World, asked: Asked) -> Iterator[Effect]:
    """Starts the file where it rests, or lets it rest."""
    _file(world, asked.deck)
    yield from at_place(world, asked, str(asked.bound.get("quant", "off")))


def _play_or_pause_at(world: World, asked: Asked, job: int, frame: int) -> Iterator[Effect]:
    file, deck = _file(world, asked.deck), world.deck(asked.deck)
    if asked.verb == "play" and not file.playing:
        deck.heard_from = frame
    yield Transport(deck.number, frame, file.position(frame), asked.verb == "play", file.path)


def seek_or_cue(world: World, asked: Asked) -> Iterator[Effect]:
    """Moves to a place in the file, at its own tempo; cue rests there."""
    file = _file(world, asked.deck)
    track = replace(file.track, factor=1.0, start=0)
    position = round(_seconds(asked, "sec") * world.rate)
    if position >= file.frames:
        raise CommandError("bad-argument", f"{asked.verb}: the file is {file.frames / world.rate:.1f} s long")
    yield Transport(asked.deck, asked.at, position, file.playing and asked.verb == "seek", str(track))


# What happens at the place of a verb: world, what was asked, the job it is about, and the frame.
AT_PLACE: Mapping[str, Callable[[World, Asked, int, int], Iterator[Effect]]] = {
    "commit": _replay_at,
    "undo": _replay_at,
    "redo": _replay_at,
    "stop": _stop_at,
    "play": _play_or_pause_at,
    "pause": _play_or_pause_at,
}

VERBS: Mapping[str, Callable[[World, Asked], Iterator[Effect]]] = {
    "commit": commit,
    "cancel": cancel,
    "stop": stop,
    "audition": audition,
    "freeze": freeze,
    "undo": step_history,
    "redo": step_history,
    "load": load,
    "play": play_or_pause,
    "pause": play_or_pause,
    "seek": seek_or_cue,
    "cue": seek_or_cue,
}
