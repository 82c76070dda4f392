"""MIDI bytes to Commands. Remembers where faders and values stand; knows no ports.

Called from the threads of MIDI inputs, one at a time each; `told` from the event loop. What they share are dictionaries that are
only ever set as a whole or by one key.
"""

from __future__ import annotations

from collections.abc import Sequence

from segue.server.commands import DECKS, ROOT, Arg, Command, Kind, Value, addresses
from segue.server.control.midi_map import ANY, CHANNEL_MODE, FINE, Binding

NEAR = 1.5 / 127  # of the way: a fader this near to its value has reached it
NOTE_OFF, NOTE_ON, CONTROL, PROGRAM = 0x80, 0x90, 0xB0, 0xC0


class Translator:
    """One map, and the state of what is bound."""

    def __init__(self, bindings: Sequence[Binding], decks: int = DECKS) -> None:
        self._specs = addresses(decks=decks)
        self._values = {a: spec.args[0].default for a, (spec, _) in self._specs.items() if spec.kind is Kind.VALUE}
        self._at: dict[Binding, float] = {}  # where a fader stood last, 0 to 1
        self._caught: set[Binding] = set()  # faders that have their value in hand
        self._coarse: dict[tuple[int, int], int] = {}  # upper seven bits, by controller and channel
        self.bindings: tuple[Binding, ...] = ()
        self.use(bindings)

    def use(self, bindings: Sequence[Binding]) -> None:
        """Another map from now on."""
        table: dict[tuple[str, int], list[Binding]] = {}
        for one in bindings:
            table.setdefault((one.kind, one.number), []).append(one)
            if one.way == "fine":
                table.setdefault(("fine", one.number + FINE), []).append(one)
        self._bindings, self.bindings = table, tuple(bindings)
        self._caught, self._at = set(), {}

    def told(self, address: str, value: Value) -> None:
        """A value was set by somebody else: faders that had it in hand have lost it."""
        if self._values.get(address) != value:
            self._values[address] = value
            self._caught = {one for one in self._caught if one.address != address}

    def commands(self, message: Sequence[int], sender: str = "", arrival: float | None = None) -> list[Command]:
        """What a message asks for: (1,) presses, (0,) lets go, as a button over OSC would; a controller of a value sets it."""
        heard = read(message)
        if heard is None:
            return []
        kind, number, channel, amount = heard
        made: list[Command] = []
        bound = [one for one in self._bindings.get((kind, number), ()) if one.channel in (None, channel)]
        if kind == "program" and not bound:
            bound = [one for one in self._bindings.get((kind, ANY), ()) if one.channel in (None, channel)]
        for one in bound:
            if kind == "program" and self._numbered(one):
                made.append(Command(one.address, (number,), None, sender, arrival))
            else:
                made += self._asked(one, amount, channel, sender, arrival)
        for one in self._bindings.get(("fine", number), ()) if kind == "control" else ():
            if one.channel in (None, channel):
                whole = self._coarse.get((one.number, channel), 0) << 7 | amount
                made += self._set(one, self._moved(one, whole / 16383), sender, arrival)
        return made

    def _numbered(self, one: Binding) -> bool:
        """Whether the address takes a number that the program is to be."""
        spec, _ = self._specs[one.address]
        return spec.kind is not Kind.VALUE and bool(spec.args) and spec.args[0].type == "i"

    def _asked(self, one: Binding, amount: int, channel: int, sender: str, arrival: float | None) -> list[Command]:
        spec, deck = self._specs[one.address]
        if spec.kind is Kind.VALUE and one.kind == "control":
            if one.way == "fine":
                self._coarse[one.number, channel] = amount
                return self._set(one, self._moved(one, (amount << 7) / 16383), sender, arrival)
            if one.way == "absolute":
                return self._set(one, self._moved(one, amount / 127), sender, arrival)
            return self._set(one, self._turned(one, spec.args[0], steps(one.way, amount)), sender, arrival)
        if spec.kind is Kind.VALUE:
            if one.momentary:
                return self._set(one, float(amount > 0), sender, arrival)
            return self._set(one, amount / 127, sender, arrival) if amount else []
        if one.momentary and not amount and spec.options and deck is not None:
            return [Command(f"{ROOT}/deck/{deck}/stop", (1,), None, sender, arrival)]
        if one.kind == "control":  # a pedal is down from 64 on
            return [Command(one.address, (int(one.number >= CHANNEL_MODE or amount >= 64),), None, sender, arrival)]
        return [Command(one.address, (int(amount > 0),), None, sender, arrival)]

    def _set(self, one: Binding, share: float | None, sender: str, arrival: float | None) -> list[Command]:
        arg = self._specs[one.address][0].args[0]
        if share is None or (arg.type == "s" and not arg.choices):  # no controller writes words
            return []
        value = scaled(one, arg, share)
        self._values[one.address] = value
        return [Command(one.address, (value,), None, sender, arrival)]

    def _moved(self, one: Binding, share: float) -> float | None:
        """Where a fader that now stands at a share puts its value; None while it waits for it."""
        before, self._at[one] = self._at.get(one), share
        if one.takeover == "jump" or one in self._caught:
            return share
        held = position(one, self._specs[one.address][0].args[0], self._values.get(one.address))
        crossed = before is not None and min(before, share) <= held <= max(before, share)
        if crossed or abs(share - held) <= NEAR:
            self._caught = self._caught | {one}
            return share
        if one.takeover == "cross" or before is None or before == share:
            return None
        if share > before:
            return held + (share - before) * (1 - held) / (1 - before)
        return held - (before - share) * held / before

    def _turned(self, one: Binding, arg: Arg, by: int) -> float | None:
        """Where an encoder puts its value: 127 steps are the whole way, and each is a choice where there are choices."""
        if not by:
            return None
        whole = max(1, len(arg.choices) - 1) if arg.choices else 127
        return min(1.0, max(0.0, position(one, arg, self._values.get(one.address)) + by / whole))


def read(message: Sequence[int]) -> tuple[str, int, int, int] | None:
    """Kind, number, channel from 1 on and amount of a channel message that can be bound; None for any other."""
    status = message[0] & 0xF0 if message else 0
    if status == PROGRAM and len(message) >= 2 and message[1] <= 127:
        return "program", message[1], (message[0] & 0x0F) + 1, 127
    if len(message) < 3 or max(message[1:3]) > 127 or status not in (NOTE_OFF, NOTE_ON, CONTROL):
        return None
    amount = 0 if status == NOTE_OFF else message[2]
    return "control" if status == CONTROL else "note", message[1], (message[0] & 0x0F) + 1, amount


def steps(way: str, amount: int) -> int:
    """How far a relative encoder was turned, clockwise positive."""
    if way == "offset":
        return amount - 64
    if way == "twos":
        return amount - 128 if amount >= 64 else amount
    return -(amount & 63) if amount & 64 else amount


def ends(one: Binding, arg: Arg) -> tuple[float, float]:
    """The values at the two ends of a binding's way."""
    low = one.low if one.low is not None else arg.low if arg.low is not None else 0.0
    high = one.high if one.high is not None else arg.high if arg.high is not None else 1.0
    return low, high


def scaled(one: Binding, arg: Arg, share: float) -> Value:
    """The value at a share of the way."""
    if arg.choices:
        return arg.choices[round(share * (len(arg.choices) - 1))]
    low, high = ends(one, arg)
    value = low + (high - low) * share
    return round(value) if arg.type in "ib" else value


def position(one: Binding, arg: Arg, value: Value) -> float:
    """The share of the way at which a value lies."""
    if arg.choices:
        return arg.choices.index(str(value)) / max(1, len(arg.choices) - 1) if value in arg.choices else 0.0
    low, high = ends(one, arg)
    if not isinstance(value, (int, float)) or high == low:
        return 0.0
    return min(1.0, max(0.0, (value - low) / (high - low)))
