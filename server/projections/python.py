"""The verbs and values as typed Python methods: the part of the Python client that is made from the vocabulary."""

from __future__ import annotations

import keyword
import textwrap
from collections.abc import Sequence

from segue.server.commands import ROOT, SPECS, Arg, Kind, Spec

_PYTHON = {"i": "int", "f": "float", "s": "str", "b": "bool", "h": "int", "d": "float"}
BY_HAND = {"ping", "notify", "status", "jobs"}  # answered in a form of their own; they stand in client.py

_HEAD = '''"""The server's addresses as methods: made by `python -m segue.server.projections`, not by hand."""

from __future__ import annotations

from typing import Any

REPLIES = {{
{replies}
}}
'''

_DECK = '''

class DeckMethods:
    """Verbs and values of one deck. A verb that makes a take returns the number of its job."""

    def _take(self, verb: str, /, **options: Any) -> int:
        raise NotImplementedError

    def _verb(self, verb: str, /, *args: Any, **options: Any) -> None:
        raise NotImplementedError

    def _value(self, name: str, value: Any) -> Any:
        raise NotImplementedError
'''

_SERVER = '''

class ServerMethods:
    """Values and actions of the server."""

    def _action(self, name: str, *args: Any) -> None:
        raise NotImplementedError

    def _asked(self, name: str, *args: Any) -> tuple[Any, ...]:
        raise NotImplementedError

    def _value(self, name: str, value: Any) -> Any:
        raise NotImplementedError
'''


def module(specs: Sequence[Spec] = SPECS) -> str:
    """The text of clients/python/methods.py."""
    received = [spec for spec in specs if spec.kind is not Kind.EVENT]
    moved = (
        f'    "{spec.address}": "{spec.reply}",'
        for spec in received
        if spec.reply not in ("", spec.address) and not spec.per_deck
    )
    deck = [_method(spec) for spec in received if spec.per_deck]
    server = [_method(spec) for spec in received if not spec.per_deck and spec.name not in BY_HAND]
    return _HEAD.format(replies="\n".join(moved)) + _DECK + "".join(deck) + _SERVER + "".join(server)


def _method(spec: Spec) -> str:
    if spec.kind is Kind.VALUE:
        name = _python(spec.args[0].name)
        return _text(spec, [f"{name}: {_PYTHON[spec.args[0].type]} | None = None"], "Any", "return self._value", [name])
    parameters = [_parameter(arg) for arg in spec.args] + ["*"] * bool(spec.options) + [_parameter(arg) for arg in spec.options]
    passed = [_python(arg.name) for arg in spec.args] + [f"{_python(arg.name)}={_python(arg.name)}" for arg in spec.options]
    if spec.kind is Kind.ACTION and spec.reply:
        return _text(spec, parameters, "tuple[Any, ...]", "return self._asked", passed)
    if spec.kind is Kind.ACTION:
        return _text(spec, parameters, "None", "self._action", passed)
    if any(option.name == "seed" for option in spec.options):
        return _text(spec, parameters, "int", "return self._take", passed)
    return _text(spec, parameters, "None", "self._verb", passed)


def _text(spec: Spec, parameters: Sequence[str], result: str, call: str, passed: Sequence[str]) -> str:
    quoted = f'"{_path(spec)}"'
    return (
        f"\n    def {_python(_path(spec).replace('/', '_'))}({_listed(['self', *parameters], 4)}) -> {result}:\n"
        f'        """{_wrapped(spec.doc[0].upper() + spec.doc[1:])}."""\n'
        f"        {call}({_listed([quoted, *passed], 8)})\n"
    )


def _wrapped(doc: str) -> str:
    """A sentence over as many lines as it needs."""
    return "\n        ".join(textwrap.wrap(doc, 110))


def _path(spec: Spec) -> str:
    """An address below the server, or below its deck."""
    return spec.address.removeprefix(f"{ROOT}/").removeprefix("deck/{deck}/")


def _listed(parts: Sequence[str], indent: int) -> str:
    """Few on one line, many on a line each, as the formatter would have it."""
    if len(parts) <= 4:
        return ", ".join(parts)
    return "\n" + "".join(f"{' ' * (indent + 4)}{part},\n" for part in parts) + " " * indent


def _parameter(arg: Arg) -> str:
    kind = _PYTHON[arg.type]
    return f"{_python(arg.name)}: {kind}" if arg.required else f"{_python(arg.name)}: {kind} | None = None"


def _python(name: str) -> str:
    return name + "_" if keyword.iskeyword(name) else name
