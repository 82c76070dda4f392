"""What the slides' samplers make after a short training of a tiny model, and how well mel images invert to audio."""

from __future__ import annotations

import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import torch
from torch import Tensor, nn

from segue.bench.slides_speed import PRINTED, SAMPLERS, SEED, drawn, say
from segue.engine import noise
from segue.engine.compose import Audio, gain_to
from segue.engine.models.families import build_codec, build_denoiser, presets
from segue.engine.models.melspec import MelCodec, MelSpec, decibel_error
from segue.engine.models.slides import mel_model
from segue.engine.models.spec import ModelSpec
from segue.engine.models.unet2d import Unet2dSpec
from segue.engine.protocols import Denoiser
from segue.engine.synthesis import compose
from segue.train.data import RATE, REFERENCE_LUFS, audio_files, read_audio
from segue.train.diffusion import draw_levels, v_loss
from segue.train.few_steps import apart
from segue.train.optim import Stepper, rate_at

TINY = mel_model("tiny-32x16", 32, 16, Unet2dSpec(width=16, multipliers=(1, 2, 4), blocks=1, attention=(), head=16, groups=4))
TRAIN_BATCH = 16
PEAK_RATE, WARM_UP = 2e-3, 50
GRIFFIN_LIM = 100  # iterations of the baseline
CLIP_S = 6.0  # of an inverted clip
PIECE_S = 10.0  # about, of a composed piece


@dataclass(frozen=True)
class Quality:
    """Frechet distance of mel columns and their steps to held-out music. system: a sampler, or a bound: data, noise."""

    model: str
    system: str
    steps: int | None
    n: int
    s_per_item: float | None
    frechet: float


@dataclass(frozen=True)
class Inversion:
    """Log-mel error in dB, of clips' images and those of the audio made from them: mean and worst. s_per_s: work for a second."""

    bands: int
    system: str
    iterations: int
    n: int
    error_db: float
    worst_db: float
    s_per_s: float


def pictures(minutes: float, spec: ModelSpec, seed: int) -> Tensor:
    """`[n, C, T]`: windows of composed music at the models' loudness, end to end."""
    codec, images = build_codec(spec)[1], []
    for number in range(max(1, round(60 * minutes / PIECE_S))):
        audio = np.ascontiguousarray(compose(np.random.default_rng([seed, number]), PIECE_S).audio.T, np.float32)
        audio = audio * np.float32(gain_to(REFERENCE_LUFS, [audio], codec.rate))
        whole = audio.shape[1] // codec.hop * codec.hop
        z = codec.encode(torch.from_numpy(audio[None, :, :whole]))[0]
        frames = spec.window_frames
        images.append(z[:, : z.shape[1] // frames * frames].unflatten(1, (-1, frames)).transpose(0, 1))
    return torch.cat(images)


def trained(spec: ModelSpec, windows: Tensor, steps: int) -> tuple[nn.Module, Denoiser, list[float]]:
    """A denoiser fitted to `[n, C, T]` windows, and its losses."""
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(SEED)
        module, denoiser = build_denoiser(spec)
    stepper, g, losses = Stepper(module, PEAK_RATE, torch.device("cpu"), "fp32"), noise.generator(SEED, 2), []
    for step in range(steps):
        x_0 = windows[torch.randint(len(windows), (TRAIN_BATCH,), generator=g)]
        t = draw_levels(TRAIN_BATCH, 1.0, 0.0, g)
        loss = v_loss(module, x_0, torch.randn(x_0.shape, generator=g), t).mean()
        stepper(loss, rate_at(step, step / steps, PEAK_RATE, WARM_UP))
        losses.append(float(loss.detach()))
        if (step + 1) % 100 == 0:
            say(f"training step {step + 1} of {steps}, v-loss {np.mean(losses[-100:]):.3f}")
    module.eval().requires_grad_(False)
    return module, denoiser, losses


def quality(minutes: float, steps: int, count: int) -> tuple[list[Quality], dict[str, float]]:
    """Both samplers on a tiny model trained here, between what unseen music of the same kind and noise score; and the losses."""
    known, unseen = pictures(minutes, TINY, 1), pictures(minutes, TINY, 2)
    _, denoiser, losses = trained(TINY, known, steps)
    shape = (count, TINY.codec.latent_dim, TINY.window_frames)
    rows = []
    for kind, whole in SAMPLERS.items():
        begun = time.perf_counter()
        x = drawn(denoiser, shape, kind, whole)
        took = (time.perf_counter() - begun) / count
        rows.append(Quality(TINY.name, kind, whole, count, took, apart(unseen, x)))
        say(f"{kind}, {whole} steps, {count} items: {took:.3f} s an item")
    z = noise.normal(shape, noise.generator(SEED, 4))
    for name, x in (("data", known), ("noise", z)):
        rows.append(Quality(TINY.name, name, None, len(x), None, apart(unseen, x)))
    first, last = losses[:3], losses[-len(losses) // 4 :]
    return rows, {"v_loss_first": float(np.mean(first)), "v_loss_last": float(np.mean(last))}


def inversions(clips: Sequence[Audio]) -> list[Inversion]:
    """Our inversion and Griffin-Lim, of images of the printed numbers of bands, on clips `[2, n]`."""
    rows = []
    for bands in sorted({codec.bands for codec in (presets()[name].codec for name in PRINTED) if isinstance(codec, MelSpec)}):
        codec = MelCodec(MelSpec(bands=bands))
        systems: dict[str, tuple[int, Callable[[Tensor], Tensor]]] = {
            "ours": (codec.spec.iterations, codec.image.inverted),
            "griffin-lim": (GRIFFIN_LIM, lambda image, codec=codec: codec.image.griffin_lim(image, GRIFFIN_LIM)),  # type: ignore[misc]
        }
        for name, (iterations, invert) in systems.items():
            errors, took = [], 0.0
            for clip in clips:
                loud = clip * np.float32(gain_to(REFERENCE_LUFS, [clip], codec.rate))
                whole = loud.shape[1] // codec.hop * codec.hop
                image = codec.image(torch.from_numpy(np.ascontiguousarray(loud[None, :, :whole], np.float32)))
                begun = time.perf_counter()
                audio = invert(image)
                took += time.perf_counter() - begun
                errors.append(float(decibel_error(image, codec.image(audio))))
            length = sum(clip.shape[1] for clip in clips) / codec.rate
            rows.append(Inversion(bands, name, iterations, len(clips), float(np.mean(errors)), max(errors), took / length))
        say(f"{bands} bands: {rows[-2].error_db:.2f} dB, Griffin-Lim {rows[-1].error_db:.2f} dB")
    return rows


def clips_of(folder: Path | None, count: int) -> list[Audio]:
    """`[2, n]` clips from the middle of a folder's files, in the order of their names, or of composed music."""
    if folder is None:
        whole = [compose(np.random.default_rng([4, i]), CLIP_S).audio for i in range(count)]
    else:
        whole = [read_audio(path)[0] for path in audio_files(folder)[:count]]
    length = round(CLIP_S * RATE)
    starts = [max(0, len(audio) - length) // 2 for audio in whole]
    return [np.ascontiguousarray(audio[start : start + length].T) for audio, start in zip(whole, starts, strict=True)]
