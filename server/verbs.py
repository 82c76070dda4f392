"""From a verb to a take: its length and entry when it is asked for, its sources when the engine is to begin."""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping
from dataclasses import replace

from segue.engine.paper import level_of_share
from segue.server import bridging
from segue.server.commands import SAMPLERS, Command, CommandError, Spec, Value
from segue.server.contexts import LONGEST_S, context, known_future, lead, offset
from segue.server.jobs import FilePart, Job, RingPart
from segue.server.phrases import lag, meant
from segue.server.reanchoring import anchor
from segue.server.state import SPARE, Deck, Moment, World
from segue.server.takes import Take
from segue.server.timeline import LEAD_BLOCKS

TASKS = {
    "continue": "continuation",
    "transition": "transition",
    "infill": "infill",
    "vary": "renoise",
    "loop": "loop",
    "style": "style",
    "generate": "generate",
}
# Options of a verb that are parameters of its task, as the task declares them.
PARAMETERS: Mapping[str, tuple[str, ...]] = {
    "renoise": ("T",),
    "transition": ("k",),
    "style": ("weight", "class_weight", "reconstruction"),
    "classify": ("weight", "reconstruction"),
}


def ask(world: World, spec: Spec, deck: int, bound: Mapping[str, Value], command: Command, at: int) -> Take:
    """A new take for a generation verb that takes effect at frame `at`. Raises CommandError."""
    settings = {**world.deck(deck).values, **bound}
    due, beat = at if command.time is not None else None, None
    quant = str(settings["quant"])
    if due is None and quant != "off":
        aligned = spec.name == "transition" and bool(bound.get("align", True))
        beat, due = (
            bridging.place(world, deck, at, quant, int(settings["steps"] or 4)) if aligned else world.place(deck, at, quant)
        )
    task = _task(spec.name, bound)
    length = length_of(world, bound, settings, due if due is not None else at, before=spec.name == "loop")
    seed = int(settings.get("seed", -1) or 0)
    job = Job(
        id=world.next_job,
        deck=deck,
        verb=spec.name,
        task=task,
        new_frames=length,
        steps=int(settings["steps"] or 4),
        seed=seed if seed >= 0 else (world.next_job * 7919) % 2**31,
        xi=xi_of(settings),
        regime=str(settings["regime"]),
        sampler=str(bound.get("sampler", SAMPLERS[0])),
        parameters=_parameters(task, settings, bound),
        start=None if bound.get("T") is None or task == "renoise" else float(bound["T"] or 0.0),
        beat_s=beat_s(world, deck, at),
    )
    world.next_job += 1
    take = Take(
        job=job,
        address=command.address,
        route=command.sender,
        number=int(bound.get("id", job.id) or 0),
        length=length,
        fade=round(float(settings["xfade"] or 0.0) * world.rate),
        quant=quant,
        commit=bool(bound.get("commit", True)),
        due=due,
        start_at=at if due is None else due - lead(world, job.steps),
        due_beat=beat,
        beats=None if bound.get("sec") is not None or spec.name == "loop" else float(settings.get("beats", 8.0) or 8.0),
        asked_at=at,
    )
    if take.beats is not None and world.sync.source != "internal":
        take.spare = round(SPARE * length)
    if spec.name == "transition":
        bridging.ask(world, take, bound)
    if spec.name == "style":
        _check_style(world, bound)
        take.target = int(bound.get("deck", 0) or 0)
        if "path" in bound:
            take.job = replace(take.job, style=FilePart(str(bound["path"]), 0, max(world.context, world.rate)))
        if "class" in bound:
            take.job = replace(take.job, classes=(str(bound["class"]),))
    return take


def beat_s(world: World, deck: int, at: int) -> float:
    """Seconds of a beat of what a deck plays at a frame: its file's, where it has one of known tempo, or else the grid's."""
    file = world.deck(deck).file
    known = file is not None and file.playing and file.bpm > 0
    return 60.0 / (file.played_bpm if file is not None and known else world.grid.bpm_at(at))


def xi_of(settings: Mapping[str, Value]) -> float | None:
    """The guidance step size that was set; None, where none was, leaves it to the model."""
    xi = float(settings["xi"] or 0.0)
    return xi if xi >= 0 else None


def _task(verb: str, bound: Mapping[str, Value]) -> str:
    """The task of a verb: of `style` towards a class alone, another one."""
    if verb == "style" and not {"deck", "path"} & set(bound):
        return "classify"
    return TASKS[verb]


def _parameters(task: str, settings: Mapping[str, Value], bound: Mapping[str, Value]) -> dict[str, float]:
    """The task's parameters; a variation by a share of noise starts at the level that has it."""
    if task == "renoise" and bound.get("T") is None:
        return {"T": level_of_share(float(settings["k"] or 0.0))}
    return {name: float(settings[name] or 0.0) for name in PARAMETERS.get(task, ())}


def length_of(world: World, bound: Mapping[str, Value], settings: Mapping[str, Value], start: int, before: bool = False) -> int:
    """Frames of audio that were asked for, from frame `start` on or before it. Raises CommandError where they are too many."""
    if bound.get("sec") is not None:
        frames = round(float(bound["sec"] or 0.0) * world.rate)
    else:
        beats = float(settings.get("beats", 8.0) or 8.0)
        frames = world.grid.length_before(start, beats) if before else world.grid.length(start, beats)
    if frames > LONGEST_S * world.rate:
        raise CommandError("bad-argument", f"a take lasts {LONGEST_S:g} s at most, got {frames / world.rate:.1f} s: ask for less")
    return frames


def _check_style(world: World, bound: Mapping[str, Value]) -> None:
    given = [n for n in ("deck", "path", "class") if n in bound]
    if not given or {"deck", "path"} <= set(given):
        got = " and ".join(given) or "none"
        raise CommandError("bad-argument", f"style: takes one of deck or path, a class, or a class beside one of them, got {got}")
    if "deck" in given and int(bound["deck"] or 0) > len(world.decks):
        raise CommandError("no-such-deck", f"there is no deck {bound['deck']!r}: decks are 1 to {len(world.decks)}")


def begin(world: World, take: Take, moment: Moment) -> None:
    """Fixes t0 and the sources of a take that the engine begins now. Raises CommandError."""
    deck = world.deck(take.job.deck)
    take.submitted = moment.frame
    take.t0 = moment.deck(deck.number).heard
    take.asked_length = take.length
    _BEGIN[take.job.verb](world, take, deck, moment)
    anchor(world, take)
    _fit_steps(world, take, moment)


def _fit_steps(world: World, take: Take, moment: Moment) -> None:
    """Fewer steps where as many as were asked for would miss the take's time, or that of the take that goes on after it."""
    if take.due is None or take.due <= moment.frame:
        return
    step, left = max(1, world.pace_at(1).cost), take.due - moment.frame - LEAD_BLOCKS * moment.block
    affordable = int(left / step)
    if take.follows is not None:  # the engine has to be done with all of it when the next one is to be begun
        pieces = math.ceil(take.job.new_frames / world.pace.piece)
        affordable = min(affordable, int((left + max(0, take.length - lead(world, take.job.steps))) / (step * pieces)))
    if affordable < take.job.steps:
        take.job = replace(take.job, steps=max(1, affordable))
        take.rung = "fewer-steps"


def _continue(world: World, take: Take, deck: Deck, moment: Moment) -> None:
    end = take.t0
    if deck.frozen is not None:
        bar = world.grid.beats_per_bar * world.grid.frames_per_beat
        end = deck.frozen
        take.t0 = end + round(math.floor((take.t0 - end) / bar) * bar)
    left = context(world, deck, end)
    style = take.job.style
    if take.job.task == "style" and style is None:
        style = context(world, world.deck(take.target), moment.deck(take.target).heard)
    frames = offset(world, take, moment) + take.length + take.spare + take.fade
    unheard = 0 if take.follows is None or take.due is None else max(0, take.due - take.t0)
    take.job = replace(take.job, left=left, style=style, new_frames=frames, unheard=unheard)


def _generate(world: World, take: Take, deck: Deck, moment: Moment) -> None:
    frames = offset(world, take, moment) + take.length + take.spare + take.fade
    grid, downbeat = world.grid, world.grid.next(take.t0, "bar") - take.t0
    beat_s = 60.0 / grid.bpm_at(take.t0)  # of the bars that it is laid on
    meter = grid.beats_per_bar
    if take.quant in ("beat", "1/4"):  # one that is late moves by bars: its own lie on the grid's
        frames += round(meter * grid.frames_per_beat)
    take.job = replace(take.job, new_frames=frames, beat_s=beat_s, downbeat=downbeat, beats_per_bar=meter)


def _vary(world: World, take: Take, deck: Deck, moment: Moment) -> None:
    # Frame t0 + i of the take varies frame t0 + i - n of what sounded: n is whole bars, so the beat stays.
    bar = world.grid.beats_per_bar * world.grid.frames_per_beat
    wanted = offset(world, take, moment) + take.length + take.spare + take.fade
    n = round(math.ceil(wanted / bar) * bar)
    heard = take.t0 - deck.heard_from
    if heard < n:
        rate = world.rate
        raise CommandError("not-enough-audio", f"not enough audio captured: {heard / rate:.1f} s of {n / rate:.1f} s")
    middle = RingPart("sounded", deck.number, take.t0, n)
    take.job = replace(take.job, left=context(world, deck, take.t0), middle=middle, new_frames=n)


def _loop(world: World, take: Take, deck: Deck, moment: Moment) -> None:
    if take.length > world.longest_loop:
        most, got = world.longest_loop / world.rate, take.length / world.rate
        raise CommandError("bad-argument", f"a loop lasts {most:g} s at most, got {got:.1f} s: ask for fewer beats")
    behind = lag(world, deck, take.t0 - take.length, take.t0)
    take.t0 = meant(world, deck.number, take.asked_at, take.quant, take.t0 - behind)
    heard = take.t0 - deck.heard_from
    if heard < take.length:
        rate = world.rate
        raise CommandError("not-enough-audio", f"not enough audio captured: {heard / rate:.1f} s of {take.length / rate:.1f} s")
    middle = RingPart("sounded", deck.number, take.t0 + behind, take.length)
    take.job = replace(take.job, middle=middle, new_frames=take.length)


def _infill(world: World, take: Take, deck: Deck, moment: Moment) -> None:
    left = known_future(world, take, deck, moment)
    assert deck.file is not None  # _known_future checked
    # The new audio ends with the fade back into the file, so what follows it begins there.
    n = take.length + max(take.fade, moment.block)
    right = FilePart(deck.file.path, deck.file.position(take.t0) + n, max(world.context, world.rate))
    take.job = replace(take.job, left=left, right=right, new_frames=n)


_BEGIN: Mapping[str, Callable[[World, Take, Deck, Moment], None]] = {
    "continue": _continue,
    "style": _continue,
    "generate": _generate,
    "vary": _vary,
    "loop": _loop,
    "infill": _infill,
    "transition": bridging.begin,
}
