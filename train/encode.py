"""Encodes prepared audio with a frozen codec into float16 latents for the generator: `SONG/VARIANT` -> `[C, T]`."""

from __future__ import annotations

import argparse
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from safetensors.torch import save_file
from torch import Tensor

from segue.engine.models.vae import CodecSpec, LiveCodec, build
from segue.train.clips import Library, Song, stem_gains
from segue.train.data import RATE

CHUNK = 256  # latent frames encoded at once
SHARD = 24  # songs a file
VARIANT_LEVEL_DB = 3.0
VARIANT_SPEED = (0.92, 1.08)


def load_codec(path: Path) -> LiveCodec:
    """The averaged codec of a training checkpoint."""
    state = torch.load(path, map_location="cpu", weights_only=True)
    return build(state["ema"], CodecSpec(**state["spec"]))


@torch.no_grad()
def encode_long(codec: LiveCodec, audio: Tensor, chunk: int = CHUNK) -> Tensor:
    """`[2, T * hop]` of any length to `[latent_dim, T]`, chunk by chunk, equal to one `encode` of the whole."""
    hop, reach = codec.hop, codec.encoder_receptive_frames
    frames = audio.shape[-1] // hop
    parts = []
    for start in range(0, frames, chunk):
        first, last = max(0, start - reach), min(frames, start + chunk + reach)
        z = codec.encode(audio[None, :, first * hop : last * hop])[0]
        parts.append(z[:, start - first : min(start + chunk, frames) - first])
    return torch.cat(parts, dim=1)


def variant_audio(library: Library, song: Song, variant: int) -> NDArray[np.float32]:
    """`[2, N]` of one variant of a song: 0 as it is, later ones with other speed, level, sides, polarity and stems."""
    import soxr

    rng = np.random.default_rng([variant, *song.name.encode()])
    count = len(song.entries)
    gains = np.full(count, 0.7 if count > 1 else 1.0, np.float32) if variant == 0 else stem_gains(rng, count)
    audio: NDArray[np.float32] = library.song_at(song, 0, song.frames, gains)
    if variant == 0:
        return audio.T
    level = 10 ** (rng.uniform(-VARIANT_LEVEL_DB, VARIANT_LEVEL_DB) / 20) * rng.choice([-1.0, 1.0])
    audio = soxr.resample(audio, RATE * rng.uniform(*VARIANT_SPEED), RATE) * np.float32(level)
    return (audio[:, ::-1] if rng.random() < 0.5 else audio).T


def encode_song(codec: LiveCodec, audio: NDArray[np.float32]) -> Tensor:
    """`[2, N]` to float16 latents `[latent_dim, N // hop]`."""
    whole = audio.shape[1] // codec.hop * codec.hop
    return encode_long(codec, torch.from_numpy(np.ascontiguousarray(audio[:, :whole], dtype=np.float32))).half()


def key_of(song: Song, variant: int) -> str:
    """`SONG/VARIANT`, with no other slash."""
    return f"{song.name.replace('/', '--')}/{variant}"


def export_latents(codec: LiveCodec, library: Library, out: Path, variants: tuple[int, ...] = (0,)) -> Iterator[str]:
    """Encode every song in every variant into files of SHARD songs, leaving files that are there; yields a line a file."""
    out.mkdir(parents=True, exist_ok=True)
    for variant in variants:
        for first in range(0, len(library.songs), SHARD):
            path = out / f"latents-v{variant}-{first // SHARD:03d}.safetensors"
            if path.is_file():
                continue
            songs = library.songs[first : first + SHARD]
            rows = {key_of(song, variant): encode_song(codec, variant_audio(library, song, variant)) for song in songs}
            save_file(rows, path.with_suffix(".tmp"))
            path.with_suffix(".tmp").replace(path)
            minutes = sum(z.shape[1] for z in rows.values()) * codec.hop / RATE / 60
            yield f"{path}: {len(rows)} songs, {minutes:.1f} minutes"


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Options of `segue train latents`."""
    parser.add_argument("--codec", type=Path, required=True, help="checkpoint of `train codec`")
    parser.add_argument("--data", type=Path, nargs="+", default=[Path(".cache/audio")], help="folders made by `train prepare`")
    parser.add_argument("--out", type=Path, default=Path(".cache/latents"), help="folder for the latents")
    parser.add_argument("--variants", type=int, nargs="+", default=[0], help="0 is the song as it is; others vary it")
    parser.add_argument("--split", default="train", help="train or eval")


def run(args: Any) -> int:
    """`segue train latents`: 0, or 2 with one line where something is missing."""
    try:
        codec, library = load_codec(args.codec), Library(args.data, args.split)
    except FileNotFoundError as error:
        print(error, file=sys.stderr)
        return 2
    for line in export_latents(codec, library, args.out, tuple(args.variants)):
        print(line, file=sys.stderr, flush=True)
    return 0
