"""A MIDI controller as a whole: what it plays, what it learns and what it shows. On the event loop, but for `_takes`."""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import Callable, Sequence

from segue.server.commands import ROOT, Command, CommandError, Value
from segue.server.control.midi import MidiDoor
from segue.server.control.midi_learn import Learner
from segue.server.control.midi_lights import Lights
from segue.server.control.midi_map import Binding, MidiError, dump_map

Tell = Callable[[str, tuple[Value, ...]], None]


class Surface:
    """One server's MIDI."""

    def __init__(
        self,
        on_command: Callable[[Command], None],
        tell: Tell,
        *,
        ports: str,
        api: str | None,
        decks: int,
        file: str,
        on_clock: Callable[[bytes, float], None] | None,
        say: Callable[[str], None],
    ) -> None:
        """tell(address, args): tells every client. The others as for `MidiDoor`; on_command is called on the event loop.

        A map file that is wrong is said, and the default map is used.
        """
        self._loop = asyncio.get_running_loop()
        self._tell = tell
        try:
            self.learner = Learner(decks, file, self._use)
        except MidiError as error:
            say(f"{error}; the default map is used")
            self.learner = Learner(decks, "", self._use)
        self._lights = Lights(self.learner.bindings, decks)
        self._door = MidiDoor(
            lambda command: self._soon(on_command, command),
            self.learner.bindings,
            ports=ports,
            api=api,
            decks=decks,
            on_clock=on_clock,
            say=say,
            takes=self._takes,
            on_output=lambda: self._soon(self._show),
        )

    def open(self) -> None:
        """Opens the ports."""
        self._door.open()

    def close(self) -> None:
        """Closes them, dark."""
        self._door.close()

    def news(self, address: str, args: Sequence[Value], by: str = "") -> None:
        """The server has told something; by: who set it, if anybody."""
        if args and not by.startswith("midi:"):
            self._door.translator.told(address, args[0])
        messages = self._lights.news(address, args)
        if messages:
            self._door.send(messages)

    def learn(self, address: str) -> None:
        """Bind the next message to an address; nothing ends that. Raises CommandError."""
        try:
            self.learner.want(address)
        except MidiError as error:
            raise CommandError("unknown-address", str(error)) from None

    def text(self, text: str | None) -> str:
        """The map, after it has been set to a text. Raises CommandError."""
        if text is not None:
            try:
                self.learner.set_text(text)
            except MidiError as error:
                raise CommandError("bad-argument", str(error)) from None
        return dump_map(self.learner.bindings)

    def _takes(self, message: Sequence[int]) -> bool:
        made = self.learner.hear(message)
        if made is not None:
            self._soon(self._learnt, made)
        return made is not None

    def _learnt(self, made: Binding) -> None:
        what = f"{made.kind} {made.number} channel {made.channel}"
        try:
            self.learner.add(made)
        except MidiError as error:
            what = f"{what}; {error}"
        self._tell(f"{ROOT}/midi/learned", (made.address, what))

    def _use(self, bindings: Sequence[Binding]) -> None:
        self._door.translator.use(bindings)
        self._lights.use(bindings)

    def _show(self) -> None:
        self._door.send(self._lights.all())

    def _soon(self, what: Callable[..., None], *args: object) -> None:
        with contextlib.suppress(RuntimeError):  # the loop is closed: the server ends
            self._loop.call_soon_threadsafe(what, *args)
