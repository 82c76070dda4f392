"""`segue evaluate takes`: takes of chosen systems as files, one folder a system, for the listening page and the checker."""

from __future__ import annotations

import argparse
import json
import re
import sys
import time
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

import numpy as np
import soundfile
import torch

from segue.engine.checkpoint import CheckpointError, load
from segue.engine.engine import Engine
from segue.train.cases import TASKS, Audio, Case, cases, draw
from segue.train.data import RATE
from segue.train.judge import SEEDS
from segue.train.listening import gains
from segue.train.systems import CODEC, FIXED, TRUTH, Player, ways
from segue.train.yamnet import data_folder

LIST = "takes.json"
OURS = "ours"  # every way in which the model plays the task


@dataclass(frozen=True)
class Written:
    """A take in a file with what surrounds it; its new part is samples first to last."""

    file: str
    system: str
    task: str
    song: str
    seed: int
    first: int
    last: int
    rate: int


def chosen(task: str, systems: Sequence[str], steps: int, sampler: str) -> dict[str, Player]:
    """The systems of a task by name. Raises ValueError for one that the task does not have."""
    ours = {way.name: way.play for way in ways(task, steps, sampler)}
    known: Mapping[str, Player] = {**FIXED[task], **ours}
    found: dict[str, Player] = {}
    for word in systems:
        if word != OURS and word not in known:
            raise ValueError(f"takes: {task} has no system {word!r}; there are {OURS}, {', '.join(known)}")
        found |= ours if word == OURS else {word: known[word]}
    return found


def write(
    engine: Engine, task: str, prompts: Sequence[Case], players: Mapping[str, Player], out: Path, level: bool
) -> list[Written]:
    """Every prompt by every system, as 32-bit float WAV; `level` brings all of one prompt to one loudness, as the page does."""
    rate, written, begun = engine.sample_rate, list[Written](), time.monotonic()
    for number, case in enumerate(prompts):
        audios = {name: play(engine, case, SEEDS + number) for name, play in players.items()}
        whole = {name: surrounded(case, audio) for name, audio in audios.items()}
        factors = gains([(audio, rate) for audio in whole.values()]) if level else [1.0] * len(whole)
        first = 0 if case.left is None else case.left.shape[1]
        for (name, audio), factor in zip(whole.items(), factors, strict=True):
            file = Path(named(name)) / f"{task}-{number:03d}-{named(case.song)}.wav"
            (out / file.parent).mkdir(parents=True, exist_ok=True)
            soundfile.write(out / file, audio.T * np.float32(factor), rate, subtype="FLOAT")
            last = first + audios[name].shape[1]
            written.append(Written(str(file), name, task, case.song, SEEDS + number, first, last, rate))
        left = (time.monotonic() - begun) / (number + 1) * (len(prompts) - number - 1)
        print(f"takes: {task}, {number + 1} of {len(prompts)} prompts, {left:.0f} s left", file=sys.stderr, flush=True)
    return written


def surrounded(case: Case, take: Audio) -> Audio:
    """A take between its contexts."""
    parts = [part for part in (case.left, take, case.right) if part is not None]
    return np.concatenate(parts, axis=1)


def named(words: str) -> str:
    """Words as the name of a folder or a file."""
    return re.sub(r"[^\w.+-]+", "-", words).strip("-")


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Options of `segue evaluate takes`."""
    parser.add_argument("--model", default="live", help="name of a shipped model, or a model file")
    parser.add_argument("--data", type=Path, default=None, help="folder that holds eval/ (default: SEGUE_DATA)")
    parser.add_argument("--tasks", nargs="+", default=["continuation"], choices=TASKS, help="which tasks of 4.3")
    told = f"{OURS}, {', '.join(dict.fromkeys(name for fixed in FIXED.values() for name in fixed))}"
    parser.add_argument("--systems", nargs="+", default=[OURS, CODEC, TRUTH], help=f"who plays: {told}")
    parser.add_argument("--clips", type=int, default=100, help="prompts of each task")
    parser.add_argument("--steps", type=int, default=4, help="sampler steps")
    parser.add_argument("--sampler", default="ddim", choices=["ddim", "ddpm"], help="Algorithm 2 or 1")
    parser.add_argument("--level", action="store_true", help="write all takes of a prompt at one loudness (the page does it too)")
    parser.add_argument("--out", type=Path, required=True, help="folder for the takes; those of the same names are replaced")


def run(args: Any) -> int:
    """`segue evaluate takes`: 0, or 2 with one line where model, data or a system are missing."""
    torch.set_flush_denormal(True)
    written: list[Written] = []
    try:
        if args.clips < 1 or args.steps < 1:
            raise ValueError(f"takes: got {args.clips} clips and {args.steps} steps; give one or more of each")
        played = {task: chosen(task, args.systems, args.steps, args.sampler) for task in args.tasks}
        engine = Engine(load(args.model))
        if engine.sample_rate != RATE:
            raise ValueError(f"takes: {args.model} works at {engine.sample_rate} Hz, clips are at {RATE}; name one of that rate")
        drawn = draw((args.data or data_folder()) / "eval", args.clips, RATE)
        for task, players in played.items():
            written += write(engine, task, cases(task, drawn, RATE), players, args.out, args.level)
    except (CheckpointError, FileNotFoundError, ValueError) as error:
        print(error, file=sys.stderr)
        return 2
    text = json.dumps({"model": args.model, "takes": [asdict(one) for one in written]})
    (args.out / LIST).write_text(text + "\n", encoding="utf-8")
    print(text if args.json else f"{len(written)} takes of {len(drawn)} prompts in {args.out}")
    return 0
