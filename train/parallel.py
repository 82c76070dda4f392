"""Data-parallel and sharded processes; a single process needs none of it.

Every process draws the same plan of a step and carries out its share of the items, so that a run is the same run on any
number of processes.
"""

from __future__ import annotations

import os
import warnings
from collections.abc import Iterable
from typing import Any

import torch
import torch.distributed as dist
from torch import Tensor, nn


def start() -> None:
    """Join the group that torchrun announced, if it did; fp32 matrices on a GPU may use its faster units."""
    if torch.cuda.is_available():
        torch.set_float32_matmul_precision("high")
    if "WORLD_SIZE" in os.environ and not dist.is_initialized():
        if torch.cuda.is_available():
            torch.cuda.set_device(int(os.environ.get("LOCAL_RANK", "0")))
        dist.init_process_group("nccl" if torch.cuda.is_available() else "gloo")


def finish() -> None:
    """Leave the group, if there is one."""
    if dist.is_initialized():
        dist.destroy_process_group()


def rank() -> int:
    """This process's number; 0 speaks and writes."""
    return dist.get_rank() if dist.is_initialized() else 0


def world() -> int:
    """How many processes there are."""
    return dist.get_world_size() if dist.is_initialized() else 1


def device() -> torch.device:
    """Where this process computes: its GPU if there is one, else the CPU."""
    return torch.device("cuda", torch.cuda.current_device()) if torch.cuda.is_available() else torch.device("cpu")


def share(batch: int) -> range:
    """The items of a batch that are this process's. Raises ValueError where they cannot be shared evenly."""
    if batch % world():
        raise ValueError(f"batch: got {batch} items for {world()} processes; choose a multiple of {world()}")
    each = batch // world()
    return range(rank() * each, (rank() + 1) * each)


def average_gradients(parameters: Iterable[nn.Parameter]) -> None:
    """Mean gradient over the processes, in one exchange; sharded gradients are that already."""
    grads = [p.grad for p in parameters if p.grad is not None]
    if not dist.is_initialized() or any(is_sharded(g) for g in grads):
        return
    flat = torch.cat([g.flatten() for g in grads])
    dist.all_reduce(flat)
    flat /= world()
    for g, part in zip(grads, flat.split([g.numel() for g in grads]), strict=True):
        g.copy_(part.view_as(g))


def largest(value: float) -> float:
    """The greatest of the processes' values, so that all of them take the same decision at the same step."""
    if not dist.is_initialized():
        return value
    shared = torch.tensor(value, dtype=torch.float64, device=device())
    dist.all_reduce(shared, op=dist.ReduceOp.MAX)
    return float(shared)


def mean(value: float) -> float:
    """The mean of the processes' values."""
    if not dist.is_initialized():
        return value
    shared = torch.tensor(value, dtype=torch.float64, device=device())
    dist.all_reduce(shared)
    return float(shared) / world()


def shard(module: nn.Module) -> None:
    """Spread a module's parameters over the processes, block by block (FSDP): each holds and updates a part.

    Raises ValueError where there is no group of processes.
    """
    from torch.distributed.fsdp import fully_shard

    if not dist.is_initialized():
        raise ValueError("shard: got one process, needs several; start it with torchrun, or set `shard: false`")
    # our outputs may be views; nobody writes into them
    warnings.filterwarnings("ignore", "FSDP2-wrapped module", UserWarning)
    for child in module.modules():
        if isinstance(child, nn.ModuleList):
            for block in child:
                if not isinstance(block, nn.ModuleList | nn.Identity):
                    fully_shard(block)
    # the root too gives its parts back after each forward pass, or the average could not follow after a check
    fully_shard(module, reshard_after_forward=True)


def is_sharded(tensor: Tensor) -> bool:
    """Whether this process holds only a part of a tensor."""
    from torch.distributed.tensor import DTensor

    return isinstance(tensor, DTensor)


def local(tensors: Iterable[Tensor]) -> list[Tensor]:
    """The parts of tensors that this process holds."""
    from torch.distributed.tensor import DTensor

    return [t.to_local() if isinstance(t, DTensor) else t for t in tensors]


def whole(tensor: Tensor) -> Tensor:
    """A sharded number put together; any other tensor as it is. All processes call it."""
    from torch.distributed.tensor import DTensor

    return tensor.full_tensor() if isinstance(tensor, DTensor) else tensor


def gathered(module: nn.Module) -> dict[str, Any]:
    """A module's state, put together on the CPU. All processes call it."""
    if not _any_sharded(module.parameters()):
        return {key: value.detach().cpu() for key, value in module.state_dict().items()}
    from torch.distributed.checkpoint.state_dict import StateDictOptions, get_model_state_dict

    return dict(get_model_state_dict(module, options=StateDictOptions(full_state_dict=True, cpu_offload=True)))


def scattered(module: nn.Module, state: dict[str, Any]) -> None:
    """Give every process its part of a whole state."""
    if not _any_sharded(module.parameters()):
        module.load_state_dict(state)
        return
    from torch.distributed.checkpoint.state_dict import StateDictOptions, set_model_state_dict

    set_model_state_dict(module, state, options=StateDictOptions(full_state_dict=True))


def gathered_optimiser(module: nn.Module, optimiser: torch.optim.Optimizer) -> dict[str, Any]:
    """An optimiser's state by the names of the parameters, put together. All processes call it."""
    from torch.distributed.checkpoint.state_dict import StateDictOptions, get_optimizer_state_dict

    return dict(get_optimizer_state_dict(module, optimiser, options=StateDictOptions(full_state_dict=True, cpu_offload=True)))


def scattered_optimiser(module: nn.Module, optimiser: torch.optim.Optimizer, state: dict[str, Any]) -> None:
    """The inverse of `gathered_optimiser`."""
    from torch.distributed.checkpoint.state_dict import StateDictOptions, set_optimizer_state_dict

    set_optimizer_state_dict(module, optimiser, state, options=StateDictOptions(full_state_dict=True))


def _any_sharded(tensors: Iterable[Tensor]) -> bool:
    return any(is_sharded(t) for t in tensors)
