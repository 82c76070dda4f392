"""Stereo samples folded into channels by overlapping windows, and unfolded exactly (C.1, Levy et al. 2023).

Frame f of `frame` samples is centred on hop f. Folding only cuts. Unfolding weights each frame with a Hamming window, adds
what overlaps and divides by the sum of the windows that are there: with w_f(n) > 0, sum_f w_f(n) x(n) / sum_f w_f(n) = x(n)
at every n, at both edges too, where one frame alone stands.

A fold may lift the treble first, by y(n) = x(n) - a x(n - 1) with x(-1) = 0, and undo it last. Music's power lies in its bass
and a denoiser's error is nearly white: undone, the error has the music's colour and does not lie above its treble as hiss.
"""

from __future__ import annotations

import math
from dataclasses import dataclass

import torch
from torch import Tensor
from torch.nn import functional as F

from segue.engine.models.shaped import Shaped, check_audio, check_latents

SIDES = 2  # left and right
UNIT_GAIN = 10.0  # from music at -18 LUFS to about unit variance
FORGOTTEN = 2.0**-24  # share of a sample that is nothing in single precision


@dataclass(frozen=True)
class FoldSpec:
    """Shape of a fold; lengths in samples. gain: from audio to latents. emphasis: a of the first-order lift of the treble."""

    rate: int = 44_100
    frame: int = 32
    hop: int = 16
    gain: float = UNIT_GAIN
    emphasis: float = 0.0

    def __post_init__(self) -> None:
        if not 0 <= self.emphasis < 1:
            raise ValueError(f"FoldSpec: got emphasis {self.emphasis}; at least 0, which is none, and below 1")
        if self.frame % self.hop or (self.frame - self.hop) % 2:
            sizes = f"got frames of {self.frame} at hop {self.hop}"
            raise ValueError(f"FoldSpec: {sizes}; frame is a multiple of hop, and as much lies before a hop as after it")

    @property
    def latent_hop(self) -> int:
        """Samples a folded frame."""
        return self.hop

    @property
    def latent_dim(self) -> int:
        """Channels of a folded frame: both sides."""
        return SIDES * self.frame

    @property
    def memory(self) -> int:
        """Samples, a power of 2, after which one of emphasised audio is forgotten in what `lowered` makes of it; 0 without."""
        return 1 << math.ceil(math.log2(max(1.0, math.log(FORGOTTEN) / math.log(self.emphasis)))) if self.emphasis else 0


def lifted(audio: Tensor, a: float) -> Tensor:
    """`[..., n]`: x(n) - a x(n - 1), with x(-1) = 0."""
    return audio - a * _later(audio, 1)


def lowered(audio: Tensor, a: float, memory: int) -> Tensor:
    """The inverse of `lifted`: x(n) = sum of a^k y(n - k) over k < memory, a power of 2."""
    reach = 1
    while reach < memory:  # 1 + q + ... + q^(2 m - 1) = (1 + q^m) (1 + q + ... + q^(m - 1))
        audio = audio + a**reach * _later(audio, reach)
        reach *= 2
    return audio


def _later(audio: Tensor, samples: int) -> Tensor:
    return F.pad(audio, (samples, 0))[..., : audio.shape[-1]]


def fold(audio: Tensor, frame: int, hop: int) -> Tensor:
    """`[B, 2, T * hop]` to `[B, 2 * frame, T]`: frame f begins at sample f hop - (frame - hop) / 2; 0 beyond the ends."""
    edge = (frame - hop) // 2
    return F.pad(audio, (edge, edge)).unfold(-1, frame, hop).transpose(2, 3).flatten(1, 2)


def unfold(z: Tensor, frame: int, hop: int) -> Tensor:
    """`[B, 2 * frame, T]` to `[B, 2, T * hop]`: the inverse of `fold`, and the weighted mean where frames disagree."""
    window = torch.hamming_window(frame, periodic=False, dtype=z.dtype, device=z.device)
    frames = z.unflatten(1, (SIDES, frame)).transpose(2, 3) * window
    total, weight = (_overlapped(part, hop) for part in (frames, window.expand(1, 1, z.shape[-1], frame)))
    edge = (frame - hop) // 2
    return total[..., edge : total.shape[-1] - edge] / weight[..., edge : weight.shape[-1] - edge]


def _overlapped(frames: Tensor, hop: int) -> Tensor:
    """`[B, C, T, frame]` added up at hop, `[B, C, (T - 1) * hop + frame]`: hop-wide slice j of frame f lands in segment f + j."""
    overlap = frames.shape[-1] // hop
    slices = frames.unflatten(-1, (overlap, hop))
    added = torch.stack([F.pad(slices[..., j, :], (0, 0, j, overlap - 1 - j)) for j in range(overlap)]).sum(0)
    return added.flatten(-2)


class Fold(Shaped):
    """The waveform model's `Codec`: nothing learned, nothing lost."""

    spec: FoldSpec

    def __init__(self, spec: FoldSpec) -> None:
        super().__init__()
        self.spec = spec

    @property
    def receptive_frames(self) -> int:
        """Frames on each side that overlap the samples of one, or that these remember."""
        return self.spec.frame // self.spec.hop - 1 - (-self.spec.memory // self.hop)

    @property
    def encoder_receptive_frames(self) -> int:
        """Hops of audio on each side that a frame looks into."""
        return self.spec.frame // self.spec.hop - 1 + (self.spec.emphasis > 0)

    def encode(self, audio: Tensor) -> Tensor:
        """`[B, 2, T * hop]` samples to `[B, 2 * frame, T]`. Raises `ValueError` for another shape."""
        check_audio(audio, self.hop)
        return self.spec.gain * fold(lifted(audio, self.spec.emphasis), self.spec.frame, self.spec.hop)

    def decode(self, z: Tensor, frame_offset: int = 0) -> Tensor:
        """`[B, 2 * frame, T]` to `[B, 2, T * hop]` samples, wherever the first frame stands."""
        check_latents(z, self.latent_dim)
        audio = unfold(z, self.spec.frame, self.spec.hop) / self.spec.gain
        return lowered(audio, self.spec.emphasis, self.spec.memory)
