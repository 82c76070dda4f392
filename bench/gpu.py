"""The whole table of a GPU in one offline run: known answers, components, takes as one launch, beside their floors."""

from __future__ import annotations

import argparse
import json
import platform
import sys
import time
from collections.abc import Callable, Iterator
from dataclasses import asdict, replace
from pathlib import Path
from typing import Any

import torch

from segue.bench.engine import STEPS, Bench, Row, component_rows, measured, measured_machine, peak_memory_mb, report, take_rows
from segue.bench.timing import timed
from segue.engine import noise
from segue.engine.backends import FALLBACK, Site, known_answer_error, make
from segue.engine.backends.cache import cache_folder
from segue.engine.backends.floors import Machine, floor_s, weight_bytes
from segue.engine.backends.graphs import network
from segue.engine.backends.launch import Launch, Takes, captured
from segue.engine.checkpoint import CheckpointError, load
from segue.engine.engine import CONTEXT_SHARE
from segue.engine.models.families import build_codec, build_denoiser, presets
from segue.engine.models.spec import Model
from segue.engine.paper import levels, xi_at

MODELS = ("live", "live-300m", "paper-latent")
SMALL = ("live",)  # what a run without a GPU checks
PAPER_STEPS = 8
BATCHES = (1, 4)
SPREAD = 0.02  # of random weights: the layers that begin at zero would leave nothing to compare


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Options of `segue bench gpu`."""
    parser.add_argument("--minutes", type=float, default=10.0, help="begin nothing new after so long")
    parser.add_argument("--device", default="cuda" if torch.cuda.is_available() else "cpu", choices=["cpu", "cuda"])
    parser.add_argument("--model", action="append", help=f"more with more of these; {', '.join(MODELS)}, on a CPU {SMALL[0]}")
    parser.add_argument("--backend", action="append", help="more with more of these; all of a GPU, on a CPU eager")
    parser.add_argument("--repeats", type=int, default=0, help="runs of each row; 50, on a CPU 3")
    parser.add_argument(
        "--out", type=Path, default=Path("bench/results/gpu.json"), help="rows, kept after each; a later run goes on"
    )


def run(args: Any) -> int:
    """`segue bench gpu`: 0."""
    cuda = args.device == "cuda"
    repeats = args.repeats or (50 if cuda else 3)
    until = time.monotonic() + 60 * args.minutes
    machine = measured_machine(args.device)
    kept = known_rows(args.out)
    for name in args.model or (MODELS if cuda else SMALL):
        for backend in args.backend or (list(reversed(FALLBACK["cuda"])) if cuda else ["eager"]):
            for key, work in jobs(name, backend, args.device, repeats, machine):
                if key in kept:
                    continue
                if time.monotonic() > until:
                    say(f"out of time before {key}; the same command goes on from here")
                    return finish(args, kept, machine)
                say(key)
                try:
                    kept[key] = [asdict(row) for row in work()]
                except (ValueError, RuntimeError) as error:  # one row that fails is said, and the table goes on
                    say(f"{key}: {str(error).splitlines()[0]}")
                    continue
                write(args.out, kept, machine)
    return finish(args, kept, machine)


def jobs(name: str, backend: str, device: str, repeats: int, machine: Machine) -> Iterator[tuple[str, Callable[[], list[Row]]]]:
    """Every measurement of a model on a back-end by a name of its own; the model is loaded once, by the first that runs."""
    made: list[Bench] = []

    def bench() -> Bench:
        if not made:
            model = model_of(name, device)
            plain, fast = make("eager", model, device), make(backend, model, device, Site(cache=cache_folder(), say=say))
            made.append(Bench(backend, fast, plain, device, repeats, machine, known_answer_error(fast, plain)))
        return made[0]

    for batch in BATCHES:
        yield f"{name} {backend} components x{batch}", lambda batch=batch: component_rows(bench(), batch)  # type: ignore[misc]
    steps = STEPS if name.startswith("live") else PAPER_STEPS
    yield f"{name} {backend} takes, {steps} steps", lambda: take_rows(bench(), steps)
    # Inductor captures graphs of its own, which cannot be captured once more
    for guided in (False, True) if backend != "compiled" else ():
        for batch in BATCHES:
            key = f"{name} {backend} launch{' guided' if guided else ''}, {steps} steps x{batch}"
            yield key, lambda guided=guided, batch=batch: [launch_row(bench(), guided, steps, batch)]  # type: ignore[misc]


def model_of(name: str, device: str) -> Model:
    """A model with its weights, or a preset with random ones. Raises CheckpointError for a name that is neither."""
    try:
        return load(name, device)
    except CheckpointError:
        if name not in presets():
            raise
    spec = presets()[name]
    torch.manual_seed(0)
    parts = (build_codec(spec), build_denoiser(spec))
    for parameter in parts[1][0].parameters():
        torch.nn.init.normal_(parameter, std=SPREAD)
    for module, _ in parts:
        module.to(device).eval().requires_grad_(False)
    return Model(spec, parts[0][1], parts[1][1], "random weights", "")


def launch_row(bench: Bench, guided: bool, steps: int, batch: int) -> Row:
    """A continuation of one window from audio in host memory to audio in host memory, as one CUDA graph where there is a GPU."""
    model = bench.model
    frames = model.window_frames
    context = round(CONTEXT_SHARE * frames)
    launch = Launch(model, context, frames, guided)
    takes = continuations(launch, model, batch, steps, context)
    on_host = takes.moved("cpu")
    if bench.device == "cuda":
        graph = captured(launch, takes, bench.device)
        apart = relative(graph(on_host), launch(takes.moved(bench.device)).cpu())
        times = timed(lambda: graph(on_host), bench.repeats)
    else:
        apart = bench.error or 0.0
        times = timed(lambda: launch(on_host), bench.repeats)
    if guided:
        check_moves(launch, takes.moved(bench.device))
    net, x = network(bench.plain), takes.z.to(bench.device)
    t = torch.full((batch,), 0.5, device=bench.device)
    once = floor_s(lambda: net(x, t), weight_bytes(net), bench.machine)
    new_s = (frames - context) * model.hop / model.rate
    name, backend = model.name, f"{bench.name}, one launch" if bench.device == "cuda" else bench.name
    regime, length = "guided" if guided else "clean", (model.window_s, new_s)
    row = Row(name, None, "continuation", backend, regime, steps, batch, *length, **measured(times, batch * new_s))
    floor = once * (steps + (steps - 1 if guided else 0))
    return replace(row, peak_memory_mb=peak_memory_mb(), floor_s=floor, known_answer_error=max(apart, bench.error or 0.0))


def continuations(launch: Launch, model: Model, batch: int, steps: int, context: int) -> Takes:
    """A batch of continuations after noise, each of its own."""
    frames = model.window_frames
    measured = (torch.arange(frames) < context).expand(batch, -1).contiguous()
    clean = torch.zeros_like(measured) if launch.guided or not model.denoiser.per_frame_t else measured
    samples = (frames + 2 * launch.reach) * model.hop
    return Takes(
        0.1 * noise.normal((batch, 2, samples), noise.generator(0)),
        noise.normal((batch, model.codec.latent_dim, frames), noise.generator(1)),
        measured,
        clean,
        torch.ones(batch),
        torch.zeros(batch),
        torch.tensor([levels(steps)] * batch),
        torch.full((batch,), xi_at(model.spec.xi, steps)),
    )


def check_moves(launch: Launch, takes: Takes) -> None:
    """Raises ValueError where guidance leaves the frames that sound as they are: its time would be that of nothing."""
    moved = relative(launch(takes), launch(replace(takes, xi=torch.zeros_like(takes.xi))))
    if not moved > 0:
        raise ValueError("guided: the gradient is zero on the target; the row is not written")
    say(f"guidance moves what sounds by {moved:.1e}")


def relative(a: torch.Tensor, b: torch.Tensor) -> float:
    """|a - b| / |b|."""
    return float((a - b).norm() / b.norm().clamp_min(1e-9))


def known_rows(path: Path) -> dict[str, Any]:
    """The rows that an earlier run left, by their jobs."""
    return dict(json.loads(path.read_text(encoding="utf-8"))["jobs"]) if path.is_file() else {}


def write(path: Path, kept: dict[str, Any], machine: Machine) -> None:
    """Everything so far, whole or not at all."""
    path.parent.mkdir(parents=True, exist_ok=True)
    partial = path.with_name(path.name + ".part")
    rows = [row for found in kept.values() for row in found]
    partial.write_text(json.dumps({**report([], machine), "node": platform.processor(), "rows": rows, "jobs": kept}, indent=1))
    partial.replace(path)


def finish(args: Any, kept: dict[str, Any], machine: Machine) -> int:
    """The last word: one JSON object, or where the rows lie."""
    rows = [row for found in kept.values() for row in found]
    print(json.dumps({**report([], machine), "rows": rows}) if args.json else f"{len(rows)} rows in {args.out}")
    return 0


def say(text: str) -> None:
    """A line of progress."""
    print(f"gpu: {text}", file=sys.stderr, flush=True)
