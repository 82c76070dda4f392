"""The vocabulary as an OSCQuery tree; pure. `CONTENTS TYPE ACCESS VALUE RANGE DESCRIPTION UNIT`, and what the server is."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence
from typing import Any

from segue.server.commands import SPECS, Arg, Kind, Spec, Value

Node = dict[str, Any]
Values = Callable[[str], Sequence[Value] | None]

ATTRIBUTES = ("FULL_PATH", "CONTENTS", "TYPE", "ACCESS", "VALUE", "RANGE", "DESCRIPTION", "UNIT", "OPTIONS")
_ACCESS = {"r": 1, "w": 2, "rw": 3}


class QueryError(LookupError):
    """A path or an attribute that is not there; `missing` is `path` or `attribute`."""

    def __init__(self, missing: str) -> None:
        super().__init__(missing)
        self.missing = missing


class Tree:
    """Every address that the server answers or sends, by path."""

    def __init__(self, specs: Iterable[Spec] = SPECS, decks: int = 1, values: Values = lambda address: None) -> None:
        """values(address): what it is at present, None where it cannot be read."""
        self._values = values
        self._root = _container("/", "the server")
        self.limits: dict[str, float] = {}  # the highest value of an address's argument, where that changes
        self.addresses: dict[str, Spec] = {}
        for spec in specs:
            for number in range(1, decks + 1) if spec.per_deck else (0,):
                self._add(spec.address.format(deck=number), spec)

    def ask(self, path: str, attribute: str = "") -> Node | None:
        """A node with all below it, or one attribute of it: None where the node has none such. Raises QueryError."""
        node = self._find(path)
        if not attribute:
            return self._filled(node)
        if attribute not in ATTRIBUTES:
            raise QueryError("attribute")
        filled = self._filled(node, attribute == "CONTENTS")
        return {attribute: filled[attribute]} if attribute in filled else None

    def value(self, address: str) -> Sequence[Value] | None:
        """What an address is at present."""
        return self._values(address)

    def _find(self, path: str) -> Node:
        node = self._root
        for part in path.strip("/").split("/") if path.strip("/") else ():
            try:
                node = node["CONTENTS"][part]
            except KeyError:
                raise QueryError("path") from None
        return node

    def _filled(self, node: Node, deep: bool = True) -> Node:
        filled = dict(node)
        address = node["FULL_PATH"]
        if address in self.addresses and node["ACCESS"] & 1:
            value = self._values(address)
            if value is not None:
                filled["VALUE"] = [None if isinstance(v, bytes) else v for v in value]
        if address in self.limits:
            filled["RANGE"] = [{**node["RANGE"][0], "MAX": self.limits[address]}]
        if deep and "CONTENTS" in node:
            filled["CONTENTS"] = {name: self._filled(below) for name, below in node["CONTENTS"].items()}
        return filled

    def _add(self, address: str, spec: Spec) -> None:
        node = self._root
        *parents, name = address.strip("/").split("/")
        path = ""
        for part in parents:
            path += f"/{part}"
            node = node.setdefault("CONTENTS", {}).setdefault(part, _container(path, _told(part)))
        old = node.setdefault("CONTENTS", {}).get(name)
        if old is None or "TYPE" not in old:
            node["CONTENTS"][name] = (old or {}) | leaf(address, spec)
            self.addresses[address] = spec
        else:  # asked and told at one address: the answer is what it is
            old["ACCESS"] |= _ACCESS[spec.access]


def leaf(address: str, spec: Spec) -> Node:
    """One address as OSCQuery has it; without its value."""
    args = spec.args or (() if spec.kind is not Kind.EVENT else spec.returns)
    node: Node = {"FULL_PATH": address, "ACCESS": _ACCESS[spec.access], "DESCRIPTION": spec.doc}
    node["TYPE"] = spec.types or ("" if spec.kind is Kind.EVENT else "I")  # a button is an impulse
    if any(_range(arg) for arg in args):
        node["RANGE"] = [_range(arg) for arg in args]
    if any(arg.unit for arg in args):
        node["UNIT"] = [arg.unit for arg in args]
    if spec.options:
        node["OPTIONS"] = [_option(arg) for arg in spec.options]
    return node


def host_info(name: str, port: int) -> Node:
    """The answer to `?HOST_INFO`."""
    extensions = {name: True for name in (*ATTRIBUTES[2:8], "LISTEN", "IGNORE", "PATH_CHANGED", "OSC_STREAMING")}
    return {"NAME": name, "OSC_PORT": port, "OSC_TRANSPORT": "UDP", "WS_PORT": port, "EXTENSIONS": extensions}


def _container(path: str, doc: str) -> Node:
    return {"FULL_PATH": path, "ACCESS": 0, "DESCRIPTION": doc, "CONTENTS": {}}


def _told(part: str) -> str:
    return f"deck {part}" if part.isdigit() else {"deck": "the decks"}.get(part, part)


def _range(arg: Arg) -> Mapping[str, object] | None:
    if arg.choices:
        return {"VALS": list(arg.choices)}
    if arg.type == "b":
        return {"VALS": [0, 1]}
    bounds = {"MIN": arg.low, "MAX": arg.high}
    return {name: bound for name, bound in bounds.items() if bound is not None} or None


def _option(arg: Arg) -> Node:
    return {
        "NAME": arg.name,
        "TYPE": "i" if arg.type == "b" else arg.type,
        "RANGE": _range(arg),
        "UNIT": arg.unit,
        "DESCRIPTION": arg.doc,
    }
