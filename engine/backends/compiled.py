"""The back-end `compiled`: the model's networks by torch.compile, with CUDA graphs on a GPU."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import torch

from segue.engine.backends.eager import EagerCodec, EagerDenoiser, eager
from segue.engine.backends.graphs import codec_module, network, shadow
from segue.engine.backends.site import Site
from segue.engine.models.spec import Model
from segue.engine.models.vae import LiveCodec

GRAPHED = "reduce-overhead"  # Inductor's mode that captures CUDA graphs


def compiled(model: Model, device: str = "cpu", site: Site | None = None) -> Model:
    """The model with its networks compiled by Inductor at the first call of each shape, which keeps a cache of its own."""
    site = site or Site()
    model = eager(model, device)
    mode = GRAPHED if device.startswith("cuda") else None

    def fast(function: Any) -> Any:
        return torch.compile(function, mode=mode, dynamic=False)

    denoiser: Any = network(model)
    codec: Any = codec_module(model)
    if "denoiser" in site.parts:
        denoiser = shadow(denoiser, forward=fast(denoiser.forward))
    if "codec" in site.parts and isinstance(codec, LiveCodec):
        encoder = shadow(codec.encoder, read=fast(codec.encoder.read))
        codec = shadow(codec, encoder=encoder, decoder=shadow(codec.decoder, flat_parts=fast(codec.decoder.flat_parts)))
    elif "codec" in site.parts and any(True for _ in codec.parameters()):
        codec = shadow(codec, encode=fast(codec.encode), decode=fast(codec.decode))
    return replace(model, denoiser=EagerDenoiser(denoiser, device), codec=EagerCodec(codec, device))
