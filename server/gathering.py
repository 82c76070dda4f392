"""Several takes at once: the calls that their runs make of one denoiser are gathered into one forward pass.

Each run has a thread of its own and waits in its call until all others wait in theirs or are done; whoever comes last computes
for all. A run by itself and one among others differ by what the order of sums does to the last bits.
"""

from __future__ import annotations

import threading
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from queue import SimpleQueue
from typing import Any, TypeVar

import torch
from torch import Tensor

from segue.engine.protocols import Denoiser

T = TypeVar("T")


@dataclass
class _Call:
    """v, or with g its vjp, of one run; answer is set by whoever computes it."""

    x_t: Tensor
    t: Tensor
    g: Tensor | None
    cond: Tensor | None
    answer: Any = None
    error: BaseException | None = None
    done: bool = False

    @property
    def kind(self) -> tuple[object, ...]:
        """Calls of one kind fit into one pass."""
        return (self.x_t.shape, self.t.shape, self.g is None, None if self.cond is None else self.cond.shape)


class Gathered:
    """A denoiser whose calls wait for those of the other runs. Every run calls `leave` when it is over."""

    def __init__(self, inner: Denoiser, runs: int) -> None:
        """runs: threads that will call."""
        self._inner, self._runs = inner, runs
        self._waiting: list[_Call] = []
        self._changed = threading.Condition()

    @property
    def per_frame_t(self) -> bool:
        """Whether t may differ from frame to frame."""
        return self._inner.per_frame_t

    @property
    def channels(self) -> int:
        """C, the number of latent channels."""
        return self._inner.channels

    @property
    def device(self) -> str:
        """Where the inner denoiser runs."""
        return str(getattr(self._inner, "device", "cpu"))

    def v(self, x_t: Tensor, t: Tensor, cond: Tensor | None = None) -> Tensor:
        """v of this run's window, once every run has asked for its own."""
        answer: Tensor = self._ask(_Call(x_t, t, None, cond))
        return answer

    def vjp(self, x_t: Tensor, t: Tensor, g: Tensor, cond: Tensor | None = None) -> tuple[Tensor, Tensor] | None:
        """(v, J_v^T g) of this run's window, likewise."""
        answer: tuple[Tensor, Tensor] | None = self._ask(_Call(x_t, t, g, cond))
        return answer

    def leave(self) -> None:
        """One run is over; the others no longer wait for it."""
        with self._changed:
            self._runs -= 1
            self._compute_if_all_wait()

    def _ask(self, call: _Call) -> Any:
        with self._changed:
            self._waiting.append(call)
            self._compute_if_all_wait()
            self._changed.wait_for(lambda: call.done)
        if call.error is not None:
            raise call.error
        return call.answer

    def _compute_if_all_wait(self) -> None:
        if not self._waiting or len(self._waiting) < self._runs:
            return
        calls, self._waiting = self._waiting, []
        for kind in dict.fromkeys(call.kind for call in calls):
            self._compute([call for call in calls if call.kind == kind])
        self._changed.notify_all()

    def _compute(self, calls: list[_Call]) -> None:
        def joined(parts: Sequence[Tensor | None]) -> Tensor | None:
            tensors = [part for part in parts if part is not None]
            return torch.cat(tensors) if tensors else None

        x_t = torch.cat([call.x_t for call in calls])
        t = torch.cat([call.t.expand(call.x_t.shape[0], *call.t.shape[1:]) for call in calls])
        g, cond = joined([call.g for call in calls]), joined([call.cond for call in calls])
        sizes = [call.x_t.shape[0] for call in calls]
        try:
            both = (self._inner.v(x_t, t, cond),) if g is None else self._inner.vjp(x_t, t, g, cond)
            parts = [None] * len(calls) if both is None else list(zip(*(one.split(sizes) for one in both), strict=True))
            for call, part in zip(calls, parts, strict=True):
                call.answer = part[0] if part is not None and g is None else part
        except Exception as error:  # every run that waits has to hear of it
            for call in calls:
                call.error = error
        for call in calls:
            call.done = True


def together(inner: Denoiser, runs: Sequence[Callable[[Denoiser], Iterator[T]]]) -> Iterator[tuple[int, T | BaseException]]:
    """What each run yields, with its number, as it comes; an error is yielded in its place and ends that run alone."""
    gathered, said = Gathered(inner, len(runs)), SimpleQueue[tuple[int, Any, bool]]()

    def drive(number: int) -> None:
        try:
            for item in runs[number](gathered):
                said.put((number, item, False))
        except Exception as error:  # handed over to whoever reads
            said.put((number, error, False))
        finally:
            gathered.leave()
            said.put((number, None, True))

    threads = [threading.Thread(target=drive, args=(number,), daemon=True) for number in range(len(runs))]
    for thread in threads:
        thread.start()
    left = len(runs)
    while left:
        number, item, over = said.get()
        left -= over
        if not over:
            yield number, item
    for thread in threads:
        thread.join()
