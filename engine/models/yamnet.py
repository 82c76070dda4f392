"""YAMNet (Plakal & Ellis; Apache-2.0 weights) in PyTorch: AudioSet class probabilities and embeddings of 16 kHz audio."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path

import torch
from torch import Tensor, nn
from torch.nn import functional as F

RATE = 16_000
FRAME, HOP, FFT = 400, 160, 512  # 25 ms windows every 10 ms
PATCH, PATCH_HOP = 96, 48  # 0.96 s of frames, every 0.48 s
LOG_OFFSET = 0.001
STRIDES = (1, 2, 1, 2, 1, 2, 1, 1, 1, 1, 1, 2, 1)  # of the 13 separable layers, after a first convolution of stride 2
LABELS = "yamnet_label_list.txt"  # beside the weights, one name a class


class YamNet(nn.Module):
    """MobileNet v1 over log-mel patches. Blind above 8 kHz and to stereo."""

    name = "yamnet"
    rate = RATE
    dim = 1024

    def __init__(self, weights: Mapping[str, Tensor]) -> None:
        super().__init__()
        for key, value in weights.items():
            self.register_buffer(key, value.float())

    def log_mel(self, audio: Tensor) -> Tensor:
        """`[B, N]` at 16 kHz to `[B, frames, 64]`."""
        frames = audio.unfold(-1, FRAME, HOP) * self.get_buffer("window")
        magnitude = torch.fft.rfft(frames, n=FFT).abs()
        return torch.log(magnitude @ self.get_buffer("mel") + LOG_OFFSET)

    def features(self, patches: Tensor) -> Tensor:
        """`[N, 96, 64]` log-mel patches to embeddings `[N, 1024]`."""
        h = self._layer(patches[:, None], "c0", stride=2)
        for i, stride in enumerate(STRIDES, start=1):
            h = self._layer(h, f"d{i}", stride, groups=h.shape[1])
            h = self._layer(h, f"p{i}")
        return h.mean(dim=(2, 3))

    def _layer(self, h: Tensor, name: str, stride: int = 1, groups: int = 1) -> Tensor:
        weight = self.get_buffer(f"{name}_w")
        h = F.pad(h, (*_same(h.shape[3], weight.shape[3], stride), *_same(h.shape[2], weight.shape[2], stride)))
        out: Tensor = F.relu6(F.conv2d(h, weight, self.get_buffer(f"{name}_b"), stride=stride, groups=groups))
        return out

    def patches(self, audio: Tensor) -> Tensor:
        """`[B, N]` at 16 kHz to embeddings `[B, P, 1024]`, one every 0.48 s; audio under one patch is padded with silence."""
        shortest = FRAME + HOP * (PATCH - 1)
        audio = F.pad(audio, (0, max(0, shortest - audio.shape[-1])))
        cut = self.log_mel(audio).unfold(1, PATCH, PATCH_HOP).transpose(-1, -2)
        embedded: Tensor = self.features(cut.flatten(0, 1)).unflatten(0, cut.shape[:2])
        return embedded

    def embed(self, audio: Tensor) -> Tensor:
        """`[B, N]` at 16 kHz to the mean embedding `[B, 1024]`."""
        return self.patches(audio).mean(dim=1)

    def probabilities(self, audio: Tensor) -> Tensor:
        """`[B, N]` at 16 kHz to class probabilities `[B, 521]`, the mean over patches; each class for itself in [0, 1]."""
        return self.classes(self.patches(audio))

    def classes(self, patches: Tensor) -> Tensor:
        """Embeddings `[B, P, 1024]` to class probabilities `[B, 521]`, the mean over patches."""
        logits = patches @ self.get_buffer("fc_w").T + self.get_buffer("fc_b")
        return logits.sigmoid().mean(dim=1)


def _same(size: int, kernel: int, stride: int) -> tuple[int, int]:
    """TensorFlow's SAME padding: ceil(size / stride) outputs, the odd sample at the end."""
    total = max((-(-size // stride) - 1) * stride + kernel - size, 0)
    return total // 2, total - total // 2


def read_yamnet(path: Path) -> YamNet:
    """The network with its weights out of a safetensors file. Raises FileNotFoundError or ValueError with one sentence."""
    from safetensors import SafetensorError
    from safetensors.torch import load_file

    if not path.is_file():
        raise FileNotFoundError(f"YAMNet: no weights at {path}; name the safetensors file that holds them")
    try:
        net = YamNet(load_file(path))
        net.embed(torch.zeros(1, 1))
    except (SafetensorError, AttributeError) as error:
        raise ValueError(f"YAMNet: {path} does not hold its weights ({error}); name the file that does") from error
    return net.eval().requires_grad_(False)


def read_labels(path: Path) -> tuple[str, ...]:
    """The names of the classes, from the file beside the weights; empty where there is none."""
    file = path.with_name(LABELS)
    return tuple(line.strip() for line in file.read_text(encoding="utf-8").splitlines()) if file.is_file() else ()
