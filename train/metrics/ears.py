"""What listens for the metrics: a network that embeds stretches of audio and names their classes, chosen by a word."""

from __future__ import annotations

import importlib
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Protocol, TypeAlias, runtime_checkable

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from segue.engine.models.yamnet import read_yamnet
from segue.train.metrics.vggish import read_vggish
from segue.train.yamnet import load_yamnet

Audio: TypeAlias = NDArray[np.float32]
Values: TypeAlias = NDArray[np.floating[Any]]

VGGISH = "vggish:"
TINY = 1e-4  # probability that every class is granted, so that no logarithm is infinite
BATCH = 8  # takes at a time


@runtime_checkable
class Embedder(Protocol):
    """Any network that can stand behind FAD, realism and KLD. Its name stands beside every figure that it made."""

    @property
    def name(self) -> str:
        """What it is called."""
        ...

    @property
    def rate(self) -> int:
        """Hz of the mono audio that it takes."""
        ...

    def patches(self, audio: Tensor) -> Tensor:
        """`[B, N]` mono at `rate` to embeddings `[B, P, dim]`, P of them in time."""
        ...

    def classes(self, patches: Tensor) -> Tensor:
        """Embeddings `[B, P, dim]` to class probabilities `[B, m]`, each class for itself in [0, 1]; m 0 where it has none."""
        ...


@dataclass(frozen=True)
class Heard:
    """e: `[n, P, dim]` embeddings of n takes; p: `[n, m]` distributions over classes, each of sum 1."""

    e: Values
    p: Values

    @property
    def flat(self) -> Values:
        """`[n P, dim]`: all embeddings, the form of a Frechet distance."""
        return self.e.reshape(-1, self.e.shape[-1])

    @property
    def means(self) -> Values:
        """`[n, dim]`: one a take, the form of the k-NN measures."""
        mean: Values = self.e.mean(axis=1)
        return mean

    def at(self, index: Sequence[int] | NDArray[np.integer[Any]]) -> Heard:
        """Some of the takes, in that order."""
        return Heard(self.e[index], self.p[index])


def embedder_of(word: str, data: Path) -> Embedder:
    """`yamnet` out of the data folder, a file of YAMNet's weights, `vggish:FILE`, or `package.module:function` that returns an
    Embedder, which is how PaSST or CLAP come in where the user has them. Raises FileNotFoundError or ValueError.
    """
    if word == "yamnet":
        return load_yamnet(data)
    if word.startswith(VGGISH):
        return read_vggish(Path(word.removeprefix(VGGISH)))
    if ":" in word and not Path(word).exists():
        return _named(word)
    return read_yamnet(Path(word))


def _named(word: str) -> Embedder:
    module, _, function = word.partition(":")
    try:
        made = getattr(importlib.import_module(module), function)()
    except (ImportError, AttributeError) as error:
        raise ValueError(f"embedder: got {word!r}, {error}; name a function of an importable module, module:function") from error
    if not isinstance(made, Embedder):
        raise ValueError(f"embedder: {word} gave {type(made).__name__}; it must have name, rate, patches and classes")
    return made


@torch.no_grad()
def hear(embedder: Embedder, takes: Sequence[Audio], rate: int) -> Heard:
    """Takes `[channels, samples]` of one length at a rate, summed to mono and resampled."""
    import soxr

    mono = [soxr.resample(take.mean(axis=0), rate, embedder.rate).astype(np.float32) for take in takes]
    e, p = [], []
    for i in range(0, len(mono), BATCH):
        patches = embedder.patches(torch.from_numpy(np.stack(mono[i : i + BATCH])))
        e.append(patches.numpy())
        p.append(embedder.classes(patches).double().numpy())
    return Heard(np.concatenate(e), distributions(np.concatenate(p)))


def distributions(p: Values) -> Values:
    """Class probabilities `[n, m]`, each for itself, as distributions: plus TINY, scaled to sum 1."""
    raised = p + TINY
    scaled: Values = raised / raised.sum(axis=1, keepdims=True)
    return scaled
