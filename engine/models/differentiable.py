"""What every denoiser of ours does alike: its vector-Jacobian product, by automatic differentiation through its v."""

from __future__ import annotations

from collections.abc import Callable

import torch
from torch import Tensor, nn


class Differentiable(nn.Module):
    """A denoiser that knows its `v`; `vjp` and `pullback` follow. No gradient reaches the weights."""

    def v(self, x_t: Tensor, t: Tensor, cond: Tensor | None = None) -> Tensor:
        """v_theta(x_t, t), of the shape and type of x_t."""
        raise NotImplementedError(f"{type(self).__name__} has no v")

    def vjp(self, x_t: Tensor, t: Tensor, g: Tensor, cond: Tensor | None = None) -> tuple[Tensor, Tensor]:
        """(v, J_v^T g) by one forward and one backward pass."""
        v, pull = self.pullback(x_t, t, cond)
        return v, pull(g)

    def pullback(self, x_t: Tensor, t: Tensor, cond: Tensor | None = None) -> tuple[Tensor, Callable[[Tensor], Tensor]]:
        """(v, g -> J_v^T g): for a g that is known only once v is."""
        with torch.enable_grad():
            x = x_t.detach().requires_grad_(True)
            v = self.v(x, t, cond)
        return v.detach(), lambda g: torch.autograd.grad(v, x, g, retain_graph=True)[0]


def whole_window(t: Tensor, cond: Tensor | None) -> Tensor:
    """t `[B]` of a model with one level for the whole window and no condition. Raises ValueError for anything else."""
    if t.ndim != 1:
        raise ValueError(f"levels: got t {list(t.shape)}, this model takes [B], one level a window; use the regime guided")
    if cond is not None:
        raise ValueError(f"cond: got {cond.shape[-1]} values, this model takes none; leave cond out")
    return t
