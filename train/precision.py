"""Mixed precision by name: what runs under autocast, and the loss scale that half precision needs."""

from __future__ import annotations

from contextlib import AbstractContextManager

import torch

PRECISIONS = ("fp32", "bf16", "fp16")
_TYPES = {"bf16": torch.bfloat16, "fp16": torch.float16}


def check(precision: str) -> None:
    """Raises ValueError for a precision that is none of PRECISIONS."""
    if precision not in PRECISIONS:
        raise ValueError(f"precision: got {precision!r}; one of {', '.join(PRECISIONS)}; correct it in the recipe")


def autocast(device: torch.device, precision: str) -> AbstractContextManager[None]:
    """Matrices in the named precision, weights and sums in fp32."""
    return torch.autocast(device.type, _TYPES.get(precision), enabled=precision in _TYPES)


def loss_scale(device: torch.device, precision: str) -> torch.amp.GradScaler:
    """The scale that keeps fp16 gradients above zero; idle in any other precision."""
    return torch.amp.GradScaler(device.type, enabled=precision == "fp16")
