"""The help of the Max patch: opens it as an object, and shows the names by which other patches reach it."""

from __future__ import annotations

import importlib
import json
from collections.abc import Sequence

from segue.server.commands import PORT, ROOT, SPECS, Kind, Spec
from segue.server.projections.max import ANSWERS, HEARD, SAY
from segue.server.projections.pd import BUTTONS

EXAMPLES = (
    f"{ROOT}/deck/1/vary k 0.6 seed 42",
    f"{ROOT}/deck/2/transition to 1 quant bar",
    f"{ROOT}/tempo 126.",
    f"{ROOT}/panic",
)
SHOWN = (f"{ROOT}/deck/1/state", f"{ROOT}/deck/1/next", f"{ROOT}/job", f"{ROOT}/fail")
_LINES = (
    f"segue sends verbs to a Segue server on this machine, port {PORT}, and shows what it says to port {ANSWERS}: segue serve",
    "Double-click the object to open its window. Any patch reaches it by the two names below.",
)


def patch(specs: Sequence[Spec] = SPECS) -> bytes:
    """The bytes of clients/max/segue.maxhelp."""
    made = importlib.import_module("py2max").Patcher(title="segue.maxhelp", layout="grid")
    made.rect = [80, 80, 1060, 720]
    for at, text in enumerate(_LINES):
        made.add_comment(text, patching_rect=[20, 15 + 22 * at, 760, 20])
    made.add_textbox("segue", patching_rect=[20, 70, 60, 22], numinlets=0, numoutlets=0, outlettype=[])
    docs = {spec.name: spec.doc for spec in specs if spec.kind is Kind.VERB}
    say = made.add_textbox(f"s {SAY}", patching_rect=[20, 640, 110, 22])
    messages = [(f"{ROOT}/deck/1/{name}", docs[name]) for name in BUTTONS] + [(text, "") for text in EXAMPLES]
    for row, (text, doc) in enumerate(messages):
        y = 120 + 44 * row
        message = made.add_message(text, patching_rect=[20, y, 250, 22])
        made.add_line(message, say)
        if doc:
            made.add_comment(doc, patching_rect=[280, y, 420, 20])
    heard = made.add_textbox(f"r {HEARD}", patching_rect=[720, 120, 110, 22])
    route = made.add_textbox("route " + " ".join(SHOWN), patching_rect=[720, 150, 320, 22])
    made.add_line(heard, route)
    for at, address in enumerate(SHOWN):
        y = 200 + 80 * at
        made.add_comment(address, patching_rect=[720, y, 200, 20])
        prepend = made.add_textbox("prepend set", patching_rect=[720, y + 22, 90, 22])
        shown = made.add_message("", patching_rect=[720, y + 50, 300, 22])
        made.add_line(route, prepend, 0, at)
        made.add_line(prepend, shown)
    made.add_comment("every address: docs/OSC.md; the patch itself: README.md beside it", patching_rect=[20, 680, 500, 20])
    made.render()
    return (json.dumps(made.to_dict(), indent=1) + "\n").encode()
