"""Where Segue keeps what it can make again: the user's cache folder."""

from __future__ import annotations

import os
from pathlib import Path


def cache_folder() -> Path:
    """`segue` in XDG_CACHE_HOME, or in `.cache` at home."""
    return Path(os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache") / "segue"
