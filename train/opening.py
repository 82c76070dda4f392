"""What commands begin with that have models play clips of `eval/`: their options, the models, and the clips."""

from __future__ import annotations

import argparse
from pathlib import Path
from typing import Any

from segue.engine.checkpoint import load
from segue.engine.engine import Engine
from segue.engine.models.spec import Model
from segue.train.cases import Stretch, draw
from segue.train.data import RATE
from segue.train.yamnet import data_folder

CLIPS = 18


def add_options(parser: argparse.ArgumentParser, clips: str) -> None:
    """Options of such a command; clips: what one is, in the words of its help."""
    parser.add_argument("--model", default="live", help="name of a shipped model, or a model file")
    parser.add_argument("--data", type=Path, default=None, help="folder of audio, or that holds eval/ (default: SEGUE_DATA)")
    parser.add_argument("--clips", type=int, default=CLIPS, help=f"how many {clips}")
    parser.add_argument("--steps", type=int, default=4, help="sampler steps")
    parser.add_argument("--json", action="store_true", help="print one JSON object")


def opened(args: Any) -> tuple[Engine, list[Stretch]]:
    """The engine and the clips that were asked for.

    Raises CheckpointError or FileNotFoundError where model or data are missing, ValueError where no clip has two loud stretches.
    """
    engine = Engine(load(args.model))
    folder = args.data or data_folder()
    drawn = draw(folder / "eval" if (folder / "eval").is_dir() else folder, args.clips, engine.sample_rate)
    if not drawn:
        raise ValueError(f"clips: got no two loud stretches of {args.clips} clips; ask for more")
    return engine, drawn


def add_beside(parser: argparse.ArgumentParser) -> None:
    """Options of a command that may have further models play what the judged one plays."""
    parser.add_argument("--beside", nargs="*", default=[], help="further model files, such as a CQT model's, that play the same")
    parser.add_argument("--beside-steps", type=int, default=50, help="sampler steps of those")


def beside(args: Any) -> dict[str, Model]:
    """Those models by their files. Raises CheckpointError, or ValueError for one of another rate than the clips'."""
    found = {name: load(name) for name in args.beside}
    for name, model in found.items():
        check_rate(name, model.codec.rate)
    return found


def check_rate(model: str, rate: int) -> None:
    """Raises ValueError for a model of another rate than the clips'."""
    if rate != RATE:
        raise ValueError(f"evaluate: {model} works at {rate} Hz, clips are at {RATE}; judge one of that rate")
