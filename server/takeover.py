"""What a control process leaves behind for the next one: a small file, and what sounds, in the stream's memory.

The callback plays on meanwhile; the next process learns from the memory which takes sound, and from the file what they are.
Control thread only.
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any, NamedTuple

from segue.server.audio.segment import Segment
from segue.server.audio.values import Source
from segue.server.commands import SPECS
from segue.server.filed import File
from segue.server.jobs import Audio, Job
from segue.server.placing import LOOPS
from segue.server.state import Deck, World
from segue.server.takes import Again, State, Take
from segue.server.tempo import Grid

AHEAD = 64  # numbers that may have been given out since the file was written


class Left(NamedTuple):
    """What a process that died has left to be settled: who listened to it, and what it was to make."""

    leases: list[tuple[str, str, bool]]
    jobs: list[tuple[int, int, str, str, str]]  # number, deck, verb, route, address
    sounding: dict[int, dict[str, Any]]  # takes that were armed or sounded, by job


def remembered(world: World) -> dict[str, object]:
    """What a new control process has to know of the one before it."""
    sounding = [t for t in world.takes.values() if t.state in (State.ARMED, State.PLAYING)]
    return {
        "bpm": world.grid.bpm,
        "beats_per_bar": world.grid.beats_per_bar,
        "origin": world.grid.origin,
        "source": world.sync.source,
        "next_job": world.next_job,
        "next_play": world.next_play,
        "locked": world.locked,
        "monitor": world.monitor,
        "generated": world.generated,
        "reference": world.reference,
        "scenes": world.scenes,
        "jobs": [(t.number, t.job.deck, t.job.verb, t.route, t.address) for t in world.pending() if t not in sounding],
        "sounding": {t.job.id: _facts(t) for t in sounding},
        "decks": [
            {
                "values": d.values,
                "gain": d.gain,
                "heard_from": d.heard_from,
                "slot": d.slot,
                "file": vars(d.file) if d.file else None,
            }
            for d in world.decks
        ],
    }


def _facts(take: Take) -> dict[str, object]:
    again = take.again
    return {
        **{name: getattr(take.job, name) for name in ("deck", "verb", "task", "steps", "seed")},
        **{name: getattr(take, name) for name in ("number", "address", "route", "t0", "length", "fade", "quant", "entry")},
        **{name: getattr(take, name) for name in ("exit_beat", "beats", "rung", "asked_at", "target", "play_id")},
        "again": None if again is None else (again.spec.name, again.bound, again.until),
    }


def restore(world: World, path: str) -> Left:
    """Takes over what was remembered, if there is any that can be read; returns what is left to be settled."""
    try:
        data = json.loads(Path(path).read_text())
        world.grid = Grid(world.rate, data["bpm"], data["beats_per_bar"], data["origin"])
        world.sync.source = data["source"]
        world.monitor, world.generated = data["monitor"], data["generated"]
        world.reference = data["reference"]
        world.locked, world.scenes = data["locked"], {int(number): kept for number, kept in data["scenes"].items()}
        world.next_job, world.next_play = data["next_job"] + AHEAD, data["next_play"] + AHEAD
        for deck, kept in zip(world.decks, data["decks"], strict=False):
            deck.values.update(kept["values"])
            deck.heard_from, deck.slot, deck.gain = kept["heard_from"], kept["slot"], kept["gain"]
            deck.file = File(**kept["file"] | {"beats": tuple(kept["file"]["beats"])}) if kept["file"] else None
        sounding = {int(job): dict(facts) for job, facts in data["sounding"].items()}
        return Left([(s, t, m) for s, t, m in data["leases"]], [(n, d, v, r, a) for n, d, v, r, a in data["jobs"]], sounding)
    except (OSError, ValueError, KeyError, TypeError):
        return Left([], [], {})


def adopt(world: World, segment: Segment, sounding: Mapping[int, Mapping[str, Any]]) -> list[Take]:
    """Finds the takes that sound, or are about to, in the stream's memory: they play on, and end where they were to end."""
    found = [take for deck in world.decks if (take := _sounding(deck, segment, sounding)) is not None]
    known = {take.job.id for take in found}
    found += [take for job, facts in sounding.items() if job not in known and (take := _armed(job, facts, segment)) is not None]
    for take in found:
        world.takes[take.job.id] = take
        world.next_job = max(world.next_job, take.job.id + 1)
    return found


def _sounding(deck: Deck, segment: Segment, sounding: Mapping[int, Mapping[str, Any]]) -> Take | None:
    state = segment.deck_state(deck.number - 1)
    facts = sounding.get(state.take)
    if state.source is Source.LOOP:
        deck.looping = True
        if facts is None or facts["verb"] not in LOOPS:
            return None
        origin, audio = segment.read_loop(deck.number - 1)
        take = _take(state.take, facts, origin, origin, audio)
        take.length, take.exit, deck.loop = audio.shape[1], 2**62, (origin, audio.shape[1])
    elif state.source in (Source.SLOT_A, Source.SLOT_B):
        deck.slot = int(state.source is Source.SLOT_B)
        slot = segment.slot_state(deck.number - 1, deck.slot)
        if facts is None or facts["verb"] in LOOPS or facts["deck"] != deck.number:
            facts = {"deck": deck.number, "verb": "continue", "t0": slot.first, "length": slot.last - slot.first}
        take = _take(
            slot.take, facts, slot.first, min(int(facts["t0"]), slot.first), segment.read_slot(deck.number - 1, deck.slot)
        )
        take.exit, take.fade = min(slot.exit_frame, slot.last - slot.exit_fade), slot.exit_fade
    else:
        return None
    deck.playing = take.job.id
    return take


def _armed(job: int, facts: Mapping[str, Any], segment: Segment) -> Take | None:
    """A take whose entry is yet to come."""
    deck, entry = facts["deck"] - 1, facts["entry"]
    for number in (0, 1):
        slot = segment.slot_state(deck, number)
        if slot.take == job and entry is not None and entry > segment.frame:
            take = _take(job, facts, slot.first, min(int(facts["t0"]), slot.first), segment.read_slot(deck, number))
            take.exit, take.fade = min(slot.exit_frame, slot.last - slot.exit_fade), slot.exit_fade
            take.state, take.heard_at, take.slot, take.play_id = State.ARMED, None, number, facts["play_id"]
            return take
    return None


def _take(job: int, facts: Mapping[str, Any], first: int, t0: int, audio: Audio) -> Take:
    """A take that sounds from frame `first` on, as far as it was made."""
    told = {name: facts[name] for name in ("steps", "seed") if name in facts}
    made = first - t0 + audio.shape[1]
    asked = Job(job, facts["deck"], facts["verb"], facts.get("task", "continuation"), made, **told)
    names = ("address", "route", "number", "length", "fade", "quant")
    given: dict[str, Any] = {"address": "", "route": "", "number": job, "fade": 0, "quant": "off"} | {
        n: facts[n] for n in names if n in facts
    }
    take = Take(asked, **given, commit=True, due=None, start_at=t0)
    take.t0, take.made, take.pieces, take.complete = t0, made, [(first - t0, audio)], True
    take.state, take.entry, take.heard_at = State.PLAYING, first, first
    for name in ("exit_beat", "beats", "rung", "asked_at", "target"):
        setattr(take, name, facts.get(name, getattr(take, name)))
    if facts.get("again") is not None:
        verb, bound, until = facts["again"]
        take.again = Again(next(spec for spec in SPECS if spec.name == verb), dict(bound), until)
    return take
