"""The vocabulary as plain data, one entry an address: what `segue commands --json` prints and every projection reads."""

from __future__ import annotations

from collections.abc import Sequence

from segue.server.commands import SPECS, Arg, Spec

TYPES = {"i": "int", "f": "float", "s": "string", "b": "bool", "h": "int64", "d": "double"}


def table(specs: Sequence[Spec] = SPECS) -> list[dict[str, object]]:
    """address, types, args, options, access, reply, kind and doc of every address; `{deck}` stands for a deck's number."""
    return [entry(spec) for spec in specs]


def entry(spec: Spec) -> dict[str, object]:
    """One address as plain data. `args` are positional, `options` come as name and value."""
    return {
        "address": spec.address,
        "types": spec.types,
        "args": [argument(arg) for arg in spec.args],
        "options": [argument(arg) for arg in spec.options],
        "access": spec.access,
        "reply": spec.reply,
        "kind": spec.kind.value,
        "doc": spec.doc,
    }


def argument(arg: Arg) -> dict[str, object]:
    """name, type, unit, range, default; range is the choices of a text, else low and high, null where there is no bound."""
    return {
        "name": arg.name,
        "type": TYPES[arg.type],
        "unit": arg.unit,
        "range": list(arg.choices) if arg.choices else [arg.low, arg.high],
        "default": arg.default,
        "required": arg.required,
        "doc": arg.doc,
    }
