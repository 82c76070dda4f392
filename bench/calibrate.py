"""Times a take on each back-end that is installed, and remembers the fastest for `--backend auto`."""

from __future__ import annotations

import argparse
import json
import sys
import time
from typing import Any

import numpy as np
import torch

from segue.bench.engine import continuation
from segue.engine.backends import Site
from segue.engine.backends.choice import calibrate
from segue.engine.checkpoint import load
from segue.engine.engine import Engine
from segue.engine.models.spec import Model
from segue.server.cache import cache_folder

TAKES = 5


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
    seconds = calibrate(load(args.model, args.device), args.device, site, take_seconds)
    best = min(seconds, key=lambda name: seconds[name])
    if args.json:
        print(json.dumps({"backend": best, "seconds": seconds, "threads": site.cores, "cache": str(site.cache)}))
    else:
        print(f"{best} is the fastest: {1e3 * seconds[best]:.0f} ms a take, eager {1e3 * seconds['eager']:.0f} ms")
    return 0


def take_seconds(model: Model) -> float:
    """Median seconds of a continuation of one window, 4 steps, after one that does not count."""
    engine = Engine(model)
    request = continuation(engine)
    engine.take(request)
    times = []
    for _ in range(TAKES):
        begun = time.perf_counter()
        engine.take(request)
        times.append(time.perf_counter() - begun)
    return float(np.median(times))
