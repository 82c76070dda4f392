"""The Max patch and the Max for Live device: one layout, written by py2max (extra `dev`)."""

from __future__ import annotations

import importlib
import json
from collections.abc import Sequence
from typing import Any

from segue.server.commands import DECKS, PORT, ROOT, SPECS, Kind, Spec
from segue.server.projections.max_lights import lamps
from segue.server.projections.max_live import follow_live
from segue.server.projections.pd import BUTTONS

ANSWERS = PORT + 1  # where the patch listens: Max sends and receives on two sockets
SAY, HEARD = "segue-out", "segue-heard"  # names by which other patches send any message, and hear everything
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
    made.rect = [60, 60, 1720, 1000]
    verbs = {spec.name: spec for spec in specs if spec.kind is Kind.VERB}
    made.add_comment(f"Server on this machine, port {PORT}; it answers to port {ANSWERS}.", patching_rect=[20, 10, 400, 20])
    out = _box(made, f"udpsend 127.0.0.1 {PORT}", 20, 545, 180)
    lights = [_deck(made, deck, verbs, out) for deck in range(1, decks + 1)]
    _lease(made, out)
    source = _display(made, decks, lights)
    if device:
        label = "Live's tempo"
        made.add_comment(label, patching_rect=[1170, 460, 90, 20], **_seen(_WIDTH * decks + 28, 139, 120, 18))
        switch = _parameter(
            made, "live.toggle", "Follow Live", [1150, 460, 16, 16], (_WIDTH * decks + 8, 140, 16, 16), initial=1.0
        )
        follow_live(made, out, decks, switch)
        through, end = _box(made, "plugin~", 1150, 40, 60), _box(made, "plugout~", 1150, 80, 60)
        made.add_line(through, end, 0, 0)
        made.add_line(through, end, 1, 1)
    else:
        _names(made, out, source)
    made.render()
    return made


def _deck(made: Any, deck: int, verbs: dict[str, Spec], out: Any) -> dict[str, Any]:
    """The deck's controls; its lamps by verb."""
    lights: dict[str, Any] = {}
    x, shown = 20 + 560 * (deck - 1), 8 + _WIDTH * (deck - 1)
    made.add_comment(f"deck {deck}", patching_rect=[x, 40, 60, 20], **_seen(shown, 0, 60, 18))
    beats = _parameter(
        made, "live.numbox", f"Beats {deck}", [x + 360, 60, 60, 16], (shown + 120, 20, 50, 15), 0.25, 256.0, _BEATS
    )
    made.add_comment("beats", patching_rect=[x + 360, 40, 60, 20], **_seen(shown + 172, 19, 50, 18))
    for row, name in enumerate(BUTTONS):
        y, seen = 70 + 52 * row, 20 + 20 * row
        button = _parameter(made, "live.button", f"{name} {deck}", [x, y, 18, 18], (shown, seen, 16, 16))
        made.add_comment(name, patching_rect=[x + 22, y, 80, 20], **_seen(shown + 20, seen - 2, 76, 18))
        lights[name] = made.add_textbox("led", patching_rect=[x, y + 24, 18, 18], **_seen(shown + 98, seen, 16, 16))
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
    return lights


def _names(made: Any, out: Any, source: Any) -> None:
    """By what other patches reach this one, as its help shows."""
    made.add_line(_box(made, f"r {SAY}", 400, 516, 110), out)
    made.add_line(source, _box(made, f"s {HEARD}", 160, 590, 110))


def _lease(made: Any, out: Any) -> None:
    """Ask for events at load and every ten seconds, well within the thirty that a lease lasts."""
    load, clock = _box(made, "loadmess 1", 220, 460, 80), _box(made, "metro 10000", 220, 488, 90)
    message = made.add_message(f"{ROOT}/notify {ANSWERS}", patching_rect=[220, 516, 150, 20])
    made.add_line(load, clock)
    made.add_line(clock, message)
    made.add_line(message, out)


def _display(made: Any, decks: int, lights: Sequence[dict[str, Any]]) -> Any:
    """What the server says, as text and as lamps; the box that receives it."""
    heard = [f"{ROOT}/deck/{deck}/{what}" for deck in range(1, decks + 1) for what in ("state", "next")]
    heard += [f"{ROOT}/{what}" for what in ("engine", "job", "fail")]
    source = _box(made, f"udpreceive {ANSWERS}", 20, 590, 120)
    route = _box(made, "route " + " ".join(heard), 20, 620, 900)
    made.add_line(source, route)
    makes_take = [{verb: light for verb, light in one.items() if verb != "stop"} for one in lights]
    lamps(made, (route, heard.index(f"{ROOT}/job")), makes_take)
    for deck, one in enumerate(lights, 1):
        _stop_lamp(made, route, heard.index(f"{ROOT}/deck/{deck}/state"), deck, one["stop"])
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
    return source


def _stop_lamp(made: Any, route: Any, outlet: int, deck: int, light: Any) -> None:
    """On while there is something to stop."""
    x = 20 + 300 * (deck - 1)
    which = _box(made, "sel dry silence", x, 900, 110)
    made.add_line(route, which, 0, outlet)
    for at, value in enumerate(("0", "0", "t 1")):
        text = made.add_message(value, patching_rect=[x + 40 * at, 930, 35, 20]) if at < 2 else _box(made, value, x + 90, 930, 40)
        made.add_line(which, text, 0, at)
        made.add_line(text, light)


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
        about |= {"parameter_mmin": low, "parameter_mmax": high, "parameter_unitstyle": 1}
    if initial is not None:
        about |= {"parameter_initial": [initial], "parameter_initial_enable": 1}
    ports = {"numoutlets": 1, "outlettype": [""]} if low is None else {"numoutlets": 2, "outlettype": ["", "float"]}
    saved = {"saved_attribute_attributes": {"valueof": about}, "parameter_enable": 1}
    return made.add_textbox(kind, kind, patching_rect=rect, numinlets=1, **ports, **saved, **_seen(*seen))


def _seen(x: int, y: int, width: int, height: int) -> dict[str, Any]:
    return {"presentation": 1, "presentation_rect": [x, y, width, height]}
