"""`carry.carried_v` with its search made once a take: all steps of a sampler see one context, and choose among its candidates."""

from __future__ import annotations

import torch
from torch import Tensor

from segue.engine.models.carry import CANDIDATES, sources
from segue.engine.models.carry_tensors import carried


class Memory:
    """Holds the last search and the context that it was of. Calls from several threads cost searches, and no wrong answer."""

    def __init__(self) -> None:
        self._last: tuple[Tensor, Tensor, Tensor, Tensor] | None = None

    def carried_v(self, v: Tensor, x_t: Tensor, t: Tensor, channels: int) -> Tensor:
        """As `carry.carried_v`."""
        if t.ndim == 1:
            return v
        t = t.expand(x_t.shape[0], -1)
        return carried(v, x_t, t, channels, *self.found(x_t.detach(), t == 0))

    def found(self, x: Tensor, context: Tensor) -> tuple[Tensor, Tensor]:
        """(rows, has) as `searched` gives them, of x `[B, C, T]` where context `[B, T]`."""
        known = x * context[:, None]
        last = self._last
        if last is not None and torch.equal(last[0], known) and torch.equal(last[1], context):
            return last[2], last[3]
        each = [sources(item, mask) for item, mask in zip(x, context, strict=True)]
        itself = torch.arange(context.shape[1], device=x.device).expand(CANDIDATES, -1)
        rows = torch.stack([itself if rows is None else rows for rows in each])
        has = torch.tensor([rows is not None for rows in each], device=x.device)
        self._last = known, context, rows, has
        return rows, has
