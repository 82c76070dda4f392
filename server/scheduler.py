"""Messages whose time has not come, in order of frame and then of arrival."""

from __future__ import annotations

import heapq
from typing import Generic, TypeVar

T = TypeVar("T")

CAPACITY = 4096


class QueueFullError(RuntimeError):
    """More messages wait than the queue holds."""


class Scheduler(Generic[T]):
    """A bounded queue by frame; equal frames leave in the order they came. Control thread only."""

    def __init__(self, capacity: int = CAPACITY) -> None:
        """capacity: items held at most."""
        self._heap: list[tuple[int, int, T]] = []
        self._count = 0
        self._capacity = capacity

    def __len__(self) -> int:
        return len(self._heap)

    def add(self, frame: int, item: T) -> None:
        """Keeps an item until `frame`. Raises QueueFullError."""
        if len(self._heap) >= self._capacity:
            raise QueueFullError(f"{self._capacity} messages wait already: send fewer ahead of time, or /segue/clear_sched")
        heapq.heappush(self._heap, (frame, self._count, item))
        self._count += 1

    def due(self, frame: int) -> list[T]:
        """Takes out everything due at or before a frame, in order."""
        items = []
        while self._heap and self._heap[0][0] <= frame:
            items.append(heapq.heappop(self._heap)[2])
        return items

    def clear(self) -> int:
        """Forgets everything; returns how many items that were."""
        count = len(self._heap)
        self._heap.clear()
        return count
