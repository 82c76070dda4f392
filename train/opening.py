"""What commands begin with that have a model play clips of `eval/`: their options, the engine, and the clips."""

from __future__ import annotations

import argparse
from pathlib import Path
from typing import Any

from segue.engine.checkpoint import load
from segue.engine.engine import Engine
from segue.train.cases import Stretch, draw
from segue.train.yamnet import data_folder

CLIPS = 18


def add_options(parser: argparse.ArgumentParser, clips: str) -> None:
    """Options of such a command; clips: what one is, in the words of its help."""
    parser.add_argument("--model", default="live", help="name of a shipped model, or a model file")
    parser.add_argument("--data", type=Path, default=None, help="folder that holds eval/ (default: SEGUE_DATA)")
    parser.add_argument("--clips", type=int, default=CLIPS, help=f"how many {clips}")
    parser.add_argument("--steps", type=int, default=4, help="sampler steps")
    parser.add_argument("--json", action="store_true", help="print one JSON object")


def opened(args: Any) -> tuple[Engine, list[Stretch]]:
    """The engine and the clips that were asked for.

    Raises CheckpointError or FileNotFoundError where model or data are missing, ValueError where no clip has two loud stretches.
    """
    engine = Engine(load(args.model))
    drawn = draw((args.data or data_folder()) / "eval", args.clips, engine.sample_rate)
    if not drawn:
        raise ValueError(f"clips: got no two loud stretches of {args.clips} clips; ask for more")
    return engine, drawn
