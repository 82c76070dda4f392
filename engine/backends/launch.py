"""A whole take as one function of tensors, from the audio of a window to new audio: what a CUDA graph captures as one launch.

Tasks differ in their tensors alone, so a batch may hold a different one in each item: those that measure latent frames
(generate, continuation, infill, regenerate, renoise, transition, loop), and with a guide style and classify. The number of
steps, the length and what is decoded are fixed; nothing inside waits for the host. Collage and texture (`engine/ground.py`,
`engine/texture.py`) run in the engine: a launch ends with what the decoder says, and of a codec that keeps envelopes the
engine's takes sound otherwise.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, fields
from typing import Any, TypeAlias

import torch
from torch import Tensor

from segue.engine.backends.graphs import codec_module, network
from segue.engine.distance import bce, l1, l2
from segue.engine.models.carry_tensors import carried, searched
from segue.engine.models.guide import Guide
from segue.engine.models.spec import Model
from segue.engine.paper import alpha, eps_hat, over, sigma, x_0_hat

Found: TypeAlias = tuple[Tensor, Tensor] | None  # what `searched` gives, for a model that carries channels


@dataclass(frozen=True)
class Takes:
    """What a batch of takes is made from.

    audio: `[B, 2, (reach + T + reach) * hop]` at the model's loudness, whatever where nothing is known. z: noise `[B, C, T]`.
    measured: `[B, T]` bool, A's rows. clean: those held at level 0. drawn, stays: `[B]`, x_T = drawn z + stays x_bar where not
    measured: 1 and 0 for noise alone, k and 1 - k, or sigma and alpha of a part-way start. levels: `[B, N + 1]`, falling to 0.
    xi: `[B]`, as applied.
    For a launch with a guide: weights `[B, 3]` of the losses of context, style and classes, as Problem and Term have them;
    style `[B, dim]` is the wanted embedding; classes `[B, m]` in [0, 1], NaN where they do not matter, of one with a classifier.
    """

    audio: Tensor
    z: Tensor
    measured: Tensor
    clean: Tensor
    drawn: Tensor
    stays: Tensor
    levels: Tensor
    xi: Tensor
    weights: Tensor | None = None
    style: Tensor | None = None
    classes: Tensor | None = None

    def tensors(self) -> tuple[Tensor, ...]:
        """All that there are, in order."""
        return tuple(tensor for tensor in (getattr(self, field.name) for field in fields(self)) if tensor is not None)

    def moved(self, device: str) -> Takes:
        """The same on another device."""
        return Takes(*(tensor.to(device, non_blocking=True) for tensor in self.tensors()))


@dataclass(frozen=True)
class Launch:
    """Runs takes on a model. first, last: the latent frames that will sound. guided: on A(x_0_hat), but for the last step.

    guide: measures style and classes of the frames from `first` on, which are the new ones of the items that have such a loss.
    """

    model: Model
    first: int
    last: int
    guided: bool = False
    guide: Guide | None = None

    @property
    def carried(self) -> int:
        """Channels that are carried on from a clean context."""
        return int(getattr(self.model.spec.denoiser, "carried", 0))

    @property
    def reach(self) -> int:
        """Frames of audio that the encoder is given on each side of the window."""
        codec = codec_module(self.model)
        return int(getattr(codec, "encoder_receptive_frames", self.model.codec.receptive_frames))

    def __call__(self, takes: Takes) -> Tensor:
        """New audio `[B, 2, (last - first) * hop]`."""
        codec: Any = codec_module(self.model)
        frames = takes.z.shape[-1]
        with torch.no_grad():
            x_bar = codec.encode(takes.audio)[..., self.reach : self.reach + frames]
            x_0 = self.solved(takes, x_bar)
            around = codec.receptive_frames
            begin, end = max(0, self.first - around), min(frames, self.last + around)
            audio: Tensor = codec.decode(x_0[..., begin:end], begin)
        return audio[..., (self.first - begin) * codec.hop : (self.last - begin) * codec.hop]

    def solved(self, takes: Takes, x_bar: Tensor) -> Tensor:
        """Algorithm 2 with guidance on x_0_hat and the consistency step, item by item the samplers' own."""
        measured = takes.measured[:, None]
        x_t = torch.where(measured, x_bar, takes.drawn[:, None, None] * takes.z + takes.stays[:, None, None] * x_bar)
        # clean frames are the context at every step, so what can be carried on from it is looked for once
        found = searched(x_bar, takes.clean) if self.carried else None
        steps = takes.levels.shape[1] - 1
        for i in range(steps):
            t, s = (takes.levels[:, j, None] * ~takes.clean for j in (i, i + 1))
            guided = self.guided and i < steps - 1
            v, grad = self._guided(x_t, t, x_bar, takes, found) if guided else self._free(x_t, t, found)
            x_0 = x_0_hat(x_t, v, t)
            eps = eps_hat(x_t, v, t)
            eps = eps - takes.xi[:, None, None] * sigma(over(t, x_t)) * grad
            x_t = torch.where(measured, x_bar, alpha(over(s, x_t)) * x_0 + sigma(over(s, x_t)) * eps)
        return x_t

    def _free(self, x_t: Tensor, t: Tensor, found: Found) -> tuple[Tensor, Tensor]:
        return self._v(x_t, t, found), torch.zeros_like(x_t)

    def _guided(self, x_t: Tensor, t: Tensor, y: Tensor, takes: Takes, found: Found) -> tuple[Tensor, Tensor]:
        """v, and the gradient of the losses by x_t."""
        with torch.enable_grad():
            x = x_t.detach().requires_grad_()
            v = self._v(x, t, found)
            (grad,) = torch.autograd.grad(self._losses(x_0_hat(x, v, t), y, takes).sum(), x)
        return v.detach(), grad

    def _losses(self, x_0: Tensor, y: Tensor, takes: Takes) -> Tensor:
        """`[B]`: ||A(x_0_hat) - y||_1, where clean frames add nothing since A is met there, and the guide's two."""
        apart = l1(y, torch.where((takes.measured & ~takes.clean)[:, None], x_0, y))
        if self.guide is None or takes.weights is None or takes.style is None:
            return apart
        new = x_0[..., self.first :]
        losses = [apart, l2(takes.style, self.guide.embedder.embed(new))]
        if self.guide.classifier is not None and takes.classes is not None:
            p, asked = self.guide.classifier(new), ~takes.classes.isnan()
            # a class that does not matter is as probable as is wanted, whatever it is
            losses.append(bce(takes.classes.nan_to_num(0.0), torch.where(asked, p, 0.0)))
        return sum((weight * loss for weight, loss in zip(takes.weights.T, losses, strict=False)), torch.zeros_like(apart))

    def _v(self, x_t: Tensor, t: Tensor, found: Found) -> Tensor:
        v: Tensor = network(self.model)(x_t, self._levels(t))
        return v if found is None else carried(v, x_t, t, self.carried, *found)

    def _levels(self, t: Tensor) -> Tensor:
        return t if self.model.denoiser.per_frame_t else t[:, -1]


def captured(launch: Launch, example: Takes, device: str = "cuda") -> Callable[[Takes], Tensor]:
    """The launch as one CUDA graph for takes of the example's shapes: pinned copies in and out around it, on one stream.

    The result is in host memory when the call returns; the next call overwrites it.
    """
    static = example.moved(device)
    pinned = [tensor.cpu().pin_memory() for tensor in example.tensors()]
    side = torch.cuda.Stream()
    side.wait_stream(torch.cuda.current_stream())
    with torch.cuda.stream(side):
        for _ in range(3):  # libraries choose and allocate before anything is captured
            launch(static)
    torch.cuda.current_stream().wait_stream(side)
    graph = torch.cuda.CUDAGraph()
    with torch.cuda.graph(graph):
        for there, here in zip(static.tensors(), pinned, strict=True):
            there.copy_(here, non_blocking=True)
        made = launch(static)
        out = torch.empty(made.shape, dtype=made.dtype, pin_memory=True)
        out.copy_(made, non_blocking=True)

    def run(takes: Takes) -> Tensor:
        for here, tensor in zip(pinned, takes.tensors(), strict=True):
            here.copy_(tensor)
        graph.replay()
        torch.cuda.current_stream().synchronize()
        return out

    return run
