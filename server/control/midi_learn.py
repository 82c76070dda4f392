"""Learning: the next thing that moves on a controller is bound to an address, and the map is kept in its file."""

from __future__ import annotations

import contextlib
from collections.abc import Callable, Sequence
from pathlib import Path

from segue.server.commands import addresses
from segue.server.control.midi_map import ANY, Binding, MidiError, default_map, dump_map, learnt, parse_map
from segue.server.control.midi_translate import read

MAX_BINDINGS = 1024


class Learner:
    """The map that is in use. Messages come from MIDI threads, everything else from the event loop."""

    def __init__(self, decks: int, file: str, use: Callable[[Sequence[Binding]], None]) -> None:
        """file: where the map is kept, or nothing. use(bindings): told every new map. Raises MidiError for a bad file."""
        self._known, self._decks, self._file, self._use = addresses(decks=decks), decks, file, use
        self._wanted = ""
        text = ""
        if file:
            with contextlib.suppress(FileNotFoundError):
                text = read_map(file)
        self.bindings = parse_map(text, decks) if text else default_map(decks)

    def want(self, address: str) -> None:
        """Bind the next message to an address; nothing ends that. Raises MidiError for an address that is not there."""
        if address and address not in self._known:
            raise MidiError(f"no address {address[:64]} to be learnt: segue commands lists them")
        self._wanted = address

    def hear(self, message: Sequence[int]) -> Binding | None:
        """The binding that a message makes, where one is wanted; the message is then not to be carried out."""
        heard = read(message) if self._wanted else None
        if heard is None or (heard[0] == "note" and not heard[3]):
            return None
        address, self._wanted = self._wanted, ""
        return learnt(heard[0], heard[1], address, heard[2])

    def add(self, made: Binding) -> None:
        """Takes a binding in, in place of those of the same message and of the same address on such a message."""

        def same(one: Binding) -> bool:
            moved = (one.kind, one.number) == (made.kind, made.number) and one.channel in (None, made.channel)
            return moved or ((one.address, one.kind) == (made.address, made.kind) and one.number != ANY)

        self.replace((*[one for one in self.bindings if not same(one)], made))

    def set_text(self, text: str) -> None:
        """Another map. Raises MidiError."""
        self.replace(parse_map(text, self._decks))

    def replace(self, bindings: Sequence[Binding]) -> None:
        """Uses other bindings, and keeps them. Raises MidiError for too many, or a file that cannot be written."""
        if len(bindings) > MAX_BINDINGS:
            raise MidiError(f"a MIDI map has at most {MAX_BINDINGS} entries, got {len(bindings)}")
        self.bindings = tuple(bindings)
        self._use(self.bindings)
        if self._file:
            path = Path(self._file)
            try:
                path.with_name(path.name + ".new").write_text(dump_map(bindings), encoding="utf-8")
                path.with_name(path.name + ".new").replace(path)
            except OSError as error:
                raise MidiError(f"the MIDI map is in use, but {path} cannot be written: {error.strerror}") from None


def read_map(file: str) -> str:
    """The text of a map file. Raises MidiError, and FileNotFoundError where there is none."""
    try:
        return Path(file).read_text(encoding="utf-8")
    except FileNotFoundError:
        raise
    except (OSError, UnicodeDecodeError) as error:
        raise MidiError(f"MIDI map {file} cannot be read: {error}") from None
