"""VGGish (Hershey et al. 2017) in PyTorch, for whoever has its weights: embeddings of 0.96 s of audio, no classes."""

from __future__ import annotations

import pickle
from pathlib import Path
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor, nn
from torch.nn import functional as F

from segue.engine.models.yamnet import FFT, FRAME, HOP, PATCH, RATE

BANDS, LOW_HZ, HIGH_HZ, LOG_OFFSET = 64, 125.0, 7500.0, 0.01
WIDTHS = (64, 0, 128, 0, 256, 256, 0, 512, 512, 0)  # of the convolutions; 0 halves both axes
HIDDEN, DIM = 4096, 128


class Vggish(nn.Module):
    """Convolutions over log-mel patches `[96, 64]`; weights are named as in the PyTorch port, `features.N`, `embeddings.N`.

    Its embedding is what goes into the last rectifier, as toolkits of FAD have it. hidden: width of its dense layers.
    """

    name = "vggish"
    rate = RATE
    dim = DIM

    def __init__(self, hidden: int = HIDDEN) -> None:
        super().__init__()
        layers, width = list[nn.Module](), 1
        for wide in WIDTHS:
            layers += [nn.Conv2d(width, wide, 3, padding=1), nn.ReLU()] if wide else [nn.MaxPool2d(2)]
            width = wide or width
        self.features = nn.Sequential(*layers)
        flat = width * (PATCH // 16) * (BANDS // 16)
        self.embeddings = nn.Sequential(
            nn.Linear(flat, hidden), nn.ReLU(), nn.Linear(hidden, hidden), nn.ReLU(), nn.Linear(hidden, DIM)
        )
        self.register_buffer("mel", torch.from_numpy(mel_matrix()).float(), persistent=False)

    def log_mel(self, audio: Tensor) -> Tensor:
        """`[B, N]` at 16 kHz to `[B, frames, 64]`."""
        frames = audio.unfold(-1, FRAME, HOP) * torch.hann_window(FRAME, device=audio.device)
        return torch.log(torch.fft.rfft(frames, n=FFT).abs() @ self.get_buffer("mel") + LOG_OFFSET)

    @torch.no_grad()
    def patches(self, audio: Tensor) -> Tensor:
        """`[B, N]` at 16 kHz to embeddings `[B, P, 128]`, one every 0.96 s; audio under one patch is padded with silence."""
        audio = F.pad(audio, (0, max(0, FRAME + HOP * (PATCH - 1) - audio.shape[-1])))
        cut = self.log_mel(audio).unfold(1, PATCH, PATCH).transpose(-1, -2)
        h = self.features(cut.flatten(0, 1)[:, None]).permute(0, 2, 3, 1).flatten(1)  # channels last, as TensorFlow flattens
        embedded: Tensor = self.embeddings(h).unflatten(0, cut.shape[:2])
        return embedded

    def classes(self, patches: Tensor) -> Tensor:
        """`[B, 0]`: it names none."""
        return patches.new_zeros(len(patches), 0)


def mel_matrix() -> NDArray[np.float64]:
    """`[257, 64]`: triangles of 1127 log(1 + f / 700), even and straight in mel, from LOW_HZ to HIGH_HZ; 0 Hz counts nothing."""

    def mel(hertz: float | NDArray[np.floating[Any]]) -> NDArray[np.float64]:
        return np.asarray(1127 * np.log(1 + np.asarray(hertz) / 700), np.float64)

    edges = np.linspace(mel(LOW_HZ), mel(HIGH_HZ), BANDS + 2)
    bins = mel(np.fft.rfftfreq(FFT, 1 / RATE))[:, None]
    rising = (bins - edges[:-2]) / (edges[1:-1] - edges[:-2])
    falling = (edges[2:] - bins) / (edges[2:] - edges[1:-1])
    matrix: NDArray[np.float64] = np.maximum(0, np.minimum(rising, falling))
    matrix[0] = 0
    return matrix


def read_vggish(path: Path) -> Vggish:
    """The network with its weights out of a safetensors or PyTorch file. Raises FileNotFoundError or ValueError."""
    from safetensors import SafetensorError
    from safetensors.torch import load_file

    if not path.is_file():
        raise FileNotFoundError(f"VGGish: no weights at {path}; name the file that holds them, vggish:FILE")
    try:
        held = load_file(path) if path.suffix == ".safetensors" else torch.load(path, map_location="cpu", weights_only=True)
        net = Vggish(len(held["embeddings.0.bias"]))
        net.load_state_dict({key: value for key, value in held.items() if not key.startswith("pproc")})
    except (SafetensorError, RuntimeError, AttributeError, EOFError, KeyError, TypeError, pickle.UnpicklingError) as error:
        reason = " ".join(str(error).split())[:160]
        raise ValueError(f"VGGish: {path} does not hold its weights ({reason}); name the file that does") from error
    return net.eval().requires_grad_(False)
