"""From a verb to a take: its length and entry when it is asked for, its sources when the engine is to begin."""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping
from dataclasses import replace

from segue.server.commands import Command, CommandError, Spec, Value
from segue.server.jobs import FilePart, Job, PhrasePart, RingPart, RingThenFile, Source
from segue.server.phrases import lag, meant
from segue.server.state import SPARE, Deck, File, Moment, Take, World
from segue.server.timeline import LEAD_BLOCKS

TASKS = {
    "continue": "continuation",
    "transition": "transition",
    "infill": "infill",
    "vary": "regenerate",
    "loop": "loop",
    "style": "style",
    "generate": "generate",
}
# Options of a verb that are parameters of its task, as the task declares them.
PARAMETERS: Mapping[str, tuple[str, ...]] = {
    "regenerate": ("k",),
    "renoise": ("T",),
    "transition": ("k",),
    "style": ("weight", "class_weight", "reconstruction"),
    "classify": ("weight", "reconstruction"),
}
SLACK_S = 0.25  # seconds kept in hand when the engine is to be ready at a given frame
LONGEST_S = 58.0  # what the rings can hold, less their slack


def ask(world: World, spec: Spec, deck: int, bound: Mapping[str, Value], command: Command, at: int) -> Take:
    """A new take for a generation verb that takes effect at frame `at`. Raises CommandError."""
    settings = {**world.deck(deck).values, **bound}
    due, beat = at if command.time is not None else None, None
    quant = str(settings["quant"])
    if due is None and quant != "off":
        beat, due = world.place(deck, at, quant)
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
        parameters={name: float(settings[name] or 0.0) for name in PARAMETERS.get(task, ())},
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
        take.target = _target(world, deck, bound)
        _future_of(world, take.target)
        take.target_position = round(float(bound["at"] or 0.0) * world.rate) if bound.get("at") is not None else -1
    if spec.name == "style":
        _check_style(world, bound)
        take.target = int(bound.get("deck", 0) or 0)
        if "path" in bound:
            take.job = replace(take.job, style=FilePart(str(bound["path"]), 0, max(world.context, world.rate)))
        if "class" in bound:
            take.job = replace(take.job, classes=(str(bound["class"]),))
    return take


def xi_of(settings: Mapping[str, Value]) -> float | None:
    """The guidance step size that was set; None, where none was, leaves it to the model."""
    xi = float(settings["xi"] or 0.0)
    return xi if xi >= 0 else None


def _task(verb: str, bound: Mapping[str, Value]) -> str:
    """The task of a verb: of `vary` with a level to start from, and of `style` towards a class alone, another one."""
    if verb == "vary" and "T" in bound:
        return "renoise"
    if verb == "style" and not {"deck", "path"} & set(bound):
        return "classify"
    return TASKS[verb]


def length_of(
    world: World, bound: Mapping[str, Value], settings: Mapping[str, Value], start: int, before: bool = False
) -> int:
    """Frames of audio that were asked for, from frame `start` on or before it. Raises CommandError where they are too many."""
    if bound.get("sec") is not None:
        frames = round(float(bound["sec"] or 0.0) * world.rate)
    else:
        beats = float(settings.get("beats", 8.0) or 8.0)
        frames = world.grid.length_before(start, beats) if before else world.grid.length(start, beats)
    if frames > LONGEST_S * world.rate:
        raise CommandError("bad-argument", f"a take lasts {LONGEST_S:g} s at most, got {frames / world.rate:.1f} s: ask for less")
    return frames


def lead(world: World, steps: int) -> int:
    """Frames before its entry at which a take of so many steps has to begin."""
    return round(world.pace_at(steps).cost * 1.3 + SLACK_S * world.rate)


def _target(world: World, deck: int, bound: Mapping[str, Value]) -> int:
    to = bound.get("to")
    if to is None and len(world.decks) == 2:
        to = 3 - deck
    if to is None:
        raise CommandError("bad-argument", f"transition: say `to` which deck, 1 to {len(world.decks)}")
    number = int(to)
    if number > len(world.decks):
        raise CommandError("no-such-deck", f"there is no deck {number}: decks are 1 to {len(world.decks)}")
    if number == deck:
        raise CommandError("bad-argument", f"transition: deck {deck} is where it comes from; `to` is another deck")
    return number


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
    _BEGIN[take.job.verb](world, take, deck, moment)
    _fit_steps(world, take, moment)


def _fit_steps(world: World, take: Take, moment: Moment) -> None:
    """Fewer steps where as many as were asked for would miss the take's time."""
    if take.due is None or take.due <= moment.frame:
        return
    step = world.pace_at(1).cost
    affordable = int((take.due - moment.frame - LEAD_BLOCKS * moment.block) / max(1, step))
    if affordable < take.job.steps:
        take.job = replace(take.job, steps=max(1, affordable))
        take.rung = "fewer-steps"


def _context(world: World, deck: Deck, end: int) -> RingPart:
    """The context that ended at frame `end` on a deck. Raises CommandError where too little was heard."""
    heard = max(0, end - deck.heard_from)
    if heard < world.context_min:
        rate = world.rate
        raise CommandError(
            "not-enough-audio", f"not enough audio captured: {heard / rate:.1f} s of {world.context_min / rate:.1f} s"
        )
    return RingPart("sounded", deck.number, end, min(world.context, heard))


def _offset(world: World, take: Take, moment: Moment) -> int:
    """Frames between t0 and the entry that is expected, with the margin of a late one."""
    if take.due is not None:
        return max(0, take.due - take.t0)
    return round(world.pace_at(take.job.steps).cost * 1.5) + 4 * moment.block


def _continue(world: World, take: Take, deck: Deck, moment: Moment) -> None:
    end = take.t0
    if deck.frozen is not None:
        bar = world.grid.beats_per_bar * world.grid.frames_per_beat
        end = deck.frozen
        take.t0 = end + round(math.floor((take.t0 - end) / bar) * bar)
    left = _context(world, deck, end)
    style = take.job.style
    if take.job.task == "style" and style is None:
        style = _context(world, world.deck(take.target), moment.deck(take.target).heard)
    frames = _offset(world, take, moment) + take.length + take.spare + take.fade
    take.job = replace(take.job, left=left, style=style, new_frames=frames)


def _generate(world: World, take: Take, deck: Deck, moment: Moment) -> None:
    take.job = replace(take.job, new_frames=_offset(world, take, moment) + take.length + take.spare + take.fade)


def _vary(world: World, take: Take, deck: Deck, moment: Moment) -> None:
    # Frame t0 + i of the take varies frame t0 + i - n of what sounded: n is whole bars, so the beat stays.
    bar = world.grid.beats_per_bar * world.grid.frames_per_beat
    wanted = _offset(world, take, moment) + take.length + take.spare + take.fade
    n = round(math.ceil(wanted / bar) * bar)
    heard = take.t0 - deck.heard_from
    if heard < n:
        rate = world.rate
        raise CommandError("not-enough-audio", f"not enough audio captured: {heard / rate:.1f} s of {n / rate:.1f} s")
    middle = RingPart("sounded", deck.number, take.t0, n)
    take.job = replace(take.job, left=_context(world, deck, take.t0), middle=middle, new_frames=n)


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


def _known_future(world: World, take: Take, deck: Deck, moment: Moment) -> RingThenFile:
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


def _infill(world: World, take: Take, deck: Deck, moment: Moment) -> None:
    left = _known_future(world, take, deck, moment)
    assert deck.file is not None  # _known_future checked
    # The new audio ends with the fade back into the file, so what follows it begins there.
    n = take.length + take.fade
    right = FilePart(deck.file.path, deck.file.position(take.t0) + n, max(world.context, world.rate))
    take.job = replace(take.job, left=left, right=right, new_frames=n)


def _transition(world: World, take: Take, deck: Deck, moment: Moment) -> None:
    target = _future_of(world, take.target)
    left: RingPart | RingThenFile
    middle = None
    if deck.file is not None and deck.file.playing:
        left = _known_future(world, take, deck, moment)
        n = take.length + take.fade
        middle = FilePart(deck.file.path, deck.file.position(take.t0), n)
    else:
        left = _context(world, deck, take.t0)
        take.length += _offset(world, take, moment) + world.pace_at(take.job.steps).cost
        n = take.length + take.fade
    over, right = _target_parts(world, take, target, n)
    take.job = replace(take.job, left=left, middle=middle, middle_right=over, right=right, new_frames=n)


def _future_of(world: World, deck: int) -> File | Take:
    """What the target of a transition will play: its file, or a phrase that was captured on it. Raises CommandError."""
    future = world.deck(deck).file or world.phrase(deck)
    if future is None:
        raise CommandError("live-target", f"deck {deck} is live: capture a phrase first or load a file")
    return future


def _target_parts(world: World, take: Take, target: File | Take, n: int) -> tuple[Source, Source]:
    """The target over the n frames of the transition, the fade at its end included, and after them."""
    after = max(world.context, world.rate)
    if isinstance(target, Take):
        phrase = target.job.left
        assert isinstance(phrase, RingPart)  # session: what `capture` keeps
        take.target_phrase, take.target_position = target.job.id, 0
        return PhrasePart(phrase, 0, n), PhrasePart(phrase, n, after)
    if take.target_position < 0:
        take.target_position = target.position(take.t0)
    take.target_track = target.path
    if take.target_position + n >= target.length:
        raise CommandError("bad-argument", f"transition: the file of deck {take.target} ends within it; say an earlier `at`")
    start = take.target_position
    return FilePart(target.path, start, n), FilePart(target.path, start + n, after)


_BEGIN: Mapping[str, Callable[[World, Take, Deck, Moment], None]] = {
    "continue": _continue,
    "style": _continue,
    "generate": _generate,
    "vary": _vary,
    "loop": _loop,
    "infill": _infill,
    "transition": _transition,
}
