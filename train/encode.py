"""Encodes prepared audio with a frozen codec into float16 latents for the generator: `SONG/VARIANT` -> `[C, T]`."""

from __future__ import annotations

import argparse
import hashlib
import json
import math
import sys
import time
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from safetensors import safe_open
from safetensors.torch import save_file
from torch import Tensor

from segue.engine.checkpoint import load
from segue.engine.models.families import families, presets
from segue.engine.models.spec import FAMILY, ModelSpec, build
from segue.train import checkpoints, parallel
from segue.train.clips import Library, Song, stem_gains
from segue.train.data import RATE
from segue.train.latents import LABELS

CHUNK = 256  # latent frames encoded at once
SHARD = 24  # songs a file
ORIGIN = "origin"  # in the metadata of a shard
VARIANT_LEVEL_DB = 3.0
VARIANT_SPEED = (0.92, 1.08)


def load_codec(name: str | Path) -> tuple[ModelSpec, Any]:
    """A codec and a spec that says its family: from a training checkpoint, a model file, or a preset without weights to train.

    Raises FileNotFoundError where there is none, and CheckpointError for a damaged model file.
    """
    path = Path(name)
    if path.suffix == ".pt":
        state = checkpoints.read(path, checkpoints.CODEC)
        family = families()[state.get("family", FAMILY)]
        spec = ModelSpec(path.stem, build(family.codec_spec, state["spec"]), family=family.name)
        codec = family.codec(spec.codec)
        codec.load_state_dict(state["ema"])
    elif str(name) in presets() and not has_weights(presets()[str(name)]):
        spec = presets()[str(name)]
        codec = families()[spec.family].codec(spec.codec)
    else:
        model = load(name)
        spec, loaded = model.spec, model.codec
        assert isinstance(loaded, torch.nn.Module)
        codec = loaded
    return spec, codec.eval().requires_grad_(False)


def has_weights(spec: ModelSpec) -> bool:
    """Whether the codec of a preset has anything to learn."""
    with torch.device("meta"):
        return any(True for _ in families()[spec.family].codec(spec.codec).parameters())


@torch.no_grad()
def encode_long(codec: Any, audio: Tensor, chunk: int = CHUNK) -> Tensor:
    """`[2, T * hop]` of any length to `[latent_dim, T]`, chunk by chunk, equal to one `encode` of the whole."""
    hop, reach = codec.hop, getattr(codec, "encoder_receptive_frames", codec.receptive_frames)
    frames = audio.shape[-1] // hop
    place = next((p.device for p in codec.parameters()), audio.device)
    parts = []
    for start in range(0, frames, chunk):
        first, last = max(0, start - reach), min(frames, start + chunk + reach)
        z = codec.encode(audio[None, :, first * hop : last * hop].to(place))[0].cpu()
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


def encode_song(codec: Any, audio: NDArray[np.float32]) -> Tensor:
    """`[2, N]` to float16 latents `[latent_dim, N // hop]`."""
    whole = audio.shape[1] // codec.hop * codec.hop
    return encode_long(codec, torch.from_numpy(np.ascontiguousarray(audio[:, :whole], dtype=np.float32))).half()


def key_of(song: Song, variant: int) -> str:
    """`SONG/VARIANT`, with no other slash."""
    return f"{song.name.replace('/', '--')}/{variant}"


def export_latents(
    codec: Any,
    library: Library,
    out: Path,
    variants: tuple[int, ...] = (0,),
    part: tuple[int, int] = (0, 1),
    minutes: float = math.inf,
) -> Iterator[str]:
    """Encode every song in every variant into shards of SHARD songs, leaving shards that are there; yields a line a shard.

    part (i, n): only every n-th shard from the i-th on, so that n machines share the work. Begins no shard after `minutes`.
    Raises ValueError where a shard that is there was made by another codec, or of other songs.
    """
    out.mkdir(parents=True, exist_ok=True)
    begun, done = time.monotonic(), 0
    todo = list(_shards(codec, library, out, variants, part))
    for number, (path, variant, songs, origin) in enumerate(todo):
        if time.monotonic() - begun > 60 * minutes:
            yield f"{minutes:g} minutes are over; run it again to go on"
            return
        rows = {key_of(song, variant): encode_song(codec, variant_audio(library, song, variant)) for song in songs}
        labels = {key_of(song, variant).split("/")[0]: song.label for song in songs if song.label}
        save_file(rows, path.with_suffix(".tmp"), metadata={LABELS: json.dumps(labels), ORIGIN: origin})
        path.with_suffix(".tmp").replace(path)
        music = sum(z.shape[1] for z in rows.values()) * codec.hop / RATE / 60
        done, left = done + len(songs), sum(len(songs) for _, _, songs, _ in todo[number + 1 :])
        pace = (time.monotonic() - begun) / 60 / done
        yield f"{path}: {len(rows)} songs, {music:.1f} minutes; {left} songs to go, {pace * left:.1f} min"


def _shards(
    codec: Any, library: Library, out: Path, variants: Sequence[int], part: tuple[int, int]
) -> Iterator[tuple[Path, int, Sequence[Song], str]]:
    """(file, variant, songs, origin) of every shard of this part that is not there yet. Raises ValueError for one of others."""
    for variant in variants:
        for first in range(0, len(library.songs), SHARD):
            path = out / f"latents-v{variant}-{first // SHARD:03d}.safetensors"
            songs = library.songs[first : first + SHARD]
            origin = origin_of(codec, songs)
            if path.is_file() and came_from(path) not in ("", origin):
                raise ValueError(f"{path}: holds latents of another codec or of other songs; remove it, or choose another --out")
            if not path.is_file() and first // SHARD % part[1] == part[0]:
                yield path, variant, songs, origin


def origin_of(codec: torch.nn.Module, songs: Sequence[Song]) -> str:
    """What latents were made by and of, as a hash: the weights that make them, and the songs' names and lengths."""
    total = hashlib.sha256(repr([(song.name, song.frames) for song in songs]).encode())
    for name, value in codec.state_dict().items():
        if not name.startswith("decoder."):
            total.update(name.encode() + value.float().cpu().numpy().tobytes())
    return total.hexdigest()


def came_from(path: Path) -> str:
    """The origin that a shard says; empty for one that says none."""
    with safe_open(path, "pt") as opened:
        return str((opened.metadata() or {}).get(ORIGIN, ""))


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Options of `segue train encode`."""
    parser.add_argument("--codec", required=True, help="checkpoint of `train codec`, model file, or name of a model")
    parser.add_argument("--data", type=Path, nargs="+", default=[Path(".cache/audio")], help="folders made by `train prepare`")
    parser.add_argument("--out", type=Path, default=Path(".cache/latents"), help="folder for the latents")
    parser.add_argument("--variants", type=int, nargs="+", default=[0], help="0 is the song as it is; others vary it")
    parser.add_argument("--split", default="train", choices=["train", "eval"], help="songs to train on, or those held out")
    parser.add_argument("--part", default="1/1", metavar="I/N", help="this machine's share of the shards, counted from 1")
    parser.add_argument("--minutes", type=float, default=math.inf, help="begin no shard after this time; run again to go on")


def part_of(text: str) -> tuple[int, int]:
    """`2/3` as (1, 3). Raises ValueError for anything else."""
    number, _, count = text.partition("/")
    if not (number.isdigit() and count.isdigit() and 1 <= int(number) <= int(count)):
        raise ValueError(f"part: got {text!r}, allowed I/N with I from 1 to N, such as 1/2")
    return int(number) - 1, int(count)


def run(args: Any) -> int:
    """`segue train encode`: 0, or 2 with one line where something is missing."""
    try:
        (_, codec), library, part = load_codec(args.codec), Library(args.data, args.split), part_of(args.part)
        for line in export_latents(codec.to(parallel.device()), library, args.out, tuple(args.variants), part, args.minutes):
            print(line, file=sys.stderr, flush=True)
    except (FileNotFoundError, ValueError) as error:
        print(error, file=sys.stderr)
        return 2
    return 0
