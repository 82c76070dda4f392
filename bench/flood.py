"""`python -m segue.bench.flood --seconds 60`: many messages, forced garbage collection and generation at once, on jackd.

A process of its own sends `/segue/deck/2/gain` with a new value each time, evenly paced, while deck 1 never stops continuing.
Afterwards the show log says whether every one was applied, in the order of sending, and the callback whether it kept its period.
"""

from __future__ import annotations

import argparse
import json
import os
import platform
import shutil
import signal
import subprocess
import sys
import tempfile
import time
from pathlib import Path
from typing import Any

import numpy as np
import psutil
import soundfile

from segue.bench.live import jack, serve
from segue.clients.python import Client, SegueError

RATE, BLOCK = 44_100, 128
PER_SECOND = 1000
COLLECT_S = 0.5
TAKE_S = 8.0
GAINS = 2**20  # value number i is i / GAINS: exact in a float, so that the log tells them apart
ADDRESS = "/segue/deck/2/gain"

SENDER = f"""
import socket, struct, sys, time
port, count, period = int(sys.argv[1]), int(sys.argv[2]), 1 / int(sys.argv[3])
out = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
out.connect(("127.0.0.1", port))
name = b"{ADDRESS}"
head = name + bytes(4 - len(name) % 4) + b",f" + bytes(2)
began = time.monotonic()
for i in range(count):
    wait = began + i * period - time.monotonic()
    if wait > 0:
        time.sleep(wait)
    out.send(head + struct.pack(">f", (i + 1) / {GAINS}))
print(time.monotonic() - began)
"""


def main(argv: list[str] | None = None) -> int:
    """Exit code 1 where a message was lost or overtaken, or the callback took longer than its period."""
    parser = argparse.ArgumentParser(prog="flood", description=__doc__)
    parser.add_argument("--seconds", type=float, default=60.0)
    parser.add_argument("--rate", type=int, default=PER_SECOND, help="messages a second")
    parser.add_argument("--block", type=int, default=BLOCK)
    parser.add_argument("--keep-log", metavar="FILE", help="a copy of the show log")
    parser.add_argument("--json", action="store_true")
    args = parser.parse_args(argv)
    with jack(args.block), serve("--host-api", "JACK") as (client, server, log):
        before = client.status()
        flooded = flood(client, server.pid, round(args.seconds * args.rate), args.rate)
        client.ask("/segue/sync", 1, timeout=30.0)
        time.sleep(1.0)
        after = client.status()
        if args.keep_log:
            shutil.copy(log, args.keep_log)
        report = {"machine": platform.machine(), "cores": os.cpu_count(), "block": args.block, **flooded}
        report |= told(before, after, args.block) | read_log(log, flooded["sent"])
    if args.json:
        print(json.dumps(report))
    else:
        for name, value in report.items():
            print(f"{name:28} {value}")
    whole = report["applied"] == report["sent"] == report["commands"] and report["in_order"] and not report["over_period"]
    return 0 if whole else 1


def flood(client: Client, server: int, count: int, rate: int) -> dict[str, Any]:
    """Sends, collects and generates at once."""
    control = next(p for p in psutil.Process(server).children() if any("control_process" in w for w in p.cmdline()))
    with tempfile.TemporaryDirectory() as folder:
        play(client, Path(folder) / "noise.wav")
        argv = [sys.executable, "-c", SENDER, str(client.port), str(count), str(rate)]
        takes = collections = 0
        number, failures = client.deck(1).continue_(sec=TAKE_S), 0
        sender = subprocess.Popen(argv, stdout=subprocess.PIPE, text=True)
        due = time.monotonic()
        while sender.poll() is None:
            if time.monotonic() >= due:
                due += COLLECT_S
                control.send_signal(signal.SIGUSR1)
                collections += 1
            try:
                client.job(number, "playing", timeout=0.05)
            except SegueError as error:
                if "was not playing" in str(error):
                    continue
                failures += 1
            takes, number = takes + 1, client.deck(1).continue_(sec=TAKE_S)
        assert sender.stdout is not None
        with sender.stdout as told_:
            took = float(told_.read() or "nan")
        client.deck(1).stop()
    return {"sent": count, "seconds": took, "takes": takes, "failed_takes": failures, "collections": collections}


def play(client: Client, path: Path) -> None:
    """Puts noise on deck 1 and waits until there is enough of it."""
    soundfile.write(path, np.random.default_rng(1).normal(0, 0.1, (120 * RATE, 2)).astype(np.float32), RATE)
    client.deck(1).load(str(path))
    client.wait("/segue/deck/1/file", 20.0)
    client.deck(1).play()
    while client.status()["decks"][0]["position"] < 8.0:
        time.sleep(0.1)


def told(before: dict[str, Any], after: dict[str, Any], block: int) -> dict[str, Any]:
    """What the server counted meanwhile."""
    counters = {name: after["counters"][name] - before["counters"][name] for name in after["counters"] if "max" not in name}
    longest = {f"callback_{name}": after["counters"][name] / 1e6 for name in after["counters"] if name.endswith("_ns")}
    return counters | longest | {f"door_{name}": after["door"][name] for name in ("received", "bad", "errors", "dropped")}


def read_log(log: Path, sent: int) -> dict[str, Any]:
    """Commands and what became of them, from the show log."""
    lines = [json.loads(line) for line in log.read_text().splitlines()]
    commands = [line for line in lines if line["kind"] == "command" and line["address"] == ADDRESS]
    applied = [line for line in lines if line["kind"] == "applied" and line["op"] == "GAIN"]
    values = [round(line["args"][0] * GAINS) for line in commands]
    at = [line["at"] for line in commands]
    ids, frames = [line["id"] for line in applied], [line["frame"] for line in applied]
    waits = np.array([line["waited_frames"] for line in commands]) / RATE * 1e3
    ordered = values == sorted(values) and at == sorted(at) and ids == sorted(ids) and frames == sorted(frames)
    rows = {f"wait_ms_p{p}": round(float(np.percentile(waits, p)), 3) for p in (50, 95, 99, 100)} if len(waits) else {}
    return {
        "commands": len(commands),
        "applied": sum(line["status"] == "APPLIED" for line in applied),
        "in_order": ordered,
        "off_frame": sum(line["frame"] != line["scheduled"] for line in applied),
        "refused_by_queue": sum(line["kind"] == "refused" for line in lines),
        "missing": sent - len(set(values)),
        "log_mb": round(log.stat().st_size / 1e6, 1),
        **rows,
    }


if __name__ == "__main__":
    sys.exit(main())
