"""What is made from the vocabulary and committed: file names and the bytes that belong there."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from importlib import import_module


def _made(module: str, function: str) -> Callable[[], bytes]:
    def make() -> bytes:
        made = getattr(import_module(f"segue.server.projections.{module}"), function)()
        return made.encode() if isinstance(made, str) else bytes(made)

    return make


# Paths from the root of the repository; each maker is imported when it is called, since py2max is an extra.
FILES: Mapping[str, Callable[[], bytes]] = {
    "docs/OSC.md": _made("markdown", "osc"),
    "docs/MIDI.md": _made("markdown", "midi"),
    "clients/python/methods.py": _made("python", "module"),
    "clients/pd/segue.pd": _made("pd", "patch"),
    "clients/pd/segue-help.pd": _made("pd_help", "patch"),
    "clients/supercollider/Segue.sc": _made("supercollider", "classes"),
    "clients/supercollider/HelpSource/Classes/Segue.schelp": _made("supercollider", "help_page"),
    "clients/touchosc/segue.tosc": _made("touchosc", "layout"),
    "clients/openstagecontrol/segue.json": _made("openstage", "session"),
    "docs/CHEATSHEET.md": _made("cheatsheet", "page"),
    "clients/max/segue.maxpat": _made("max", "patch"),
    "clients/max/segue.maxhelp": _made("max_help", "patch"),
    "clients/ableton/segue.amxd": _made("max", "device"),
}
