"""From the audio of a request to one line of latents: left context, middle, right context."""

from __future__ import annotations

import hashlib
from dataclasses import dataclass

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from segue.engine import measure
from segue.engine.protocols import Codec
from segue.engine.request import EngineError, Request
from segue.engine.shapes import Window, crossfade, plan
from segue.engine.task import Task

Audio = NDArray[np.float32]

BRIDGE_S = 1.0  # new audio where a loop closes; at most a quarter of the phrase
GAIN_DB = (-24.0, 36.0)  # bounds of the gain that brings a context to the model's loudness
EDGE = 4  # latent frames made beyond the end of a take that nothing follows, so that its decoded end is no edge


@dataclass(frozen=True)
class Parts:
    """The audio that a take is made from: what the task reads, cut, crossfaded or wrapped. `new` is in samples.

    before: what is heard up to t0; after: what is heard from t0 + new on, either may be None. rest: a loop's phrase after
    its bridge. crossfaded: of two tracks is the middle.
    """

    new: int
    before: Audio | None
    middle: Audio | None
    after: Audio | None
    rest: Audio | None = None
    crossfaded: bool = False


@dataclass(frozen=True)
class Line:
    """Latents `[1, C, left + new + right]` at the model's loudness, and the windows that make the new ones.

    Counts are latent frames; frame 0 of the windows is the first new one. gain: linear, audio to model.
    texture: `[2, frames * hop]`, the sound of x_bar where that is known, at the audio's own level (`ground.grounded`).
    """

    x_bar: Tensor
    left: int
    windows: tuple[Window, ...]
    gain: float
    texture: Audio | None = None


def parts_of(request: Request, task: Task, rate: int) -> Parts:
    """The parts of a request, checked. Raises EngineError with a sentence."""
    if request.new_frames < 1:
        raise EngineError(f"{task.name}: got {request.new_frames} samples of new audio; ask for at least 1")
    audio = {name: request.audio(name) for name in ("left", "middle", "middle_right", "right", "style")}
    read = {name: part if name in task.needs | task.also else None for name, part in audio.items()}
    for name in sorted(task.needs - {"left", "classes"}):
        if read[name] is None:
            raise EngineError(f"{task.name}: needs {name}, got none; give audio of at least a second")
    if "left" in task.needs and read["left"] is None:
        read["left"] = np.zeros((2, 0), np.float32)
    middle, over = read["middle"], read["middle_right"]
    if task.wraps:
        assert middle is not None  # needed by every task that wraps
        return _wrapped(middle, rate)
    if middle is not None and middle.shape[1] != request.new_frames:
        raise EngineError(f"{task.name}: middle has {middle.shape[1]} samples; give {request.new_frames}, as many as are new")
    if middle is not None and over is not None:
        try:
            middle = crossfade(middle, over)
        except ValueError as error:
            raise EngineError(f"{task.name}: {error}") from error
    return Parts(request.new_frames, read["left"], middle, read["right"], crossfaded=over is not None)


def _wrapped(phrase: Audio, rate: int) -> Parts:
    """A phrase as its own context on both sides of a bridge, over as many rounds as a window may need."""
    bridge = min(round(BRIDGE_S * rate), phrase.shape[1] // 4)
    if bridge < rate // 20:
        raise EngineError(f"loop: got a phrase of {phrase.shape[1] / rate:.2f} s; give at least 0.2 s")
    rounds = -(-10 * rate // phrase.shape[1])
    before = np.tile(phrase, rounds)
    return Parts(bridge, before, None, np.concatenate([phrase[:, bridge:], before], axis=1), phrase[:, bridge:])


def line_of(parts: Parts, codec: Codec, size: int, context: int, reference_lufs: float | None) -> Line:
    """The parts encoded at the model's loudness, with as much context as windows of `size` frames see of it.

    Raises EngineError where there is less than `context` frames of left context, or no frame of right context.
    """
    hop = codec.hop
    before, after = parts.before, parts.after
    left = min((0 if before is None else before.shape[1]) // hop, size - 1)
    if before is not None and left < context - 1:  # a frame of slack for rounding at another rate
        got, wanted = before.shape[1] / codec.rate, context * hop / codec.rate
        raise EngineError(f"not enough audio captured: {got:.1f} s of {wanted:.1f} s")
    made = -(-parts.new // hop)
    beyond = made * hop - parts.new  # samples of `after` inside the last new frame
    right = min(((0 if after is None else after.shape[1]) - beyond) // hop, size - 1) if after is not None else 0
    if after is not None and right < 1:
        raise EngineError(f"right: got {after.shape[1]} samples of what follows; give at least {hop + beyond}, better a second")
    new = made + (0 if after is not None else EDGE)
    windows = plan(new, left, right, size, context)
    left = min(left, max(codec.receptive_frames, *(-window.start for window in windows)))
    right = min(right, max(codec.receptive_frames, windows[-1].right))
    gain = gain_to(reference_lufs, _near(parts, size * hop), codec.rate)
    head = np.zeros((2, 0), np.float32) if before is None or not left else before[:, -left * hop :] * np.float32(gain)
    tail = np.zeros((2, 0), np.float32) if after is None else after[:, : beyond + right * hop] * np.float32(gain)
    if parts.middle is None:
        blank = torch.zeros(1, codec.latent_dim, new)
        x_bar = torch.cat([encode(codec, head), blank, encode(codec, tail[:, beyond:])], dim=-1)
    else:
        x_bar = encode(codec, np.concatenate([head, parts.middle * np.float32(gain), tail], axis=1), left + new + right)
    return Line(x_bar, left, tuple(windows), gain)


def _near(parts: Parts, samples: int) -> list[Audio]:
    """What the level is taken from: the context, or what stands there where there is none."""
    before = [] if parts.before is None else [parts.before[:, -samples:]]
    after = [] if parts.after is None else [parts.after[:, :samples]]
    return [*before, *after] or ([] if parts.middle is None else [parts.middle])


def gain_to(reference_lufs: float | None, spans: list[Audio], rate: int) -> float:
    """Linear gain, within GAIN_DB, that brings spans of audio together to a loudness; 1 for None and for no audio."""
    if reference_lufs is None or not spans:
        return 1.0
    power = float(np.mean([10 ** (measure.loudness(span, rate) / 10) for span in spans]))
    return float(10 ** (np.clip(reference_lufs - 10 * np.log10(power), *GAIN_DB) / 20))


def encode(codec: Codec, audio: Audio, frames: int | None = None) -> Tensor:
    """`[1, C, frames]` latents of `[2, n]` audio, all whole frames by default, more by reflection.

    The audio is reflected at both ends for as far as the encoder looks: what lies beyond is unknown, not silent.
    """
    frames = audio.shape[1] // codec.hop if frames is None else frames
    if not frames or not audio.shape[1]:
        return torch.zeros(1, codec.latent_dim, frames)
    reach = int(getattr(codec, "encoder_receptive_frames", codec.receptive_frames))
    missing = frames * codec.hop - audio.shape[1]
    beyond = (reach * codec.hop, reach * codec.hop + max(0, missing))
    padded = np.pad(audio[:, : frames * codec.hop], ((0, 0), beyond), mode="reflect")
    return codec.encode(torch.from_numpy(np.ascontiguousarray(padded))[None])[..., reach : reach + frames]


def digest(request: Request) -> str:
    """SHA-256 of everything a take is made from: its numbers and its audio."""
    total = hashlib.sha256()
    numbers = (request.task, request.new_frames, request.steps, request.seed, request.sampler, request.regime, request.xi)
    more = (request.tail, sorted(request.parameters.items()), request.match_level, request.start, request.unheard)
    time = (request.beat_s, request.downbeat, request.beats_per_bar)
    total.update(repr((*numbers, *more, *time)).encode())
    for name in ("left", "middle", "middle_right", "right", "style", "classes", "memory", "played"):
        audio = getattr(request, name)
        total.update(f"{name} {None if audio is None else audio.shape}".encode())
        if audio is not None:
            total.update(np.ascontiguousarray(audio, np.float32).tobytes())
    return total.hexdigest()
