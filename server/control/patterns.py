"""Addresses as they are sent, patterns among them, to the entries of the vocabulary that they mean."""

from __future__ import annotations

import difflib
import re
from collections.abc import Iterable, Mapping
from functools import lru_cache

from segue.server.binding import bind, is_release
from segue.server.commands import Command, CommandError, Spec, Value

Table = Mapping[str, tuple[Spec, int | None]]

MAX_LENGTH = 256  # characters of a pattern
MAX_STARS = 4  # `*` in one part of a pattern: a regular expression's time grows with this power of the part's length
_SPECIAL = frozenset("?*[]{}")
_DECK = re.compile(r"(.*/deck/)(\d{1,9})/[^/]+")


def is_pattern(address: str) -> bool:
    """Whether the address has wildcards of OSC 1.0 (`? * [] {}`) or 1.1 (`//`)."""
    return not _SPECIAL.isdisjoint(address) or "//" in address


def expand(address: str, table: Iterable[str]) -> list[str]:
    """The addresses of the table that this address or pattern means, in the table's order; none if it means none.

    Raises CommandError for a pattern that is malformed or would take too long.
    """
    if not is_pattern(address):
        return [address] if address in table else []
    matches = _compiled(address).fullmatch
    return [known for known in table if matches(known)]


def resolve(command: Command, table: Table) -> list[tuple[Spec, int | None, dict[str, Value]]]:
    """What a message asks for: spec, deck and bound arguments for every address that it means.

    A button let go asks for nothing: the list is empty. Raises CommandError: unknown-address, no-such-deck, bad-argument.
    """
    known = expand(command.address, table)
    if not known:
        raise _unknown(command.address, table)
    meant = (table[address] for address in known)
    return [(spec, deck, bind(spec, command.args)) for spec, deck in meant if not is_release(spec, command.args)]


@lru_cache(maxsize=512)
def _compiled(pattern: str) -> re.Pattern[str]:
    pattern = re.sub(r"\*+", "*", pattern)
    if len(pattern) > MAX_LENGTH or any(part.count("*") > MAX_STARS for part in pattern.split("/")) or pattern.count("//") > 2:
        raise _malformed(pattern, f"at most {MAX_LENGTH} characters, {MAX_STARS} stars a part and // twice are taken")
    out: list[str] = []
    at = 0
    while at < len(pattern):
        piece, at = _piece(pattern, at)
        out.append(piece)
    try:
        return re.compile("".join(out))
    except re.error:
        raise _malformed(pattern, "a range such as [z-a] runs backwards") from None


def _piece(pattern: str, at: int) -> tuple[str, int]:
    """The regular expression for what stands at pattern[at], and where the next piece begins."""
    char = pattern[at]
    if pattern.startswith("//", at):
        return "/(?:[^/]+/)*", at + 2
    if char in "?*":
        return "[^/]" + ("*" if char == "*" else ""), at + 1
    if char in "[{":
        end = pattern.find("]" if char == "[" else "}", at)
        if end < 0:
            raise _malformed(pattern, f"{char} is not closed")
        inside = pattern[at + 1 : end]
        return (_choice(inside) if char == "[" else _alternatives(inside)), end + 1
    return re.escape(char), at + 1


def _choice(inside: str) -> str:
    negated = inside.startswith("!")
    body = re.sub(r"[\\\[\]^&~|]", lambda m: "\\" + m[0], inside[negated:]).replace("--", r"-\-")  # no set operations
    if not body:
        return "[^/]" if negated else "(?!)"
    return f"(?!/)[{'^' if negated else ''}{body}]"


def _alternatives(inside: str) -> str:
    return f"(?:{'|'.join(map(re.escape, inside.split(',')))})"


def _malformed(pattern: str, sentence: str) -> CommandError:
    return CommandError("unknown-address", f"pattern {pattern[:64]} cannot be read: {sentence}")


def _unknown(address: str, table: Table) -> CommandError:
    decks = [deck for _, deck in table.values() if deck is not None]
    asked = _DECK.fullmatch(address)
    if asked and decks and int(asked[2]) not in decks:
        return CommandError("no-such-deck", f"there is no deck {int(asked[2])}: decks are {min(decks)} to {max(decks)}")
    if is_pattern(address):
        return CommandError("unknown-address", f"pattern {address[:64]} matches no address: segue commands lists them")
    return CommandError("unknown-address", f"unknown address {address[:64]}: {_advice(address[:64], tuple(table))}")


@lru_cache(maxsize=256)  # a sender that has it wrong has it wrong every time
def _advice(address: str, table: tuple[str, ...]) -> str:
    alike = [known for known in table if abs(len(known) - len(address)) <= 2]
    close = difflib.get_close_matches(address, alike, n=1, cutoff=0.8)
    return f"did you mean {close[0]}?" if close else "segue commands lists them"
