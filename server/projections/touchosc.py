"""The TouchOSC layout: zlib-packed XML, a page a deck with its verbs as buttons, its values as faders and its meters.

Every control sends to connection 1; what the server says at a control's address moves it.
"""

from __future__ import annotations

import uuid
import zlib
from collections.abc import Sequence
from xml.etree import ElementTree as xml

from segue.server.commands import DECKS, ROOT, SPECS, Arg, Kind, Spec

WIDTH, HEIGHT = 1024, 768
_MARGIN, _GAP = 12, 8
_VERBS_PER_ROW, _VERB_HEIGHT = 5, 104
_NEW, _DRY, _BAD, _QUIET = "1 0.62 0.3", "0.43 0.7 0.95", "1 0.42 0.42", "0.25 0.32 0.4"
_SPACE = uuid.UUID("5e90e000-0000-4000-8000-000000000000")
BUTTONS = ("continue", "transition", "infill", "vary", "loop", "generate", "capture", "commit", "cancel", "stop")
FADERS = ("gain", "k", "xi", "beats")
TOPS = {"gain": 1.0, "xi": 0.3, "beats": 32.0}  # what a fader reaches at its top, where the table goes much further
BOTTOMS = {"xi": 0.0}  # and at its bottom, where the table has a word below it

Frame = tuple[float, float, float, float]


def layout(specs: Sequence[Spec] = SPECS, decks: int = DECKS) -> bytes:
    """The bytes of clients/touchosc/segue.tosc."""
    return zlib.compress(document(specs, decks), 9)


def document(specs: Sequence[Spec] = SPECS, decks: int = DECKS) -> bytes:
    """The XML inside."""
    root = xml.Element("lexml", version="3")
    top = _node(root, "GROUP", "segue", (0, 0, WIDTH, HEIGHT), _QUIET)
    found = {spec.name: spec for spec in specs if spec.per_deck and spec.kind is not Kind.EVENT}
    height = (HEIGHT - _MARGIN - 70) / decks
    for deck in range(1, decks + 1):
        _deck(top, deck, found, _MARGIN + height * (deck - 1), height - _GAP)
    _bottom(top)
    for children in root.iter("children"):  # these helped to name what is inside
        del children.attrib["ID"]
    xml.indent(root)
    text: bytes = xml.tostring(root, encoding="UTF-8", xml_declaration=True)
    return text


def _deck(parent: xml.Element, deck: int, specs: dict[str, Spec], y: float, height: float) -> None:
    width = WIDTH - 2 * _MARGIN
    group = _children(_node(_children(parent), "GROUP", f"deck {deck}", (_MARGIN, y, width, height), _QUIET))
    _label(group, f"deck {deck}", (0, 0, 90, 32))
    _said(group, f"{ROOT}/deck/{deck}/state", (100, 0, 160, 32))
    _said(group, f"{ROOT}/deck/{deck}/next", (270, 0, 160, 32))
    verbs = [specs[name] for name in BUTTONS if name in specs]
    wide, tall = (width * 0.68) / _VERBS_PER_ROW, (height - 40) / 2
    for at, spec in enumerate(verbs):
        row, column = divmod(at, _VERBS_PER_ROW)
        frame = (column * wide, 40 + row * tall, wide - _GAP, tall - _GAP)
        colour = _BAD if spec.name == "stop" else _NEW
        _button(group, spec.name, spec.address.format(deck=deck), frame, colour)
    faders = [specs[name] for name in FADERS if name in specs]
    each = (width * 0.32) / max(1, len(faders))
    for at, spec in enumerate(faders):
        x = width * 0.68 + at * each
        _fader(group, spec.name, spec.address.format(deck=deck), spec.args[0], (x, 40, each - _GAP, height - 80))
        _label(group, spec.name, (x, height - 36, each - _GAP, 32))


def _bottom(parent: xml.Element) -> None:
    y = HEIGHT - 62
    where = _children(parent)
    _button(where, "panic", f"{ROOT}/panic", (WIDTH - 212, y, 200, 54), _BAD)
    _button(where, "tap", f"{ROOT}/tap", (_MARGIN, y, 120, 54), _DRY)
    _button(where, "notify", f"{ROOT}/notify", (_MARGIN + 132, y, 120, 54), _DRY)
    _said(where, f"{ROOT}/engine", (_MARGIN + 264, y, 160, 54))
    _said(where, f"{ROOT}/tempo", (_MARGIN + 436, y, 160, 54))


def _button(parent: xml.Element, name: str, address: str, frame: Frame, colour: str) -> None:
    node = _node(parent, "BUTTON", address, frame, colour)
    _values(node, x=0)
    _osc(node, address, "x", "FLOAT", 0, 1)
    _label(parent, name, frame)


def _fader(parent: xml.Element, name: str, address: str, arg: Arg, frame: Frame) -> None:
    node = _node(parent, "FADER", address, frame, _DRY)
    _values(node, x=0)
    _osc(node, address, "x", "INTEGER" if arg.type == "i" else "FLOAT", *ends(name, arg))


def ends(name: str, arg: Arg) -> tuple[float, float]:
    """What a fader of a value reaches at its bottom and its top."""
    return BOTTOMS.get(name, arg.low or 0.0), TOPS.get(name, arg.high if arg.high is not None else 1.0)


def _said(parent: xml.Element, address: str, frame: Frame) -> None:
    """What the server says at an address, as text."""
    node = _node(parent, "TEXT", address, frame, _QUIET)
    _values(node, text="")
    _osc(node, address, "text", "STRING", 0, 1, send=False)


def _label(parent: xml.Element, text: str, frame: Frame) -> None:
    node = _node(parent, "LABEL", f"label {text}", frame, _QUIET, interactive=False)
    _values(node, text=text)


def _node(parent: xml.Element, kind: str, name: str, frame: Frame, colour: str, interactive: bool = True) -> xml.Element:
    place = "/".join(f"{part:g}" for part in frame)
    node = xml.SubElement(parent, "node", ID=str(uuid.uuid5(_SPACE, f"{parent.get('ID')} {kind} {name} {place}")), type=kind)
    properties = xml.SubElement(node, "properties")
    for key, value in {"background": kind != "LABEL", "interactive": interactive, "outline": True, "visible": True}.items():
        _property(properties, "b", key, int(value))
    colours = xml.SubElement(_property(properties, "c", "color"), "value")
    for part, share in zip("rgba", (*colour.split(), "1"), strict=True):
        xml.SubElement(colours, part).text = share
    places = xml.SubElement(_property(properties, "r", "frame"), "value")
    for part, size in zip("xywh", frame, strict=True):
        xml.SubElement(places, part).text = str(round(size))
    _property(properties, "s", "name", name)
    if kind in ("LABEL", "TEXT"):
        _property(properties, "i", "textSize", 18)
    return node


def _children(node: xml.Element) -> xml.Element:
    found = node.find("children")
    return xml.SubElement(node, "children", ID=node.attrib["ID"]) if found is None else found


def _property(parent: xml.Element, kind: str, key: str, value: object = None) -> xml.Element:
    made = xml.SubElement(parent, "property", type=kind)
    xml.SubElement(made, "key").text = key
    if value is not None:
        xml.SubElement(made, "value").text = str(value)
    return made


def _values(node: xml.Element, **defaults: object) -> None:
    values = xml.SubElement(node, "values")
    for key, default in {**defaults, "touch": "false"}.items():
        value = xml.SubElement(values, "value")
        for name, text in (("key", key), ("locked", 0), ("lockedDefaultCurrent", 0), ("default", default), ("defaultPull", 0)):
            xml.SubElement(value, name).text = str(text)


def _osc(node: xml.Element, address: str, variable: str, conversion: str, low: float, high: float, send: bool = True) -> None:
    osc = xml.SubElement(xml.SubElement(node, "messages"), "osc")
    for name, value in (("enabled", 1), ("send", int(send)), ("receive", 1), ("feedback", 0), ("connections", "00001")):
        xml.SubElement(osc, name).text = str(value)
    trigger = xml.SubElement(xml.SubElement(osc, "triggers"), "trigger")
    xml.SubElement(trigger, "var").text = variable
    xml.SubElement(trigger, "condition").text = "ANY"
    _partial(xml.SubElement(osc, "path"), "CONSTANT", "STRING", address, 0, 1)
    _partial(xml.SubElement(osc, "arguments"), "VALUE", conversion, variable, low, high)


def _partial(parent: xml.Element, kind: str, conversion: str, value: str, low: float, high: float) -> None:
    partial = xml.SubElement(parent, "partial")
    for name, text in (("type", kind), ("conversion", conversion), ("value", value)):
        xml.SubElement(partial, name).text = text
    xml.SubElement(partial, "scaleMin").text = f"{low:g}"
    xml.SubElement(partial, "scaleMax").text = f"{high:g}"
