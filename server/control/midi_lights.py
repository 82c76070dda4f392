"""What a controller shows: pads light with what their verbs do, faders and rings follow their values. Pure."""

from __future__ import annotations

from collections.abc import Sequence

from segue.server.commands import DECKS, ROOT, Kind, Value, addresses
from segue.server.control.midi_map import FINE, Binding
from segue.server.control.midi_translate import CONTROL, NOTE_ON, position

OFF, COMING, PLAYING = 0, 64, 127  # velocities: dark, half, full, in whatever colours the controller has
_COMING = frozenset({"queued", "running", "ready", "armed", "late"})


class Lights:
    """From the server's news to MIDI messages; only what has changed is said."""

    def __init__(self, bindings: Sequence[Binding], decks: int = DECKS) -> None:
        self._specs = addresses(decks=decks)
        self._jobs: dict[int, tuple[int, str, str]] = {}  # deck, verb, state
        self._state: dict[int, str] = {}
        self._next: dict[int, str] = {}
        self._shown: dict[tuple[int, int], int] = {}
        self.use(bindings)

    def use(self, bindings: Sequence[Binding]) -> None:
        """Another map from now on."""
        self._bindings = tuple(bindings)
        self._shown.clear()

    def news(self, address: str, args: Sequence[Value]) -> list[bytes]:
        """What to send after the server has told this."""
        parts = address.split("/")
        if address == f"{ROOT}/job" and len(args) >= 4:
            self._job(int(args[0] or 0), int(args[1] or 0), str(args[2]), str(args[3]))
            return self._pads()
        if len(parts) == 5 and parts[2] == "deck" and parts[4] in ("state", "next") and args:
            (self._state if parts[4] == "state" else self._next)[int(parts[3])] = str(args[0])
            return self._pads()
        spec = self._specs.get(address, (None, None))[0]
        if spec is None or spec.kind is not Kind.VALUE or not args:
            return []
        return self._values(address, args[0])

    def all(self) -> list[bytes]:
        """Everything as it is, for a controller that has just been plugged in."""
        known, self._shown = self._shown, {}
        rest = [bytes((status, number, amount)) for (status, number), amount in known.items() if status & 0xF0 == CONTROL]
        self._shown = {key: amount for key, amount in known.items() if key[0] & 0xF0 == CONTROL}
        return [*self._pads(), *rest]

    def _job(self, number: int, deck: int, verb: str, state: str) -> None:
        if state == "playing" or state in _COMING:
            self._jobs[number] = (deck, verb, state)
        else:
            self._jobs.pop(number, None)

    def _pads(self) -> list[bytes]:
        out: list[bytes] = []
        for one in self._bindings:
            spec, deck = self._specs[one.address]
            if one.kind == "note" and spec.kind is Kind.VERB and deck is not None:
                out += self._say(NOTE_ON, one, one.number, self._light(deck, spec.name))
        return out

    def _light(self, deck: int, verb: str) -> int:
        if verb == "stop":
            return OFF if self._state.get(deck, "dry") == "dry" else PLAYING
        states = {state for where, what, state in self._jobs.values() if (where, what) == (deck, verb)}
        if "playing" in states:
            return PLAYING
        return COMING if states or self._next.get(deck) == verb else OFF

    def _values(self, address: str, value: Value) -> list[bytes]:
        out: list[bytes] = []
        for one in self._bindings:
            if one.address == address and one.kind == "control":
                share = position(one, self._specs[address][0].args[0], value)
                whole = round(share * 16383)
                out += self._say(CONTROL, one, one.number, whole >> 7 if one.way == "fine" else round(share * 127))
                if one.way == "fine":
                    out += self._say(CONTROL, one, one.number + FINE, whole & 127)
        return out

    def _say(self, status: int, one: Binding, number: int, amount: int) -> list[bytes]:
        key = (status | (one.channel or 1) - 1, number)
        if self._shown.get(key, OFF if status == NOTE_ON else -1) == amount:
            return []
        self._shown[key] = amount
        return [bytes((*key, amount))]
