"""What measures style and classes for a model: YAMNet on decoded audio, a network on its latents, or their statistics.

A guide is chosen by a word: a file that `segue train embedder` made, a file of YAMNet's weights, `statistics`, or nothing,
which takes statistics for styles and the classes that the model was trained with, or else those of the network that ships for
the model (why: docs/LOG.md).
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, replace
from difflib import get_close_matches
from pathlib import Path

import torch
from torch import Tensor

from segue.engine.models import embedder
from segue.engine.models.spec import Model
from segue.engine.models.yamnet import YamNet, read_labels, read_yamnet
from segue.engine.protocols import Codec, Embedder
from segue.engine.resample import resampled
from segue.engine.statistics import Statistics

STATISTICS = "statistics"
SHIPPED = Path(__file__).parents[1] / "weights"
YAMNET_SCALE = 4.5  # the usual distance of two songs in YAMNet's embedding, measured over the training songs


@dataclass(frozen=True)
class OnAudio:
    """YAMNet on decoded audio, differentiable down to the latents."""

    codec: Codec
    net: YamNet

    @property
    def dim(self) -> int:
        """Length of the embedding."""
        return self.net.dim

    def sound(self, x: Tensor) -> Tensor:
        """`[B, C, T]` latents to mono audio `[B, n]` at the network's rate."""
        return resampled(self.codec.decode(x).mean(1), self.codec.rate, self.net.rate)

    def embed(self, x: Tensor) -> Tensor:
        """`[B, C, T]` to `[B, 1024]`, the mean over the window; 1 is the usual distance of two songs."""
        return self.net.embed(self.sound(x)).to(x) / YAMNET_SCALE

    def probabilities(self, x: Tensor) -> Tensor:
        """`[B, C, T]` to class probabilities `[B, 521]`."""
        return self.net.probabilities(self.sound(x)).to(x)


@dataclass(frozen=True)
class Guide:
    """An embedder, and a classifier `[B, C, T]` to `[B, m]` in [0, 1] with the names of its classes where there is one.

    Classes without a classifier are those that the model's own condition tells: its denoiser needs no gradient towards them.
    """

    name: str
    embedder: Embedder
    classifier: Callable[[Tensor], Tensor] | None = None
    classes: tuple[str, ...] = ()

    def wanted(self, names: tuple[str, ...]) -> Tensor:
        """y `[1, m]`: 1 for the named classes, NaN for those that do not matter.

        A name may be written in another case, or be the only one that begins so. Raises ValueError for others.
        """
        if not self.classes:
            raise ValueError(f"class: the guide {self.name} has no classes; start with an embedder that has, or give audio")
        y = torch.full((1, len(self.classes)), float("nan"))
        for name in names:
            y[0, self._index(name)] = 1.0
        return y

    def _index(self, name: str) -> int:
        sought, known = name.strip().lower(), [word.lower() for word in self.classes]
        if sought in known:
            return known.index(sought)
        begin = [i for i, word in enumerate(known) if sought and word.startswith(sought)]
        if len(begin) == 1:
            return begin[0]
        near = begin or [known.index(word) for word in get_close_matches(sought, known)] or range(len(known))
        advice = ", ".join(self.classes[i] for i in near[:5])
        raise ValueError(f"class: got {name!r}; one of {len(self.classes)} names, such as {advice}")


def guide(word: str, model: Model) -> Guide:
    """The guide of that word for a model. Raises ValueError or FileNotFoundError with a sentence."""
    if word == STATISTICS:
        return _statistics(model)
    if not word:
        return _shipped(model)
    path = Path(word)
    if not path.is_file():
        raise FileNotFoundError(f"embedder: got {word!r}; a file of `segue train embedder`, of YAMNet's weights, or {STATISTICS}")
    return _latent(path, model) if path.suffix == embedder.SUFFIX else _on_audio(path, model)


def _statistics(model: Model) -> Guide:
    return Guide(STATISTICS, Statistics(model.codec.latent_dim), classes=model.spec.classes)


def _shipped(model: Model) -> Guide:
    path = SHIPPED / f"{model.name}{embedder.SUFFIX}"
    if model.spec.classes or not path.is_file():
        return _statistics(model)
    try:
        latent = _latent(path, model)
    except ValueError:  # another model of the same name
        return _statistics(model)
    return replace(_statistics(model), classifier=latent.classifier, classes=latent.classes)


def _latent(path: Path, model: Model) -> Guide:
    net = embedder.load(path, model.codec).to(getattr(model.denoiser, "device", "cpu"))
    return Guide("latent", net, net.probabilities if net.names else None, net.names)


def _on_audio(path: Path, model: Model) -> Guide:
    heard = OnAudio(model.codec, read_yamnet(path))
    names = read_labels(path)
    return Guide("yamnet", heard, heard.probabilities if names else None, names)
