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
    "clients/max/segue.maxpat": _made("max", "patch"),
    "clients/ableton/segue.amxd": _made("max", "device"),
}
