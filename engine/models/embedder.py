"""A small network on latents that says what YAMNet would say of their sound: fast enough to guide a take live.

It is trained on one codec's latents (train/embedder.py) and means nothing on another's: its file holds what that codec makes
of a known sound, and is refused where the answer differs.
"""

from __future__ import annotations

import json
from collections.abc import Sequence
from dataclasses import asdict, dataclass
from pathlib import Path

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from segue.engine.noise import generator, normal
from segue.engine.protocols import Codec

SUFFIX = ".embedder"
KNOWN = "known"  # the tensor of what the codec makes of the known sound
KNOWN_FRAMES = 64
KNOWN_LEVEL = 0.1
TOLERANCE = 0.1  # relative error of the codec's answer that precision or a back-end may cost


@dataclass(frozen=True)
class EmbedderSpec:
    """Shape of the network. stride: latent frames a step inside. dim, classes: of its teacher's embedding and classes."""

    channels: int = 64
    width: int = 128
    blocks: int = 3
    kernel: int = 7
    stride: int = 2
    dim: int = 1024
    classes: int = 521


class _Block(nn.Module):
    """A ConvNeXt block on `[B, C, T]`, smooth everywhere, so that its gradient is worth following."""

    def __init__(self, width: int, kernel: int) -> None:
        super().__init__()
        self.mix = nn.Conv1d(width, width, kernel, padding=kernel // 2, groups=width)
        self.norm = nn.LayerNorm(width)
        self.up = nn.Linear(width, 2 * width)
        self.down = nn.Linear(2 * width, width)

    def forward(self, x: Tensor) -> Tensor:
        """`[B, C, T]` to the same."""
        h: Tensor = self.down(F.gelu(self.up(self.norm(self.mix(x).transpose(1, 2)))))
        return x + h.transpose(1, 2)


class LatentEmbedder(nn.Module):
    """`[B, C, T]` latents to an embedding `[B, dim]` and class probabilities `[B, classes]`, both means over time.

    scale: the usual distance of two songs in the teacher's embedding; the embedding is divided by it, so that 1 is far.
    """

    scale: Tensor
    centre: Tensor

    def __init__(self, spec: EmbedderSpec, names: Sequence[str] = ()) -> None:
        super().__init__()
        self.spec, self.names = spec, tuple(names)
        self.inward = nn.Conv1d(spec.channels, spec.width, 2 * spec.stride + 1, stride=spec.stride, padding=spec.stride)
        self.body = nn.Sequential(*(_Block(spec.width, spec.kernel) for _ in range(spec.blocks)))
        self.norm = nn.LayerNorm(spec.width)
        self.embedding = nn.Linear(spec.width, spec.dim)
        self.logits = nn.Linear(spec.width, spec.classes)
        self.register_buffer("scale", torch.ones(()))
        self.register_buffer("centre", torch.zeros(spec.dim))

    @property
    def dim(self) -> int:
        """Length of the embedding."""
        return self.spec.dim

    def hidden(self, x: Tensor) -> Tensor:
        """`[B, C, T]` to `[B, width]`, the mean over time."""
        hidden: Tensor = self.norm(self.body(self.inward(x)).transpose(1, 2)).mean(1)
        return hidden

    def both(self, x: Tensor) -> tuple[Tensor, Tensor]:
        """The embedding in the teacher's own measure, and the logits of the classes."""
        h = self.hidden(x)
        return self.centre + self.embedding(h), self.logits(h)

    def embed(self, x: Tensor) -> Tensor:
        """`[B, C, T]` to `[B, dim]`; 1 is the usual distance of two songs."""
        return self.both(x)[0] / self.scale

    def probabilities(self, x: Tensor) -> Tensor:
        """`[B, C, T]` to `[B, classes]`, each class for itself in [0, 1]."""
        return self.both(x)[1].sigmoid()


def known_answer(codec: Codec) -> Tensor:
    """What a codec makes of a known sound, `[1, C, KNOWN_FRAMES]`: equal for equal weights, whatever runs them."""
    audio = normal((1, 2, KNOWN_FRAMES * codec.hop), generator(0)).cumsum(-1)  # noise of a falling spectrum, as music has
    audio = KNOWN_LEVEL * (audio - audio.mean(-1, keepdim=True)) / audio.std(-1, keepdim=True)
    with torch.no_grad():
        return codec.encode(audio)


def save(path: Path, net: LatentEmbedder, codec: Codec) -> int:
    """Write the embedder in half precision; returns its bytes."""
    from safetensors.torch import save_file

    tensors = {key: value.detach().cpu().half().contiguous() for key, value in net.state_dict().items()}
    tensors[KNOWN] = known_answer(codec).half().contiguous()
    save_file(tensors, path, metadata={"spec": json.dumps(asdict(net.spec)), "names": json.dumps(net.names)})
    path.chmod(0o644)
    return path.stat().st_size


def load(path: Path, codec: Codec) -> LatentEmbedder:
    """An embedder for this codec, ready for use. Raises ValueError for another codec's, or a damaged file."""
    from safetensors import SafetensorError, safe_open

    try:
        with safe_open(path, "pt") as file:
            words, tensors = file.metadata() or {}, {key: file.get_tensor(key).float() for key in file.keys()}  # noqa: SIM118
        net = LatentEmbedder(EmbedderSpec(**json.loads(words["spec"])), json.loads(words["names"]))
        known = tensors.pop(KNOWN)
        net.load_state_dict(tensors)
    except (SafetensorError, OSError, KeyError, TypeError, RuntimeError, ValueError) as error:
        line = str(error).splitlines()[0] if str(error) else type(error).__name__
        raise ValueError(f"{path}: holds no latent embedder ({line}); make one by `segue train embedder`") from error
    apart = _difference(known, codec)
    if not apart <= TOLERANCE:
        raise ValueError(f"{path}: was trained on another codec (differs by {apart:.2g}, allowed {TOLERANCE:g}); train its own")
    return net.eval().requires_grad_(False)


def _difference(known: Tensor, codec: Codec) -> float:
    if known.shape[1] != codec.latent_dim:
        return float("inf")
    answer = known_answer(codec).to(known)
    return float((answer - known).norm() / known.norm()) if answer.shape == known.shape else float("inf")
