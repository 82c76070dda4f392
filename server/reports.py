"""What the server says about itself: status, levels, jobs, and the picture a new client gets."""

from __future__ import annotations

import math
from typing import Any

import segue
from segue.server.audio.segment import Segment
from segue.server.commands import ROOT
from segue.server.events import Events
from segue.server.state import Moment, World
from segue.server.takes import OVER, Take

JOB_TYPES = "iissfs"
TAKE_TYPES = "iihhhiis"


def status(world: World, moment: Moment, segment: Segment, commands: int, waiting: int) -> dict[str, object]:
    """The state of everything, as `/segue/status` sends it in JSON."""
    return {
        "version": segue.__version__,
        "frame": moment.frame,
        "sample_rate": world.rate,
        "block": moment.block,
        "tempo": world.grid.bpm,
        "sync": {"source": world.sync.source, "state": world.sync.state.state, "playing": world.sync.playing},
        "engine": world.engine,
        "engine_sentence": world.engine_sentence,
        "commands": commands,
        "waiting": waiting,
        "decks": [
            {
                "deck": d.number,
                "state": moment.deck(d.number).source,
                "file": d.file.track.path if d.file else "",
                "position": d.file.position(moment.frame) / world.rate if d.file else 0.0,
                "loop_ready": moment.deck(d.number).loop_ready,
            }
            for d in world.decks
        ],
        "jobs": [
            {"id": t.number, "deck": t.job.deck, "verb": t.job.verb, "state": t.state.value}
            for t in world.takes.values()
            if t.state not in OVER
        ],
        "misses": world.misses,
        "counters": segment.counters(),
    }


def levels(segment: Segment, deck: int) -> tuple[float, float, float, float]:
    """Peak and RMS of a deck's input, then of what it sounded, linear."""
    m = segment.meters(deck - 1)
    return m.input_peak, math.sqrt(m.input_square), m.sounded_peak, math.sqrt(m.sounded_square)


def jobs(events: Events, route: str, world: World) -> None:
    """Tells a sender every job that is not over."""
    for take in world.takes.values():
        if take.state not in OVER:
            share = 1.0 if take.complete else 0.0
            args = (take.number, take.job.deck, take.job.verb, take.state.value, share, "")
            events.reply(route, f"{ROOT}/job", *args, types=JOB_TYPES)


def snapshot(events: Events, route: str, world: World, moment: Moment) -> None:
    """Tells a new client how things stand."""
    events.reply(route, f"{ROOT}/engine", world.engine, world.engine_sentence)
    events.reply(route, f"{ROOT}/tempo", world.grid.bpm)
    sync = world.sync
    events.reply(route, f"{ROOT}/sync/source", sync.source)
    events.reply(route, f"{ROOT}/sync/state", sync.source, sync.state.state, sync.state.sentence)
    events.reply(route, f"{ROOT}/transport", int(sync.playing))
    for deck in world.decks:
        events.reply(route, f"{ROOT}/deck/{deck.number}/state", moment.deck(deck.number).source)
        for name, value in deck.values.items():
            events.reply(route, f"{ROOT}/deck/{deck.number}/{name}", value)
        if deck.file is not None:
            events.reply(route, f"{ROOT}/deck/{deck.number}/file", deck.file.track.path, deck.file.frames / world.rate)
    jobs(events, route, world)


def take_facts(take: Take, rate: int) -> dict[str, Any]:
    """A take that has sounded, with the keys of `segue demo --json`, its seams apart."""
    start = take.heard_at or 0
    new_s = take.made / rate
    return {
        "verb": take.job.verb,
        "deck": take.job.deck,
        "seed": take.job.seed,
        "steps": take.job.steps,
        "sent_frame": take.asked_at,
        "context_end_frame": take.t0 - take.shift,
        "start_frame": start,
        "entry_offset": start - take.t0,
        "shift_frames": take.shift,
        "frames": max(0, take.exit - start),
        "context_s": take.context / rate,
        "context_hash": take.context_hash,
        "new_s": new_s,
        "generation_s": take.seconds,
        "rtf": take.seconds / new_s if new_s else None,
        "state": take.state.value,
        "ladder_rung": take.rung,
        "late_frames": max(0, start - take.due) if take.due is not None else 0,
    }
