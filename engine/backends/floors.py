"""The least time that a network can take on a machine: its operations over the peak, or its bytes over the bandwidth."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

import torch
from torch import nn
from torch.utils.flop_counter import FlopCounterMode


@dataclass(frozen=True)
class Machine:
    """What a machine can do at most: floating-point operations and bytes a second."""

    flops: float
    bytes: float


H200 = Machine(790e12, 4.3e12)  # bf16, both measured with large products and copies


def operations(work: Callable[[], object]) -> int:
    """Floating-point operations of the matrix products and convolutions that work does."""
    with FlopCounterMode(display=False) as counter:
        work()
    return int(counter.get_total_flops())


def weight_bytes(module: nn.Module, size: int = 4) -> int:
    """Bytes of a module's weights, each read once, at so many bytes a weight."""
    return size * sum(p.numel() for p in module.parameters())


def floor_s(work: Callable[[], object], weights: int, machine: Machine) -> float:
    """Seconds below which work cannot come on a machine, whatever runs it."""
    with torch.no_grad():
        return max(operations(work) / machine.flops, weights / machine.bytes)
