"""`python -m segue.bench.osc_latency --probe osclat.c`: OSC message to first sample, on jackd's dummy driver.

The probe is an independent JACK client in C that sends raw datagrams and finds the onsets on JACK's own clock:
`osclat PORT UDP EVENTS on.bin off.bin LEAD THRESHOLD`. A captured phrase of noise is what sounds; the fade is 0.
"""

from __future__ import annotations

import argparse
import json
import platform
import socket
import subprocess
import sys
import tempfile
import time
from pathlib import Path
from typing import Any

import numpy as np
import soundfile

from segue.bench.live import jack, serve
from segue.clients.python import Client
from segue.server.control.packets import bundle, encode

RATE = 44_100
PHRASE_S = 1.0
PORT_NAME = "segue:out_0"


def main(argv: list[str] | None = None) -> int:
    """Prints one row a block size and mode."""
    parser = argparse.ArgumentParser(prog="osc_latency", description=__doc__)
    parser.add_argument("--probe", required=True, help="C source of the probe")
    parser.add_argument("--blocks", type=int, nargs="+", default=[64, 128, 256])
    parser.add_argument("--events", type=int, default=100)
    parser.add_argument("--lead", type=float, default=0.1, help="seconds that tagged messages are sent ahead")
    parser.add_argument("--allowance", type=float, default=0.0, help="seconds, as of `segue serve`")
    parser.add_argument("--json", action="store_true")
    args = parser.parse_args(argv)
    rows: list[dict[str, Any]] = []
    with tempfile.TemporaryDirectory() as folder:
        work = Path(folder)
        subprocess.run(["gcc", "-O2", "-o", str(work / "osclat"), args.probe, "-ljack", "-lm"], check=True)
        for block in args.blocks:
            rows += measure(work, block, args.events, args.lead, args.allowance)
    if args.json:
        print(json.dumps({"machine": platform.processor() or platform.machine(), "rows": rows}))
    else:
        for row in rows:
            print(row)
    return 0


def measure(work: Path, block: int, events: int, lead: float, allowance: float) -> list[dict[str, Any]]:
    """Untagged and tagged at one block size, in milliseconds."""
    rows, since = [], 0
    with jack(block), serve("--host-api", "JACK", "--allowance", str(allowance)) as (client, _, log):
        number = phrase(client, work)
        (work / "on.bin").write_bytes(encode("/segue/deck/1/commit", ("id", number, "xfade", 0.0), "sisf"))
        (work / "off.bin").write_bytes(encode("/segue/deck/1/stop", ("xfade", 0.0), "sf"))
        for mode, ahead in (("untagged", 0.0), ("tagged", lead)):
            late = counters(client)["late"]
            argv = [str(work / "osclat"), PORT_NAME, str(client.port), str(events), "on.bin", "off.bin", str(ahead)]
            answer = subprocess.run(argv, cwd=work, capture_output=True, text=True, check=True)
            row = {"mode": mode, "block": block, "allowance_ms": 1e3 * allowance}
            row |= json.loads(answer.stdout.strip().splitlines()[-1])
            row["late_in_callback"] = counters(client)["late"] - late
            row["one_block_ms"] = 1000.0 * block / RATE
            time.sleep(1.0)  # the log is written a few times a second
            facts, since = kept(log, since, block + round(allowance * RATE))
            rows.append({**row, **facts})
            print(f"block {block} {mode}: p50 {row['p50']} ms, sd {row['sd']} ms", file=sys.stderr)
        rows.append({"mode": "pairs", "block": block, **pairs(client, number, log, since)})
    return rows


def pairs(client: Client, number: int, log: Path, since: int, count: int = 10) -> dict[str, Any]:
    """Frames between the first samples of two commits whose tags lie a second of the stream apart."""
    commit = encode("/segue/deck/1/commit", ("id", number, "xfade", 0.0), "sisf")
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as out:
        for _ in range(count):
            tag = time.time() + 0.2
            for when in (tag, tag + 1.0):
                out.sendto(bundle([commit], when), ("127.0.0.1", client.port))
            time.sleep(1.7)
    time.sleep(1.0)
    lines = [json.loads(line) for line in log.read_text().splitlines()[since:]]
    frames = [line["frame"] for line in lines if line["kind"] == "applied" and line["op"] == "PLAY"]
    between = [b - a for a, b in zip(frames[::2], frames[1::2], strict=True)]
    off = sum(line["scheduled"] != line["frame"] for line in lines if line["kind"] == "applied" and line["op"] == "PLAY")
    return {"n": len(between), "frames_min": min(between), "frames_max": max(between), "applied": len(frames), "off_frame": off}


def phrase(client: Client, work: Path) -> int:
    """A second of noise, captured from a file deck that then rests: what the commits play."""
    path = work / "noise.wav"
    soundfile.write(path, np.random.default_rng(1).choice([-0.5, 0.5], (4 * RATE, 2)).astype(np.float32), RATE)
    deck = client.deck(1)
    deck.load(str(path), gain=0.0)
    client.wait("/segue/deck/1/file", 10.0)
    deck.play()
    while client.status()["decks"][0]["position"] < PHRASE_S + 0.5:
        time.sleep(0.05)
    deck.capture(sec=PHRASE_S)
    ready = client.wait(lambda e: e.address == "/segue/job" and e.args[2:4] == ("capture", "ready"), 10.0)
    deck.pause()
    return int(ready.args[0])


def counters(client: Client) -> dict[str, int]:
    """The callback's counters."""
    found: dict[str, int] = client.status()["counters"]
    return found


def kept(log: Path, since: int, block: int) -> tuple[dict[str, Any], int]:
    """Of the show log from line `since` on, and how long it is now.

    Plays applied and those at another frame than scheduled; milliseconds from arrival to the callback's queue; and the share of
    untagged commands that arrived too near the next callback to be in time for it, with the most that one was put off by.
    """
    text = log.read_text().splitlines()
    lines = [json.loads(line) for line in text[since:]]
    applied = [line for line in lines if line["kind"] == "applied" and line["op"] == "PLAY"]
    commands = [line for line in lines if line["kind"] == "command" and line["address"].endswith("/commit")]
    waits = [1e3 * line["waited_frames"] / RATE for line in commands if not line["tagged"]]
    over = [1e3 * (line["at"] - line["arrived"] - block) / RATE for line in commands if not line["tagged"]]
    facts = {
        "applied": len(applied),
        "off_frame": sum(line["scheduled"] != line["frame"] for line in applied),
        "queued_after_p50": None if not waits else round(float(np.median(waits)), 3),
        "put_off_share": round(sum(ms > 0.0 for ms in over) / max(1, len(over)), 3),
        "put_off_max": round(max(over, default=0.0), 3),
    }
    return facts, len(text)


if __name__ == "__main__":
    sys.exit(main())
