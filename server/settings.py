"""Values: what a performer sets and asks for, deck by deck or for all; mute, solo and the performance lock among them.

Control thread only; functions from the world to effects. Each may raise CommandError.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping

from segue.server import timing
from segue.server.audio.wiring import pair_of
from segue.server.commands import CommandError, Spec, Value
from segue.server.effects import Bus, Changed, Effect, Gain, Gate, Inputs
from segue.server.speculation import enabled, seeds
from segue.server.state import World

LEVELS = frozenset({"gain", "mute", "solo"})
LOCKED = frozenset({"load", "cue", "seek", "save", "quit", "clear_sched", "learn", "map", "source", "meter"})
ASKED = frozenset({"source", "meter", "map"})  # without an argument these change nothing


def value_of(world: World, deck: int | None, name: str) -> Value:
    """The value of a deck, or of the server."""
    if deck is not None:
        return world.deck(deck).values[name]
    own: dict[str, Value] = {"lock": world.locked, "monitor": world.monitor, "generated": world.generated}
    own |= {"reference": world.reference, "share": world.share}
    return own[name] if name in own else timing.value_of(world, name)


def set_value(world: World, deck: int | None, name: str, value: Value, at: int) -> Iterator[Effect]:
    """Sets it from frame `at` on."""
    if name == "speculate":
        enabled(str(value))
    elif name == "seeds":
        seeds(str(value))
    elif name == "inputs":
        _audible(world, str(value))
    if name == "lock":
        world.locked = bool(value)
    elif name == "reference":
        world.reference = float(value or 0.0)
    elif name == "share":
        world.share = float(value or 0.0)
    elif name == "monitor":
        world.monitor = str(value)
        yield Bus("dry", at, float(value != "mute"))
        yield Bus("thru", at, float(value == "thru"))
    elif name == "generated":
        world.generated = float(value or 0.0)
        yield Bus("generated", at, world.generated)
    elif deck is None:
        yield from timing.set_value(world, name, value, at)
    else:
        world.deck(deck).values[name] = value
        if name in LEVELS:
            yield from levels(world, at)
        elif name == "inputs":
            yield Inputs(deck, pair_of(str(value)))
        elif name == "gate":
            yield Gate(deck, float(value or 0.0))


def _audible(world: World, text: str) -> None:
    """Raises CommandError for a text that is no channels, or for channels that are not open."""
    try:
        highest = max(pair_of(text)) + 1
    except ValueError as error:
        raise CommandError("bad-argument", str(error)) from None
    if highest > world.in_channels:
        there = f"inputs: {world.in_channels} channels are open, got {highest}"
        raise CommandError("bad-argument", f"{there}; start the server with --open-inputs {highest}")


def levels(world: World, at: int) -> Iterator[Effect]:
    """The gains that have changed: a muted deck is silent, and so is one that is not soloed while another is."""
    soloed = any(deck.values["solo"] for deck in world.decks)
    for deck in world.decks:
        silent = deck.values["mute"] or (soloed and not deck.values["solo"])
        gain = 0.0 if silent else float(deck.values["gain"] or 0.0)
        if gain != deck.gain:
            deck.gain = gain
            yield Gain(deck.number, at, gain)


def unlocked(world: World, spec: Spec, bound: Mapping[str, Value]) -> None:
    """Raises CommandError for what must not happen by accident while the lock is on; who only asks is answered."""
    asks = not bound and spec.name in ASKED
    if world.locked and spec.name in LOCKED and not asks:
        raise CommandError("locked", f"{spec.name}: the performance lock is on; send /segue/lock 0 first")


def save_scene(world: World, number: int) -> None:
    """Keeps every value of every deck under a number."""
    world.scenes[number] = [dict(deck.values) for deck in world.decks]


def recall_scene(world: World, number: int, at: int) -> Iterator[Effect]:
    """Sets what was kept, and tells everyone what has changed."""
    if number not in world.scenes:
        known = " ".join(map(str, sorted(world.scenes))) or "none"
        raise CommandError("bad-argument", f"scene: there is no scene {number}; kept are {known}")
    for deck, kept in zip(world.decks, world.scenes[number], strict=False):
        yield from _restore(world, deck.number, kept, at)


def _restore(world: World, deck: int, kept: Mapping[str, Value], at: int) -> Iterator[Effect]:
    values = world.deck(deck).values
    for name in [name for name in values if name in kept and kept[name] != values[name]]:
        yield from set_value(world, deck, name, kept[name], at)
        yield Changed("", f"/segue/deck/{deck}/{name}", (kept[name],))
