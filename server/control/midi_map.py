"""The MIDI map as text: which note, controller or program stands for which address, and how it moves a value."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, fields

import yaml

from segue.server.commands import DECKS, ROOT, Kind, Spec, addresses

CHANNEL_MODE = 120  # controllers from here on are channel mode messages (MIDI 1.0): they act whatever their value
NOTE_VERBS = ("continue", "transition", "infill", "vary", "loop", "style", "generate", "stop")
FIRST_NOTE = 36  # the lowest pad of most controllers; a deck has eight
CONTROL_VALUES = (("gain", 0.0, 1.0), ("k", 0.0, 1.0), ("xi", 0.0, 0.3), ("beats", 1.0, 32.0))
FIRST_CONTROL = 20  # 20 to 31 are undefined in MIDI 1.0, free to use
ALL_SOUND_OFF, ALL_NOTES_OFF = 120, 123
KINDS = ("note", "control", "program")
ANY = -1  # as a program: whichever is not bound by itself
WAYS = ("absolute", "fine", "offset", "twos", "sign")
TAKEOVERS = ("jump", "cross", "scale")
FINE = 32  # the controller with the lower seven bits of another comes so much after it


class MidiError(ValueError):
    """A MIDI map that cannot be used; str() is a sentence."""


@dataclass(frozen=True)
class Binding:
    """One line of the map.

    kind: note, control or program; a program for an address that takes a number is that number, so that scenes are recalled by
    theirs. channel: 1 to 16, None for all. low and high: the values at the two ends.
    way: how a controller says where it is: absolute, fine (14 bits, with controller number + 32), or relative as an offset from
    64, in two's complement, or with bit 6 as the sign. takeover: what a fader does that stands elsewhere than the value: jump to
    it, wait until it crosses it, or scale what is left of its way. momentary: a pad let go undoes what it did.
    """

    kind: str
    number: int
    address: str
    channel: int | None = None
    low: float | None = None
    high: float | None = None
    way: str = "absolute"
    takeover: str = "jump"
    momentary: bool = False


def default_map(decks: int = DECKS) -> tuple[Binding, ...]:
    """Eight notes and four controllers a deck from 36 and 20 on, programs for scenes; "all sound" or "all notes off" is panic."""
    notes = [
        Binding("note", FIRST_NOTE + len(NOTE_VERBS) * (deck - 1) + at, f"{ROOT}/deck/{deck}/{verb}")
        for deck in range(1, decks + 1)
        for at, verb in enumerate(NOTE_VERBS)
    ]
    controls = [
        Binding("control", FIRST_CONTROL + len(CONTROL_VALUES) * (deck - 1) + at, f"{ROOT}/deck/{deck}/{name}", None, low, high)
        for deck in range(1, decks + 1)
        for at, (name, low, high) in enumerate(CONTROL_VALUES)
    ]
    scenes = Binding("program", ANY, f"{ROOT}/scene/recall")
    return (
        *notes,
        *controls,
        scenes,
        *(Binding("control", number, f"{ROOT}/panic") for number in (ALL_SOUND_OFF, ALL_NOTES_OFF)),
    )


def learnt(kind: str, number: int, address: str, channel: int | None = None) -> Binding:
    """A binding as learning makes it: over the range that the default map gives such a value."""
    ranges = {name: (low, high) for name, low, high in CONTROL_VALUES}
    low, high = ranges.get(address.rsplit("/", 1)[1], (None, None)) if kind == "control" else (None, None)
    return Binding(kind, number, address, channel, low, high)


def number_of(one: Binding) -> int | str:
    """What stands in the map for its number."""
    return "any" if one.number == ANY else one.number


def dump_map(bindings: Sequence[Binding]) -> str:
    """The map as YAML, a line a binding; `parse_map` reads it."""
    lines = []
    for one in bindings:
        rest = {f.name: getattr(one, f.name) for f in fields(one)[3:] if getattr(one, f.name) != f.default}
        pairs = {one.kind: number_of(one), "address": one.address} | rest
        lines.append("- {" + ", ".join(f"{key}: {_yaml(value)}" for key, value in pairs.items()) + "}\n")
    return "".join(lines)


def _yaml(value: object) -> str:
    return str(value).lower() if isinstance(value, bool) else str(value)


def parse_map(text: str, decks: int = DECKS) -> tuple[Binding, ...]:
    """The bindings in a YAML list. Raises MidiError with the number of the line that is wrong."""
    try:
        lines = yaml.safe_load(text) or []
    except yaml.YAMLError as error:
        raise MidiError(f"MIDI map is no YAML: {str(error).splitlines()[0]}") from None
    if not isinstance(lines, list):
        raise MidiError("MIDI map is a list, with lines such as - {note: 36, address: /segue/deck/1/continue}")
    known = addresses(decks=decks)
    return tuple(_binding(number, line, known) for number, line in enumerate(lines, 1))


def _binding(at: int, line: object, known: dict[str, tuple[Spec, int | None]]) -> Binding:
    if not isinstance(line, dict) or len(set(KINDS) & set(line)) != 1:
        raise MidiError(f"MIDI map, entry {at}: has to name a note or a control or a program, got {line!r:.80}")
    rest = [f.name for f in fields(Binding)[2:]]
    unknown = set(line) - {*KINDS, *rest}
    if unknown:
        raise MidiError(f"MIDI map, entry {at}: no key {sorted(map(str, unknown))[0]}; {' '.join((*KINDS, *rest))} are")
    kind = next(name for name in KINDS if name in line)
    anyone = kind == "program" and line[kind] == "any"
    if not anyone:
        _whole(at, kind, line[kind], 0, 127)
    if "channel" in line:
        _whole(at, "channel", line["channel"], 1, 16)
    for key in ("low", "high"):
        if isinstance(line.get(key, 0), bool) or not isinstance(line.get(key, 0), (int, float)):
            raise MidiError(f"MIDI map, entry {at}: {key} is a number, got {line[key]!r:.40}")
    _choice(at, line, "way", WAYS)
    _choice(at, line, "takeover", TAKEOVERS)
    _choice(at, line, "momentary", (True, False))
    address = line.get("address")
    if not isinstance(address, str) or address not in known:
        raise MidiError(f"MIDI map, entry {at}: unknown address {address!r:.80}; segue commands lists them")
    if line.get("way", "absolute") != "absolute" and (kind != "control" or known[address][0].kind is not Kind.VALUE):
        raise MidiError(f"MIDI map, entry {at}: {line['way']} is for a controller of a value, got {kind} of {address}")
    if line.get("way") == "fine" and line[kind] >= FINE:
        raise MidiError(f"MIDI map, entry {at}: fine needs a controller from 0 to {FINE - 1}, got {line[kind]}")
    return Binding(kind, ANY if anyone else line[kind], **{name: line[name] for name in rest if name in line})


def _choice(at: int, line: dict[str, object], key: str, allowed: Sequence[object]) -> None:
    if key in line and not any(line[key] is one or (line[key] == one and isinstance(one, str)) for one in allowed):
        shown = " ".join(_yaml(one) for one in allowed)
        raise MidiError(f"MIDI map, entry {at}: {key} is one of {shown}, got {line[key]!r:.40}")


def _whole(at: int, key: str, value: object, low: int, high: int) -> None:
    if isinstance(value, bool) or not isinstance(value, int) or not low <= value <= high:
        raise MidiError(f"MIDI map, entry {at}: {key} is a whole number from {low} to {high}, got {value!r:.40}")
