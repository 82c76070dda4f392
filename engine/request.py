"""What is asked of the engine, and what comes back: values at the model's rate."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field

import numpy as np
from numpy.typing import NDArray


class EngineError(ValueError):
    """A request that cannot be carried out, as one sentence."""


class CancelledError(EngineError):
    """The request was given up while it ran."""


@dataclass(frozen=True)
class Request:
    """One take. Audio is `[2, n]` float32 at the model's rate; t0 is where `left` ends and the new audio begins.

    new_frames: samples of new audio (its audio frames). left: what sounded up to t0. middle: what stands where the new audio
    will be, for a transition the first track's own future, for a loop the phrase itself. middle_right: the second track over
    the middle. right: what follows t0 + new_frames. style: audio whose style is wanted. classes: for the task classify,
    `[1, m]` in [0, 1], NaN for
    those that do not matter (`Guide.wanted` makes it).
    xi is quoted at 50 steps and scaled to `steps`; None is the model's own. tail: latent frames that the tail regime guides.
    memory: what was heard before any of `left` was a take, where that is known: material of the collage.
    played: `[n]` as of `novelty.coarse`, what a continuation has heard and played: no second of it is to come again. It ends
    at t0, or where what plays until then does, `unheard` samples of the new audio later: so many of them will not be heard.
    beat_s: seconds of a beat, where the tempo is known; one that is not this music's does no harm.
    downbeat: samples from t0 to the beginning of a bar, for a take that brings bars of its own; beats_per_bar: of those.
    start: level at which sampling starts where the engine lays a collage of the context, or a groove where there is nothing to
    go on from; 1 is noise alone; None is the engine's.
    """

    task: str
    new_frames: int
    left: NDArray[np.float32] | None = None
    middle: NDArray[np.float32] | None = None
    middle_right: NDArray[np.float32] | None = None
    right: NDArray[np.float32] | None = None
    style: NDArray[np.float32] | None = None
    classes: NDArray[np.float32] | None = None
    steps: int = 4
    seed: int = 0
    sampler: str = "ddim"
    regime: str = "clean"
    xi: float | None = None
    tail: int = 8
    parameters: Mapping[str, float] = field(default_factory=dict)
    match_level: bool = True
    start: float | None = None
    memory: NDArray[np.float32] | None = None
    beat_s: float | None = None
    downbeat: int | None = None
    beats_per_bar: int = 4
    played: NDArray[np.float32] | None = None
    unheard: int = 0

    def audio(self, name: str) -> NDArray[np.float32] | None:
        """One of its audio fields, finite, or None where it has no samples. Raises EngineError for another shape."""
        audio: NDArray[np.float32] | None = getattr(self, name)
        if audio is None or audio.size == 0:
            return None
        if audio.ndim != 2 or audio.shape[0] != 2:
            raise EngineError(f"{name}: got shape {list(audio.shape)}; audio is [2, n] at the model's rate")
        return np.nan_to_num(np.asarray(audio, np.float32), nan=0.0, posinf=0.0, neginf=0.0)


@dataclass(frozen=True)
class Piece:
    """New audio `[2, n]` that begins `start` samples after t0.

    gain: linear factor from the model's level to this audio's, without the level match. steps: sampler steps it took, 0 for
    audio that was not generated. context_hash: of everything the take was made from.
    """

    start: int
    audio: NDArray[np.float32]
    gain: float
    steps: int
    context_hash: str
