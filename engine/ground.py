"""What stands where a take will be: the audio of a task that has some there, or a collage of what lies around."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from segue.engine.collage import FADE, LONGEST_S, Collage, coming_to, going_on
from segue.engine.compose import Audio, Line, Parts
from segue.engine.novelty import Played
from segue.engine.repetition import Heard
from segue.engine.seam import spliced


def grounded(
    line: Line,
    parts: Parts,
    channels: int,
    hop: int,
    rate: int,
    seed: int,
    memory: Heard | None = None,
    beat_s: float | None = None,
    played: Played | None = None,
    kept: float = 1.0,
) -> Line:
    """The line with its texture, and where nothing stood with a collage in its latents too; without context as it was.

    channels: how many of the first latent channels are compared where places are to be alike. memory: what is cut instead of
    the left context. beat_s: seconds of a beat of it, where known. played: as of `collage.going_on`. kept: share of the middle
    that stays, where something stands; elsewhere it gives way to the collage, in stretches of LONGEST_S that stay so for a less.
    """
    new = line.windows[-1].first + line.windows[-1].new
    frames = line.x_bar.shape[-1]
    texture = np.zeros((2, frames * hop), np.float32)
    start = line.left * hop
    _place(texture, 0, None if parts.before is None else parts.before[:, parts.before.shape[1] - start :])
    _place(texture, start + parts.new, parts.after)
    gone = np.ones(new, bool) if parts.middle is None else _gone(new, kept, hop, rate, seed)
    rng = np.random.default_rng(seed % 2**63)
    made = _around(line, texture, new, channels, hop, rate, rng, memory, beat_s, played) if gone.any() else None
    if parts.middle is not None:
        _place(texture, start, parts.middle)
        if made is not None:
            line = _giving_way(line, texture[:, start : start + new * hop], made, gone, hop)
            _place(texture, start + parts.new, parts.after)
        return replace(line, texture=texture)
    if made is None:
        return line
    x_bar = line.x_bar.clone()
    x_bar[..., line.left : line.left + new] = torch.from_numpy(np.ascontiguousarray(made.latents))
    end = min(texture.shape[1], start + parts.new)
    texture[:, start:end] = made.audio[:, : end - start]
    if parts.after is None:
        texture[:, end:] = made.audio[:, end - start :]
    return replace(line, x_bar=x_bar, texture=texture)


def _gone(new: int, kept: float, hop: int, rate: int, seed: int) -> NDArray[np.bool_]:
    """`[new]`, the frames that give way: those of a smaller share, with the same seed, are all among those of a larger."""
    edges = np.linspace(0, new, max(1, round(new * hop / rate / LONGEST_S)) + 1).round().astype(int)
    order = np.random.default_rng([seed % 2**63, 1]).permutation(len(edges) - 1)
    gone = np.zeros(new, bool)
    for n in order[: round((1 - kept) * len(order))]:
        gone[edges[n] : edges[n + 1]] = True
    return gone


def _giving_way(line: Line, sound: Audio, made: Collage, gone: NDArray[np.bool_], hop: int) -> Line:
    """The line with a collage where its middle is gone, in its latents and, in place and spliced in, in the middle's sound."""
    x_bar, stood = line.x_bar.clone(), sound.copy()
    new = x_bar[..., line.left : line.left + len(gone)]
    new[..., gone] = torch.from_numpy(np.ascontiguousarray(made.latents[:, gone])).to(new)
    sound[:] = np.where(np.repeat(gone, hop), made.audio, stood)
    for at in 1 + np.flatnonzero(np.diff(gone)):
        one, other = (made.audio, stood) if gone[at - 1] else (stood, made.audio)
        seam = slice(at * hop - FADE // 2, at * hop + FADE // 2)
        sound[:, seam] = spliced(one[:, seam], other[:, seam])
    return replace(line, x_bar=x_bar)


def held(made: Tensor, there: Tensor) -> Tensor:
    """Latents `[1, C, T]` with the mean over time of those that stand there: moments are new, the colour is not.

    A sampler of few steps has a bias of its own, which would add up where takes go on from takes.
    """
    return made + (there - made).mean(dim=-1, keepdim=True)


def _place(texture: Audio, at: int, audio: Audio | None) -> None:
    """Audio `[2, n]` from a sample on, as much of it as there is room for."""
    if audio is not None:
        size = min(audio.shape[1], texture.shape[1] - at)
        texture[:, at : at + size] = audio[:, :size]


def _around(
    line: Line,
    texture: Audio,
    new: int,
    channels: int,
    hop: int,
    rate: int,
    rng: np.random.Generator,
    memory: Heard | None,
    beat_s: float | None,
    played: Played | None,
) -> Collage | None:
    """A collage of `new` frames: what goes on from the left, half-way into what comes to the right; where one side is too
    short, the other alone."""
    x: NDArray[np.float32] = line.x_bar[0].cpu().numpy()
    left, end = line.left, line.left + new
    before = Heard(x[:, :left], texture[:, : left * hop], channels)
    after = Heard(x[:, end:], texture[:, end * hop :], channels)

    def on(count: int, played: Played | None = None) -> Collage | None:
        return going_on(before, count, hop, rate, rng, memory, beat_s, played)

    def to(count: int) -> Collage | None:
        return coming_to(after, count, hop, rate, rng, beat_s)

    half = new // 2
    first, second = on(half + 1), to(new - half)  # a frame more, in which the halves are spliced
    if first is None or second is None:
        return on(new, played) or to(new)
    seam, overlap = slice(half * hop, half * hop + FADE), slice(0, FADE)
    audio = np.concatenate([first.audio[:, : half * hop], second.audio], axis=1)
    audio[:, seam] = spliced(first.audio[:, seam], second.audio[:, overlap])
    return Collage(np.concatenate([first.latents[:, :half], second.latents], axis=1), audio)
