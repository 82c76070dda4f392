"""What a continuation is compared with: simple ways to go on after a context, without a model."""

from __future__ import annotations

from collections.abc import Callable, Mapping

import numpy as np
from numpy.typing import NDArray

from segue.engine.measure import long_term_spectrum

Audio = NDArray[np.float32]  # [channels, samples]
BLOCK_S = 0.1  # of the shuffled context
LEAST_POWER = 1e-14


def silence(context: Audio, samples: int, rate: int, rng: np.random.Generator) -> Audio:
    """Nothing."""
    return np.zeros((context.shape[0], samples), np.float32)


def shaped_noise(context: Audio, samples: int, rate: int, rng: np.random.Generator) -> Audio:
    """Gaussian noise with the context's long-term spectrum, channel by channel, at its level."""
    power = long_term_spectrum(context)
    bins = np.linspace(0, power.shape[1] - 1, samples // 2 + 1)
    gain = np.stack([np.interp(bins, np.arange(power.shape[1]), np.sqrt(row)) for row in power])
    shaped = np.fft.irfft(np.fft.rfft(rng.standard_normal((context.shape[0], samples))) * gain, n=samples)
    wanted, found = (np.square(a).mean(axis=1, keepdims=True) for a in (context, shaped))
    noise: Audio = (shaped * np.sqrt(wanted / np.maximum(found, LEAST_POWER))).astype(np.float32)
    return noise


def shuffled_blocks(context: Audio, samples: int, rate: int, rng: np.random.Generator) -> Audio:
    """The context's 100 ms blocks in random order, each as often as the others."""
    size = round(BLOCK_S * rate)
    blocks = [context[:, i : i + size] for i in range(0, context.shape[1] - size + 1, size)]
    order = np.concatenate([rng.permutation(len(blocks)) for _ in range(samples // (size * len(blocks)) + 1)])
    return np.concatenate([blocks[i] for i in order], axis=1)[:, :samples]


def repeat(context: Audio, samples: int, rate: int, rng: np.random.Generator) -> Audio:
    """The context again and again."""
    return np.tile(context, samples // context.shape[1] + 1)[:, :samples]


BASELINES: Mapping[str, Callable[[Audio, int, int, np.random.Generator], Audio]] = {
    "silence": silence,
    "shaped noise": shaped_noise,
    "shuffled blocks": shuffled_blocks,
    "repeat": repeat,
}
