"""Batches by the number of their step, made ahead by threads where there are some."""

from __future__ import annotations

import os
from collections.abc import Callable
from concurrent.futures import Future, ThreadPoolExecutor
from typing import Generic, TypeVar

import torch

B = TypeVar("B")


class Feed(Generic[B]):
    """`make(step)` must depend on the step alone: then it matters to nobody who made a batch, and when."""

    def __init__(self, make: Callable[[int], B], workers: int | None = None) -> None:
        """workers: threads that work ahead; by default none on a CPU, which has better things to do."""
        count = (max(1, (os.cpu_count() or 2) - 2) if torch.cuda.is_available() else 0) if workers is None else workers
        self._make, self._ahead = make, count
        self._pool = ThreadPoolExecutor(count) if count else None
        self._waiting: dict[int, Future[B]] = {}

    def __call__(self, step: int) -> B:
        """The batch of a step; those of the next steps are begun."""
        if self._pool is None:
            return self._make(step)
        for number in range(step, step + self._ahead + 1):
            if number not in self._waiting:
                self._waiting[number] = self._pool.submit(self._make, number)
        for number in [n for n in self._waiting if n < step]:
            del self._waiting[number]
        return self._waiting.pop(step).result()

    def close(self) -> None:
        """Let go of the threads; what they have begun is given up."""
        if self._pool is not None:
            self._pool.shutdown(wait=True, cancel_futures=True)
