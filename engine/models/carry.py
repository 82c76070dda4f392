"""Channels that are carried on from the context instead of being generated: the phases of the bass.

Latent channels that hold phases are nearly white from frame to frame, and a small generator draws them without coherence,
which sounds like wind. A phase only has to go on smoothly, so these channels repeat the stretch of the context whose
beginning follows most smoothly on its end, as in a sampler's loop.
"""

from __future__ import annotations

import torch
from torch import Tensor

from segue.engine.paper import alpha, over, sigma

MATCHED = 4  # frames on which the end of the context and the end of the stretch before it are compared
SHORTEST = 16  # frames that are repeated at least


def carried_v(v: Tensor, x_t: Tensor, t: Tensor, channels: int) -> Tensor:
    """v `[B, C, T]` whose last `channels` lead to the context's own going on, in items of t `[B, T]` that have a context.

    Frames at t = 0 are context. An item without any at either end keeps its v.
    """
    if t.ndim == 1:
        return v
    rows = []
    for item, levels, answer in zip(x_t, t.expand(x_t.shape[0], -1), v, strict=True):
        index = sources(item, levels == 0)
        if index is None:
            rows.append(answer)
            continue
        x_0 = item[-channels:, index]
        level = over(levels[None], item[None])[0]
        # v = alpha eps - sigma x_0 with eps = (x_t - alpha x_0) / sigma; context frames have no eps, and their v is not used
        new = (alpha(level) * item[-channels:] - x_0) / sigma(level).clamp(min=1e-4)
        rows.append(torch.cat((answer[:-channels], torch.where(levels > 0, new, answer[-channels:]))))
    return torch.stack(rows)


def sources(x: Tensor, context: Tensor) -> Tensor | None:
    """For each frame of x `[C, T]` the context frame `[T]` that it takes after, or None without context at either end.

    context: `[T]` bool. The nearer end of the window decides; runs of context inside the window are not looked at.
    """
    frames = context.shape[0]
    left = int(context.long().cumprod(0).sum())
    right = int(context.flip(0).long().cumprod(0).sum())
    if max(left, right) < MATCHED or left == frames:
        return None
    index = torch.arange(frames, device=x.device)
    gap = frames - left - right
    on, back = _going_on(x[:, :left], gap), _going_on(x[:, frames - right :].flip(1), gap)
    from_left = on if on is not None else None
    from_right = (frames - 1 - back).flip(0) if back is not None else None
    if from_left is not None and from_right is not None:
        half = gap // 2
        index[left : left + gap] = torch.cat((from_left[:half], from_right[half:]))
    else:
        chosen = from_left if from_left is not None else from_right
        assert chosen is not None
        index[left : left + gap] = chosen
    return index


def _going_on(x: Tensor, count: int) -> Tensor | None:
    """`[count]` frames of x `[C, L]` that go on after its end: its last P frames again and again, None where x is short.

    P is the period at which the last frames of x most resemble those P earlier.
    """
    length = x.shape[1]
    if length < MATCHED:
        return None
    end = x[:, length - MATCHED :]
    windows = x.unfold(1, MATCHED, 1)[:, : max(1, length - MATCHED - SHORTEST + 1)]
    distance = (windows - end[:, None]).square().sum(dim=(0, 2))
    period = length - MATCHED - int(distance.argmin())
    period = period if period > 0 else length
    return length - period + torch.arange(count, device=x.device) % period
