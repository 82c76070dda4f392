"""The Max patch and the Max for Live device: one layout, written by py2max (extra `dev`)."""

from __future__ import annotations

import importlib
import json
from collections.abc import Sequence
from typing import Any

from segue.server.commands import DECKS, PORT, ROOT, SPECS, Kind, Spec
from segue.server.projections.pd import BUTTONS

ANSWERS = PORT + 1  # where the patch listens: Max sends and receives on two sockets
_BEATS = 8.0  # length of a take until the number box says something else
_STAMP = 3_800_000_000  # a fixed date inside the device (seconds since 1904), so that equal content is equal bytes
_WIDTH = 230  # pixels a deck in Live's device strip, which is 169 high


def patch(specs: Sequence[Spec] = SPECS, decks: int = DECKS) -> bytes:
    """The bytes of clients/max/segue.maxpat."""
    return (json.dumps(filled(specs, decks, device=False).to_dict(), indent=1) + "\n").encode()


def device(specs: Sequence[Spec] = SPECS, decks: int = DECKS) -> bytes:
    """The bytes of clients/ableton/segue.amxd: an audio effect that lets audio through."""
    m4l = importlib.import_module("py2max.m4l")
    made = filled(specs, decks, device=True)
    made.enable_presentation(devicewidth=_WIDTH * (decks + 1))
    content = m4l.ensure_amxd_project_block(made.to_dict(), device_type="audio_effect", mtime=_STAMP)
    packed: bytes = m4l.pack_amxd(json.dumps(content), device_type="audio_effect", patcher_filename="segue.maxpat", mtime=_STAMP)
    return packed


def filled(specs: Sequence[Spec], decks: int, device: bool) -> Any:
    """The patch as py2max has it; a device shows it as a strip and lets audio through."""
    made = importlib.import_module("py2max").Patcher(title="segue", layout="grid", device_type="audio_effect")
    made.rect = [60, 60, 1320, 780]
    verbs = {spec.name: spec for spec in specs if spec.kind is Kind.VERB}
    made.add_comment(f"Server on this machine, port {PORT}; it answers to port {ANSWERS}.", patching_rect=[20, 10, 400, 20])
    out = _box(made, f"udpsend 127.0.0.1 {PORT}", 20, 545, 180)
    for deck in range(1, decks + 1):
        _deck(made, deck, verbs, out)
    _lease(made, out)
    _display(made, decks)
    if device:
        through, end = _box(made, "plugin~", 1150, 40, 60), _box(made, "plugout~", 1150, 80, 60)
        made.add_line(through, end, 0, 0)
        made.add_line(through, end, 1, 1)
    made.render()
    return made


def _deck(made: Any, deck: int, verbs: dict[str, Spec], out: Any) -> None:
    x, shown = 20 + 560 * (deck - 1), 8 + _WIDTH * (deck - 1)
    made.add_comment(f"deck {deck}", patching_rect=[x, 40, 60, 20], **_seen(shown, 0, 60, 18))
    beats = _parameter(
        made, "live.numbox", f"Beats {deck}", [x + 360, 60, 60, 16], (shown + 120, 20, 50, 15), 0.25, 256.0, _BEATS
    )
    made.add_comment("beats", patching_rect=[x + 360, 40, 60, 20], **_seen(shown + 172, 19, 50, 18))
    for row, name in enumerate(BUTTONS):
        y, seen = 70 + 52 * row, 20 + 20 * row
        button = _parameter(made, "live.button", f"{name} {deck}", [x, y, 18, 18], (shown, seen, 16, 16))
        made.add_comment(name, patching_rect=[x + 22, y, 80, 20], **_seen(shown + 20, seen - 2, 80, 18))
        address = f"{ROOT}/deck/{deck}/{name}"
        if any(option.name == "beats" for option in verbs[name].options):
            number = _box(made, f"f {_BEATS:g}.", x + 110, y, 50)
            message = made.add_message(f"{address} beats $1", patching_rect=[x + 110, y + 26, 240, 20])
            made.add_line(beats, number, 1)
            made.add_line(button, number)
            made.add_line(number, message)
        else:
            message = made.add_message(address, patching_rect=[x + 110, y + 26, 240, 20])
            made.add_line(button, message)
        made.add_line(message, out)
    gain = _parameter(made, "live.dial", f"Gain {deck}", [x + 360, 100, 44, 48], (shown + 120, 45, 44, 48), 0.0, 1.0, 1.0)
    message = made.add_message(f"{ROOT}/deck/{deck}/gain $1", patching_rect=[x + 360, 160, 160, 20])
    made.add_line(gain, message)
    made.add_line(message, out)


def _lease(made: Any, out: Any) -> None:
    """Ask for events at load and every ten seconds, well within the thirty that a lease lasts."""
    load, clock = _box(made, "loadmess 1", 220, 460, 80), _box(made, "metro 10000", 220, 488, 90)
    message = made.add_message(f"{ROOT}/notify {ANSWERS}", patching_rect=[220, 516, 150, 20])
    made.add_line(load, clock)
    made.add_line(clock, message)
    made.add_line(message, out)


def _display(made: Any, decks: int) -> None:
    heard = [f"{ROOT}/deck/{deck}/{what}" for deck in range(1, decks + 1) for what in ("state", "next")]
    heard += [f"{ROOT}/{what}" for what in ("engine", "job", "fail")]
    source = _box(made, f"udpreceive {ANSWERS}", 20, 590, 120)
    route = _box(made, "route " + " ".join(heard), 20, 620, 900)
    made.add_line(source, route)
    for at, address in enumerate(heard):
        x = 20 + 180 * at
        prepend = _box(made, "prepend set", x, 650, 80)
        deck, what = at // 2, at % 2
        place = (
            (_WIDTH * deck + 128, 105 + 25 * what, 95, 20)
            if deck < decks
            else (_WIDTH * decks + 8, 20 + 45 * (at - 2 * decks), 215, 20)
        )
        label = address.removeprefix(f"{ROOT}/").removeprefix("deck/")
        made.add_comment(
            label, patching_rect=[x, 704, 120, 20], **(_seen(place[0], place[1] - 18, 120, 18) if deck >= decks else {})
        )
        shown = made.add_message("", patching_rect=[x, 680, 165, 20], **_seen(*place))
        made.add_line(route, prepend, 0, at)
        made.add_line(prepend, shown)


def _box(made: Any, text: str, x: int, y: int, width: int) -> Any:
    return made.add_textbox(text, patching_rect=[x, y, width, 22])


def _parameter(
    made: Any,
    kind: str,
    name: str,
    rect: list[int],
    seen: tuple[int, int, int, int],
    low: float | None = None,
    high: float | None = None,
    initial: float | None = None,
) -> Any:
    """A control that Live can automate, map and save."""
    about: dict[str, Any] = {"parameter_longname": name, "parameter_shortname": name, "parameter_type": 2 if low is None else 0}
    if low is None:
        about |= {"parameter_mmax": 1, "parameter_enum": ["off", "on"]}
    else:
        about |= {"parameter_mmin": low, "parameter_mmax": high, "parameter_initial": [initial], "parameter_initial_enable": 1}
        about |= {"parameter_unitstyle": 1}
    ports = {"numoutlets": 1, "outlettype": [""]} if low is None else {"numoutlets": 2, "outlettype": ["", "float"]}
    saved = {"saved_attribute_attributes": {"valueof": about}, "parameter_enable": 1}
    return made.add_textbox(kind, patching_rect=rect, numinlets=1, **ports, **saved, **_seen(*seen))


def _seen(x: int, y: int, width: int, height: int) -> dict[str, Any]:
    return {"presentation": 1, "presentation_rect": [x, y, width, height]}
