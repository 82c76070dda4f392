"""How long work takes: seconds of the clock in median, 99th percentile and at the least, and of the processor at the least."""

from __future__ import annotations

import time
from collections.abc import Callable
from dataclasses import dataclass

import numpy as np
import torch


@dataclass(frozen=True)
class Times:
    """Seconds of n runs. cpu_s: of all threads, in the run that needed least: what other work on the machine adds least to."""

    n: int
    median_s: float
    p99_s: float
    cpu_s: float
    least_s: float


def timed(work: Callable[[], object], repeats: int) -> Times:
    """The times of work, after one run that is not counted."""
    work()
    clock, processor = [], []
    for _ in range(repeats):
        synchronise()
        begun, spent = time.perf_counter(), time.process_time()
        work()
        synchronise()
        clock.append(time.perf_counter() - begun)
        processor.append(time.process_time() - spent)
    return Times(repeats, float(np.median(clock)), float(np.quantile(clock, 0.99)), min(processor), min(clock))


def synchronise() -> None:
    """Wait for the GPU, where there is one."""
    if torch.cuda.is_available():
        torch.cuda.synchronize()
