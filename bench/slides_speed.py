"""Times samplers on the slides' models, DDPM with 1000 steps against DDIM with 50: one step of each, or whole runs."""

from __future__ import annotations

import sys
import time
from collections.abc import Callable
from dataclasses import dataclass, replace

import torch
from torch import Tensor

from segue.engine import noise
from segue.engine.backends.eager import EagerDenoiser
from segue.engine.guidance import unguided
from segue.engine.models.families import build_denoiser
from segue.engine.models.spec import DenoiserShape, ModelSpec
from segue.engine.models.unet1d import UnetSpec
from segue.engine.models.unet2d import Unet2dSpec
from segue.engine.paper import levels
from segue.engine.problem import Problem
from segue.engine.protocols import Denoiser
from segue.engine.samplers import sampler

SAMPLERS = {"ddpm": 1000, "ddim": 50}
# What the slides print: seconds by DDPM and by DDIM on their GPU, None where they print nothing ("Speed Comparison").
PRINTED: dict[str, tuple[float | None, float | None]] = {
    "slides-waveform-65536x1": (None, None),
    "slides-mel-64x64": (1.162, 0.0743),
    "slides-mel-256x256": (3.784, 0.370),
    "slides-mel-512x32": (0.528, 0.0474),
    "slides-mel-512x64": (0.951, 0.092),
    "slides-mel-512x128": (1.894, 0.187),
    "slides-mel-1024x128": (1.876, 0.177),
    "slides-latent-256x256": (0.116, 0.008),
}
SMALL = Unet2dSpec(width=32, multipliers=(1, 2, 2, 4), blocks=1, attention=(3,), head=32, groups=8)
SMALL_1D_WIDTH = 32  # in the place of the printed 128
SEED = 3


@dataclass(frozen=True)
class Speed:
    """A row of the slides' table. Seconds an item; `_step_s` of one step, `_s` of a whole run, null where none was made."""

    model: str
    columns: int
    bands: int
    parameters: int
    size_mb: float
    sample_s: float
    batch: int
    timed_steps: int
    ddpm_step_s: float
    ddim_step_s: float
    ddpm_s: float | None
    ddim_s: float | None
    printed_ddpm_s: float | None
    printed_ddim_s: float | None


def drawn(denoiser: Denoiser, shape: tuple[int, ...], name: str, whole: int, made: int | None = None) -> Tensor:
    """x_0 from noise by a sampler of `whole` steps, or what its first `made` steps give."""
    z = noise.normal(shape, noise.generator(SEED))
    problem = Problem(None, None, None, z).to(getattr(denoiser, "device", "cpu"))
    with torch.no_grad():
        falling = levels(whole)[: (made or whole) + 1]
        return sampler(name)(denoiser, problem, falling, xi=0.0, generator=noise.generator(SEED, 1), guidance=unguided)


def seconds(work: Callable[[], object]) -> float:
    """Wall-clock seconds of one call, on a GPU until it is done."""
    if torch.cuda.is_available():
        torch.cuda.synchronize()
    begun = time.perf_counter()
    work()
    if torch.cuda.is_available():
        torch.cuda.synchronize()
    return time.perf_counter() - begun


def small(own: DenoiserShape) -> DenoiserShape:
    """A U-Net of 3 or 4 M for the same latents. Raises ValueError for another kind of network."""
    if isinstance(own, Unet2dSpec):
        return replace(SMALL, channels=own.channels, images=own.images)
    if isinstance(own, UnetSpec):
        return replace(own, width=SMALL_1D_WIDTH)
    raise ValueError(f"slides: got {type(own).__name__}; small networks are of a Unet1d or a Unet2d")


def speed(name: str, spec: ModelSpec, reduced: bool, device: str, batch: int, timed: int) -> Speed:
    """Times one configuration, with a small U-Net in the place of its own where it is to be reduced; timed 0 runs both whole."""
    columns, bands = (int(side) for side in name.rpartition("-")[2].split("x"))
    spec = replace(spec, denoiser=small(spec.denoiser) if reduced else spec.denoiser)
    module, denoiser = build_denoiser(spec)
    module.to(device).eval().requires_grad_(False)
    placed = EagerDenoiser(denoiser, device)
    shape = (batch, spec.denoiser.channels, spec.window_frames)
    drawn(placed, shape, "ddim", SAMPLERS["ddim"], 1)
    step, total = {}, {}
    for kind, steps in SAMPLERS.items():
        made = timed or steps
        took = seconds(lambda kind=kind, steps=steps, made=made: drawn(placed, shape, kind, steps, made)) / batch  # type: ignore[misc]
        step[kind], total[kind] = took / made, None if timed else took
    parameters = sum(p.numel() for p in module.parameters())
    return Speed(
        name, columns, bands, parameters, 4 * parameters / 1e6, spec.window_frames * spec.hop / spec.codec.rate, batch, timed,
        step["ddpm"], step["ddim"], total["ddpm"], total["ddim"], *PRINTED[name],
    )  # fmt: skip


def say(line: str) -> None:
    """A line of progress, on standard error."""
    print(f"slides: {line}", file=sys.stderr, flush=True)
