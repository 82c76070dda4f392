"""Fits a codec and a denoiser to one clip: the plan, and the two fits."""

from __future__ import annotations

import time
from collections.abc import Callable
from dataclasses import dataclass
from functools import lru_cache
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor, nn
from torch.nn import functional as F

from segue.engine import measure
from segue.engine.noise import generator
from segue.engine.protocols import Codec
from segue.train.codec_loss import picture_distance, pictures
from segue.train.diffusion import draw_levels, per_frame, v_loss
from segue.train.losses import RESOLUTIONS, kl, spectral_distance
from segue.train.optim import Stepper, rate_at

LEFT, NEW = 0.4, 0.4  # of a window of a denoiser with a level per frame: what is given before, and what is made
GIVEN = 0.8  # of its windows: those whose ends are clean
CROP = 8_192  # samples of a codec's step, one resolution after another
HEARD = 1.0  # weight of the log-mel distance that is judged
HEARD_WINDOWS = ((measure.MEL_WINDOW, measure.MEL_BANDS), (measure.MEL_WINDOW // 4, measure.MEL_BANDS // 2))
NEAR_NORMAL = 1e-2  # weight of the KL divergence, as in the recipe of the paper's codec
LEVEL_POWER = 2.5  # noisy levels, which decide what is made, come more often (docs/LOG.md)
WARM_UP = 20  # steps
REPORT_STEPS = 50

Audio = NDArray[np.float32]
Step = Callable[[int], Tensor]
Say = Callable[[str], None]


@dataclass(frozen=True)
class Plan:
    """What is done: steps of the codec and of the denoiser at their peak rates, and steps of the takes that are judged.

    batch: noisy windows a step of the denoiser; a window may come more than once.
    """

    codec_steps: int = 1000
    steps: int = 1000
    codec_rate: float = 3e-3
    rate: float = 3e-3
    batch: int = 2
    sampler_steps: int = 20
    seed: int = 1


def grid(z: Tensor, frames: int) -> Tensor:
    """`[n, C, frames]`: z `[C, T]` cut into windows end to end. Raises ValueError where there is not one."""
    if z.shape[1] < frames:
        raise ValueError(f"clip: got {z.shape[1]} frames, one window has {frames}; give a longer clip")
    windows: Tensor = z[:, : z.shape[1] // frames * frames].unflatten(1, (-1, frames))
    return windows.transpose(0, 1).contiguous()


def encoded(codec: Codec, audio: Audio) -> Tensor:
    """`[C, T]` of all whole frames of `[2, n]`."""
    return codec.encode(whole_frames(codec, audio))[0]


def whole_frames(codec: Codec, audio: Audio) -> Tensor:
    """`[1, 2, T * hop]` of `[2, n]`."""
    return torch.from_numpy(audio[None, :, : audio.shape[1] // codec.hop * codec.hop])


def fit(module: nn.Module, steps: int, rate: float, loss_of: Step, what: str, say: Say) -> list[float]:
    """Every step's loss, with the trainer's optimiser and schedule."""
    stepper, losses, begun = Stepper(module, rate, torch.device("cpu"), "bf16"), [], time.monotonic()
    for step in range(steps):
        loss = loss_of(step)
        stepper(loss, rate_at(step, step / steps, rate, WARM_UP))
        losses.append(float(loss.detach()))
        if (step + 1) % REPORT_STEPS == 0:
            left = (steps - step - 1) * (time.monotonic() - begun) / (step + 1)
            say(f"{what} step {step + 1} of {steps}  loss {np.mean(losses[-REPORT_STEPS:]):.4f}  {left:.0f} s left")
    return losses


def fit_codec(codec: Any, audio: Audio, plan: Plan, say: Say) -> list[float]:
    """Fits encoder and decoder of a codec that has both to crops of `[2, n]`, then measures mean and spread of the latents."""
    g, whole = generator(plan.seed, 1), torch.from_numpy(audio)
    size = min(CROP, audio.shape[1]) // codec.hop * codec.hop

    def loss_of(step: int) -> Tensor:
        first = int(torch.randint(audio.shape[1] - size + 1, (), generator=g))
        x = whole[None, :, first : first + size]
        mean, log_variance = codec.encoder(x)
        z = mean + torch.randn(mean.shape, generator=g) * (log_variance / 2).exp()
        shift = int(torch.randint(measure.MEL_HOP, (), generator=g))
        loss: Tensor = _nearness(codec, z, x, step, shift) + NEAR_NORMAL * kl(mean, log_variance)
        return loss

    losses = fit(codec, plan.codec_steps, plan.codec_rate, loss_of, "codec", say)
    with torch.no_grad():
        mean = codec.encoder(whole_frames(codec, audio))[0][0]
        codec.mean.copy_(mean.mean(0))
        codec.std.copy_(mean.std(0))
    return losses


def _nearness(codec: Any, z: Tensor, x: Tensor, step: int, shift: int) -> Tensor:
    """Distance of what latents z sound like to x `[1, 2, n]`: of images where the codec has such."""
    if pictures(codec):
        return picture_distance(codec.decoder.pictured(z), codec.encoder.image(x))
    y = codec.decoder.tone(z)
    window, bands = RESOLUTIONS[step % len(RESOLUTIONS)]
    near = spectral_distance(window, bands, bool(step // len(RESOLUTIONS) % 2), codec.rate, shift % (window // 2))
    at = (codec.rate, *HEARD_WINDOWS[step % len(HEARD_WINDOWS)])
    return near(y, x) + HEARD * F.l1_loss(log_mel(y[..., shift:], *at), log_mel(x[..., shift:], *at))


@lru_cache(maxsize=8)
def _mel_matrix(rate: int, window: int, bands: int) -> Tensor:
    return torch.as_tensor(measure.mel_matrix(rate, bands, window).T, dtype=torch.float32)


def log_mel(audio: Tensor, rate: int, window: int, bands: int) -> Tensor:
    """`measure.log_mel` of the mean and of both sides of `[B, 2, n]`, differentiable: `[3 B, frames, bands]`."""
    shape = torch.hann_window(window)
    heard = torch.cat((audio.mean(1), *audio.unbind(1)))
    X = torch.stft(heard, window, window // 4, window=shape, center=False, return_complex=True)
    amplitude = (torch.view_as_real(X).square().sum(-1) + measure.MEL_FLOOR**2).sqrt() * (2 / shape.sum())
    return (amplitude.mT @ _mel_matrix(rate, window, bands)).clamp_min(measure.MEL_FLOOR).log()


def fit_denoiser(denoiser: nn.Module, windows: Tensor, plan: Plan, say: Say) -> list[float]:
    """Fits v to `[n, C, T]` windows: the whole of one at one level, or mostly its middle where levels differ by frame."""
    g, frames = generator(plan.seed, 2), windows.shape[-1]
    ends = ends_of(frames)

    def loss_of(step: int) -> Tensor:
        rounds = -(-plan.batch // len(windows))
        order = torch.cat([torch.randperm(len(windows), generator=g) for _ in range(rounds)])[: plan.batch]
        x_0, t = windows[order], draw_levels(plan.batch, LEVEL_POWER, 0.0, g)
        if per_frame(denoiser):
            given = torch.rand(plan.batch, generator=g) < GIVEN
            t = t[:, None] * (~(given[:, None] & ends)).float()
        return v_loss(denoiser, x_0, torch.randn(x_0.shape, generator=g), t).mean()

    return fit(denoiser, plan.steps, plan.rate, loss_of, "denoiser", say)


def ends_of(frames: int) -> Tensor:
    """`[frames]` bool: what is given of a window whose middle is made."""
    place = torch.arange(frames)
    return (place < round(LEFT * frames)) | (place >= round((LEFT + NEW) * frames))
