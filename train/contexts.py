"""Random contexts: which frames of a training window are given clean."""

from __future__ import annotations

import torch
from torch import Tensor

# Shares of windows by what is given: left for continuation, both ends for infill and transition, the middle alone,
# and nothing, which is the paper's own model: one level over the whole window.
SHARES = {"left": 0.5, "both": 0.2, "middle": 0.05, "none": 0.25}
SHORTEST = 0.08  # of the window: context that is given, and the part that is new


def context_masks(count: int, frames: int, generator: torch.Generator) -> Tensor:
    """`[count, frames]` bool, true where a frame is given clean; at least SHORTEST of each window is new."""
    kinds = torch.multinomial(torch.tensor(list(SHARES.values())), count, replacement=True, generator=generator)
    names = list(SHARES)
    return torch.stack([_mask(names[int(k)], frames, generator) for k in kinds])


def _mask(kind: str, frames: int, generator: torch.Generator) -> Tensor:
    place = torch.arange(frames) / frames
    a, b = sorted((SHORTEST + (1 - 2 * SHORTEST) * torch.rand(2, generator=generator)).tolist())
    b = max(b, a + SHORTEST)
    end = a if torch.rand((), generator=generator) < 0.5 else b - SHORTEST
    masks: dict[str, Tensor] = {
        "left": place < end,
        "both": (place < a) | (place >= b),
        "middle": (place >= a) & (place < b),
        "none": torch.zeros(frames, dtype=torch.bool),
    }
    return masks[kind]
