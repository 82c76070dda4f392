"""As much of Max as the patches here use: boxes pass messages on as their reference pages say, depth first, right to left."""

from __future__ import annotations

import re
from typing import Any

Atoms = list[Any]  # one message: numbers and words; a bang is ["bang"]


def atoms(text: str) -> Atoms:
    """Words and numbers of a box's text."""
    return [_atom(word) for word in text.split()]


def _atom(word: str) -> Any:
    for kind in (int, float):
        try:
            return kind(word)
        except ValueError:
            continue
    return word


class Machine:
    """A patcher that runs. sent: what reached `udpsend`. lit: the last message of each lamp, by the box's id."""

    def __init__(self, patcher: dict[str, Any], outer: Machine | None = None, box: str = "") -> None:
        self._outer, self._box = outer, box
        self.boxes = {one["box"]["id"]: one["box"] for one in patcher["boxes"]}
        self._wires: dict[tuple[str, int], list[tuple[str, int]]] = {}
        for line in patcher["lines"]:
            source, target = line["patchline"]["source"], line["patchline"]["destination"]
            self._wires.setdefault((source[0], source[1]), []).append((target[0], target[1]))
        self._inner = {name: Machine(one["patcher"], self, name) for name, one in self.boxes.items() if "patcher" in one}
        self._kept: dict[str, Any] = {}
        self.sent: list[Atoms] = []
        self.lit: dict[str, Any] = {}

    def named(self, text: str) -> str:
        """The one box whose text begins so."""
        (found,) = (name for name, one in self.boxes.items() if one.get("text", "").startswith(text))
        return str(found)

    def out(self, box: str, message: Atoms, outlet: int = 0) -> None:
        """A box sends; it reaches everything that is wired there, from right to left."""
        targets = self._wires.get((box, outlet), [])
        for target, inlet in sorted(targets, key=lambda one: -self.boxes[one[0]]["patching_rect"][0]):
            self._take(target, inlet, list(message))

    def _take(self, box: str, inlet: int, message: Atoms) -> None:
        about = self.boxes[box]
        kind = about["maxclass"]
        if box in self._inner:
            entry = next(name for name, one in self._inner[box].boxes.items() if one["maxclass"] == "inlet")
            self._inner[box].out(entry, message)
        elif kind == "led":
            self.lit[box] = "flash" if message == ["bang"] else message[0]
        elif kind == "outlet":
            assert self._outer is not None
            self._outer.out(self._box, message)
        elif kind == "message":
            self._message(box, about["text"], message)
        elif kind == "newobj":
            self._object(box, atoms(about["text"]), inlet, message)

    def _message(self, box: str, text: str, message: Atoms) -> None:
        if message[:1] != ["set"]:
            found = re.sub(r"\$(\d)", lambda number: str(message[int(number[1]) - 1]), text)
            self.out(box, atoms(found))

    def _object(self, box: str, text: Atoms, inlet: int, message: Atoms) -> None:
        name, rest = text[0], text[1:]
        if name == "udpsend":
            self.sent.append(message)
        elif name == "route":
            at = rest.index(message[0]) if message[0] in rest else len(rest)
            self.out(box, (message[1:] or ["bang"]) if at < len(rest) else message, at)
        elif name == "sel":
            at = rest.index(message[0]) if message[0] in rest else len(rest)
            self.out(box, ["bang"] if at < len(rest) else message, at)
        elif name == "t":
            for at in reversed(range(len(rest))):
                self.out(box, {"b": ["bang"], "i": message}.get(rest[at], [rest[at]]), at)
        elif name == "zl" and rest[0] == "nth":
            self.out(box, [message[rest[1] - 1]])
        elif name == "==":
            if inlet:
                self._kept[box] = message[0]
            else:
                self.out(box, [int(message[0] == self._kept.get(box, rest[0]))])
        else:
            self._gates(box, name, rest, inlet, message)

    def _gates(self, box: str, name: str, rest: Atoms, inlet: int, message: Atoms) -> None:
        if name == "gate":
            if inlet == 0:
                self._kept[box] = message[0]
            elif self._kept.get(box, rest[1] if len(rest) > 1 else 0):
                self.out(box, message)
        elif name == "onebang":
            if inlet:
                self._kept[box] = True
            elif self._kept.pop(box, False):
                self.out(box, ["bang"])
        elif name == "change":
            if self._kept.get(box, 0) != message[0]:
                self._kept[box] = message[0]
                self.out(box, message)
        elif name == "speedlim":
            self.out(box, message)
