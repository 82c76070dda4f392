"""What the name of a clip or scene asks for: `Drop [segue 2 vary k 0.5 then scene 4]`."""

from __future__ import annotations

import re
from dataclasses import dataclass
from typing import Any

from .methods import DeckMethods
from .wire import SegueError, parsed

_TAG = re.compile(r"\[segue\b([^\]]*)\]", re.IGNORECASE)
_WHEN = {"with": "playing", "then": "done"}


@dataclass(frozen=True)
class Follow:
    """A launch in Live when the take is that far: state is playing or done; what is scene or clip; where counts from 0."""

    state: str
    what: str
    where: tuple[int, ...]


@dataclass(frozen=True)
class Launch:
    """A message for the server. deck: 0 for what is of no deck. take: whether it begins a job, which can be followed."""

    address: str
    args: tuple[Any, ...] = ()
    deck: int = 0
    take: bool = False
    follows: tuple[Follow, ...] = ()


def launches(name: str) -> tuple[Launch, ...]:
    """All that stands in square brackets after the word segue. Raises SegueError for what cannot be meant."""
    return tuple(_launch(name, text.split()) for text in _TAG.findall(name))


def _launch(name: str, words: list[str]) -> Launch:
    follows: list[Follow] = []
    while at := max((n for n, word in enumerate(words) if word in _WHEN), default=0):
        follows.insert(0, _follow(name, words[at], words[at + 1 :]))
        words = words[:at]
    deck = int(words.pop(0)) if words and words[0].isdigit() else 1
    if not words:
        raise SegueError(f"{name!r}: [segue ...] needs a verb, such as [segue continue beats 8]")
    what, args = words[0], tuple(map(parsed, words[1:]))
    method = getattr(DeckMethods, what, None) or getattr(DeckMethods, f"{what}_", None)
    take = method is not None and method.__annotations__["return"] == "int"
    if follows and not take:
        raise SegueError(f"{name!r}: `then` and `with` follow a verb that makes a take, and {what} makes none")
    if method is None:
        return Launch(f"/segue/{what}", args)
    return Launch(f"/segue/deck/{deck}/{what}", args, deck, take, tuple(follows))


def _follow(name: str, when: str, rest: list[str]) -> Follow:
    wanted = {"scene": 1, "clip": 2}.get(rest[0] if rest else "")
    numbers = [word for word in rest[1:] if word.isdigit() and int(word) > 0]
    if wanted is None or len(numbers) != wanted or len(rest) != wanted + 1:
        raise SegueError(f"{name!r}: after `{when}` comes `scene 4`, or `clip 2 4` with its track first, counted from 1")
    return Follow(_WHEN[when], rest[0], tuple(int(number) - 1 for number in numbers))
