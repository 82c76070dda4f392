"""Messages about time and what the sources of tempo say: from the world and them to a grid and effects.

Control thread only; no clock, no socket. One source moves the grid at a time. A change of source moves nothing: the grid goes
over to the new source's beats by a tempo that deviates for a while. What a performer says outright moves it at once: downbeat,
nudge, and the start or the song position of a MIDI clock.
"""

from __future__ import annotations

import math
from collections.abc import Iterator, Mapping

from segue.server.commands import CommandError, Spec, Value
from segue.server.effects import Effect, Emit, Source, Start, Tempo
from segue.server.state import Moment, World
from segue.server.sync.line import Line, Phase, Playing, SourceState, Sync
from segue.server.tempo import FASTEST, SLOWEST, Grid, Taps

EXACT_S = 20e-6  # a phase error below this is left alone
SOON_S = 0.02  # smaller corrections follow one another at this distance at least
LARGE_S = 0.001  # larger ones come at once
EXACT_BPM = 1e-3
TOLD_BPM, TOLD_S = 0.05, 0.1  # changes of tempo that clients are told, and how often
OWN = frozenset({"internal", "tap"})  # the tempo is ours


def value_of(world: World, name: str) -> Value:
    """A value of the server that has to do with time."""
    sync = world.sync
    values: Mapping[str, Value] = {
        "tempo": world.grid.bpm,
        "meter": world.grid.beats_per_bar,
        "source": sync.source,
        "transport": sync.playing,
    }
    return values[name]


def set_value(world: World, name: str, value: Value, at: int) -> Iterator[Effect]:
    """Sets it. Raises CommandError where a source that is not ours has it."""
    if name == "tempo":
        yield from _set_tempo(world, float(value or 120.0), at, "tempo")
    elif name == "meter":
        _move(world, world.grid.with_meter(int(value or 4), at), at)
    elif name == "source":
        yield from _use(world, str(value))
    else:
        yield from _start(world, bool(value), at)


def act(world: World, spec: Spec, bound: Mapping[str, Value], at: int) -> Iterator[Effect]:
    """tap, downbeat and nudge."""
    if spec.name == "tap":
        yield from _tap(world, at)
        return
    if spec.name == "downbeat":
        world.taps = Taps()
        _move(world, world.grid.with_downbeat(at), at)
    else:
        _move(world, world.grid.nudged(float(bound["beats"] or 0.0)), at)


def _move(world: World, grid: Grid, at: int) -> None:
    """Takes another count of the beats, with the source's: they stay where the performer has put them."""
    if world.sync.offset is not None:
        world.sync.offset += grid.beat_at(at) - world.grid.beat_at(at)
    world.grid = grid


def _set_tempo(world: World, bpm: float, at: int, what: str) -> Iterator[Effect]:
    source = world.sync.source
    if source not in OWN and source != "link":
        raise CommandError("not-available", f"{what}: the tempo comes from {source}; say /segue/sync/source internal first")
    if source == "link":  # a session has one tempo, which any peer may change
        yield Tempo(bpm, at)
    world.grid = world.grid.with_bpm(bpm, at)
    yield from _tell(world, at)


def _tap(world: World, at: int) -> Iterator[Effect]:
    world.taps = world.taps.tapped(at, world.rate)
    bpm = world.taps.bpm(world.rate)
    if bpm is None:
        return
    yield from _set_tempo(world, bpm, at, "tap")
    if world.sync.source == "tap":  # the taps are the beats
        world.grid = world.grid.following(at, round(world.grid.beat_at(at)), bpm)


def _use(world: World, source: str) -> Iterator[Effect]:
    if source == world.sync.source:
        return
    world.sync = Sync(source, playing=world.sync.playing, told_bpm=world.sync.told_bpm)
    world.taps = Taps()
    if source not in OWN:
        world.sync.state = SourceState("waiting")
    yield Source(source)
    yield Emit("/segue/sync/source", (source,))
    yield _state(world)


def _state(world: World) -> Emit:
    sync = world.sync
    return Emit("/segue/sync/state", (sync.source, sync.state.state, sync.state.sentence))


def _start(world: World, on: bool, at: int) -> Iterator[Effect]:
    if world.sync.source == "link":
        yield Start(on, at)
    yield from _played(world, on)


def _played(world: World, on: bool) -> Iterator[Effect]:
    if on != world.sync.playing:
        world.sync.playing = on
        yield Emit("/segue/transport", (int(on),))


def _tell(world: World, at: int) -> Iterator[Effect]:
    sync = world.sync
    # A beat that has gone by counts as much as one that comes: a clock may be set back.
    if abs(world.grid.bpm - sync.told_bpm) >= TOLD_BPM and abs(at - sync.told_at) >= TOLD_S * world.rate:
        sync.told_bpm, sync.told_at = world.grid.bpm, at
        yield Emit("/segue/tempo", (world.grid.bpm,))


def heard(world: World, source: str, news: Line | SourceState | Playing, moment: Moment) -> Iterator[Effect]:
    """Something a source said; whoever is not the source is not listened to."""
    if source != world.sync.source:
        return
    if isinstance(news, Playing):
        yield from _played(world, news.on)
    elif isinstance(news, SourceState):
        if news != world.sync.state:
            world.sync.state = news
            yield _state(world)
    elif all(map(math.isfinite, (news.frame, news.beat, news.bpm))) and SLOWEST <= news.bpm <= FASTEST:
        _follow(world, news, moment.frame)
        yield from _tell(world, moment.frame)


def _follow(world: World, line: Line, now: int) -> None:
    sync, grid = world.sync, world.grid
    beat = line.beat + (now - line.frame) * line.bpm / (60.0 * world.rate)
    if sync.offset is None or line.phase > sync.phase or line.jump:
        sync.offset, sync.phase = _meeting(grid.beat_at(now) - beat, line.phase, grid.beats_per_bar), line.phase
        if line.jump:
            world.grid = grid = grid.nudged(grid.beat_at(now) - beat - sync.offset)
    error = abs(beat + sync.offset - grid.beat_at(now)) * 60.0 / line.bpm
    same = abs(line.bpm - grid.bpm) < EXACT_BPM
    soon = 0 <= now - sync.followed < SOON_S * world.rate
    if (same and error < EXACT_S) or (soon and error < LARGE_S):
        return
    sync.followed = now
    world.grid = grid.following(now, beat + sync.offset, line.bpm)


def _meeting(difference: float, phase: Phase, bar: int) -> float:
    """Beats that the source's count is shifted by, so that what is known of it falls on the grid nearest to where it is."""
    if phase is Phase.TEMPO:
        return difference
    unit = bar if phase is Phase.BARS else 1
    return round(difference / unit) * float(unit)
