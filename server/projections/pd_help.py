"""The help patch for Pure Data: opens segue.pd as an object, and shows the names by which other patches reach it."""

from __future__ import annotations

from segue.server.commands import PORT
from segue.server.projections.pd import BUTTONS

_LINES = (
    "[segue] sends verbs to a Segue server and shows what it says. Start the server first: segue serve",
    "Click the object to open its window. The names below reach it from any patch.",
)


def patch() -> str:
    """The text of clients/pd/segue-help.pd."""
    lines = ["#N canvas 80 80 820 560 12;", "#X obj 20 80 segue;"]
    wires: list[str] = []
    lines += [f"#X text 20 {15 + 25 * at} {_escaped(text)};" for at, text in enumerate(_LINES)]
    for row, name in enumerate(BUTTONS):
        y = 130 + 28 * row
        _pair(
            lines,
            wires,
            f"#X obj 20 {y} bng 15 250 50 0 empty empty empty 17 7 0 10 #fcfcfc #000000 #000000;",
            f"#X obj 50 {y} s segue-1-{name};",
        )
    _pair(lines, wires, "#X floatatom 320 130 6 0.25 256 0 - - - 12;", "#X obj 390 130 s segue-1-beats;")
    _pair(lines, wires, "#X floatatom 320 160 6 0 1 0 - - - 12;", "#X obj 390 160 s segue-1-gain;")
    _pair(lines, wires, f"#X msg 320 200 127.0.0.1 {PORT};", "#X obj 460 200 s segue-server;")
    _pair(lines, wires, "#X msg 320 240 126;", "#X obj 370 240 oscformat segue tempo;")
    _pair(lines, wires, None, "#X obj 550 240 s segue-out;")
    for row, (name, shown) in enumerate(
        (("segue-1-state", "symbolatom"), ("segue-job-state", "symbolatom"), ("segue-fail-sentence", "symbolatom"))
    ):
        y = 300 + 30 * row
        _pair(lines, wires, f"#X obj 320 {y} r {name};", f"#X {shown} 520 {y} 24 0 0 0 - - - 12;")
    lines.append(
        f"#X text 20 480 {_escaped('the other names stand in README.md beside this patch; every address in docs/OSC.md')};"
    )
    return "\n".join([*lines, *wires]) + "\n"


def _pair(lines: list[str], wires: list[str], source: str | None, target: str) -> None:
    """Two objects and a wire between them; without a source, from the one before."""
    if source is not None:
        lines.append(source)
    lines.append(target)
    count = sum(line.startswith("#X") for line in lines)
    wires.append(f"#X connect {count - 2} 0 {count - 1} 0;")


def _escaped(text: str) -> str:
    return text.replace(",", " \\,").replace(";", " \\;")
