"""The Open Stage Control session: a panel a deck, verbs as buttons, values as faders, and what the server says."""

from __future__ import annotations

import json
from collections.abc import Sequence
from typing import Any

from segue.server.commands import DECKS, PORT, ROOT, SPECS, Kind, Spec
from segue.server.projections.touchosc import BOTTOMS, BUTTONS, ends

WRITTEN_FOR = "1.25.0"  # of Open Stage Control
TARGET = f"127.0.0.1:{PORT}"
_WIDTH, _DECK_HEIGHT, _BUTTON, _FADER = 1110, 430, 104, 84
_IN_A_ROW, _ROW, _LABEL = 12, 150, 22  # values beside each other, the height of a row of them, that of their names
_LEASE = f'setInterval(() => send("{TARGET}", "{ROOT}/notify"), 10000); send("{TARGET}", "{ROOT}/notify")'

Widget = dict[str, Any]


def session(specs: Sequence[Spec] = SPECS, decks: int = DECKS) -> str:
    """The text of clients/openstagecontrol/segue.json."""
    panels = [_deck(deck, specs, 10 + (_DECK_HEIGHT + 10) * (deck - 1)) for deck in range(1, decks + 1)]
    y = 10 + (_DECK_HEIGHT + 10) * decks
    server = [
        _button("panic", f"{ROOT}/panic", 10, y, 200, "#e0374a"),
        _button("tap", f"{ROOT}/tap", 220, y, 120),
        _said("engine", f"{ROOT}/engine", 350, y, 200),
        _said("job", f"{ROOT}/job", 560, y, 540),
        {"type": "script", "id": "lease", "onCreate": _LEASE},
    ]
    root = {"type": "root", "id": "root", "widgets": [*panels, *server], "tabs": []}
    whole = {"createdWith": "Open Stage Control", "version": WRITTEN_FOR, "type": "session", "content": root}
    return json.dumps(whole, indent=1) + "\n"


def _deck(deck: int, specs: Sequence[Spec], y: int) -> Widget:
    found = {spec.name: spec for spec in specs if spec.per_deck}
    verbs = [found[name] for name in BUTTONS if name in found]
    values = [spec for spec in specs if spec.per_deck and spec.kind is Kind.VALUE]
    widgets = [
        _button(
            spec.name, spec.address.format(deck=deck), 10 + 110 * at, 50, _BUTTON, "#d9480f" if spec.name == "stop" else "auto"
        )
        for at, spec in enumerate(verbs)
    ]
    widgets += [_said(name, f"{ROOT}/deck/{deck}/{name}", 10 + 220 * at, 5, 210) for at, name in enumerate(("state", "next"))]
    for at, spec in enumerate(values):
        row, column = divmod(at, _IN_A_ROW)
        x, top = 10 + (_FADER + 6) * column, 125 + _ROW * row
        name = {"type": "text", "id": f"{deck} {spec.name}", "default": spec.name, "bypass": True}
        widgets += [
            name | {"left": x, "top": top, "width": _FADER, "height": _LABEL},
            _value(spec, deck, x, top + _LABEL),
        ]
    return {
        "type": "panel", "id": f"deck {deck}", "left": 10, "top": y,
        "width": _WIDTH, "height": _DECK_HEIGHT, "widgets": widgets, "tabs": [],
    }  # fmt: skip


def _button(label: str, address: str, x: int, y: int, width: int, colour: str = "auto") -> Widget:
    """Sends 1 when it is pressed and 0 when it is let go, as a verb wants it."""
    more = {"label": label, "mode": "push", "on": 1, "off": 0, "typeTags": "i", "colorWidget": colour}
    return _widget("button", address, x, y, width, 65) | more


def _value(spec: Spec, deck: int, x: int, y: int) -> Widget:
    (arg,) = spec.args
    address = spec.address.format(deck=deck)
    if arg.choices:
        return _widget("dropdown", address, x, y, _FADER, 60) | {"values": list(arg.choices), "typeTags": "s"}
    if arg.type == "s":
        return _widget("input", address, x, y, _FADER, 60) | {"typeTags": "s"}
    if arg.type == "b":
        more = {"label": "on", "mode": "toggle", "on": 1, "off": 0, "typeTags": "i"}
        return _widget("button", address, x, y, _FADER, 60) | more
    low, high = ends(spec.name, arg)
    home = low if spec.name in BOTTOMS else arg.default
    decimals = 0 if arg.type == "i" else 4 if high - low <= 1 else 2
    more = {"range": {"min": low, "max": high}, "typeTags": arg.type, "decimals": decimals, "default": home, "doubleTap": True}
    return _widget("fader", address, x, y, _FADER, _ROW - _LABEL - 10) | more


def _said(name: str, address: str, x: int, y: int, width: int) -> Widget:
    """Shows what the server says at an address, and its name until then."""
    return _widget("text", address, x, y, width, 40) | {"default": name, "bypass": True}


def _widget(kind: str, address: str, x: int, y: int, width: int, height: int) -> Widget:
    return {
        "type": kind, "id": address, "address": address, "target": TARGET,
        "left": x, "top": y, "width": width, "height": height,
    }  # fmt: skip
