"""What stands where a take will be: the audio of a task that has some there, or a collage of what lies around."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import torch
from numpy.typing import NDArray

from segue.engine.collage import FADE, Collage, coming_to, going_on, spliced
from segue.engine.compose import Audio, Line, Parts


def grounded(line: Line, parts: Parts, channels: int, hop: int, rate: int, seed: int) -> Line:
    """The line with its texture, and where nothing stood with a collage in its latents too; without context as it was.

    channels: how many of the first latent channels are compared where places are to be alike.
    """
    new = line.windows[-1].first + line.windows[-1].new
    frames = line.x_bar.shape[-1]
    texture = np.zeros((2, frames * hop), np.float32)
    start = line.left * hop
    _place(texture, 0, None if parts.before is None else parts.before[:, parts.before.shape[1] - start :])
    _place(texture, start + parts.new, parts.after)
    if parts.middle is not None:
        _place(texture, start, parts.middle)
        return replace(line, texture=texture)
    made = _around(line, texture, new, channels, hop, rate, np.random.default_rng(seed % 2**63))
    if made is None:
        return line
    x_bar = line.x_bar.clone()
    x_bar[..., line.left : line.left + new] = line.x_bar[..., torch.from_numpy(made.sources)]
    end = min(texture.shape[1], start + parts.new)
    texture[:, start:end] = made.audio[:, : end - start]
    if parts.after is None:
        texture[:, end:] = made.audio[:, end - start :]
    return replace(line, x_bar=x_bar, texture=texture)


def _place(texture: Audio, at: int, audio: Audio | None) -> None:
    """Audio `[2, n]` from a sample on, as much of it as there is room for."""
    if audio is not None:
        size = min(audio.shape[1], texture.shape[1] - at)
        texture[:, at : at + size] = audio[:, :size]


def _around(line: Line, texture: Audio, new: int, channels: int, hop: int, rate: int, rng: np.random.Generator) -> Collage | None:
    """A collage of `new` frames: what goes on from the left, what comes to the right, or the one into the other half-way."""
    x: NDArray[np.float32] = line.x_bar[0, :channels].cpu().numpy()
    end = line.left + new

    def on(count: int) -> Collage | None:
        return going_on(x[:, : line.left], texture[:, : line.left * hop], count, hop, rate, rng)

    def to(count: int) -> Collage | None:
        made = coming_to(x[:, end:], texture[:, end * hop :], count, hop, rate, rng)
        return made and Collage(made.sources + end, made.audio)

    half = new // 2
    first, second = on(half + 1), to(new - half)  # a frame more, in which the halves are spliced
    if first is None or second is None:
        return on(new) or to(new)
    seam, overlap = slice(half * hop, half * hop + FADE), slice(0, FADE)
    audio = np.concatenate([first.audio[:, : half * hop], second.audio], axis=1)
    audio[:, seam] = spliced(first.audio[:, seam], second.audio[:, overlap])
    return Collage(np.concatenate([first.sources[:half], second.sources]), audio)
