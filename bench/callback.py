"""Whether the audio callback keeps its period: on a real JACK server, under a busy model, garbage collection and many messages.

`python -m segue.bench.callback --seconds 60 --block 128 --json`
"""

from __future__ import annotations

import argparse
import gc
import json
import multiprocessing
import os
import platform
import shutil
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import asdict, dataclass, field

import numpy as np

from segue.server.audio.memory import SharedMemoryError
from segue.server.audio.segment import Segment
from segue.server.audio.values import Command, Policy, Source, StreamState

RATE = 44_100
MESSAGES = 1000  # a second
BURST = 1000  # at once, where the sender fell behind; the log remembers more
GARBAGE = 200_000  # objects in cycles, collected by force once a second
PATIENCE_S = 20.0
PRIORITY = 70  # of the JACK server; its clients run 5 below


@dataclass(frozen=True)
class Settings:
    """What the audio process is told."""

    block: int
    host_api: str
    segment: str = field(default_factory=lambda: f"segue-bench-{os.getpid()}")
    rate: int = RATE
    decks: int = 2
    cue: int = 0
    device: str | None = None
    client_name: str = "segue-bench"


RUN = """
import json, sys
from segue.bench.callback import Settings
from segue.server.audio.process import run_audio
run_audio(Settings(**json.loads(sys.argv[1])))
"""


@contextmanager
def jack(block: int) -> Iterator[str]:
    """A JACK server of our own on its dummy driver; yields `real-time` or `normal`."""
    name = f"segue-bench-{os.getpid()}"
    os.environ |= {"JACK_DEFAULT_SERVER": name, "JACK_NO_AUDIO_RESERVATION": "1"}
    driver = ["-d", "dummy", "-r", str(RATE), "-p", str(block)]
    for kind, options in (("real-time", ["-R", "-P", str(PRIORITY)]), ("normal", ["-r"])):
        server = subprocess.Popen(["jackd", "-n", name, *options, *driver], stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
        if subprocess.run(["jack_wait", "-w", "-t", "5"], capture_output=True).returncode == 0 and server.poll() is None:
            try:
                yield kind
            finally:
                server.terminate()
                server.wait()
            return
        server.kill()
        server.wait()
    raise SystemExit("bench callback: jackd does not start; install jackd2, or use --host-api null")


@contextmanager
def audio(settings: Settings) -> Iterator[Segment]:
    """The audio process; yields its segment once the stream runs."""
    process = subprocess.Popen([sys.executable, "-c", RUN, json.dumps(asdict(settings))])
    segment, deadline = None, time.monotonic() + PATIENCE_S
    try:
        while segment is None or segment.stream_state is not StreamState.RUNNING or segment.frame == 0:
            if process.poll() is not None or time.monotonic() > deadline:
                raise SystemExit("bench callback: the audio process did not start")
            time.sleep(0.05)
            try:
                segment = segment or Segment.attach(settings.segment)
            except SharedMemoryError:
                continue
        yield segment
    finally:
        if segment is not None:
            segment.ask_stop()
            segment.close()
        process.wait(15)


def multiply() -> None:
    """A model that never rests: matrix products on all cores."""
    import torch

    a = torch.randn(1024, 1024)
    while True:
        a = (a @ a) / 32.0
        a = a / a.norm() * 1024


def rubbish() -> list[dict[str, object]]:
    """Objects in cycles, for the collector."""
    nodes: list[dict[str, object]] = [{} for _ in range(GARBAGE)]
    for node in nodes:
        node["self"] = node
    return nodes


def flood(segment: Segment, seconds: float) -> tuple[int, int, list[int]]:
    """Sends numbered commands in bursts while takes come and go and garbage is collected; (sent, applied, order)."""
    take = np.random.default_rng(0).uniform(-0.1, 0.1, (2, 20 * RATE)).astype(np.float32)
    began, sent, seen, order, collected = time.monotonic(), 0, segment.log_index, [], time.monotonic()
    slot = 0
    while time.monotonic() - began < seconds:
        due = int((time.monotonic() - began) * MESSAGES) + 1
        burst = sent + BURST
        while sent < min(due, burst) and segment.push(Command.set_gain(sent % 2, 0.5 + (sent % 100) / 200, fade=32, id=sent + 1)):
            sent += 1
        if time.monotonic() - collected > 1.0:
            collected, slot = time.monotonic(), 1 - slot
            rubbish()
            gc.collect()
            first = segment.frame + 8 * segment.block
            segment.write_slot(0, slot, first, take[:, : 2 * RATE])
            segment.publish_slot(0, slot, 1, first, first + 2 * RATE, first + RATE + RATE // 2, 2205, Policy.LADDER)
            segment.push(Command.play(0, Source(1 + slot), first, 441))
        lines = segment.applied(seen)
        seen = lines[-1].index + 1 if lines else seen
        order += [line.id for line in lines if line.id]
        time.sleep(0.002)
    time.sleep(0.5)
    order += [line.id for line in segment.applied(seen) if line.id]
    return sent, len(order), order


def measure(settings: Settings, seconds: float, kind: str, busy: bool) -> dict[str, object]:
    """Runs for a while and says what the callback counted."""
    with audio(settings) as segment:
        model = multiprocessing.get_context("spawn").Process(target=multiply, daemon=True) if busy else None
        if model is not None:
            model.start()
            time.sleep(3.0)
        before = segment.counters()
        segment.header.counters.max_ns = segment.header.counters.max_cpu_ns = 0
        sent, applied, order = flood(segment, seconds)
        counters = segment.counters()
        if model is not None:
            model.kill()
            model.join()
        passed = {name: counters[name] - before[name] for name in counters if not name.startswith("max")}
        return {
            "machine": f"{platform.machine()}, {os.cpu_count()} cores, {platform.system()} {platform.release()}",
            "date": time.strftime("%Y-%m-%d"),
            "stream": segment.sentence,
            "scheduling": kind,
            "seconds": seconds,
            "sample_rate": segment.rate,
            "block": segment.block,
            "period_s": segment.block / segment.rate,
            "callbacks": passed["callbacks"],
            "callbacks_over_period": passed["over_period"],
            "callbacks_over_period_cpu": passed["over_period_cpu"],
            "max_callback_s": counters["max_ns"] * 1e-9,
            "max_callback_cpu_s": counters["max_cpu_ns"] * 1e-9,
            "xruns": passed["status_xruns"],
            "gaps": passed["gap_xruns"],
            "lost_frames": passed["lost_frames"],
            "messages": sent,
            "messages_applied": applied,
            "in_order": order == sorted(order),
            "late": passed["late"],
            "underruns": passed["underruns"],
        }


def main() -> int:
    """Prints a table, or one JSON object with --json."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--seconds", type=float, default=60.0)
    parser.add_argument("--block", type=int, default=128)
    parser.add_argument("--host-api", default="JACK" if shutil.which("jackd") else "null")
    parser.add_argument("--quiet-machine", action="store_true", help="without the busy model")
    parser.add_argument("--json", action="store_true")
    args = parser.parse_args()
    settings = Settings(args.block, args.host_api)
    if args.host_api == "JACK":
        with jack(args.block) as kind:
            report = measure(settings, args.seconds, kind, not args.quiet_machine)
    else:
        report = measure(settings, args.seconds, "normal", not args.quiet_machine)
    if args.json:
        print(json.dumps(report))
    else:
        for name, value in report.items():
            print(f"{name:>24}  {value}")
    return 0


if __name__ == "__main__":
    sys.exit(main())
