"""Window after window beside hop after hop: when the first sound can come, what a second costs, and how far it strays."""

from __future__ import annotations

import argparse
import json
import os
import platform
import sys
import time
from collections.abc import Iterator, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from statistics import median
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray

from segue.engine import measure
from segue.engine.checkpoint import load
from segue.engine.engine import Engine, Request
from segue.engine.samplers import NAMES, ROLLING
from segue.server.audio.feeder import read_region
from segue.server.audio.files import FileError

CLIPS = Path(__file__).resolve().parent.parent / "examples"
SAMPLERS = (NAMES[0], ROLLING)
EDGE_S = 2.0  # over which the level at either end of a take is measured
ENDINGS = frozenset({".flac", ".mp3", ".ogg", ".wav"})
Audio = NDArray[np.float32]


@dataclass(frozen=True)
class Made:
    """One take: when each piece was there, and up to which second it goes; processor seconds; what it sounds like."""

    pieces: tuple[tuple[float, float], ...]
    cpu_s: float
    mel_distance: float
    level_drift_lu: float


@dataclass(frozen=True)
class Row:
    """Medians over the clips. first_sound_s: the earliest entry from which on nothing is missing, s after it was begun."""

    sampler: str
    steps: int
    n: int
    pieces: float
    first_piece_s: float
    first_sound_s: float | None
    cpu_per_audio_s: float
    mel_distance: float
    level_drift_lu: float


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Options of `segue bench rolling`."""
    parser.add_argument("--model", default="live", help="name of a shipped model, or a model file")
    parser.add_argument("--device", default="cpu", choices=["cpu", "cuda"], help="where to run")
    parser.add_argument("--threads", type=int, default=0, help="threads of the model; 0: as many as PyTorch takes")
    parser.add_argument("--data", type=Path, default=CLIPS, help="a folder of music; the clips of the demo without it")
    parser.add_argument(
        "--at", type=float, default=20.0, metavar="S", help="seconds into each file, or its middle where it is short"
    )
    parser.add_argument("--seconds", type=float, default=7.0, help="new audio of each take")
    parser.add_argument("--steps", type=int, nargs="+", default=[4], help="sampler steps")
    parser.add_argument("--count", type=int, default=0, help="files at most; 0: all")


def run(args: Any) -> int:
    """`segue bench rolling`: 0. Raises ValueError where there is no music."""
    if args.threads:
        torch.set_num_threads(args.threads)
    torch.set_flush_denormal(True)
    engine = Engine(load(args.model, args.device))
    engine.warm_up()
    clips = list(clips_of(args.data, engine, args.at, args.seconds))[: args.count or None]
    if not clips:
        raise ValueError(
            f"rolling: no music of {engine.context_s + args.seconds:.0f} s in {args.data}; name a folder with --data"
        )
    made: dict[tuple[str, int], list[Made]] = {}
    for number, (context, truth) in enumerate(clips):
        for steps in args.steps:
            for sampler in SAMPLERS:  # in turn, so that what else the machine does is shared by both
                made.setdefault((sampler, steps), []).append(take(engine, context, truth, sampler, steps))
        print(f"{number + 1} of {len(clips)}", end="\r", file=sys.stderr)
    rows = [row(sampler, steps, takes) for (sampler, steps), takes in made.items()]
    if args.json:
        facts = {"machine": platform.machine(), "cores": os.cpu_count(), "load": os.getloadavg()[0], "model": args.model}
        print(json.dumps({**facts, "seconds": args.seconds, "rows": [asdict(one) for one in rows]}))
    else:
        print("sampler  steps  clips  pieces  first piece s  first sound s  cpu s a second  log-mel  drift LU")
        for one in rows:
            print(
                f"{one.sampler:8} {one.steps:5} {one.n:6} {one.pieces:7.0f} {one.first_piece_s:14.2f}"
                f" {_shown(one.first_sound_s):>14} {one.cpu_per_audio_s:15.3f} {one.mel_distance:8.3f} {one.level_drift_lu:9.2f}"
            )
    return 0


def _shown(seconds: float | None) -> str:
    return "never" if seconds is None else f"{seconds:.2f}"


def clips_of(folder: Path, engine: Engine, at: float, seconds: float) -> Iterator[tuple[Audio, Audio]]:
    """Contexts and what followed them, `[2, n]` at the model's rate."""
    rate = engine.sample_rate
    left, new = round(engine.context_s * rate), round(seconds * rate)
    for path in sorted(path for path in folder.iterdir() if path.suffix.lower() in ENDINGS):
        try:
            for start in (round(at * rate), 0):
                audio = read_region(str(path), start, left + new, rate)
                if np.any(audio[:, -rate:]):
                    yield audio[:, :left], audio[:, left:]
                    break
        except FileError as error:
            print(f"rolling: {error}", file=sys.stderr)


def take(engine: Engine, context: Audio, truth: Audio, sampler: str, steps: int) -> Made:
    """One continuation, timed piece by piece, beside what was really played."""
    request = Request("continuation", truth.shape[1], left=context, steps=steps, seed=1, sampler=sampler)
    pieces: list[tuple[float, float]] = []
    parts: list[Audio] = []
    begun, cpu = time.perf_counter(), time.process_time()
    for piece in engine.pieces(request):
        parts.append(piece.audio)
        pieces.append((time.perf_counter() - begun, (piece.start + piece.audio.shape[1]) / engine.sample_rate))
    spent = time.process_time() - cpu
    audio, rate, edge = np.concatenate(parts, axis=1), engine.sample_rate, round(EDGE_S * engine.sample_rate)
    drift = [measure.loudness(x[:, -edge:], rate) - measure.loudness(x[:, :edge], rate) for x in (audio, truth)]
    return Made(tuple(pieces), spent, measure.mel_distance(audio, truth, rate), drift[0] - drift[1])


def first_sound(pieces: Sequence[tuple[float, float]]) -> float | None:
    """The earliest entry, in seconds after t0 and after the take was begun, from which on each piece is there before it is due.

    A take lies at absolute frames: what it made while nobody heard it has passed. pieces: when each is there, and its end.
    """
    for k, (ready, end) in enumerate(pieces):
        if end > ready and all(pieces[j][0] <= pieces[j - 1][1] for j in range(k + 1, len(pieces))):
            return ready
    return None


def row(sampler: str, steps: int, takes: Sequence[Made]) -> Row:
    """One line of the table."""
    sounds = [first_sound(one.pieces) for one in takes]
    known = [one for one in sounds if one is not None]
    return Row(
        sampler,
        steps,
        len(takes),
        median(len(one.pieces) for one in takes),
        median(one.pieces[0][0] for one in takes),
        median(known) if len(known) == len(sounds) else None,
        median(one.cpu_s / one.pieces[-1][1] for one in takes),
        median(one.mel_distance for one in takes),
        median(abs(one.level_drift_lu) for one in takes),
    )
