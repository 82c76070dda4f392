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
from collections.abc import Sequence
from dataclasses import asdict
from pathlib import Path
from typing import Any

import torch

from segue.bench.slides_quality import Inversion, Quality, clips_of, inversions, quality
from segue.bench.slides_speed import PRINTED, Speed, say, speed
from segue.engine.models.families import presets


def table(speeds: Sequence[Speed], qualities: Sequence[Quality], inverted: Sequence[Inversion]) -> str:
    """All tables as text."""
    heads = (("params M", 9), ("sample s", 9), ("DDPM step ms", 14), ("DDIM step ms", 14), ("DDPM 1000 s", 13), ("DDIM 50 s", 11))
    lines = [" " * 24 + "".join(f"{head:>{width}}" for head, width in (*heads, ("slides' s", 16)))]
    for row in speeds:
        wholes = "".join(f"{'-' if s is None else format(s, '.2f'):>{w}}" for s, w in ((row.ddpm_s, 13), (row.ddim_s, 11)))
        printed = "-" if row.printed_ddpm_s is None else f"{row.printed_ddpm_s} / {row.printed_ddim_s}"
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
        speeds.append(speed(name, known[name], args.size == "small", args.device, args.batch, args.timed_steps))
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
