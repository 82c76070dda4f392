"""Prints the slides' speed table on this machine, DDPM with 1000 steps against DDIM with 50, and how well mel images invert.

Times are of one item of a batch, without the inversion to audio. Whole runs are measured where they are asked for; otherwise
some steps are, and whole runs stay null: the time of a step does not depend on what was learned, so weights are random.
Quality is that of a tiny model, trained here.
"""

from __future__ import annotations

import argparse
import json
import platform
import sys
import time
from collections.abc import Callable, Sequence
from dataclasses import asdict, dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np
import torch
from torch import Tensor, nn

from segue.engine import noise
from segue.engine.backends.eager import EagerDenoiser
from segue.engine.compose import Audio, gain_to
from segue.engine.guidance import unguided
from segue.engine.models.families import build_codec, build_denoiser, presets
from segue.engine.models.melspec import MelCodec, MelSpec, decibel_error
from segue.engine.models.slides import mel_model
from segue.engine.models.spec import ModelSpec
from segue.engine.models.unet2d import Unet2dSpec
from segue.engine.paper import levels
from segue.engine.problem import Problem
from segue.engine.protocols import Denoiser
from segue.engine.samplers import sampler
from segue.train.data import RATE, REFERENCE_LUFS, audio_files, read_audio
from segue.train.diffusion import draw_levels, v_loss
from segue.train.few_steps import apart
from segue.train.optim import Stepper, rate_at
from segue.train.synthesis import compose

SAMPLERS = {"ddpm": 1000, "ddim": 50}
# What the slides print: seconds by DDPM and by DDIM on their GPU, None where they print nothing ("Speed Comparison").
PRINTED = {
    "slides-mel-64x64": (1.162, 0.0743),
    "slides-mel-256x256": (3.784, 0.370),
    "slides-mel-512x32": (0.528, 0.0474),
    "slides-mel-512x64": (0.951, 0.092),
    "slides-mel-512x128": (1.894, 0.187),
    "slides-mel-1024x128": (1.876, 0.177),
    "slides-latent-256x256": (0.116, 0.008),
}
SMALL = Unet2dSpec(width=32, multipliers=(1, 2, 2, 4), blocks=1, attention=(3,), head=32, groups=8)
TINY = mel_model("tiny-32x16", 32, 16, Unet2dSpec(width=16, multipliers=(1, 2, 4), blocks=1, attention=(), head=16, groups=4))
SEED = 3
TRAIN_BATCH = 16
PEAK_RATE, WARM_UP = 2e-3, 50
GRIFFIN_LIM = 100  # iterations of the baseline
CLIP_S = 6.0  # of an inverted clip
PIECE_S = 10.0  # about, of a composed piece


@dataclass(frozen=True)
class Speed:
    """A row of the slides' table. Seconds an item; `_step_s` of one step, `_s` of a whole run, null where none was made."""

    model: str
    columns: int
    bands: int
    parameters: int
    size_mb: float
    sample_s: float
    batch: int
    timed_steps: int
    ddpm_step_s: float
    ddim_step_s: float
    ddpm_s: float | None
    ddim_s: float | None
    printed_ddpm_s: float | None
    printed_ddim_s: float | None


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


def drawn(denoiser: Denoiser, shape: tuple[int, ...], name: str, whole: int, made: int | None = None) -> Tensor:
    """x_0 from noise by a sampler of `whole` steps, or what its first `made` steps give."""
    z = noise.normal(shape, noise.generator(SEED))
    problem = Problem(None, None, None, z).to(getattr(denoiser, "device", "cpu"))
    with torch.no_grad():
        falling = levels(whole)[: (made or whole) + 1]
        return sampler(name)(denoiser, problem, falling, xi=0.0, generator=noise.generator(SEED, 1), guidance=unguided)


def seconds(work: Callable[[], object]) -> float:
    """Wall-clock seconds of one call, on a GPU until it is done."""
    if torch.cuda.is_available():
        torch.cuda.synchronize()
    begun = time.perf_counter()
    work()
    if torch.cuda.is_available():
        torch.cuda.synchronize()
    return time.perf_counter() - begun


def speed(name: str, spec: ModelSpec, unet: Unet2dSpec | None, device: str, batch: int, timed: int) -> Speed:
    """Times one configuration, with the U-Net in the place of its own where one is given; timed 0 runs both samplers whole."""
    columns, bands = (int(side) for side in name.rpartition("-")[2].split("x"))
    own = spec.denoiser
    assert isinstance(own, Unet2dSpec)
    spec = replace(spec, denoiser=replace(unet, channels=own.channels, images=own.images) if unet else own)
    module, denoiser = build_denoiser(spec)
    module.to(device).eval().requires_grad_(False)
    placed = EagerDenoiser(denoiser, device)
    shape = (batch, own.channels, spec.window_frames)
    drawn(placed, shape, "ddim", SAMPLERS["ddim"], 1)
    step, total = {}, {}
    for kind, steps in SAMPLERS.items():
        made = timed or steps
        took = seconds(lambda kind=kind, steps=steps, made=made: drawn(placed, shape, kind, steps, made)) / batch  # type: ignore[misc]
        step[kind], total[kind] = took / made, None if timed else took
    parameters = sum(p.numel() for p in module.parameters())
    return Speed(
        name, columns, bands, parameters, 4 * parameters / 1e6, spec.window_frames * spec.hop / spec.codec.rate, batch, timed,
        step["ddpm"], step["ddim"], total["ddpm"], total["ddim"], *PRINTED[name],
    )  # fmt: skip


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
    for bands in sorted({int(name.rpartition("x")[2]) for name in PRINTED}):
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


def say(line: str) -> None:
    """A line of progress, on standard error."""
    print(f"slides: {line}", file=sys.stderr, flush=True)


def table(speeds: Sequence[Speed], qualities: Sequence[Quality], inverted: Sequence[Inversion]) -> str:
    """All tables as text."""
    heads = (("params M", 9), ("sample s", 9), ("DDPM step ms", 14), ("DDIM step ms", 14), ("DDPM 1000 s", 13), ("DDIM 50 s", 11))
    lines = [" " * 24 + "".join(f"{head:>{width}}" for head, width in (*heads, ("slides' s", 16)))]
    for row in speeds:
        wholes = "".join(f"{'-' if s is None else format(s, '.2f'):>{w}}" for s, w in ((row.ddpm_s, 13), (row.ddim_s, 11)))
        printed = f"{row.printed_ddpm_s} / {row.printed_ddim_s}"
        lines.append(
            f"{row.model:24}{row.parameters / 1e6:9.1f}{row.sample_s:9.2f}{1e3 * row.ddpm_step_s:14.2f}"
            f"{1e3 * row.ddim_step_s:14.2f}{wholes}{printed:>16}"
        )
    for q in qualities:
        took = "" if q.s_per_item is None else f", {q.s_per_item:.3f} s an item"
        steps = "" if q.steps is None else f" {q.steps} steps"
        lines.append(f"{q.model}: {q.system}{steps}: Frechet distance {q.frechet:.2f} over {q.n}{took}")
    for i in inverted:
        lines.append(
            f"inversion of {i.bands} bands, {i.system}, {i.iterations} iterations: {i.error_db:.2f} dB, worst {i.worst_db:.2f} "
            f"over {i.n}, {i.s_per_s:.3f} s a second"
        )
    return "\n".join(lines)


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Options of `segue bench slides`."""
    parser.add_argument("--size", default="small", choices=["small", "printed"], help="a U-Net of 3 M, or the slides' of 113 M")
    parser.add_argument("--only", nargs="*", default=None, metavar="MODEL", help="rows, such as slides-mel-64x64; none: no times")
    parser.add_argument("--device", default="cpu", choices=["cpu", "cuda"], help="where to run")
    parser.add_argument("--threads", type=int, default=1, help="of PyTorch")
    parser.add_argument("--batch", type=int, default=1, help="items at once")
    parser.add_argument("--timed-steps", type=int, default=4, help="steps that are timed; 0 for whole runs")
    parser.add_argument("--train-steps", type=int, default=300, help="of the tiny model; 0 leaves the quality out")
    parser.add_argument("--minutes", type=float, default=1.5, help="of composed music to train it on, and as much to judge it")
    parser.add_argument("--samples", type=int, default=32, help="items that quality is judged on")
    parser.add_argument("--clips", type=int, default=2, help="clips that are inverted; 0 leaves that out")
    parser.add_argument("--audio", type=Path, default=None, help="folder the clips come from; else they are composed")
    parser.add_argument("--json", action="store_true", help="print one JSON object")


def run(args: Any) -> int:
    """`segue bench slides`: 0, or 2 with one line where something asked for is not there."""
    torch.set_num_threads(args.threads)
    names = list(PRINTED) if args.only is None else args.only
    unknown = sorted(set(names) - set(PRINTED))
    if unknown:
        print(f"slides: no row {unknown[0]!r}; there are {', '.join(PRINTED)}", file=sys.stderr)
        return 2
    if args.device == "cuda" and not torch.cuda.is_available():
        print("slides: got --device cuda, this PyTorch finds no GPU; use cpu, or install a CUDA build", file=sys.stderr)
        return 2
    known, speeds = presets(), []
    for name in names:
        unet = SMALL if args.size == "small" else None
        speeds.append(speed(name, known[name], unet, args.device, args.batch, args.timed_steps))
        say(f"{name}: {1e3 * speeds[-1].ddim_step_s:.1f} ms a step")
    qualities, losses = quality(args.minutes, args.train_steps, args.samples) if args.train_steps else ([], {})
    inverted = inversions(clips_of(args.audio, args.clips)) if args.clips else []
    machine = f"{platform.machine()}, {torch.get_num_threads()} threads"
    gpu = torch.cuda.get_device_name() if args.device == "cuda" else None
    if args.json:
        rows: dict[str, Sequence[Any]] = {"speed": speeds, "quality": qualities, "inversion": inverted}
        head = {"machine": machine, "gpu": gpu, "torch": torch.__version__, "size": args.size}
        print(json.dumps(head | {key: [asdict(row) for row in part] for key, part in rows.items()} | losses))
    else:
        print(f"{args.size} U-Net on {gpu or machine}, torch {torch.__version__}, batch {args.batch}")
        print(table(speeds, qualities, inverted))
    return 0


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description=__doc__)
    add_arguments(parser)
    sys.exit(run(parser.parse_args()))
