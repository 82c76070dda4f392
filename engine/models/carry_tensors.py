"""`carry.carried_v` for batches in tensor operators alone: nothing waits for the host, so a CUDA graph can hold it.

Every length that differs from item to item is a tensor, and what lies beyond it is at infinite distance. The search depends on
the context alone, which no step changes, so it is made once a take and the steps choose among its candidates.
"""

from __future__ import annotations

import torch
from torch import Tensor

from segue.engine.models.carry import CANDIDATES, LEAST_SIGMA, MATCHED, PIECE
from segue.engine.paper import alpha, sigma

SHORTEST = 2 * MATCHED + PIECE  # frames of context that there is something to choose from


def searched(x: Tensor, context: Tensor) -> tuple[Tensor, Tensor]:
    """(rows, has): for each candidate and frame of x `[B, C, T]` the context frame that it is, and which items have candidates.

    rows: `[B, CANDIDATES, T]`. has: `[B]` bool. context: `[B, T]` bool; its runs at both ends count, as in `carry.sources`.
    """
    batch, frames = context.shape
    place = torch.arange(frames, device=x.device)
    rows = place.expand(batch, CANDIDATES, -1)
    left = context.long().cumprod(1).sum(1)
    right = context.flip(1).long().cumprod(1).sum(1)
    gap = frames - left - right
    has = (gap > 0) & (torch.maximum(left, right) >= SHORTEST)
    if frames < SHORTEST:
        return rows, torch.zeros_like(has)
    x = x.detach()
    on, back = _chains(x, left), _chains(x.flip(2), right)
    since = place - left[:, None]  # [B, T], frames since the context ended
    until = gap[:, None] - 1 - since
    forwards = on.gather(2, _within(since, frames))
    backwards = frames - 1 - back.gather(2, _within(until, frames))
    leads = (since < gap[:, None] // 2) & (left >= SHORTEST)[:, None] | (right < SHORTEST)[:, None]
    new = (since >= 0) & (until >= 0) & has[:, None]
    return torch.where(new[:, None], torch.where(leads[:, None], forwards, backwards), rows), has


def _within(place: Tensor, frames: int) -> Tensor:
    return place.clamp(0, frames - 1)[:, None].expand(-1, CANDIDATES, -1)


def _chains(x: Tensor, length: Tensor) -> Tensor:
    """`carry.goings_on` of the first `length` `[B]` frames of x `[B, C, T]`, where these are SHORTEST: `[B, CANDIDATES, T]`."""
    frames = x.shape[2]
    count = (length - PIECE - MATCHED + 1).clamp(min=2)  # windows that a stretch may follow
    windows = x.unfold(2, MATCHED, 1)[:, :, : frames - PIECE - MATCHED + 1].transpose(1, 2).flatten(2)
    beyond = torch.arange(windows.shape[1], device=x.device) >= count[:, None]
    order = torch.cdist(windows, windows).masked_fill(beyond[:, None], torch.inf).argsort(dim=2)
    last = (length[:, None] - MATCHED + torch.arange(MATCHED, device=x.device)).clamp(min=0)
    ending = x.gather(2, last[:, None].expand(-1, x.shape[1], -1)).flatten(1)[:, None]
    first = torch.cdist(ending, windows)[:, 0].masked_fill(beyond, torch.inf).argsort(dim=1)
    ranks = count.clamp(max=CANDIDATES)[:, None]
    k = torch.arange(CANDIDATES, device=x.device)
    start, chain = first.gather(1, k % ranks), []
    for n in range(-(-frames // PIECE)):
        chain.append(start[..., None] + MATCHED + torch.arange(PIECE, device=x.device))
        after = torch.minimum(start + PIECE, count[:, None] - 1)
        row = order.gather(1, after[..., None].expand(-1, -1, order.shape[2]))
        start = row.gather(2, (1 + (k + n) % (ranks - 1))[..., None])[..., 0]
    return torch.cat(chain, dim=2)[..., :frames].clamp(max=frames - 1)


def carried(v: Tensor, x_t: Tensor, t: Tensor, channels: int, candidates: Tensor, has: Tensor) -> Tensor:
    """v `[B, C, T]` at levels t `[B, T]` whose last `channels` lead to the likeliest of the candidates that `searched` found."""
    phases, new = x_t[:, None, -channels:], (t > 0)[:, None]
    a, s = alpha(t)[:, None], sigma(t)[:, None]
    one = candidates[:, :, None].expand(-1, -1, channels, -1)
    x_0 = phases.expand(-1, CANDIDATES, -1, -1).gather(3, one)  # [B, K, channels, T]
    likelihood = (x_0 * (phases - a[:, None] * x_0 / 2) * new[:, None]).sum(dim=(2, 3))
    likeliest = likelihood.argmax(dim=1)[:, None, None, None].expand(-1, -1, *x_0.shape[2:])
    led = (a * phases[:, 0] - x_0.gather(1, likeliest)[:, 0]) / s.clamp(min=LEAST_SIGMA)
    kept = v[:, -channels:]
    return torch.cat((v[:, :-channels], torch.where(new & has[:, None, None], led, kept)), dim=1)
