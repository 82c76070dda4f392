"""Clips of what a generator in training plays after held-out music, written as audio."""

from __future__ import annotations

from pathlib import Path
from typing import Any, cast

import torch
from torch import nn

from segue.engine.paper import levels
from segue.engine.protocols import Denoiser
from segue.engine.samplers.ddim import ddim
from segue.train import parallel
from segue.train.latents import Latents
from segue.train.listen import CONTEXT, problem_of

CLIPS = 3
STEPS = 16
SEED = 977


class Samples:
    """Continuations of the same held-out windows from the same noise, each time that they are asked for."""

    def __init__(self, denoiser: nn.Module, codec: Any, latents: Latents, folder: Path) -> None:
        """codec: a `Codec` that decodes what `denoiser` generates."""
        g = torch.Generator().manual_seed(SEED)
        self.denoiser, self.codec, self.folder = denoiser, codec, folder
        self.x_0 = latents.windows(CLIPS, g).to(parallel.device())
        self.z = torch.randn(self.x_0.shape, generator=g).to(self.x_0)

    @torch.no_grad()
    def write(self, step: int) -> str:
        """Write `folder/step-NUMBER-CLIP.flac`; all processes compute, the first writes."""
        import soundfile

        denoiser = cast(Denoiser, self.denoiser)
        problem = problem_of(denoiser, self.x_0, int(CONTEXT * self.x_0.shape[-1]), self.z, "clean")
        x = ddim(denoiser, problem, levels(STEPS), xi=0.0, generator=torch.Generator())
        if parallel.rank():
            return ""
        self.folder.mkdir(parents=True, exist_ok=True)
        for i, audio in enumerate(self.codec.decode(x).float().cpu().clamp(-1, 1)):
            soundfile.write(self.folder / f"step-{step:06d}-{i}.flac", audio.T.numpy(), self.codec.rate)
        return f"{len(x)} clips in {self.folder}"
