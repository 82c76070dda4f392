"""The Open Stage Control session: a panel a deck, verbs as buttons, values as faders, and what the server says."""

from __future__ import annotations

import json
from collections.abc import Sequence
from typing import Any

from segue.server.commands import DECKS, PORT, ROOT, SPECS, Kind, Spec
from segue.server.projections.touchosc import BOTTOMS, BUTTONS, ends

WRITTEN_FOR = "1.25.0"  # of Open Stage Control
TARGET = f"127.0.0.1:{PORT}"
_WIDTH, _DECK_HEIGHT, _BUTTON, _FADER = 1100, 400, 104, 84
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
        {"type": "script", "id": "lease", "visible": False, "onCreate": _LEASE, "left": 0, "top": 0, "width": 10, "height": 10},
    ]
    root = {"type": "root", "id": "root", "label": "segue", "widgets": [*panels, *server], "tabs": []}
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
    widgets += [_value(spec, deck, 10 + (_FADER + 6) * at, 125) for at, spec in enumerate(values)]
    return {
        "type": "panel", "id": f"deck {deck}", "label": f"deck {deck}", "left": 10, "top": y,
        "width": _WIDTH, "height": _DECK_HEIGHT, "widgets": widgets, "tabs": [],
    }  # fmt: skip


def _button(label: str, address: str, x: int, y: int, width: int, colour: str = "auto") -> Widget:
    """Sends 1 when it is pressed and 0 when it is let go, as a verb wants it."""
    more = {"mode": "push", "on": 1, "off": 0, "typeTags": "i", "colorWidget": colour}
    return _widget("button", label, address, x, y, width, 65) | more


def _value(spec: Spec, deck: int, x: int, y: int) -> Widget:
    (arg,) = spec.args
    address = spec.address.format(deck=deck)
    if arg.choices:
        return _widget("dropdown", spec.name, address, x, y, _FADER, 60) | {"values": list(arg.choices), "typeTags": "s"}
    if arg.type == "s":
        return _widget("input", spec.name, address, x, y, _FADER, 60) | {"typeTags": "s"}
    low, high = ends(spec.name, arg)
    home = low if spec.name in BOTTOMS else arg.default
    more = {"range": {"min": low, "max": high}, "typeTags": arg.type, "default": home, "doubleTap": True}
    return _widget("fader", spec.name, address, x, y, _FADER, 250) | more


def _said(label: str, address: str, x: int, y: int, width: int) -> Widget:
    """Shows what the server says at an address."""
    return _widget("text", label, address, x, y, width, 40) | {"value": "", "bypass": True}


def _widget(kind: str, label: str, address: str, x: int, y: int, width: int, height: int) -> Widget:
    return {
        "type": kind, "id": address, "label": label, "address": address, "target": TARGET,
        "left": x, "top": y, "width": width, "height": height,
    }  # fmt: skip
