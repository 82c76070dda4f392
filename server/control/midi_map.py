"""The MIDI map: which note or controller stands for which address, and the Commands that a message makes."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import yaml

from segue.server.commands import DECKS, ROOT, Arg, Command, Kind, Spec, Value, addresses

CHANNEL_MODE = 120  # controllers from here on are channel mode messages (MIDI 1.0): they act whatever their value
NOTE_VERBS = ("continue", "transition", "infill", "vary", "loop", "style", "generate", "stop")
FIRST_NOTE = 36  # the lowest pad of most controllers; a deck has eight
CONTROL_VALUES = (("gain", 0.0, 1.0), ("k", 0.0, 1.0), ("xi", 0.0, 0.3), ("beats", 1.0, 32.0))
FIRST_CONTROL = 20  # 20 to 31 are undefined in MIDI 1.0, free to use
ALL_SOUND_OFF, ALL_NOTES_OFF = 120, 123
_NOTE_OFF, _NOTE_ON, _CONTROL = 0x80, 0x90, 0xB0


class MidiError(ValueError):
    """A MIDI map that cannot be used; str() is a sentence."""


@dataclass(frozen=True)
class Binding:
    """One line of the map. kind is note or control, channel 1 to 16 or None for all; low and high are the values at 0 and 127."""

    kind: str
    number: int
    address: str
    channel: int | None = None
    low: float | None = None
    high: float | None = None


def default_map(decks: int = DECKS) -> tuple[Binding, ...]:
    """Eight notes and four controllers a deck from 36 and 20 on; "all sound off" and "all notes off" are panic."""
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
    return (*notes, *controls, *(Binding("control", number, f"{ROOT}/panic") for number in (ALL_SOUND_OFF, ALL_NOTES_OFF)))


def dump_map(bindings: Sequence[Binding]) -> str:
    """The map as YAML, a line a binding; `parse_map` reads it."""
    lines = []
    for one in bindings:
        extras = {"channel": one.channel, "low": one.low, "high": one.high}
        pairs = {one.kind: one.number, "address": one.address} | {k: v for k, v in extras.items() if v is not None}
        lines.append("- {" + ", ".join(f"{key}: {value}" for key, value in pairs.items()) + "}\n")
    return "".join(lines)


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
    if not isinstance(line, dict) or len({"note", "control"} & set(line)) != 1:
        raise MidiError(f"MIDI map, entry {at}: has to name a note or a control, got {line!r:.80}")
    unknown = set(line) - {"note", "control", "address", "channel", "low", "high"}
    if unknown:
        raise MidiError(f"MIDI map, entry {at}: no key {sorted(map(str, unknown))[0]}; note control address channel low high are")
    kind = "note" if "note" in line else "control"
    _whole(at, kind, line[kind], 0, 127)
    if "channel" in line:
        _whole(at, "channel", line["channel"], 1, 16)
    for key in ("low", "high"):
        if not isinstance(line.get(key, 0), (int, float)):
            raise MidiError(f"MIDI map, entry {at}: {key} is a number, got {line[key]!r:.40}")
    if line.get("address") not in known:
        raise MidiError(f"MIDI map, entry {at}: unknown address {line.get('address')!r:.80}; segue commands lists them")
    return Binding(kind, line[kind], line["address"], line.get("channel"), line.get("low"), line.get("high"))


def _whole(at: int, key: str, value: object, low: int, high: int) -> None:
    if not isinstance(value, int) or not low <= value <= high:
        raise MidiError(f"MIDI map, entry {at}: {key} is a whole number from {low} to {high}, got {value!r:.40}")


class Translator:
    """MIDI bytes to Commands; pure."""

    def __init__(self, bindings: Sequence[Binding], decks: int = DECKS) -> None:
        self._specs = addresses(decks=decks)
        self._bindings: dict[tuple[str, int], list[Binding]] = {}
        for one in bindings:
            self._bindings.setdefault((one.kind, one.number), []).append(one)

    def commands(self, message: Sequence[int], sender: str = "", arrival: float | None = None) -> list[Command]:
        """What a message asks for: (1,) presses, (0,) lets go, as a button over OSC would; a controller of a value sets it."""
        if len(message) < 3 or max(message[1:3]) > 127 or message[0] & 0xF0 not in (_NOTE_OFF, _NOTE_ON, _CONTROL):
            return []
        status, channel = message[0] & 0xF0, (message[0] & 0x0F) + 1
        kind = "control" if status == _CONTROL else "note"
        amount = 0 if status == _NOTE_OFF else message[2]
        return [
            Command(one.address, (self._value(one, amount),), None, sender, arrival)
            for one in self._bindings.get((kind, message[1]), ())
            if one.channel in (None, channel)
        ]

    def _value(self, one: Binding, amount: int) -> Value:
        spec = self._specs[one.address][0]
        if spec.kind is Kind.VALUE:
            return _scaled(one, spec.args[0], amount)
        if one.kind == "control":
            return int(one.number >= CHANNEL_MODE or amount >= 64)  # a pedal is down from 64 on
        return int(amount > 0)


def _scaled(one: Binding, arg: Arg, amount: int) -> Value:
    share = amount / 127
    if arg.choices:
        return arg.choices[round(share * (len(arg.choices) - 1))]
    low = one.low if one.low is not None else arg.low if arg.low is not None else 0.0
    high = one.high if one.high is not None else arg.high if arg.high is not None else 1.0
    value = low + (high - low) * share
    return round(value) if arg.type in "ib" else value
