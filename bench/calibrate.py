"""Times a take on each back-end that is installed, and remembers the fastest for `--backend auto`."""

from __future__ import annotations

import argparse
import json
import sys
import time
from collections.abc import Callable
from typing import Any

import torch

from segue.bench.engine import continuation
from segue.engine.backends import Site
from segue.engine.backends.cache import cache_folder
from segue.engine.backends.choice import calibrate
from segue.engine.checkpoint import load
from segue.engine.engine import Engine
from segue.engine.models.spec import Model


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Options of `segue bench calibrate`."""
    parser.add_argument("--model", default="live", help="name of a shipped model, or a model file")
    parser.add_argument("--device", default="cpu", choices=["cpu", "cuda"], help="where to run")
    parser.add_argument("--threads", type=int, default=0, help="threads of the model; 0: as many as PyTorch takes")


def run(args: Any) -> int:
    """`segue bench calibrate`: 0."""
    if args.threads:
        torch.set_num_threads(args.threads)
    torch.set_flush_denormal(True)
    site = Site(
        threads=args.threads, cache=cache_folder(), say=lambda text: print(f"calibrate: {text}", file=sys.stderr, flush=True)
    )
    seconds = calibrate(load(args.model, args.device), args.device, site, taking(args.device))
    best = min(seconds, key=lambda name: seconds[name])
    if args.json:
        print(json.dumps({"backend": best, "seconds": seconds, "threads": site.cores, "cache": str(site.cache)}))
    else:
        print(f"{best} is the fastest: {1e3 * seconds[best]:.0f} ms a take, eager {1e3 * seconds['eager']:.0f} ms")
    return 0


def taking(device: str) -> Callable[[Model], float]:
    """What times a continuation of one window, 4 steps: on a CPU by processor time, to which other work adds little."""
    clock = time.process_time if device == "cpu" else time.perf_counter

    def seconds(model: Model) -> float:
        engine = Engine(model)
        request = continuation(engine)
        begun = clock()
        engine.take(request)
        return clock() - begun

    return seconds
