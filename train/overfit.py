"""Overfits a model of any family to one short clip and judges what it then makes: what code and sizes can hold.

The clip is cut into windows end to end; the network sees nothing else. A codec that learns is fitted first.
"""

from __future__ import annotations

import argparse
import json
import sys
import time
from collections.abc import Callable
from dataclasses import asdict, dataclass, field, fields, replace
from pathlib import Path
from typing import Any

import numpy as np
import torch
from torch import nn

from segue.engine.checkpoint import save
from segue.engine.compose import gain_to
from segue.engine.models.families import build_codec, build_denoiser, presets
from segue.engine.models.spec import Model, ModelSpec
from segue.engine.protocols import Codec
from segue.train.data import REFERENCE_LUFS
from segue.train.encode import load_codec
from segue.train.memorise import Audio, Plan, Say, encoded, fit_codec, fit_denoiser, grid
from segue.train.recall import Distances, recalled
from segue.train.recipe import changed, made, preset, read

LAST = 20  # steps
MARGIN = 1.1  # a take may be so many times as far from the clip as its codec is
AT_ALL = 0.75  # of the distance of noise with the clip's spectrum: a codec that is further off has nothing to hold
OWN = 0.25  # of the latents' variance: a take whose latents are further off is another one, however near it sounds
LOSSLESS = 1e-3  # nepers within which a codec loses nothing, so that MARGIN says nothing
OF_NOISE = 0.5  # there a take is held to this share of the noise's distance


@dataclass(frozen=True)
class Work:
    """What is fitted. trained: a codec that exists, as `load_codec` takes it, instead of one that is fitted to the clip."""

    spec: ModelSpec
    plan: Plan = field(default_factory=Plan)
    trained: str = ""


@dataclass(frozen=True)
class Result:
    """What came of it. Distances: L1 of log-mels, nepers.

    codec_mel: of the clip encoded and decoded; take_mel: of takes; noise_mel: of noise with the clip's own spectrum.
    ratio: take_mel / codec_mel, None for a codec that loses nothing. latent_error: mean square error of the takes' latents over
    the variance of the clip's. held: see `is_held`.
    v_loss_first: before any step; v_loss_last: mean over the last LAST steps.
    """

    model: str
    family: str
    parameters: int
    codec_parameters: int
    rate: int
    clip_s: float
    windows: int
    codec_steps: int
    steps: int
    sampler_steps: int
    cpu_seconds: float
    v_loss_first: float
    v_loss_last: float
    latent_error: float
    codec_mel: float
    take_mel: float
    noise_mel: float
    ratio: float | None
    held: bool


def overfit(work: Work, clip: Audio, say: Say = lambda line: None) -> tuple[Model, Result]:
    """The model, fitted to a clip `[2, n]` at its rate, and how it did. Raises ValueError for too short a clip."""
    begun, plan = time.process_time(), work.plan
    audio = clip * np.float32(gain_to(REFERENCE_LUFS, [clip], work.spec.codec.rate))
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(plan.seed)
        codec_module, codec, fitted = _codec(work, audio, say)
        denoiser_module, denoiser = build_denoiser(work.spec)
    with torch.no_grad():
        windows = grid(encoded(codec, audio), work.spec.window_frames)
    losses = fit_denoiser(denoiser_module, windows, plan, say)
    for module in (codec_module, denoiser_module):
        module.eval().requires_grad_(False)
    model = Model(work.spec, codec, denoiser, "overfit", "")
    mel = recalled(model, audio, windows, plan)
    ratio = None if mel.codec < LOSSLESS else mel.take / mel.codec
    row = Result(
        work.spec.name, work.spec.family, count(denoiser_module), count(codec_module), codec.rate, clip.shape[1] / codec.rate,
        len(windows), plan.codec_steps if fitted else 0, plan.steps, plan.sampler_steps, time.process_time() - begun,
        losses[0], float(np.mean(losses[-LAST:])), mel.latent_error, mel.codec, mel.take, mel.noise, ratio, is_held(mel),
    )  # fmt: skip
    return model, row


def is_held(mel: Distances) -> bool:
    """Whether the takes are the clip, as far as their codec can say it: latents within OWN, sound within MARGIN of the codec's.

    Through a codec that loses nothing, sound within OF_NOISE of the noise's distance. A codec as far off as noise holds nothing.
    """
    if mel.latent_error > OWN or mel.codec > AT_ALL * mel.noise:
        return False
    return mel.take <= (OF_NOISE * mel.noise if mel.codec < LOSSLESS else MARGIN * mel.codec)


def _codec(work: Work, audio: Audio, say: Say) -> tuple[nn.Module, Codec, bool]:
    """The codec, as a module and as what it implements, and whether it was fitted."""
    if work.trained:
        codec = load_codec(work.trained)[1]
        return codec, codec, False
    module, codec = build_codec(work.spec)
    if count(module):
        fit_codec(module, audio, work.plan, say)
    return module, codec, count(module) > 0


def count(module: nn.Module) -> int:
    """Parameters."""
    return sum(p.numel() for p in module.parameters())


def read_recipe(path: Path) -> Work:
    """What a recipe says. Its keys are `model`, a preset's name; `codec` and `denoiser`, sizes that differ; `window`, seconds;
    `trained`; and those of Plan. Raises ValueError or FileNotFoundError.
    """
    numbers = [f.name for f in fields(Plan)]
    values = read(path, ["model", "codec", "denoiser", "window", "trained", *numbers])
    spec, trained = preset(path, values), str(values.pop("trained", ""))
    codec, window = changed(path, "codec", spec.codec, values), float(values.pop("window", spec.window_s))
    if trained:
        codec = load_codec(trained)[0].codec
    denoiser = changed(path, "denoiser", spec.denoiser, values)
    return Work(replace(spec, codec=codec, denoiser=denoiser, window_s=window), made(path, Plan, values), trained)


def work_of(args: Any) -> Work:
    """What the options ask for. Raises ValueError or FileNotFoundError."""
    known = presets()
    if args.recipe is None and args.model not in known:
        raise ValueError(f"model: got {args.model!r}; one of {', '.join(sorted(known))}")
    work = read_recipe(args.recipe) if args.recipe else Work(known[args.model])
    given = {name: getattr(args, name) for name in ("codec_steps", "steps", "sampler_steps", "seed")}
    return replace(work, plan=replace(work.plan, **{name: value for name, value in given.items() if value is not None}))


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
    parser.add_argument("--recipe", type=Path, default=None, help="YAML recipe, or the name of one that ships: overfit_...")
    parser.add_argument("--model", default="paper-latent-small", help="without a recipe: a configuration of `segue models`")
    parser.add_argument("--clip", type=Path, required=True, help="audio file")
    parser.add_argument("--start", type=float, default=0.0, help="seconds into the file")
    parser.add_argument("--seconds", type=float, default=10.0, help="length of the clip")
    parser.add_argument("--codec-steps", type=int, default=None, help="steps of a codec that learns, instead of the recipe's")
    parser.add_argument("--steps", type=int, default=None, help="steps of the denoiser")
    parser.add_argument("--sampler-steps", type=int, default=None, help="steps of the takes that are judged")
    parser.add_argument("--threads", type=int, default=1, help="of PyTorch")
    parser.add_argument("--seed", type=int, default=None)
    parser.add_argument("--out", type=Path, default=None, help="model file to write")


def run(args: Any) -> int:
    """`segue train overfit`: 0 where the clip is held, 1 where it is not, 2 with one line where something cannot be used."""
    torch.set_num_threads(args.threads)
    say: Callable[[str], None] = lambda line: print(line, file=sys.stderr, flush=True)  # noqa: E731
    try:
        work = work_of(args)
        clip = read_clip(args.clip, args.start, args.seconds, work.spec.codec.rate)
        model, result = overfit(work, clip, say)
    except (OSError, RuntimeError, ValueError) as error:
        print(f"segue train overfit: {error}", file=sys.stderr)
        return 2
    if args.out is not None:
        write(args.out, model, args.clip.name, work.plan)
    print(json.dumps(asdict(result)) if args.json else shown(result))
    return 0 if result.held else 1


def write(path: Path, model: Model, clip: str, plan: Plan) -> None:
    """The fitted model as a file that plays."""
    assert isinstance(model.codec, nn.Module)
    assert isinstance(model.denoiser, nn.Module)
    about = {"data": clip, "recipe": f"overfit, {plan.steps} steps"}
    save(path, replace(model.spec, reference_lufs=REFERENCE_LUFS, provenance=about), model.codec, model.denoiser)


def shown(r: Result) -> str:
    """A result in words."""
    far = f"{r.take_mel:.3f} nepers from the clip, " + ("" if r.ratio is None else f"{r.ratio:.2f} of its codec, ")
    return f"{r.model}: {far}{r.take_mel / r.noise_mel:.2f} of shaped noise; {'held' if r.held else 'not held'}"
