"""One deck of a server, for the client that waits and for the one that does not: options become messages."""

from __future__ import annotations

import itertools
from typing import Any, Protocol

from .methods import DeckMethods


class Owner(Protocol):
    """What a deck needs of its client."""

    def send(self, address: str, *args: Any, at: float | None = None) -> None:
        """Send one message, tagged with unix seconds if `at` is given."""

    def new_job(self, address: str) -> int:
        """A number for a job of a verb."""

    def set_or_ask(self, address: str, value: Any) -> Any:
        """Set a value, or ask for it where it is None."""


class Deck(DeckMethods):
    """`deck.continue_(beats=8)`, `deck.gain(0.5)`, `deck.gain()`; the last is awaited with an `AsyncClient`."""

    def __init__(self, client: Owner, number: int) -> None:
        self.client, self.number = client, number

    def send(self, name: str, *args: Any, at: float | None = None) -> None:
        """Send to an address of this deck by its last part."""
        self.client.send(f"/segue/deck/{self.number}/{name}", *args, at=at)

    def _take(self, verb: str, /, **options: Any) -> int:
        if options.get("id") is None:
            options["id"] = self.client.new_job(f"/segue/deck/{self.number}/{verb}")
        self._verb(verb, **options)
        return int(options["id"])

    def _verb(self, verb: str, /, *args: Any, **options: Any) -> None:
        pairs = [(name.rstrip("_"), value) for name, value in options.items() if value is not None]
        self.send(verb, *given(args), *itertools.chain.from_iterable(pairs))

    def _value(self, name: str, value: Any) -> Any:
        return self.client.set_or_ask(f"/segue/deck/{self.number}/{name}", value)


def given(args: tuple[Any, ...]) -> tuple[Any, ...]:
    """The arguments that are not None."""
    return tuple(arg for arg in args if arg is not None)
