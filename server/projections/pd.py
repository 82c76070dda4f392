"""The Pure Data patch: vanilla objects that send the verbs and show what the server says."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from itertools import pairwise

from segue.server.commands import DECKS, PORT, SPECS, Kind, Spec

BUTTONS = ("continue", "transition", "infill", "vary", "loop", "generate", "stop")
_BEATS = 8  # length a take has until the number box says something else
_COLUMN, _ROW = 420, 30  # pixels
_BANG = "15 250 50 0 empty {receive} {label} 22 7 0 12 #fcfcfc #000000 #000000"
_SLIDER = "128 15 0 1 0 0 empty empty gain 134 7 0 12 #fcfcfc #000000 #000000 0 1"


@dataclass
class _Patch:
    """Objects in order and the wires between them: Pd's file format knows objects by their number."""

    lines: list[str] = field(default_factory=list)
    wires: list[str] = field(default_factory=list)

    def add(self, kind: str, x: int, y: int, text: str) -> int:
        self.lines.append(f"#X {kind} {x} {y} {text};")
        return len(self.lines) - 1

    def obj(self, x: int, y: int, text: str) -> int:
        return self.add("obj", x, y, text)

    def wire(self, source: int, target: int, outlet: int = 0, inlet: int = 0) -> None:
        self.wires.append(f"#X connect {source} {outlet} {target} {inlet};")

    def chain(self, *objects: int) -> None:
        for source, target in pairwise(objects):
            self.wire(source, target)

    def text(self) -> str:
        return "\n".join(["#N canvas 60 60 900 760 12;", *self.lines, *self.wires]) + "\n"


def patch(specs: Sequence[Spec] = SPECS, decks: int = DECKS) -> str:
    """The text of clients/pd/segue.pd."""
    made = _Patch()
    made.add(
        "text",
        20,
        10,
        f"segue: verbs and state over OSC. Another server: send a host and a port to segue-server (127.0.0.1 {PORT} at load)",
    )
    verbs = {spec.name: spec for spec in specs if spec.kind is Kind.VERB}
    for deck in range(1, decks + 1):
        _controls(made, deck, 20 + _COLUMN * (deck - 1), verbs)
    incoming = _connection(made, 20, 470)
    _display(made, incoming, decks, 20, 600)
    return made.text()


def _controls(made: _Patch, deck: int, x: int, verbs: dict[str, Spec]) -> None:
    made.add("text", x, 40, f"deck {deck}")
    made.add("floatatom", x + 100, 42, f"5 0.25 256 1 beats - segue-{deck}-beats 12")
    for row, name in enumerate(BUTTONS, 1):
        y = 50 + _ROW * row
        button = made.obj(x, y, f"bng {_BANG.format(receive=f'segue-{deck}-{name}', label=name)}")
        form = made.obj(x + 210, y, f"oscformat segue deck {deck} {name}")
        if any(option.name == "beats" for option in verbs[name].options):
            number = made.obj(x + 110, y, f"f {_BEATS}")
            wanted = made.obj(x + 300, y + 15, f"r segue-{deck}-beats")
            made.wire(wanted, number, 0, 1)
            named = made.obj(x + 150, y + 15, "list prepend beats")
            made.chain(button, number, named, form)
        else:
            made.wire(button, form)
        made.wire(form, made.obj(x + 330, y, "s segue-out"))
    y = 50 + _ROW * (len(BUTTONS) + 1)
    slider = made.obj(x, y, f"hsl {_SLIDER}")
    form = made.obj(x + 210, y, f"oscformat segue deck {deck} gain")
    heard = made.obj(x, y + 25, f"r segue-{deck}-gain-heard")
    shown = made.add("msg", x + 150, y + 25, "set \\$1")
    made.chain(slider, form, made.obj(x + 330, y, "s segue-out"))
    made.chain(heard, shown, slider)


def _connection(made: _Patch, x: int, y: int) -> int:
    """Socket, first connection and lease; returns the object that gives what arrives."""
    load = made.obj(x, y, "loadbang")
    default = made.add("msg", x, y + 25, f"127.0.0.1 {PORT}")
    made.chain(load, default, made.obj(x, y + 50, "s segue-server"))
    server = made.obj(x + 140, y, "r segue-server")
    order = made.obj(x + 140, y + 25, "t b a b")
    lease = made.obj(x + 140, y + 75, "metro 10000")
    notify = made.obj(x + 140, y + 100, "oscformat segue notify")
    connect = made.obj(x + 240, y + 50, "list prepend connect")
    disconnect = made.add("msg", x + 400, y + 25, "disconnect")
    out = made.obj(x + 400, y + 50, "r segue-out")
    prefix = made.obj(x + 400, y + 75, "list prepend send")
    trim = made.obj(x + 400, y + 100, "list trim")
    net = made.obj(x + 560, y + 100, "netsend -u -b")
    made.wire(server, order)
    made.wire(order, lease, 0)
    made.wire(order, connect, 1)
    made.wire(order, disconnect, 2)
    made.chain(lease, notify, made.obj(x + 340, y + 125, "s segue-out"))
    made.chain(connect, trim, net)
    made.chain(out, prefix, trim)
    made.wire(disconnect, net)
    state = made.obj(x + 560, y + 130, "tgl 15 0 empty empty connected 22 7 0 12 #fcfcfc #000000 #000000 0 1")
    made.wire(net, state)
    parse = made.obj(x + 680, y + 130, "oscparse")
    made.wire(net, parse, 1)
    return parse


def _display(made: _Patch, parse: int, decks: int, x: int, y: int) -> None:
    names = made.obj(x, y, "route segue")
    kinds = made.obj(x, y + 25, "route deck engine job fail")
    trim = made.obj(x + 100, y, "list trim")
    made.chain(parse, trim, names, kinds)
    for deck in range(1, decks + 1):
        _deck_display(made, kinds, deck, x + _COLUMN * (deck - 1), y)
    below = y + 160
    _fields(made, kinds, 1, x, below, "engine", ("state", "sentence"))
    _fields(made, kinds, 2, x, below + 60, "job", ("id.f", "deck.f", "verb", "state", "progress.f", "sentence"))
    _fields(made, kinds, 3, x, below + 120, "fail", ("address", "sentence", "code.f"))


def _deck_display(made: _Patch, kinds: int, deck: int, x: int, y: int) -> None:
    """What one deck says. Its number arrives as a symbol, which a patch file cannot hold, so it is made when the patch opens."""
    number = made.obj(x + 240, y + 30, f"route deck-{deck}")
    load = made.obj(x + 240, y - 25, "loadbang")
    made.chain(load, made.add("msg", x + 310, y - 25, str(deck)), symbol := made.obj(x + 240, y, "makefilename %d"))
    made.wire(symbol, number, 0, 1)
    made.wire(kinds, number)
    parts = made.obj(x + 240, y + 55, "route state next gain")
    made.wire(number, parts)
    _fields(made, parts, 0, x, y + 80, f"{deck}-state", ("state",))
    _fields(made, parts, 1, x + 140, y + 80, f"{deck}-next", ("verb", "beats.f"))
    made.wire(parts, made.obj(x + 300, y + 110, f"s segue-{deck}-gain-heard"), 2)


def _fields(made: _Patch, source: int, outlet: int, x: int, y: int, name: str, fields: Sequence[str]) -> None:
    """Number and text boxes for the arguments of one message; each is also sent to `segue-NAME-FIELD`."""
    kinds = " ".join("f" if field.endswith(".f") else "s" for field in fields)
    unpack = made.obj(x, y, f"unpack {kinds}")
    made.wire(source, unpack, outlet)
    for at, part in enumerate(fields):
        label = part.removesuffix(".f")
        kind, width = ("floatatom", 6) if part.endswith(".f") else ("symbolatom", 40 if label == "sentence" else 11)
        box = made.add(kind, x + 105 * at, y + 28, f"{width} 0 0 0 - - segue-{name}-{label} 12")
        made.wire(unpack, box, at)
