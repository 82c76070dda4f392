"""`python -m segue.bench.speculation`: from a `continue` to its first sample, with candidates and without, on jackd.

Music goes on from a file on deck 1, and `continue` comes at random moments with the real engine. The show log says when it
arrived and at which frame the callback entered the take.
"""

from __future__ import annotations

import argparse
import json
import os
import platform
import sys
import tempfile
import time
from pathlib import Path
from typing import Any

import numpy as np
import soundfile

from segue.bench.live import jack, serve
from segue.clients.python import Client

RATE, BLOCK = 44_100, 128
TAKE_S = 1.0
PAUSE_S = (2.0, 4.0)  # between a take's end and the next command
CLIP = Path(__file__).parent.parent / "examples" / "clip_a.flac"


def main(argv: list[str] | None = None) -> int:
    """Prints one row with candidates and one without."""
    parser = argparse.ArgumentParser(prog="speculation", description=__doc__)
    parser.add_argument("--events", type=int, default=30)
    parser.add_argument("--block", type=int, default=BLOCK)
    parser.add_argument("--json", action="store_true")
    args = parser.parse_args(argv)
    rows = [measure(args.block, args.events, verbs) for verbs in ("continue", "off")]
    if args.json:
        print(json.dumps({"machine": platform.machine(), "cores": os.cpu_count(), "rows": rows}))
    else:
        for row in rows:
            print(row)
    return 0


def measure(block: int, events: int, verbs: str) -> dict[str, Any]:
    """Plays, asks, and reads the log."""
    rng = np.random.default_rng(5)
    with tempfile.TemporaryDirectory() as folder, jack(block), serve("--host-api", "JACK") as (client, _, log):
        play(client, Path(folder) / "music.wav", events)
        client.send("/segue/deck/1/speculate", verbs)
        time.sleep(6.0)
        for event in range(events):
            job = client.deck(1).continue_(sec=TAKE_S, xfade=0.0)
            client.job(job, "playing", timeout=20.0)
            time.sleep(TAKE_S + rng.uniform(*PAUSE_S))
            print(f"{verbs}: {event + 1} of {events}", end="\r", file=sys.stderr)
        time.sleep(1.0)
        counters = client.status()["counters"]
        return {"speculate": verbs, "block": block, **read(log), "over_period": counters["over_period"]}


def play(client: Client, path: Path, events: int) -> None:
    """The clip, over and over, on deck 1."""
    clip, rate = soundfile.read(CLIP, dtype="float32")
    assert rate == RATE
    seconds = 20.0 + events * (TAKE_S + PAUSE_S[1] + 2.0)
    soundfile.write(path, np.tile(clip, (int(seconds * RATE / len(clip)) + 1, 1)), RATE)
    client.deck(1).load(str(path))
    client.wait("/segue/deck/1/file", 20.0)
    client.deck(1).play()
    time.sleep(8.0)


def read(log: Path) -> dict[str, Any]:
    """From arrival to the frame at which the callback entered the take, for each command."""
    lines = [json.loads(line) for line in log.read_text().splitlines()]
    asked = [line for line in lines if line["kind"] == "command" and line["address"].endswith("/continue")]
    takes = [line for line in lines if line["kind"] == "event" and line["address"] == "/segue/take"]
    late = np.array([take["args"][3] - command["arrived"] for command, take in zip(asked, takes, strict=True)]) / RATE * 1e3
    p50, p95, p99 = np.percentile(late, [50, 95, 99]).round(3).tolist()
    selected = [take for take in takes if take["args"][7] == "candidate"]
    ages = np.array([take["args"][4] for take in selected]) / RATE
    return {
        "n": len(takes),
        "selected": len(selected),
        "ms_p50": p50,
        "ms_p95": p95,
        "ms_p99": p99,
        "context_age_s_p50": round(float(np.median(ages)), 2) if len(ages) else None,
        "context_age_s_max": round(float(ages.max()), 2) if len(ages) else None,
    }


if __name__ == "__main__":
    sys.exit(main())
