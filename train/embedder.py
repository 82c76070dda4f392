"""`segue train embedder`: teaches a small network on latents to say what YAMNet says of their sound.

Half of the examples are songs as the codec encodes them; half are what the generator believes in the midst of sampling
(x_0_hat of such a song at a random level), judged by YAMNet on the decoded sound: that is what the network will guide.
"""

from __future__ import annotations

import argparse
import json
import sys
import time
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import torch
from torch import Tensor
from torch.nn import functional as F

from segue.engine import noise
from segue.engine.checkpoint import load
from segue.engine.compose import gain_to
from segue.engine.measure import loudness
from segue.engine.models import embedder as files
from segue.engine.models.embedder import EmbedderSpec, LatentEmbedder
from segue.engine.models.spec import Model
from segue.engine.models.yamnet import YamNet, read_labels
from segue.engine.paper import noised, x_0_hat
from segue.engine.resample import resampled
from segue.train.data import SUFFIXES
from segue.train.yamnet import FILE, data_folder, load_yamnet

SECONDS = 3.0
QUIET_LUFS = -45.0
SEED = 611
BATCH = 64
RATE_OF_LEARNING = 2e-3
WEIGHT_DECAY = 0.02
CLASS_WEIGHT = 3.0  # of the class loss beside that of the embedding
TINY = 1e-5


@dataclass(frozen=True)
class Examples:
    """Latents `[n, C, T]`, YAMNet's embeddings `[n, dim]` and probabilities `[n, classes]` of their sound, and their songs."""

    z: Tensor
    embedding: Tensor
    p: Tensor
    song: Tensor

    def at(self, index: Tensor) -> Examples:
        """Some of them."""
        return Examples(self.z[index], self.embedding[index], self.p[index], self.song[index])


@torch.no_grad()
def examples(model: Model, teacher: YamNet, folder: Path, each: int, seed: int = SEED) -> Iterator[Examples]:
    """For every file of a folder up to `each` windows, each as it is and as the generator believes it at a random level."""
    rng, draws = np.random.default_rng(seed), noise.generator(seed)
    for number, path in enumerate(sorted(p for p in folder.iterdir() if p.suffix in SUFFIXES)):
        for audio in _windows(path, each, model.rate, rng):
            frames = audio.shape[1] // model.hop
            gain = gain_to(model.spec.reference_lufs, [audio], model.rate)
            sound = torch.from_numpy(audio[:, : frames * model.hop] * np.float32(gain))[None]
            z = model.codec.encode(sound)
            t = torch.rand(1, generator=draws)
            x_t = noised(z, noise.draw(z, draws), t)
            believed = x_0_hat(x_t, model.denoiser.v(x_t, t), t)
            for latents, heard in ((z, sound), (believed, model.codec.decode(believed))):
                yield _judged(teacher, latents, heard, model.rate, number)


def _judged(teacher: YamNet, z: Tensor, sound: Tensor, rate: int, song: int) -> Examples:
    e = teacher.patches(resampled(sound.mean(1), rate, teacher.rate))
    return Examples(z, e.mean(1), teacher.classes(e), torch.tensor([song]))


def _windows(path: Path, each: int, rate: int, rng: np.random.Generator) -> Iterator[np.ndarray[Any, np.dtype[np.float32]]]:
    """Windows `[2, n]` from random places of a file, spread evenly, none quiet; files at other rates are resampled."""
    import soundfile
    import soxr

    with soundfile.SoundFile(path) as file:
        length = round(SECONDS * file.samplerate) + 1
        slot = (file.frames - length) / each
        if slot < 0:
            return
        for i in range(each):
            file.seek(int(slot * (i + rng.random())))
            audio = file.read(length, dtype="float32", always_2d=True)
            audio = audio[:, [0, min(1, audio.shape[1] - 1)]]
            audio = audio if file.samplerate == rate else soxr.resample(audio, file.samplerate, rate)
            if len(audio) and loudness(audio.T, rate) > QUIET_LUFS:
                yield np.ascontiguousarray(audio.T[:, : round(SECONDS * rate)], np.float32)


def gathered(parts: Sequence[Examples]) -> Examples:
    """All examples as one; windows are cut to the shortest."""
    frames = min(part.z.shape[-1] for part in parts)
    return Examples(
        torch.cat([part.z[..., :frames] for part in parts]),
        torch.cat([part.embedding for part in parts]),
        torch.cat([part.p for part in parts]),
        torch.cat([part.song for part in parts]),
    )


def usual_distance(given: Examples) -> float:
    """Mean distance of the embeddings of two windows of different songs."""
    pairs = torch.randint(len(given.song), (2, 4000), generator=noise.generator(SEED, 1))
    apart = given.song[pairs[0]] != given.song[pairs[1]]
    return float((given.embedding[pairs[0]] - given.embedding[pairs[1]])[apart].norm(dim=1).mean())


def fit(given: Examples, spec: EmbedderSpec, names: Sequence[str], steps: int, seed: int = SEED) -> LatentEmbedder:
    """A network taught on the examples, by squared error of the embedding and cross-entropy of the classes."""
    with torch.random.fork_rng():
        torch.manual_seed(seed)
        net = LatentEmbedder(spec, names)
    draws = noise.generator(seed, 2)
    spread = given.embedding.var(0).mean().sqrt()
    net.centre.copy_(given.embedding.mean(0))
    net.scale.fill_(usual_distance(given))
    torch.nn.init.normal_(net.embedding.weight, std=0.01)
    prior = given.p.mean(0).clamp(TINY, 1 - TINY)
    net.logits.bias.data.copy_(prior.logit())
    optimiser = torch.optim.AdamW(net.parameters(), RATE_OF_LEARNING, weight_decay=WEIGHT_DECAY)
    schedule = torch.optim.lr_scheduler.OneCycleLR(optimiser, RATE_OF_LEARNING, total_steps=steps)
    began = time.monotonic()
    for step in range(1, steps + 1):
        batch = given.at(torch.randint(len(given.song), (BATCH,), generator=draws))
        z = batch.z + 0.2 * torch.rand(BATCH, 1, 1, generator=draws) * noise.draw(batch.z, draws)
        embedding, logits = net.both(_cropped(z, draws))
        classes = F.binary_cross_entropy_with_logits(logits, batch.p, reduction="none").sum(1).mean()
        loss = F.mse_loss(embedding / spread, batch.embedding / spread) + CLASS_WEIGHT * classes / 10
        optimiser.zero_grad()
        loss.backward()
        optimiser.step()
        schedule.step()
        if step % 100 == 0:
            left = (time.monotonic() - began) * (steps - step) / step
            words = f"step {step} of {steps}, loss {float(loss.detach()):.3f}, {left:.0f} s left"
            print(f"embedder: {words}", file=sys.stderr, flush=True)
    return net.eval().requires_grad_(False)


def _cropped(z: Tensor, draws: torch.Generator) -> Tensor:
    """The windows from a random frame on, up to an eighth shorter: where a window begins means nothing."""
    first = int(torch.randint(max(1, z.shape[-1] // 8), (), generator=draws))
    return z[..., first:]


@torch.no_grad()
def judged(net: LatentEmbedder, held: Examples) -> dict[str, float]:
    """How well the network says what its teacher says of songs that it never heard.

    explained: share of the embedding's variance. cosine: of centred embeddings, mean. top_1: of the likeliest class.
    p_error: mean absolute error of the ten likeliest classes' probabilities; p_error_mean: of their mean over all windows.
    """
    embedding, logits = net.both(held.z)
    centre = held.embedding.mean(0)
    residual = (embedding - held.embedding).square().sum() / (held.embedding - centre).square().sum()
    top = held.p.topk(10, dim=1).indices
    p = logits.sigmoid()
    return {
        "n": len(held.song),
        "explained": 1 - float(residual),
        "cosine": float(F.cosine_similarity(embedding - centre, held.embedding - centre).mean()),
        "top_1": float((p.argmax(1) == held.p.argmax(1)).float().mean()),
        "p_error": float((p.gather(1, top) - held.p.gather(1, top)).abs().mean()),
        "p_error_mean": float((held.p.mean(0).expand_as(held.p).gather(1, top) - held.p.gather(1, top)).abs().mean()),
    }


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Options of `segue train embedder`."""
    parser.add_argument("--model", default="live", help="the model whose latents are embedded")
    parser.add_argument("--data", type=Path, default=None, help="folder with train/, eval/ and models/ (default: SEGUE_DATA)")
    parser.add_argument("--out", type=Path, required=True, help=f"file to write, MODEL{files.SUFFIX} by custom")
    parser.add_argument("--each", type=int, default=10, help="windows of every file")
    parser.add_argument("--steps", type=int, default=1500, help="training steps")
    parser.add_argument("--cache", type=Path, default=None, help="file that keeps the examples for another run")


def run(args: Any) -> int:
    """`segue train embedder`: 0, or 2 with one line where model or data are missing."""
    torch.set_flush_denormal(True)
    data = args.data or data_folder()
    try:
        model, teacher = load(args.model), load_yamnet(data)
        given, held = (_cached(args, model, teacher, data, part) for part in ("train", "eval"))
    except (FileNotFoundError, ValueError) as error:
        print(error, file=sys.stderr)
        return 2
    names = read_labels(data / FILE)
    net = fit(given, EmbedderSpec(channels=model.codec.latent_dim), names, args.steps)
    size = files.save(args.out, net, model.codec)
    figures = judged(net, held)
    if args.json:
        print(json.dumps({"bytes": size, "scale": float(net.scale), "examples": len(given.song), **figures}))
    else:
        said = ", ".join(f"{key} {value:.3f}" for key, value in figures.items())
        print(f"{args.out}: {size / 1e6:.2f} MB; on {data / 'eval'}: {said}")
    return 0


def _cached(args: Any, model: Model, teacher: YamNet, data: Path, part: str) -> Examples:
    path = None if args.cache is None else Path(f"{args.cache}.{part}.pt")
    if path is not None and path.is_file():
        return Examples(**torch.load(path, weights_only=True))
    parts = []
    for one in examples(model, teacher, data / part, args.each):
        parts.append(one)
        if len(parts) % 100 == 0:
            print(f"embedder: {len(parts)} examples of {part}", file=sys.stderr, flush=True)
    if not parts:
        raise FileNotFoundError(f"embedder: no audio in {data / part}; give --data the folder that holds train/ and eval/")
    found = gathered(parts)
    if path is not None:
        torch.save(vars(found), path)
    return found
