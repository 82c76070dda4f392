"""The whole vocabulary on one page: docs/CHEATSHEET.md."""

from __future__ import annotations

from collections.abc import Iterable, Sequence

from segue.server.commands import PORT, ROOT, SPECS, Arg, Kind, Spec
from segue.server.control.midi_map import default_map

_MADE = "<!-- made by `python -m segue.server.projections`; the table is server/commands.py -->"


def page(specs: Sequence[Spec] = SPECS) -> str:
    """The text of the page."""
    deck = [spec for spec in specs if spec.per_deck]
    server = [spec for spec in specs if not spec.per_deck]
    return "\n".join(
        [
            "# Cheat sheet",
            "",
            _MADE,
            "",
            f"Port {PORT} (UDP, TCP, HTTP, WebSocket); page at `http://localhost:{PORT}/`; decks from 1, `/segue/deck/N/...`.",
            "A verb alone, or with a number that is not 0, fires. Options are names and values: `continue beats 8 seed 3`.",
            "",
            "| verb of a deck | does | pad | options |",
            "|---|---|---|---|",
            *_verbs(deck),
            "",
            f"Every one marked * also takes `{' '.join(_common(deck))}`.",
            "",
            "| value | range | | value | range |",
            "|---|---|---|---|---|",
            *_beside([_value(spec) for spec in (*deck, *server) if spec.kind is Kind.VALUE]),
            "",
            "| of the server | does |",
            "|---|---|",
            *(f"| `{_short(spec)}{_arguments(spec.args)}` | {spec.doc} |" for spec in server if spec.kind is Kind.ACTION),
            "",
            "| it says | with | | it says | with |",
            "|---|---|---|---|---|",
            *_beside(
                [f"`{_short(spec)}` | {' '.join(arg.name for arg in spec.args)}" for spec in specs if spec.kind is Kind.EVENT]
            ),
            "",
        ]
    )


def _verbs(specs: Iterable[Spec]) -> Iterable[str]:
    pads = {one.address: one.number for one in default_map(1) if one.kind == "note"}
    common = _common(specs)
    for spec in specs:
        if spec.kind is not Kind.VERB:
            continue
        takes = any(option.name == "seed" for option in spec.options)
        own = [option.name for option in spec.options if not (takes and option.name in common)]
        pad = pads.get(spec.address.format(deck=1), "")
        yield f"| `{spec.name}{_arguments(spec.args)}`{' *' * takes} | {spec.doc} | {pad} | {' '.join(own)} |"


def _common(specs: Iterable[Spec]) -> list[str]:
    takes = [{o.name: None for o in s.options} for s in specs if any(o.name == "seed" for o in s.options)]
    return [name for name in takes[0] if all(name in other for other in takes)] if takes else []


def _short(spec: Spec) -> str:
    return spec.address.removeprefix(f"{ROOT}/").replace("deck/{deck}/", "deck/N/")


def _arguments(args: Sequence[Arg]) -> str:
    return "".join(f" {arg.name}" for arg in args)


def _value(spec: Spec) -> str:
    (arg,) = spec.args
    unit = f" {arg.unit}" if arg.unit else ""
    shown = (
        " ".join(arg.choices)
        if arg.choices
        else f"{arg.low:g} to {arg.high:g}{unit}"
        if arg.low is not None and arg.high is not None
        else "0 1"
    )
    return f"`{_short(spec).replace('deck/N/', '')}` | {shown}"


def _beside(rows: Sequence[str]) -> Iterable[str]:
    """Two columns of rows."""
    half = -(-len(rows) // 2)
    for at in range(half):
        other = rows[at + half] if at + half < len(rows) else " | "
        yield f"| {rows[at]} | | {other} |"
