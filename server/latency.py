"""Where latencies that were measured are kept: a small JSON file of the user's, one entry a device, rate and block."""

from __future__ import annotations

import json
import os
from dataclasses import asdict, dataclass
from pathlib import Path

LONGEST_S = 1.0  # that is looked for, and believed


@dataclass(frozen=True)
class Latency:
    """Seconds from the output port to the ear, and from what is played to the input port; together the round trip."""

    output_s: float = 0.0
    input_s: float = 0.0

    @property
    def round_trip_s(self) -> float:
        """From what sounds to what is played to it, at the ports."""
        return self.output_s + self.input_s


def config_file() -> Path:
    """`segue/latency.json` in XDG_CONFIG_HOME, or in `.config` at home."""
    return Path(os.environ.get("XDG_CONFIG_HOME") or Path.home() / ".config") / "segue" / "latency.json"


def entry(sentence: str) -> str:
    """The entry's name, from what the audio process says of its stream: device, host API, rate and period."""
    return sentence.rpartition(", ")[0]


def recalled(sentence: str) -> Latency:
    """What was measured on this stream; none where nothing was, or where the file is not to be read."""
    try:
        kept = json.loads(config_file().read_text(encoding="utf-8"))[entry(sentence)]
        found = Latency(float(kept["output_s"]), float(kept["input_s"]))
    except (OSError, ValueError, KeyError, TypeError):
        return Latency()
    return found if min(found.output_s, found.input_s) >= 0.0 and found.round_trip_s <= LONGEST_S else Latency()


def keep(sentence: str, latency: Latency) -> Path:
    """Writes it beside those of other streams; returns the file. Raises OSError."""
    path = config_file()
    try:
        known = json.loads(path.read_text(encoding="utf-8"))
    except (OSError, ValueError):
        known = {}
    known = known if isinstance(known, dict) else {}
    path.parent.mkdir(parents=True, exist_ok=True)
    path.with_suffix(".new").write_text(json.dumps(known | {entry(sentence): asdict(latency)}, indent=1), encoding="utf-8")
    path.with_suffix(".new").replace(path)
    return path
