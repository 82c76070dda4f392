"""Packs a trained codec and generator into one model file."""

from __future__ import annotations

import argparse
import sys
from dataclasses import replace
from pathlib import Path
from typing import Any

import torch

from segue.engine.checkpoint import PRECISIONS, save
from segue.engine.models.dit import Dit, DitSpec
from segue.engine.models.spec import ModelSpec
from segue.train.data import RATE, REFERENCE_LUFS
from segue.train.encode import load_codec


def load_denoiser(path: Path) -> tuple[Dit, int, int]:
    """The averaged denoiser of a `train diffusion` checkpoint, the frames of its windows, and its steps."""
    state = torch.load(path, map_location="cpu", weights_only=True)
    dit = Dit(DitSpec(**state["recipe"]["denoiser"]))
    dit.load_state_dict(state["ema"])
    return dit, int(state["recipe"]["frames"]), int(state["step"])


def pack(codec_path: Path, diffusion_path: Path, out: Path, precision: dict[str, str], spec: ModelSpec) -> str:
    """Write the model file; returns its sha256. Codec, denoiser, window, loudness and steps in `spec` come from the checkpoints.

    Raises ValueError where codec and generator do not fit each other.
    """
    codec = load_codec(codec_path)
    dit, frames, steps = load_denoiser(diffusion_path)
    if dit.channels != codec.latent_dim:
        raise ValueError(
            f"pack: got a generator of {dit.channels} channels for a codec of {codec.latent_dim}; train it on that codec"
        )
    known = replace(
        spec,
        codec=codec.spec,
        denoiser=replace(dit.spec, carried=codec.spec.bass_dim),
        # half a frame more, so that the seconds round down to whole frames
        window_s=round((frames + 0.5) * codec.hop / RATE, 3),
        reference_lufs=REFERENCE_LUFS,
        provenance={"generator_steps": str(steps)} | dict(spec.provenance),
    )
    return save(out, known, codec, dit, precision)


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Options of `segue train pack`."""
    parser.add_argument("--name", default="live", help="the model's name")
    parser.add_argument("--codec", type=Path, required=True, help="checkpoint of `train codec`")
    parser.add_argument("--diffusion", type=Path, required=True, help="checkpoint of `train diffusion`")
    parser.add_argument("--out", type=Path, required=True, help="the model file to write")
    parser.add_argument("--precision", choices=PRECISIONS, default="fp16", help="of the generator's matrices")
    parser.add_argument("--codec-precision", choices=PRECISIONS, default="fp16", help="of the codec's matrices")
    parser.add_argument("--heat", type=float, default=0.0, help="a start for n steps is drawn 1 + heat / n times as wide")
    parser.add_argument("--note", nargs="*", default=[], metavar="KEY=TEXT", help="words about data, recipe and compute")


def run(args: Any) -> int:
    """`segue train pack`: 0, or 2 with one line where something is missing or does not fit."""
    precision = {"codec": args.codec_precision, "denoiser": args.precision}
    try:
        spec = ModelSpec(args.name, heat=args.heat, provenance=dict(note.split("=", 1) for note in args.note))
        sha256 = pack(args.codec, args.diffusion, args.out, precision, spec)
    except (FileNotFoundError, ValueError) as error:
        print(error, file=sys.stderr)
        return 2
    print(f"{args.out}: {args.out.stat().st_size / 1e6:.1f} MB, sha256 {sha256}")
    return 0
