"""`python -m segue.bench.speculation`: from a verb to its first sample, with candidates and without, on jackd.

Music goes on from a file on deck 1, another lies on deck 2, and each verb comes at random moments with the real engine. The show
log says when it arrived and at which frame the callback entered the take.
"""

from __future__ import annotations

import argparse
import json
import os
import platform
import sys
import tempfile
import time
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
import soundfile

from segue.bench.live import jack, serve
from segue.clients.python import Client
from segue.server.speculation import VERBS

RATE, BLOCK = 44_100, 128
OFF = "off"
BEATS = {"continue": 2.0, "vary": 2.0, "generate": 2.0, "loop": 8.0, "transition": 8.0}  # as long as the take that is asked for
PAUSE_S = (2.0, 4.0)  # between a take's end and the next command
WARM_S = 8.0  # of music before the first one
PATIENCE_S = 60.0
CLIP = Path(__file__).parent.parent / "examples" / "clip_a.flac"
MUSIC_S = 60.0  # longer than it plays before, under and after a verb


def main(argv: list[str] | None = None) -> int:
    """Prints a row with candidates and one without for each verb."""
    parser = argparse.ArgumentParser(prog="speculation", description=__doc__)
    parser.add_argument("--events", type=int, default=30, help="of each verb")
    parser.add_argument("--block", type=int, default=BLOCK)
    parser.add_argument("--verbs", nargs="+", default=list(VERBS), choices=VERBS)
    parser.add_argument("--json", action="store_true")
    args = parser.parse_args(argv)
    rows = measure(args.block, args.events, args.verbs)
    if args.json:
        facts = {"machine": platform.machine(), "cores": os.cpu_count(), "load": os.getloadavg()[0]}
        print(json.dumps({**facts, "rows": rows}))
    else:
        for row in rows:
            print(row)
    return 0


def measure(block: int, events: int, verbs: Sequence[str]) -> list[dict[str, Any]]:
    """Plays, asks, and reads the log, verb by verb, with candidates and without."""
    rng, rows = np.random.default_rng(5), []
    with tempfile.TemporaryDirectory() as folder, jack(block), serve("--host-api", "JACK") as (client, _, log):
        music = Path(folder) / "music.wav"
        clip, rate = soundfile.read(CLIP, dtype="float32")
        assert rate == RATE
        soundfile.write(music, np.tile(clip, (int(MUSIC_S * RATE / len(clip)) + 1, 1)), RATE)
        for deck in (1, 2):
            client.deck(deck).load(str(music))
            client.wait(f"/segue/deck/{deck}/file", PATIENCE_S)
        for verb in verbs:
            for speculate in (verb, OFF):
                asked = [ask(client, verb, speculate, rng) for _ in range(events)]
                over_period = client.status()["counters"]["over_period"]
                found = read(log, set(asked))
                rows.append({"verb": verb, "speculate": speculate, "block": block, **found, "over_period": over_period})
                print(rows[-1], file=sys.stderr)
    return rows


def ask(client: Client, verb: str, speculate: str, rng: np.random.Generator) -> int:
    """Lets the music play from its beginning, gives the verb at a random moment, and the deck back; the job's number."""
    deck = client.deck(1)
    client.send("/segue/deck/1/speculate", speculate)
    client.send("/segue/deck/2/pause")
    deck.seek(0.0)
    deck.play()
    time.sleep(WARM_S + rng.uniform(*PAUSE_S))
    options: dict[str, Any] = {"beats": BEATS[verb], "xfade": 0.0}
    names = {"continue": "continue_"}
    job: int = getattr(deck, names.get(verb, verb))(**options)
    client.job(job, "playing", timeout=PATIENCE_S)
    if verb == "transition":  # it moves both files when it ends
        client.job(job, "done", timeout=PATIENCE_S)
    time.sleep(1.0)
    client.send("/segue/deck/1/speculate", OFF)
    deck.stop()
    time.sleep(0.5)
    return job


def read(log: Path, jobs: set[int]) -> dict[str, Any]:
    """From arrival to the frame at which the callback entered the take, for each job."""
    lines = [json.loads(line) for line in log.read_text().splitlines()]
    arrived = {_number(line["args"]): line["arrived"] for line in lines if line["kind"] == "command" and "arrived" in line}
    takes = [line["args"] for line in lines if line["kind"] == "event" and line["address"] == "/segue/take"]
    takes = [take for take in takes if take[0] in jobs]
    late = np.array([take[3] - arrived[take[0]] for take in takes]) / RATE * 1e3
    p50, p95, p99 = np.percentile(late, [50, 95, 99]).round(3).tolist() if len(late) else (None, None, None)
    ages = np.array([take[4] for take in takes if take[7] == "candidate"]) / RATE
    return {
        "n": len(takes),
        "selected": len(ages),
        "ms_p50": p50,
        "ms_p95": p95,
        "ms_p99": p99,
        "context_age_s_p50": round(float(np.median(ages)), 2) if len(ages) else None,
        "context_age_s_max": round(float(ages.max()), 2) if len(ages) else None,
    }


def _number(args: Sequence[Any]) -> int:
    """The id among a command's options, 0 where it has none."""
    return next((int(args[i + 1]) for i, word in enumerate(args[:-1]) if word == "id"), 0)


if __name__ == "__main__":
    sys.exit(main())
