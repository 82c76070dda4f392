"""A model whose networks run elsewhere: copies that share its weights, with the calls of the networks replaced.

What surrounds a network stays the model's own code: the carried channels of `v`, the spectra of the codec, the automatic
differentiation of `vjp`, to which the foreign network looks like one more operator with a gradient.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, replace
from typing import Any

import torch
from torch import Tensor

from segue.engine.backends.eager import EagerCodec, EagerDenoiser
from segue.engine.backends.graphs import (
    Graph,
    codec_module,
    decoder_graph,
    denoiser_graph,
    encoder_graph,
    network,
    parts_graph,
    read_graph,
    shadow,
    vjp_graph,
)
from segue.engine.backends.site import Site
from segue.engine.models.spec import Model
from segue.engine.models.vae import LiveCodec

Runner = Callable[..., Any]  # tensors in, a sequence of tensors out
# (name of a graph, what traces it) -> what runs it
Build = Callable[[str, Callable[[Model], Graph]], Runner]


@dataclass(frozen=True)
class Halves:
    """A runner of the vjp graph that can be asked in two steps, so that v may decide what is pulled back.

    ahead: (x_t, t) -> (v, whatever back needs of it). back: (that, g) -> J_v^T g.
    """

    ahead: Callable[[Tensor, Tensor], tuple[Tensor, Any]]
    back: Callable[[Any, Tensor], Tensor]

    def __call__(self, x_t: Tensor, t: Tensor, g: Tensor) -> tuple[Tensor, Tensor]:
        """(v, J_v^T g)."""
        v, kept = self.ahead(x_t, t)
        return v, self.back(kept, g)


class _Foreign(torch.autograd.Function):
    """v by one runner, and its pullback by another; by the halves of one where there are such and a gradient is wanted."""

    @staticmethod
    def forward(ctx: Any, x_t: Tensor, t: Tensor, v: Runner, vjp: Runner) -> Tensor:
        out: Tensor
        if isinstance(vjp, Halves) and ctx.needs_input_grad[0]:
            out, kept = vjp.ahead(x_t, t)
            ctx.pull = lambda g: vjp.back(kept, g)
        else:
            out = v(x_t, t)[0]
            ctx.pull = lambda g: vjp(x_t, t, g)[1]
        return out.to(x_t)

    @staticmethod
    def backward(ctx: Any, *grads: Tensor) -> Any:
        return ctx.pull(grads[0]).to(grads[0]), None, None, None


def swapped(model: Model, device: str, site: Site, build: Build) -> Model:
    """The model with its networks built and run by `build`, those of site.parts."""
    denoiser: Any = swapped_denoiser(model, build) if "denoiser" in site.parts else network(model)
    codec: Any = swapped_codec(model, build) if "codec" in site.parts else codec_module(model)
    return replace(model, denoiser=EagerDenoiser(denoiser, device), codec=EagerCodec(codec, device))


def swapped_denoiser(model: Model, build: Build) -> Any:
    """The denoiser, its network run by what is built of it."""
    inner = network(model)
    v, vjp = build("denoiser", denoiser_graph), build("vjp", vjp_graph)

    def forward(x_t: Tensor, t: Tensor, cond: Tensor | None = None) -> Tensor:
        if cond is not None:
            out: Tensor = inner(x_t, t, cond)
            return out
        t = t[:, None] if t.ndim == 1 and model.denoiser.per_frame_t else t
        t = t.expand(x_t.shape[0], *([x_t.shape[-1]] if t.ndim == 2 else []))
        answer: Tensor = _Foreign.apply(x_t, t, v, vjp)  # type: ignore[no-untyped-call]
        return answer

    return shadow(inner, forward=forward)


def swapped_codec(model: Model, build: Build) -> Any:
    """The codec, its networks run by what is built of them."""
    codec = codec_module(model)
    if isinstance(codec, LiveCodec):
        encoder = shadow(codec.encoder, read=_tuple(build("read", read_graph)))
        return shadow(codec, encoder=encoder, decoder=shadow(codec.decoder, flat_parts=_tuple(build("parts", parts_graph))))
    if not any(True for _ in codec.parameters()):
        return codec
    encode, decode = build("encoder", encoder_graph), build("decoder", decoder_graph)
    return shadow(
        codec, encode=lambda audio: encode(audio)[0], decode=lambda z, frame_offset=0: decode(z, torch.tensor([frame_offset]))[0]
    )


def _tuple(run: Runner) -> Runner:
    return lambda *inputs: tuple(run(*inputs))
