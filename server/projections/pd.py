"""The Pure Data patch: vanilla objects that send the verbs and show what the server says.

The window has controls and displays only. Two sub-patches hold the plumbing, joined to the window by names, so that other patches
can press the same buttons and read the same displays.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from itertools import pairwise

from segue.server.commands import DECKS, PORT, SPECS, Kind, Spec

BUTTONS = ("continue", "transition", "infill", "vary", "loop", "generate", "stop")
_BEATS = 8  # length a take has until the number box says something else
_COLUMN, _ROW = 320, 26  # pixels
_LOOK = "22 7 0 12 #fcfcfc #000000 #000000"  # label place, font, colours
# Message, what it shows, width in characters (0: a number); each is sent to `segue-MESSAGE-FIELD`.
_SERVER_SAYS = (
    ("engine", (("state", 10), ("sentence", 60))),
    ("job", (("id", 0), ("deck", 0), ("verb", 10), ("state", 10), ("progress", 0), ("sentence", 30))),
    ("fail", (("address", 20), ("sentence", 50), ("code", 0))),
)


@dataclass
class _Patch:
    """Objects in order and the wires between them: Pd's file format knows objects by their number."""

    header: str
    lines: list[str] = field(default_factory=list)
    wires: list[str] = field(default_factory=list)
    count: int = 0

    def add(self, kind: str, x: int, y: int, text: str) -> int:
        return self._append(f"#X {kind} {x} {y} {text};")

    def obj(self, x: int, y: int, text: str) -> int:
        return self.add("obj", x, y, text)

    def sub(self, x: int, y: int, name: str, inside: _Patch) -> int:
        return self._append(f"{inside.text()}#X restore {x} {y} pd {name};")

    def wire(self, source: int, target: int, outlet: int = 0, inlet: int = 0) -> None:
        self.wires.append(f"#X connect {source} {outlet} {target} {inlet};")

    def chain(self, *objects: int) -> None:
        for source, target in pairwise(objects):
            self.wire(source, target)

    def text(self) -> str:
        return "\n".join([self.header, *self.lines, *self.wires]) + "\n"

    def _append(self, line: str) -> int:
        self.lines.append(line)
        self.count += 1
        return self.count - 1


def patch(specs: Sequence[Spec] = SPECS, decks: int = DECKS) -> str:
    """The text of clients/pd/segue.pd."""
    verbs = {spec.name: spec for spec in specs if spec.kind is Kind.VERB}
    made = _Patch("#N canvas 60 60 760 560 12;")
    made.add("text", 20, 10, "segue: verbs and state over OSC")
    for deck in range(1, decks + 1):
        _deck_window(made, deck, 20 + _COLUMN * (deck - 1))
    _server_window(made, 20, 70 + _ROW * (len(BUTTONS) + 3))
    made.sub(520, 12, "to-server", _to_server(verbs, decks))
    made.sub(630, 12, "from-server", _from_server(decks))
    return made.text()


def _deck_window(made: _Patch, deck: int, x: int) -> None:
    made.add("text", x, 40, f"deck {deck}")
    for row, name in enumerate(BUTTONS):
        names = f"segue-{deck}-{name}-pressed segue-{deck}-{name}"
        made.obj(x, 70 + _ROW * row, f"bng 15 250 50 0 {names} {name} {_LOOK}")
    made.add("floatatom", x + 140, 70, f"6 0.25 256 1 beats segue-{deck}-beats segue-{deck}-beats-set 12")
    made.obj(x + 140, 100, f"hsl 100 15 0 1 0 0 segue-{deck}-gain-set segue-{deck}-gain gain {_LOOK.replace('22', '106', 1)} 0 1")
    made.add("symbolatom", x + 140, 145, f"10 0 0 2 plays segue-{deck}-state - 12")
    made.add("symbolatom", x + 140, 195, f"10 0 0 2 next segue-{deck}-next-verb - 12")
    made.add("floatatom", x + 225, 195, f"6 0 0 2 in_beats segue-{deck}-next-beats - 12")


def _server_window(made: _Patch, x: int, y: int) -> None:
    made.obj(x + 660, 40, f"tgl 15 0 - segue-connected empty {_LOOK} 0 1")
    made.add("text", x + 580, 38, "connected")
    for row, (message, fields) in enumerate(_SERVER_SAYS):
        at = x
        for name, width in fields:
            kind = "symbolatom" if width else "floatatom"
            made.add(kind, at, y + 60 * row, f"{width or 5} 0 0 2 {message}_{name} segue-{message}-{name} - 12")
            at += max(8 * (width or 5) + 15, 8 * (len(message) + len(name) + 2))


def _to_server(verbs: dict[str, Spec], decks: int) -> _Patch:
    """Buttons to messages, and the socket with its lease."""
    made = _Patch("#N canvas 80 80 900 760 to-server 0;")
    y = 20
    for deck in range(1, decks + 1):
        y = _deck_messages(made, deck, y, verbs)
    _socket(made, 20, y)
    return made


def _deck_messages(made: _Patch, deck: int, y: int, verbs: dict[str, Spec]) -> int:
    load = made.obj(20, y, "loadbang")
    made.chain(load, made.add("msg", 100, y, str(_BEATS)), made.obj(150, y, f"s segue-{deck}-beats"))
    beats = made.obj(300, y, f"r segue-{deck}-beats-set")
    for name in BUTTONS:
        y += _ROW
        pressed = made.obj(20, y, f"r segue-{deck}-{name}-pressed")
        form = made.obj(480, y, f"oscformat segue deck {deck} {name}")
        if any(option.name == "beats" for option in verbs[name].options):
            number = made.obj(260, y, f"f {_BEATS}")
            made.wire(beats, number, 0, 1)
            made.chain(pressed, number, made.obj(310, y, "list prepend beats"), form)
        else:
            made.wire(pressed, form)
        made.wire(form, made.obj(780, y, "s segue-out"))
    y += _ROW
    made.chain(
        made.obj(20, y, f"r segue-{deck}-gain-set"),
        made.obj(480, y, f"oscformat segue deck {deck} gain"),
        made.obj(780, y, "s segue-out"),
    )
    return y + 2 * _ROW


def _socket(made: _Patch, x: int, y: int) -> None:
    load = made.obj(x, y, "loadbang")
    made.chain(load, made.add("msg", x, y + 30, f"127.0.0.1 {PORT}"), made.obj(x, y + 60, "s segue-server"))
    server = made.obj(x + 170, y, "r segue-server")
    order = made.obj(x + 170, y + 30, "t b a b")
    lease = made.obj(x + 170, y + 90, "metro 10000")
    notify = made.obj(x + 170, y + 120, "oscformat segue notify")
    connect = made.obj(x + 260, y + 60, "list prepend connect")
    disconnect = made.add("msg", x + 450, y + 30, "disconnect")
    out = made.obj(x + 570, y, "r segue-out")
    prefix = made.obj(x + 570, y + 30, "list prepend send")
    trim = made.obj(x + 570, y + 90, "list trim")
    net = made.obj(x + 570, y + 120, "netsend -u -b")
    made.wire(server, order)
    made.wire(order, lease, 0)
    made.wire(order, connect, 1)
    made.wire(order, disconnect, 2)
    made.chain(lease, notify, made.obj(x + 170, y + 150, "s segue-out"))
    made.chain(connect, trim, net)
    made.chain(out, prefix, trim)
    made.wire(disconnect, net)
    made.wire(net, made.obj(x + 400, y + 150, "s segue-connected"))
    made.wire(net, made.obj(x + 660, y + 150, "s segue-bytes"), 1)


def _from_server(decks: int) -> _Patch:
    """Bytes to displays."""
    made = _Patch("#N canvas 100 100 940 520 from-server 0;")
    source = made.obj(20, 20, "r segue-bytes")
    kinds = made.obj(20, 140, "route deck " + " ".join(message for message, _ in _SERVER_SAYS))
    made.chain(source, made.obj(20, 50, "oscparse"), made.obj(20, 80, "list trim"), made.obj(20, 110, "route segue"), kinds)
    for deck in range(1, decks + 1):
        _deck_answers(made, kinds, deck, 20 + 460 * (deck - 1), 180)
    for row, (message, fields) in enumerate(_SERVER_SAYS):
        _unpacked(made, kinds, row + 1, 20, 340 + 60 * row, [(f"{message}-{name}", width) for name, width in fields])
    return made


def _deck_answers(made: _Patch, kinds: int, deck: int, x: int, y: int) -> None:
    """What one deck says. Its number arrives as a symbol, which a patch file cannot hold, so it is made when the patch opens."""
    symbol = made.obj(x + 240, y, "makefilename %d")
    number = made.obj(x, y + 30, f"route deck-{deck}")
    made.chain(made.obj(x + 100, y, "loadbang"), made.add("msg", x + 180, y, str(deck)), symbol)
    made.wire(symbol, number, 0, 1)
    made.wire(kinds, number)
    parts = made.obj(x, y + 60, "route state next gain")
    made.wire(number, parts)
    _unpacked(made, parts, 0, x, y + 90, [(f"{deck}-state", 10)])
    _unpacked(made, parts, 1, x + 125, y + 90, [(f"{deck}-next-verb", 10), (f"{deck}-next-beats", 0)], 165)
    quiet = made.add("msg", x + 260, y + 60, "set \\$1")
    made.wire(parts, quiet, 2)
    made.wire(quiet, made.obj(x + 330, y + 60, f"s segue-{deck}-gain"))


def _unpacked(made: _Patch, source: int, outlet: int, x: int, y: int, names: Sequence[tuple[str, int]], pitch: int = 150) -> None:
    unpack = made.obj(x, y, "unpack " + " ".join("s" if width else "f" for _, width in names))
    made.wire(source, unpack, outlet)
    for at, (name, _) in enumerate(names):
        made.wire(unpack, made.obj(x + pitch * at, y + 28, f"s segue-{name}"), at)
