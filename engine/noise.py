"""Noise that depends on a seed alone: drawn on the CPU, so that every back-end and device starts from the same."""

from __future__ import annotations

import hashlib

import torch
from torch import Tensor


def generator(seed: int, *path: int) -> torch.Generator:
    """A CPU generator for a place in a request (window number, use); different paths give independent streams."""
    text = ",".join(str(n) for n in (seed, *path)).encode()
    return torch.Generator().manual_seed(int.from_bytes(hashlib.sha256(text).digest()[:8], "big") >> 1)


def normal(shape: tuple[int, ...], generator: torch.Generator) -> Tensor:
    """z ~ N(0, I), float32."""
    return torch.randn(shape, generator=generator)


def draw(like: Tensor, generator: torch.Generator) -> Tensor:
    """z ~ N(0, I) of the shape, precision and device of a tensor."""
    dtype = torch.float64 if like.dtype == torch.float64 else torch.float32
    return torch.randn(like.shape, generator=generator, dtype=dtype).to(like)
