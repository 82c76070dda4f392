"""What only the Max for Live device has: Live's tempo and transport go to the server."""

from __future__ import annotations

from typing import Any

from segue.server.commands import ROOT


def follow_live(made: Any, out: Any, decks: int, switch: Any) -> None:
    """Live's tempo is the server's, its stop pins every deck's context and its start lets go, its first bar is the server's.

    switch: a toggle, off where the server has its tempo from Link or another source.
    """
    x, y = 1150, 140

    def box(text: str, column: int, row: int, **ports: Any) -> Any:
        return made.add_textbox(text, patching_rect=[x + 150 * column, y + 30 * row, 140, 22], **ports)

    ready = box("live.thisdevice", 0, 0, numinlets=1, numoutlets=3, outlettype=["bang", "int", "int"])
    path = made.add_message("path live_set", patching_rect=[x, y + 30, 140, 22])
    live = box("live.path", 0, 2, numinlets=1, numoutlets=3, outlettype=["", "", ""])
    made.add_line(ready, path)
    made.add_line(path, live)
    tempo, playing = _observer(made, box, live, "tempo", 0), _observer(made, box, live, "is_playing", 1)

    gate, slow = box("gate 1 1", 0, 5), box("speedlim 50", 0, 6)
    set_tempo = made.add_message(f"{ROOT}/tempo $1", patching_rect=[x, y + 210, 140, 22])
    for source, target, inlet in (
        (switch, gate, 0),
        (tempo, gate, 1),
        (gate, slow, 0),
        (slow, set_tempo, 0),
        (set_tempo, out, 0),
    ):
        made.add_line(source, target, inlet)

    news, which = box("change", 1, 5), box("sel 0 1", 1, 6)  # a set that stands still when the device is loaded pins nothing
    made.add_line(playing, news)
    made.add_line(news, which)
    for deck in range(1, decks + 1):
        for at, pinned in enumerate((1, 0)):
            freeze = made.add_message(
                f"{ROOT}/deck/{deck}/freeze {pinned}", patching_rect=[x + 150 * at, y + 220 + 30 * deck, 140, 22]
            )
            made.add_line(which, freeze, 0, at)
            made.add_line(freeze, out)

    bar, once = box("metro 1n @quantize 1n @active 1", 2, 5), box("onebang", 2, 6)  # fixed to Live's own transport
    one = made.add_message(f"{ROOT}/downbeat", patching_rect=[x + 300, y + 240, 140, 22])
    guard = box("gate 1 1", 2, 7)
    for source, outlet, target, inlet in (
        (which, 1, once, 1),
        (bar, 0, once, 0),
        (once, 0, guard, 1),
        (switch, 0, guard, 0),
        (guard, 0, one, 0),
        (one, 0, out, 0),
    ):
        made.add_line(source, target, inlet, outlet)


def _observer(made: Any, box: Any, live: Any, name: str, column: int) -> Any:
    """What a property of the Live set is, whenever it changes."""
    observer = box(f"live.observer {name}", column, 4, numinlets=2, numoutlets=2, outlettype=["", ""])
    made.add_line(live, observer, 1)
    return observer
