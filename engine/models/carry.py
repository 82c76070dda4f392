"""Channels that are carried on from the context instead of being generated: the phases of the bass.

Latent channels that hold phases are nearly white from frame to frame, and a small generator draws them without coherence,
which sounds like wind. A phase only has to go on smoothly, so the prior of these channels is empirical: one of CANDIDATES
goings-on, each a chain of short stretches of the context, every one of which begins where the context resembles what was
just played. The noise decides which: x_0_hat is the likeliest candidate given x_t. The denoiser was trained beside such phases;
they are heard where no real sound lies under a take (`engine/texture.py`).
"""

from __future__ import annotations

import torch
from torch import Tensor

from segue.engine.paper import alpha, sigma

CANDIDATES = 8
MATCHED = 4  # frames that are compared where one stretch follows another
PIECE = 18  # frames of a stretch, 0.4 s: shorter than what would be heard as a quotation
LEAST_SIGMA = 1e-4


def carried_v(v: Tensor, x_t: Tensor, t: Tensor, channels: int) -> Tensor:
    """v `[B, C, T]` whose last `channels` lead to the likeliest going-on of the context, for items of t `[B, T]` that have one.

    Frames at t = 0 are context. An item without any at either end keeps its v.
    """
    if t.ndim == 1:
        return v
    pairs = zip(x_t, t.expand(x_t.shape[0], -1), v, strict=True)
    return torch.stack([_carried(answer, item, levels, channels) for item, levels, answer in pairs])


def _carried(v: Tensor, x_t: Tensor, t: Tensor, channels: int) -> Tensor:
    candidates = sources(x_t, t == 0)
    if candidates is None:
        return v
    phases, new = x_t[-channels:], t > 0
    a, s = alpha(t), sigma(t)
    x_0 = phases[:, candidates].transpose(0, 1)  # [K, channels, T]
    # log p(x_t | x_0) but for what all share and 1 / sigma^2, which keeps it finite and ordered at alpha = 0 too
    likelihood = (x_0 * (phases - a * x_0 / 2))[..., new].sum(dim=(1, 2))
    # v = alpha eps - sigma x_0 with eps = (x_t - alpha x_0) / sigma
    led = (a * phases - x_0[int(likelihood.argmax())]) / s.clamp(min=LEAST_SIGMA)
    return torch.cat((v[:-channels], torch.where(new, led, v[-channels:])))


def sources(x: Tensor, context: Tensor) -> Tensor | None:
    """For each candidate and frame of x `[C, T]` the context frame `[CANDIDATES, T]` that it is, or None without context.

    context: `[T]` bool; its runs at the two ends of the window count. With both, each leads half of the way.
    """
    frames = context.shape[0]
    left = int(context.long().cumprod(0).sum())
    right = int(context.flip(0).long().cumprod(0).sum())
    gap = frames - left - right
    if gap <= 0 or max(left, right) < 2 * MATCHED + PIECE:
        return None
    on, back = goings_on(x[:, :left].detach(), gap), goings_on(x[:, frames - right :].detach().flip(1), gap)
    back = None if back is None else (frames - 1 - back).flip(1)
    halves = (on if on is not None else back, back if back is not None else on)
    new = torch.cat((halves[0][:, : gap // 2], halves[1][:, gap // 2 :]), dim=1)  # type: ignore[index]
    rows = torch.arange(frames, device=x.device).repeat(CANDIDATES, 1)
    return torch.cat((rows[:, :left], new, rows[:, left + gap :]), dim=1)


def goings_on(x: Tensor, count: int) -> Tensor | None:
    """`[CANDIDATES, count]` frames of x `[C, L]` that go on after its end, None where x is too short to choose from.

    Candidate k begins with its k-th best match, and each next stretch with the one after that, round and round.
    """
    length = x.shape[1]
    if length < 2 * MATCHED + PIECE:
        return None
    # a stretch may begin at MATCHED .. length - PIECE; windows[i] are the frames just before the start MATCHED + i
    windows = x.unfold(1, MATCHED, 1)[:, : length - PIECE - MATCHED + 1].transpose(0, 1).flatten(1)
    order = torch.cdist(windows, windows).argsort(dim=1)  # for each start, the starts that resemble it, itself first
    first = torch.cdist(x[:, length - MATCHED :].reshape(1, -1), windows)[0].argsort()
    ranks = min(CANDIDATES, len(windows))
    chains = []
    for k in range(CANDIDATES):
        start, chain = int(first[k % ranks]), []
        for n in range(-(-count // PIECE)):
            chain.append(start + MATCHED + torch.arange(PIECE, device=x.device))
            # what would follow has this window before it, where there is one; the likest other place goes on instead
            after = min(start + PIECE, len(windows) - 1)
            start = int(order[after, 1 + (k + n) % (ranks - 1)]) if ranks > 1 else 0
        chains.append(torch.cat(chain)[:count])
    return torch.stack(chains)
