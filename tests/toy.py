"""A toy model of the whole engine: an exact Gaussian denoiser and an orthonormal codec, nothing trained, every answer known."""

from __future__ import annotations

from dataclasses import dataclass
from functools import lru_cache
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from scipy import fft
from torch import Tensor

from segue.engine.backends import make
from segue.engine.engine import Engine, Request
from segue.engine.gaussian import Gaussian, ar1
from segue.engine.models.dit import DitSpec
from segue.engine.models.spec import Model, ModelSpec

RATE, HOP, SIZE = 8000, 80, 60
CONTEXT = 24  # 0.4 of the window
MATRIX = torch.from_numpy(fft.dct(np.eye(2 * HOP), norm="ortho", axis=0)).float()


@dataclass(frozen=True)
class Framewise:
    """An orthonormal transform of each frame of 2 x 80 samples; exact both ways."""

    rate: int = RATE
    hop: int = HOP
    audio_channels: int = 2
    latent_dim: int = 2 * HOP
    receptive_frames: int = 2

    def encode(self, audio: Tensor) -> Tensor:
        frames = audio.reshape(*audio.shape[:2], -1, HOP).transpose(1, 2).flatten(2)
        return (frames @ MATRIX.T).mT

    def decode(self, z: Tensor, frame_offset: int = 0) -> Tensor:
        frames = z.mT @ MATRIX
        return frames.reshape(*frames.shape[:2], 2, HOP).transpose(1, 2).flatten(2)


@dataclass(frozen=True)
class Stretchy:
    """A Gaussian denoiser for windows of any length."""

    rho: float = 0.9
    scale: float = 0.1
    per_frame_t: bool = True
    channels: int = 2 * HOP

    def v(self, x_t: Tensor, t: Tensor, cond: Tensor | None = None) -> Tensor:
        return x_t @ jacobian(self, x_t.shape[-1], tuple(t.flatten().tolist()), t.ndim).mT

    def vjp(self, x_t: Tensor, t: Tensor, g: Tensor, cond: Tensor | None = None) -> tuple[Tensor, Tensor]:
        J = jacobian(self, x_t.shape[-1], tuple(t.flatten().tolist()), t.ndim)
        return x_t @ J.mT, g @ J


@lru_cache(maxsize=512)
def jacobian(denoiser: Stretchy, frames: int, t: tuple[float, ...], ndim: int) -> Tensor:
    world = Gaussian(denoiser.scale**2 * ar1(frames, denoiser.rho))
    return world.jacobian(torch.tensor([t] if ndim == 2 else list(t), dtype=torch.float64)).float()


def model(**parts: Any) -> Model:
    spec = ModelSpec("toy", denoiser=DitSpec(channels=2 * HOP), window_s=SIZE * HOP / RATE, reference_lufs=-18.0)
    return Model(spec, **{"codec": Framewise(), "denoiser": Stretchy(), "source": "test", "sha256": "", **parts})


ENGINE = Engine(make("eager", model()))


def music(seconds: float, seed: int = 0, gain: float = 0.2) -> NDArray[np.float32]:
    """Noise and two tones."""
    rng = np.random.default_rng(seed)
    t = np.arange(round(seconds * RATE)) / RATE
    tones = np.sin(2 * np.pi * 330 * t) + np.sin(2 * np.pi * (441 + 50 * seed) * t)
    x = gain * (0.3 * tones + 0.3 * rng.standard_normal((2, len(t))))
    return x.astype(np.float32)


def request(task: str, seconds: float, **fields: Any) -> Request:
    new = round(seconds * RATE)
    sources: dict[str, Any] = {
        "continuation": {"left": music(1.0)},
        "infill": {"left": music(1.0), "right": music(1.0, 1)},
        "regenerate": {"left": music(1.0), "middle": music(seconds, 2)},
        "renoise": {"left": music(1.0), "middle": music(seconds, 2), "right": music(1.0, 1)},
        "transition": {
            "left": music(1.0),
            "middle": music(seconds, 2),
            "middle_right": music(seconds, 3),
            "right": music(1.0, 3),
        },
        "loop": {"middle": music(seconds)},
        "style": {"left": music(1.0), "style": music(0.5, 4)},
        "generate": {},
    }
    return Request(task, new, **{**sources[task], **fields})


ALL = ("continuation", "infill", "regenerate", "renoise", "transition", "loop", "style", "generate")
