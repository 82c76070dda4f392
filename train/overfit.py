"""Overfits a model of any family to one short clip, then fills the middle of what it knows: what code and sizes can hold.

The clip is cut into windows end to end; the network sees nothing else. Each window's middle is then made anew from its two
ends, and its log-mel distance to the clip is put beside that of a denoiser that knows the answer. A codec that learns is
fitted first.
"""

from __future__ import annotations

import argparse
import json
import sys
import time
from collections.abc import Callable
from dataclasses import asdict, dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor, nn

from segue.engine.backends import make
from segue.engine.checkpoint import save
from segue.engine.compose import gain_to
from segue.engine.engine import Engine
from segue.engine.measure import mel_distance, shaped_noise
from segue.engine.models.families import build_codec, build_denoiser, presets
from segue.engine.models.spec import Model, ModelSpec
from segue.engine.noise import generator
from segue.engine.paper import alpha, over, sigma
from segue.engine.protocols import Codec
from segue.engine.request import Request
from segue.train.codec import picture_distance, pictures
from segue.train.data import REFERENCE_LUFS
from segue.train.diffusion import draw_levels, v_loss
from segue.train.losses import RESOLUTIONS, kl, spectral_distance
from segue.train.optim import Stepper, rate_at

LEFT, NEW = 0.4, 0.4  # of a window: what is given before, and what is made; the rest is given after
CROPS, CROP = 4, 16_384  # of a codec's batch: how many, and samples of each
KL = 1e-3
WARM_UP = 20  # steps
REPORT_STEPS = 50
LAST = 20  # steps

Audio = NDArray[np.float32]
Step = Callable[[int], Tensor]


@dataclass(frozen=True)
class Plan:
    """What is done: steps of the codec and of the denoiser at their peak rates, and steps of the takes that are judged.

    batch: windows a step of the denoiser, or all where there are fewer.
    """

    codec_steps: int = 300
    steps: int = 1000
    codec_rate: float = 4e-3
    rate: float = 2e-3
    batch: int = 3
    sampler_steps: int = 20
    seed: int = 1


@dataclass(frozen=True)
class Result:
    """What came of it. Distances: L1 of log-mels on the new parts, nepers.

    codec_mel: of the clip encoded and decoded. known_mel: of takes whose denoiser is told the clip's own latents, so of all that
    is not the denoiser: codec, colour and seams. ratio: take_mel / known_mel.
    v_loss_first: before any step; v_loss_last: mean over the last LAST steps. noise_mel: of noise with the context's spectrum.
    """

    model: str
    family: str
    parameters: int
    codec_parameters: int
    clip_s: float
    windows: int
    codec_steps: int
    steps: int
    sampler_steps: int
    seconds: float
    v_loss_first: float
    v_loss_last: float
    codec_mel: float
    known_mel: float
    take_mel: float
    noise_mel: float
    ratio: float


def overfit(spec: ModelSpec, clip: Audio, plan: Plan, say: Callable[[str], None] = lambda line: None) -> tuple[Model, Result]:
    """The model of a spec, fitted to a clip `[2, n]` at its rate, and how it did. Raises ValueError for too short a clip."""
    begun = time.monotonic()
    spec = replace(spec, reference_lufs=None)  # the clip is brought to its level once, as a whole
    audio = clip * np.float32(gain_to(REFERENCE_LUFS, [clip], spec.codec.rate))
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(plan.seed)
        codec_module, codec = build_codec(spec)
        denoiser_module, denoiser = build_denoiser(spec)
    if count(codec_module):
        fit_codec(codec_module, audio, plan, say)
    with torch.no_grad():
        windows = grid(encoded(codec, audio), spec.window_frames)
    losses = fit_denoiser(denoiser_module, windows, denoiser.per_frame_t, plan, say)
    for module in (codec_module, denoiser_module):
        module.eval().requires_grad_(False)
    model = Model(spec, codec, denoiser, "overfit", "")
    codec_mel, known_mel, take_mel, noise_mel = judged(model, audio, windows, plan)
    ends = losses[0], float(np.mean(losses[-LAST:]))
    sizes = count(denoiser_module), count(codec_module)
    row = Result(
        spec.name, spec.family, *sizes, clip.shape[1] / codec.rate, len(windows), plan.codec_steps if sizes[1] else 0, plan.steps,
        plan.sampler_steps, time.monotonic() - begun, *ends, codec_mel, known_mel, take_mel, noise_mel, take_mel / known_mel,
    )  # fmt: skip
    return model, row


def count(module: nn.Module) -> int:
    """Parameters."""
    return sum(p.numel() for p in module.parameters())


def encoded(codec: Codec, audio: Audio) -> Tensor:
    """`[C, T]` of all whole frames of `[2, n]`."""
    whole = audio.shape[1] // codec.hop * codec.hop
    return codec.encode(torch.from_numpy(audio[None, :, :whole]))[0]


def grid(z: Tensor, frames: int) -> Tensor:
    """`[n, C, frames]`: z `[C, T]` cut into windows end to end. Raises ValueError where there is not one."""
    if z.shape[1] < frames:
        raise ValueError(f"clip: got {z.shape[1]} frames, one window has {frames}; give a longer clip")
    windows: Tensor = z[:, : z.shape[1] // frames * frames].unflatten(1, (-1, frames))
    return windows.transpose(0, 1).contiguous()


def fit(module: nn.Module, steps: int, rate: float, loss_of: Step, what: str, say: Callable[[str], None]) -> list[float]:
    """Every step's loss, with the trainer's optimiser and schedule."""
    stepper, losses, begun = Stepper(module, rate, torch.device("cpu"), "bf16"), [], time.monotonic()
    for step in range(steps):
        loss = loss_of(step)
        stepper(loss, rate_at(step, step / steps, rate, WARM_UP))
        losses.append(float(loss.detach()))
        if (step + 1) % REPORT_STEPS == 0:
            left = (steps - step - 1) * (time.monotonic() - begun) / (step + 1)
            say(f"{what} step {step + 1} of {steps}  loss {np.mean(losses[-REPORT_STEPS:]):.4f}  {left:.0f} s left")
    return losses


def fit_codec(codec: Any, audio: Audio, plan: Plan, say: Callable[[str], None]) -> list[float]:
    """Fits encoder and decoder of a codec that has both to crops of `[2, n]`, then measures mean and spread of the latents."""
    g, whole = generator(plan.seed, 1), torch.from_numpy(audio)
    size = min(CROP, audio.shape[1]) // codec.hop * codec.hop

    def loss_of(step: int) -> Tensor:
        starts = torch.randint(audio.shape[1] - size + 1, (CROPS,), generator=g).tolist()
        x = torch.stack([whole[:, first : first + size] for first in starts])
        window, bands = RESOLUTIONS[step % len(RESOLUTIONS)]
        shift = int(torch.randint(window // 2, (), generator=g))
        d = spectral_distance(window, bands, bool(step // len(RESOLUTIONS) % 2), codec.rate, shift)
        mean, log_variance = codec.encoder(x)
        z = mean + (0.5 * log_variance).exp() * torch.randn(mean.shape, generator=g)
        if pictures(codec):
            near = picture_distance(codec.decoder.pictured(z), codec.encoder.image(x))
        else:
            near = d(codec.decoder.tone(z), x)
        return near + KL * kl(mean, log_variance)

    losses = fit(codec, plan.codec_steps, plan.codec_rate, loss_of, "codec", say)
    with torch.no_grad():
        cut = whole[None, :, : audio.shape[1] // codec.hop * codec.hop]
        mean = codec.encoder(cut)[0][0]
        codec.mean.copy_(mean.mean(0))
        codec.std.copy_(mean.std(0))
    return losses


def fit_denoiser(denoiser: nn.Module, windows: Tensor, per_frame_t: bool, plan: Plan, say: Callable[[str], None]) -> list[float]:
    """Fits v to `[n, C, T]` windows, the whole of one at one level: the paper's model, and the hardest of the regimes."""
    g, batch = generator(plan.seed, 2), min(plan.batch, len(windows))

    def loss_of(step: int) -> Tensor:
        x_0 = windows[torch.randperm(len(windows), generator=g)[:batch]]
        level = draw_levels(batch, 1.0, 0.0, g)
        t = level[:, None].expand(-1, x_0.shape[-1]) if per_frame_t else level
        return v_loss(denoiser, x_0, torch.randn(x_0.shape, generator=g), t).mean()

    return fit(denoiser, plan.steps, plan.rate, loss_of, "denoiser", say)


@dataclass(frozen=True)
class Known:
    """A denoiser that is told x_0 `[1, C, T]`: what it leaves wrong is not the denoiser's."""

    x_0: Tensor
    per_frame_t: bool = False

    @property
    def channels(self) -> int:
        """C of the latents."""
        return self.x_0.shape[1]

    def v(self, x_t: Tensor, t: Tensor, cond: Tensor | None = None) -> Tensor:
        """alpha eps - sigma x_0 with eps = (x_t - alpha x_0) / sigma, so (alpha x_t - x_0) / sigma; t above 0."""
        level = over(t, x_t)
        return (alpha(level) * x_t - self.x_0) / sigma(level)

    def vjp(self, x_t: Tensor, t: Tensor, g: Tensor, cond: Tensor | None = None) -> tuple[Tensor, Tensor]:
        """(v, J_v^T g): J_v = alpha / sigma."""
        level = over(t, x_t)
        return self.v(x_t, t), alpha(level) / sigma(level) * g


def judged(model: Model, audio: Audio, windows: Tensor, plan: Plan) -> list[float]:
    """Mean distances of the new parts of all windows to the clip: codec_mel, known_mel, take_mel, noise_mel."""
    engine, hop, rate = Engine(make("eager", model)), model.hop, model.rate
    with torch.no_grad():
        decoded = model.codec.decode(encoded(model.codec, audio)[None])[0].numpy()
    size, rng, rows = model.window_frames, np.random.default_rng(plan.seed), []
    for number, x_0 in enumerate(windows):
        first = number * size
        a, b, c = (hop * (first + round(share * size)) for share in (LEFT, LEFT + NEW, 1.0))
        left, truth, right = audio[:, hop * first : a], audio[:, a:b], audio[:, b:c]
        asked = Request(
            "infill", b - a, left=left, right=right, steps=plan.sampler_steps, seed=plan.seed, regime="guided", match_level=False
        )
        told = Engine(make("eager", replace(model, denoiser=Known(x_0[None]))))
        heard = (decoded[:, a:b], told.take(asked), engine.take(asked), shaped_noise(left, b - a, rng))
        rows.append([mel_distance(part, truth, rate) for part in heard])
    return [float(mean) for mean in np.mean(rows, axis=0)]


def read_clip(path: Path, start: float, seconds: float, rate: int) -> Audio:
    """`[2, seconds * rate]` of an audio file. Raises ValueError where it is shorter."""
    import soundfile
    import soxr

    audio, found = soundfile.read(path, dtype="float32", always_2d=True)
    part = audio[round(start * found) : round((start + seconds) * found), :2]
    if len(part) < round(seconds * found):
        raise ValueError(f"{path}: {len(audio) / found:.1f} s long; give a file of {start + seconds:g} s, or a smaller --seconds")
    part = soxr.resample(part, found, rate) if found != rate else part
    return np.ascontiguousarray(np.broadcast_to(part.T, (2, len(part))), np.float32)


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Options of `segue train overfit`."""
    parser.add_argument("--model", default="paper-latent-small", help="a configuration of `segue models`")
    parser.add_argument("--clip", type=Path, required=True, help="audio file")
    parser.add_argument("--start", type=float, default=0.0, help="seconds into the file")
    parser.add_argument("--seconds", type=float, default=10.0, help="length of the clip")
    parser.add_argument("--codec-steps", type=int, default=Plan.codec_steps, help="steps of a codec that learns")
    parser.add_argument("--steps", type=int, default=Plan.steps, help="steps of the denoiser")
    parser.add_argument("--codec-rate", type=float, default=Plan.codec_rate, help="peak learning rate of the codec")
    parser.add_argument("--rate", type=float, default=Plan.rate, help="peak learning rate of the denoiser")
    parser.add_argument("--batch", type=int, default=Plan.batch, help="windows a step of the denoiser")
    parser.add_argument("--sampler-steps", type=int, default=Plan.sampler_steps, help="steps of the takes that are judged")
    parser.add_argument("--threads", type=int, default=1, help="of PyTorch")
    parser.add_argument("--seed", type=int, default=Plan.seed)
    parser.add_argument("--out", type=Path, default=None, help="model file to write")


def run(args: Any) -> int:
    """`segue train overfit`: 0, or 2 with one line where the model or the clip cannot be used."""
    known = presets()
    torch.set_num_threads(args.threads)
    try:
        if args.model not in known:
            raise ValueError(f"model: got {args.model!r}; one of {', '.join(sorted(known))}")
        spec = known[args.model]
        clip = read_clip(args.clip, args.start, args.seconds, spec.codec.rate)
        plan = Plan(args.codec_steps, args.steps, args.codec_rate, args.rate, args.batch, args.sampler_steps, args.seed)
        model, result = overfit(spec, clip, plan, lambda line: print(line, file=sys.stderr, flush=True))
    except (OSError, RuntimeError, ValueError) as error:
        print(f"segue train overfit: {error}", file=sys.stderr)
        return 2
    if args.out is not None:
        assert isinstance(model.codec, nn.Module)
        assert isinstance(model.denoiser, nn.Module)
        noted = replace(
            model.spec,
            reference_lufs=REFERENCE_LUFS,
            provenance={"data": args.clip.name, "recipe": f"overfit, {plan.steps} steps"},
        )
        save(args.out, noted, model.codec, model.denoiser)
    if args.json:
        print(json.dumps(asdict(result)))
    else:
        print(
            f"{result.model}: {result.take_mel:.3f} nepers, {result.ratio:.2f} of what known latents give "
            f"({result.known_mel:.3f}; codec alone {result.codec_mel:.3f}, shaped noise {result.noise_mel:.3f})"
        )
    return 0
