"""Known harm to audio `[channels, samples]`, by which a metric shows that it knows worse from better."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import TypeAlias

import numpy as np
from numpy.typing import NDArray
from scipy import signal

Audio: TypeAlias = NDArray[np.float32]
Harm: TypeAlias = Callable[[Audio, int, np.random.Generator], Audio]

ORDER = 8  # of the low-pass
NOISE_LEVEL = 0.1  # RMS of pure noise, of full scale
LEAST = 1e-9


def noisy(snr_db: float) -> Harm:
    """White noise under the music by snr_db, of its whole mean power."""

    def harm(audio: Audio, rate: int, rng: np.random.Generator) -> Audio:
        noise = rng.standard_normal(audio.shape).astype(np.float32)
        level = np.sqrt(np.square(audio).mean() + LEAST) * 10 ** (-snr_db / 20)
        return np.asarray(audio + level * noise, np.float32)

    return harm


def low_passed(cutoff_hz: float) -> Harm:
    """A Butterworth low-pass, run once and so with its delay."""

    def harm(audio: Audio, rate: int, rng: np.random.Generator) -> Audio:
        sections = signal.butter(ORDER, cutoff_hz, fs=rate, output="sos")
        return np.asarray(signal.sosfilt(sections, audio, axis=-1), np.float32)

    return harm


def blocks_reversed(block_s: float, share: float = 1.0) -> Harm:
    """A share of the blocks, at random, each played backwards at its own place.

    Shorter blocks are no milder: their joins come faster, and are heard as a buzz.
    """

    def harm(audio: Audio, rate: int, rng: np.random.Generator) -> Audio:
        size = round(block_s * rate)
        whole = audio.shape[1] // size * size
        blocks = audio[:, :whole].reshape(len(audio), -1, size).copy()
        chosen = rng.random(blocks.shape[1]) < share
        blocks[:, chosen] = blocks[:, chosen, ::-1]
        return np.concatenate([blocks.reshape(len(audio), whole), audio[:, whole:]], axis=1)

    return harm


def pure_noise(audio: Audio, rate: int, rng: np.random.Generator) -> Audio:
    """White noise of one level, whatever the music's was, and nothing else."""
    return np.asarray(NOISE_LEVEL * rng.standard_normal(audio.shape), np.float32)


# What the data's README says of the evaluation split: FAD and KLD of it against itself under each harm. It does not say how the
# harm was done; its figures, those of random halves among them, are those of the first SECONDS of each file, of a low-pass that
# was run once, and of noise at one level (docs/RESULTS.md has what other choices give).
SECONDS = 45.0
HALVES = (0.3, 0.7), (0.01, 0.02)  # what random halves of one set were known to give
KNOWN: Mapping[str, tuple[Harm, float, float]] = {
    "noise 10 dB": (noisy(10.0), 14.0, 0.78),
    "blocks of 50 ms reversed": (blocks_reversed(0.05), 7.1, 0.24),
    "low-pass 2 kHz": (low_passed(2000.0), 6.2, 0.17),
    "pure noise": (pure_noise, 52.0, 4.8),
}
