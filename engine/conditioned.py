"""A condition given to a denoiser once: the same denoiser without one, or further along it (Ho & Salimans 2022)."""

from __future__ import annotations

from dataclasses import dataclass

from torch import Tensor

from segue.engine.protocols import Denoiser


@dataclass(frozen=True)
class Conditioned:
    """v(x_t) = v(x_t, none) + weight (v(x_t, cond) - v(x_t, none)); weight 1 is the condition alone, and half the work.

    cond: `[1, cond_dim]`. weight: above 1 exaggerates what the condition changes.
    """

    inner: Denoiser
    cond: Tensor
    weight: float = 1.0

    @property
    def per_frame_t(self) -> bool:
        """Whether t may differ from frame to frame."""
        return self.inner.per_frame_t

    @property
    def channels(self) -> int:
        """C, the number of latent channels."""
        return self.inner.channels

    @property
    def device(self) -> str:
        """Where the inner denoiser runs."""
        return str(getattr(self.inner, "device", "cpu"))

    def v(self, x_t: Tensor, t: Tensor, cond: Tensor | None = None) -> Tensor:
        """v along the condition, whatever cond says."""
        with_it = self.inner.v(x_t, t, self._for(x_t))
        return with_it if self.weight == 1 else self._along(self.inner.v(x_t, t), with_it)

    def vjp(self, x_t: Tensor, t: Tensor, g: Tensor, cond: Tensor | None = None) -> tuple[Tensor, Tensor] | None:
        """(v, J_v^T g) along the condition, or None where the inner denoiser has none."""
        with_it = self.inner.vjp(x_t, t, g, self._for(x_t))
        if self.weight == 1 or with_it is None:
            return with_it
        without = self.inner.vjp(x_t, t, g)
        assert without is not None  # it had one with the condition
        return self._along(without[0], with_it[0]), self._along(without[1], with_it[1])

    def _along(self, without: Tensor, with_it: Tensor) -> Tensor:
        return without + self.weight * (with_it - without)

    def _for(self, x_t: Tensor) -> Tensor:
        return self.cond.to(x_t).expand(x_t.shape[0], -1)
