"""Lamps beside the buttons of the Max patch: flash while a verb's take is on its way, on while it plays."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

COMING = ("queued", "running", "ready", "armed", "late")


def lamps(made: Any, job: tuple[Any, int], by_deck: Sequence[dict[str, Any]]) -> None:
    """Wires `/segue/job` to lamps. job: the box and outlet that gives `id deck verb state ...`. by_deck: lamps by verb."""
    box, outlet = job
    x, y = 20, 760
    turned = made.add_message("$2 $3 $4 $1", patching_rect=[x, y, 120, 22])
    decks = made.add_textbox("route " + " ".join(str(n + 1) for n in range(len(by_deck))), patching_rect=[x, y + 30, 400, 22])
    made.add_line(box, turned, 0, outlet)
    made.add_line(turned, decks)
    for at, lights in enumerate(by_deck):
        verbs = made.add_textbox("route " + " ".join(lights), patching_rect=[x + 560 * at, y + 60, 400, 22])
        made.add_line(decks, verbs, 0, at)
        for row, lamp in enumerate(lights.values()):
            light = _light(made, [x + 560 * at + 75 * row, y + 90, 60, 22])
            made.add_line(verbs, light, 0, row)
            made.add_line(light, lamp)


def _light(made: Any, rect: list[int]) -> Any:
    """A subpatch from `state id` to a lamp: a take that ends puts the lamp out only if no later one has lit it."""
    outer = made.add_subpatcher("p light", patching_rect=rect, numinlets=1, numoutlets=1, outlettype=[""])
    inner = outer.subpatcher

    def box(text: str, x: int, y: int) -> Any:
        return inner.add_textbox(text, patching_rect=[x, y, 100, 22])

    come, leave = box("inlet", 20, 20), box("outlet", 20, 260)
    state = box("route playing " + " ".join(COMING), 20, 60)
    lit, on = box("t b i", 20, 100), inner.add_message("1", patching_rect=[20, 220, 40, 22])
    flash = box("t b", 180, 100)
    ended, same, last = box("zl nth 2", 320, 100), box("== -1", 320, 140), box("sel 1", 320, 180)
    off = inner.add_message("0", patching_rect=[320, 220, 40, 22])
    inner.add_line(come, state)
    inner.add_line(state, lit, 0, 0)
    inner.add_line(lit, same, 1, 1)  # right first: which take plays
    inner.add_line(lit, on, 0, 0)
    for at in range(len(COMING)):
        inner.add_line(state, flash, 0, 1 + at)
    inner.add_line(state, ended, 0, 1 + len(COMING))
    inner.add_line(ended, same)
    inner.add_line(same, last)
    inner.add_line(last, off)
    for end in (on, flash, off):
        inner.add_line(end, leave)
    return outer
