"""Scores: messages with the times at which they are sent, read from YAML."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Any

import yaml

from segue.server.commands import Value

LONGEST_S = 4 * 3600.0


class ScoreError(ValueError):
    """A score, or an input to it, that cannot be used."""


@dataclass(frozen=True)
class Event:
    """One message of a score: at second `at`, `address` with `args`; tagged: `at` is when its result sounds."""

    at: float
    address: str
    args: tuple[Value, ...]
    tagged: bool = False


def read_score(path: str) -> list[Event]:
    """The messages of a score file in order of time. Raises ScoreError with a sentence."""
    try:
        data = yaml.safe_load(Path(path).read_text(encoding="utf-8"))
    except OSError as error:
        raise ScoreError(f"score {path}: {error.strerror or error}; give the path of a YAML file") from None
    except (UnicodeDecodeError, yaml.YAMLError) as error:
        raise ScoreError(f"score {path}: no YAML: {str(error).splitlines()[0]}") from None
    if not isinstance(data, list):
        raise ScoreError(f"score {path}: a list of {{at: seconds, send: [address, ...]}}, got {type(data).__name__}")
    return sorted((_event(path, number, item) for number, item in enumerate(data, 1)), key=lambda e: e.at)


def _event(path: str, number: int, item: Any) -> Event:
    keys = {"at", "send", "tag"}
    if not isinstance(item, dict) or not {"at", "send"} <= set(item) <= keys:
        raise ScoreError(f"score {path}, entry {number}: takes at, send and tag, got {item!r}")
    at, message = item["at"], item["send"]
    if not isinstance(at, int | float) or not 0 <= at < LONGEST_S:
        raise ScoreError(f"score {path}, entry {number}: at is a time in seconds, got {at!r}")
    if not isinstance(message, list) or not message or not isinstance(message[0], str):
        raise ScoreError(f"score {path}, entry {number}: send is [address, arguments...], got {message!r}")
    return Event(float(at), message[0], tuple(message[1:]), bool(item.get("tag", False)))
