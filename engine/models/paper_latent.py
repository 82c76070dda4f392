"""The family of the paper's latent model (C.1, Levy et al. 2023): the VAE and the transformer as printed, and a small one."""

from __future__ import annotations

from segue.engine.models.families import Family
from segue.engine.models.paper_dit import PaperDit, PaperDitSpec
from segue.engine.models.paper_vae import PaperVae, PaperVaeSpec
from segue.engine.models.spec import ModelSpec

NAME = "paper-latent"

FAMILY = Family(
    NAME,
    PaperVaeSpec,
    PaperDitSpec,
    PaperVae,
    PaperDit,
    {
        NAME: ModelSpec(NAME, PaperVaeSpec(), PaperDitSpec(), window_s=5.9, reference_lufs=-18.0, family=NAME),
        "paper-latent-small": ModelSpec(
            "paper-latent-small",
            PaperVaeSpec(latent_dim=16, width=16, widest=128, expansion=2),
            PaperDitSpec(channels=16, width=160, layers=6, heads=5, clip=64),
            window_s=1.5,
            reference_lufs=-18.0,
            family=NAME,
        ),
    },
)
