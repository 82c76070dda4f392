"""Live models so small that a test builds one in a moment."""

from __future__ import annotations

import torch

from segue.engine.models.dit import Dit, DitSpec
from segue.engine.models.spec import Model, ModelSpec
from segue.engine.models.vae import CodecSpec, LiveCodec

CODEC = CodecSpec(
    latent_dim=16, encoder_width=32, encoder_slow_width=32, encoder_blocks=1, encoder_slow_blocks=1, decoder_width=32,
    decoder_slow_width=32, decoder_blocks=1, decoder_slow_blocks=1, bass_dim=8, bass_width=16, bass_blocks=1,
)  # fmt: skip
# As deep as the one that ships on the slow side of each way.
DEEPER_CODEC = CodecSpec(
    latent_dim=24, encoder_width=16, encoder_slow_width=16, decoder_width=16, decoder_slow_width=16, encoder_blocks=1,
    decoder_blocks=1,
)  # fmt: skip


def live(denoiser: DitSpec, seed: int, spread: float, sha256: str = "", **spec: float) -> Model:
    """A model of CODEC and a denoiser, random but for nothing being zero, so that every layer counts."""
    torch.manual_seed(seed)
    codec, dit = LiveCodec(CODEC).eval(), Dit(denoiser).eval()
    for p in dit.parameters():
        torch.nn.init.normal_(p, std=spread)
    for part in (codec, dit):
        part.requires_grad_(False)
    return Model(ModelSpec("small", codec=CODEC, denoiser=denoiser, **spec), codec, dit, "nowhere", sha256)
