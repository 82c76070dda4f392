"""Order and bounds of waiting messages."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from segue.server.scheduler import QueueFullError, Scheduler


@given(st.lists(st.integers(0, 50)), st.integers(0, 60))
def test_leaves_by_frame_and_then_by_arrival(frames: list[int], until: int) -> None:
    scheduler: Scheduler[tuple[int, int]] = Scheduler()
    for n, frame in enumerate(frames):
        scheduler.add(frame, (frame, n))
    due = scheduler.due(until)
    assert due == sorted((f, n) for n, f in enumerate(frames) if f <= until)
    assert len(scheduler) == len(frames) - len(due)


def test_is_bounded_and_clears() -> None:
    scheduler: Scheduler[int] = Scheduler(capacity=2)
    scheduler.add(1, 1)
    scheduler.add(2, 2)
    with pytest.raises(QueueFullError, match="2 messages wait"):
        scheduler.add(3, 3)
    assert scheduler.clear() == 2
    assert scheduler.due(100) == []
