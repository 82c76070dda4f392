"""Packs a trained codec and generator into one model file."""

from __future__ import annotations

import argparse
import sys
from dataclasses import replace
from pathlib import Path
from typing import Any

from torch import nn

from segue.engine.checkpoint import PRECISIONS, load, save
from segue.engine.models.families import families, presets
from segue.engine.models.spec import FAMILY, Model, ModelSpec
from segue.engine.models.vae import CodecSpec
from segue.train import checkpoints
from segue.train.data import RATE, REFERENCE_LUFS
from segue.train.diffusion_recipe import stored_denoiser
from segue.train.encode import load_codec

SAME = 0.05  # of a tensor's norm: an encoder so near the generator's own, int8 against fp32 say, makes the same latents


def load_denoiser(path: Path) -> tuple[nn.Module, dict[str, Any], int]:
    """The averaged denoiser of a `train diffusion` or `train distill` checkpoint, its recipe, and its steps."""
    state = checkpoints.read(path, checkpoints.GENERATOR)
    recipe = state["recipe"]
    denoiser = families()[recipe.get("family", FAMILY)].denoiser(stored_denoiser(recipe))
    denoiser.load_state_dict(state["ema"])
    return denoiser, recipe, int(state["step"])


def pack(codec_path: str | Path, generator: str | Path, out: Path, precision: dict[str, str], spec: ModelSpec) -> str:
    """Write the model file; returns its sha256. Family, codec, denoiser, window, loudness, classes and steps in `spec`
    come from the checkpoints, its guidance step from their preset; from a model (a file, or a name), all but name and notes.

    Raises ValueError where codec and generator do not fit each other, CheckpointError for a model that cannot be read.
    """
    if Path(generator).suffix != ".pt":
        return repack(codec_path, load(generator), out, precision, spec)
    source, codec = load_codec(codec_path)
    denoiser, recipe, steps = load_denoiser(Path(generator))
    sizes = stored_denoiser(recipe)
    family, named = recipe.get("family", FAMILY), presets().get(recipe.get("model", ""))
    if (sizes.channels, family) != (codec.latent_dim, source.family):
        raise ValueError(
            f"pack: got a generator of {sizes.channels} channels for a codec of {codec.latent_dim}, families {family} and "
            f"{source.family}; train it on that codec"
        )
    known = replace(
        spec,
        family=family,
        codec=source.codec,
        denoiser=replace(sizes, carried=source.codec.bass_dim) if isinstance(source.codec, CodecSpec) else sizes,  # type: ignore[type-var]
        # half a frame more, so that the seconds round down to whole frames
        window_s=round((int(recipe["frames"]) + 0.5) * codec.hop / RATE, 6),
        reference_lufs=REFERENCE_LUFS,
        xi=named.xi if named else spec.xi,
        classes=tuple(recipe.get("classes", ())),
        provenance={"generator_steps": str(steps)} | dict(spec.provenance),
    )
    return save(out, known, codec, denoiser, precision)


def repack(codec_path: str | Path, model: Model, out: Path, precision: dict[str, str], spec: ModelSpec) -> str:
    """Write a model whose codec has learned to decode better; returns the sha256. Raises ValueError where latents differ."""
    source, codec = load_codec(codec_path)
    assert isinstance(model.codec, nn.Module)
    assert isinstance(model.denoiser, nn.Module)
    if not same_latents(codec, model.codec):
        raise ValueError(
            f"pack: the latents of {codec_path} are not those that {model.name} was trained on; "
            "only a codec that was trained on with stage: decoder, or fine-tuned, fits it"
        )
    notes = dict(model.spec.provenance) | dict(spec.provenance)
    known = replace(model.spec, name=spec.name, codec=source.codec, heat=spec.heat or model.spec.heat, provenance=notes)
    return save(out, known, codec, model.denoiser, precision)


def same_latents(codec: nn.Module, other: nn.Module) -> bool:
    """Whether two codecs make the same latents: all that is not their decoder's is within SAME, tensor by tensor."""
    a, b = ({k: v for k, v in one.state_dict().items() if not k.startswith("decoder.")} for one in (codec, other))
    if {k: v.shape for k, v in a.items()} != {k: v.shape for k, v in b.items()}:
        return False
    return all(float((a[k] - b[k]).norm()) <= SAME * float(b[k].norm()) for k in a)


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Options of `segue train pack`."""
    parser.add_argument("--name", default="live", help="the model's name")
    parser.add_argument("--codec", required=True, help="checkpoint of `train codec`, model file, or name of a model")
    parser.add_argument(
        "--diffusion",
        required=True,
        help="checkpoint of `train diffusion` or `distill`, or the model whose generator is kept",
    )
    parser.add_argument("--out", type=Path, required=True, help="the model file to write")
    parser.add_argument("--precision", choices=PRECISIONS, default="fp16", help="of the generator's matrices")
    parser.add_argument("--codec-precision", choices=PRECISIONS, default="fp16", help="of the codec's matrices")
    parser.add_argument("--heat", type=float, default=0.0, help="a start for n steps is drawn 1 + heat / n times as wide")
    parser.add_argument("--note", nargs="*", default=[], metavar="KEY=TEXT", help="words about data, recipe and compute")


def run(args: Any) -> int:
    """`segue train pack`: 0, or 2 with one line where something is missing or does not fit."""
    precision = {"codec": args.codec_precision, "denoiser": args.precision}
    try:
        if not args.out.parent.is_dir():
            raise FileNotFoundError(f"{args.out}: {args.out.parent} is no folder; make it first, or name another")
        spec = ModelSpec(args.name, heat=args.heat, provenance=dict(note.split("=", 1) for note in args.note))
        sha256 = pack(args.codec, args.diffusion, args.out, precision, spec)
    except (FileNotFoundError, ValueError) as error:
        print(error, file=sys.stderr)
        return 2
    print(f"{args.out}: {args.out.stat().st_size / 1e6:.1f} MB, sha256 {sha256}")
    return 0
