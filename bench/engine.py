"""Times of the engine's parts and takes: encoder, denoiser, its vjp, decoder, and whole takes in each regime."""

from __future__ import annotations

import argparse
import json
import os
import platform
import resource
import sys
from collections.abc import Callable
from dataclasses import asdict, dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np
import torch

from segue.bench.timing import Times, timed
from segue.engine.backends import Site, backends, chosen, known_answer_error, make
from segue.engine.backends.cache import cache_folder
from segue.engine.backends.choice import CANDIDATES
from segue.engine.backends.floors import Machine, floor_s, weight_bytes
from segue.engine.backends.graphs import codec_module, network
from segue.engine.backends.site import versions
from segue.engine.checkpoint import load
from segue.engine.engine import CONTEXT_SHARE, Engine
from segue.engine.models.spec import Model
from segue.engine.request import Request

STEPS = 4
REGIMES = ("clean", "tail", "guided")
MATMUL = 1024  # side of the square product that is measured beside the rest
PEAK_RUNS = 30  # of which the fastest counts
COPY = 1 << 24  # floats of the copy that bandwidth is measured by
SEED = 1
LEAST = 1e-9
PACKAGES = ("numpy", "onnx", "onnxruntime", "openvino", "tensorrt-rtx", "tensorrt")


@dataclass(frozen=True)
class Row:
    """One measurement: a component or a task, the other is None. Times in seconds; rtf is median_s over the audio made.

    cpu_s: see `Times`. take_error: relative difference of a take from eager's with the same seed.
    """

    model: str
    component: str | None
    task: str | None
    backend: str
    guidance: str | None
    steps: int | None
    batch: int
    window_s: float
    new_s: float | None
    n: int
    median_s: float
    p99_s: float
    rtf: float | None
    peak_memory_mb: float | None = None
    floor_s: float | None = None
    known_answer_error: float | None = None
    cpu_s: float | None = None
    least_s: float | None = None
    take_error: float | None = None


@dataclass(frozen=True)
class Bench:
    """What every row of one back-end shares. plain: the same model on eager."""

    name: str
    model: Model
    plain: Model
    device: str
    repeats: int
    machine: Machine
    error: float | None


def component_rows(bench: Bench, batch: int = 1) -> list[Row]:
    """Encoder, one denoiser call, one vjp, and decoder over one window of the model."""
    model, made = bench.model, {}
    frames, hop = model.window_frames, model.hop
    generator = torch.Generator().manual_seed(SEED)
    audio = 0.1 * torch.randn(batch, 2, frames * hop, generator=generator)
    z = torch.randn(batch, model.codec.latent_dim, frames, generator=generator).to(bench.device)
    t = torch.full((batch, frames) if model.denoiser.per_frame_t else (batch,), 0.5, device=bench.device)
    works: dict[str, Callable[[], object]] = {
        "encoder": lambda: model.codec.encode(audio),
        "denoiser": lambda: model.denoiser.v(z, t),
        "vjp": lambda: model.denoiser.vjp(z, t, z),
        "decoder": lambda: model.codec.decode(z),
    }
    seconds = batch * frames * hop / model.rate
    for name, work in works.items():
        with torch.no_grad():
            times = timed(work, bench.repeats)
        row = Row(model.name, name, None, bench.name, None, None, batch, model.window_s, None, **measured(times, seconds))
        made[name] = replace(row, **shared(bench), floor_s=component_floor(name, bench, batch))
        say(f"{bench.name}: {name}, batch {batch}, {model.window_s:g} s: {1e3 * times.median_s:.1f} ms")
    return list(made.values())


def component_floor(name: str, bench: Bench, batch: int) -> float | None:
    """The floor of one component of one window, counted on the eager model; None where its modules cannot be counted."""
    model = bench.plain  # what runs elsewhere cannot be counted, and does the same
    frames = model.window_frames
    net, codec = network(model), codec_module(model)
    z = torch.zeros(batch, model.codec.latent_dim, frames, device=bench.device)
    t = torch.full((batch,), 0.5, device=bench.device)
    if name in ("denoiser", "vjp"):
        once = floor_s(lambda: net(z, t), weight_bytes(net), bench.machine)
        return once if name == "denoiser" else 2 * once
    part = getattr(codec, name, None)
    if not isinstance(part, torch.nn.Module):
        return None
    audio = torch.zeros(batch, 2, frames * model.hop)
    work: Callable[[], object] = (lambda: model.codec.encode(audio)) if name == "encoder" else (lambda: model.codec.decode(z))
    return floor_s(work, weight_bytes(part), bench.machine)


def shared(bench: Bench) -> dict[str, Any]:
    """What every row of a back-end says of it."""
    return {"peak_memory_mb": peak_memory_mb(), "known_answer_error": bench.error}


def measured(times: Times, seconds: float) -> dict[str, Any]:
    """The columns of a row that are times. seconds: of audio made."""
    return {**asdict(times), "rtf": times.median_s / seconds}


def continuation(engine: Engine, steps: int = STEPS, **options: Any) -> Request:
    """A continuation of one window, after noise."""
    noise = np.random.default_rng(SEED).standard_normal((2, round(engine.context_min_s * engine.sample_rate)))
    return Request("continuation", engine.new_frames, (0.1 * noise).astype(np.float32), steps=steps, **options)


def take_rows(bench: Bench, steps: int) -> list[Row]:
    """A continuation of one window in each regime, from audio to audio."""
    engine, plain = Engine(bench.model), Engine(bench.plain)
    name, window_s, rows = bench.model.name, bench.model.window_s, []
    for regime in REGIMES:
        request = continuation(engine, steps, regime=regime)
        times = timed(lambda request=request: engine.take(request), max(3, bench.repeats // 2))  # type: ignore[misc]
        a, b = engine.take(request), plain.take(request)
        apart = float(np.linalg.norm(a - b) / max(float(np.linalg.norm(b)), LEAST))
        length = (window_s, engine.new_s)
        row = Row(name, None, "continuation", bench.name, regime, steps, 1, *length, **measured(times, engine.new_s))
        rows.append(replace(row, **shared(bench), take_error=apart, floor_s=take_floor(bench, steps, regime)))
        say(f"{bench.name}: continuation, {regime}, {steps} steps: {times.median_s:.3f} s for {engine.new_s:.2f} s")
    return rows


def take_floor(bench: Bench, steps: int, regime: str) -> float | None:
    """The networks' floors together: context in, steps with their gradients, but for the last one's, and new audio out."""
    floors = {name: component_floor(name, bench, 1) for name in ("encoder", "denoiser", "decoder")}
    if None in floors.values():
        return None
    once = {name: floor or 0.0 for name, floor in floors.items()}
    gradients = 0 if regime == "clean" else steps - 1
    share = CONTEXT_SHARE
    return share * once["encoder"] + (steps + gradients) * once["denoiser"] + (1 - share) * once["decoder"]


def peak_memory_mb() -> float:
    """The most memory this process has held so far, in MB; the GPU's where there is one."""
    if torch.cuda.is_available():
        return torch.cuda.max_memory_allocated() / 1e6
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1e3


def measured_machine(device: str) -> Machine:
    """Operations a second of a large product, in fp32 on a CPU and bf16 on a GPU, and bytes a second of a large copy."""
    cuda = device.startswith("cuda")
    side = 8 * MATMUL if cuda else MATMUL
    a = torch.randn(side, side, device=device, dtype=torch.bfloat16 if cuda else torch.float32)
    x = torch.randn(COPY, device=device)
    y = torch.empty_like(x)
    product, copy = (timed(work, PEAK_RUNS) for work in (lambda: a @ a, lambda: y.copy_(x)))
    # on a CPU by processor time, each thread's: other work would make a peak, and with it a floor, of less than there is
    product_s, copy_s = (times.least_s if cuda else times.cpu_s / torch.get_num_threads() for times in (product, copy))
    return Machine(2 * side**3 / product_s, 2 * x.nbytes / copy_s)


def table(rows: list[Row]) -> str:
    """The rows as lines of text."""
    lines = [f"{'':56}{'median ms':>11}{'p99 ms':>10}{'cpu ms':>9}{'rtf':>9}{'floor ms':>10}{'error':>9}{'take':>9}"]
    for row in rows:
        what = row.component or f"{row.task}, {row.guidance}, {row.steps} steps"
        name = f"{row.backend}: {what}, {row.window_s:g} s" + (f" x {row.batch}" if row.batch > 1 else "")
        floor = "" if row.floor_s is None else f"{1e3 * row.floor_s:.2f}"
        errors = "".join(f"{'' if e is None else f'{e:.1e}':>9}" for e in (row.known_answer_error, row.take_error))
        times = f"{1e3 * row.median_s:11.1f}{1e3 * row.p99_s:10.1f}{1e3 * (row.cpu_s or 0):9.1f}{row.rtf or 0:9.4f}"
        lines.append(f"{name:56}{times}{floor:>10}{errors}")
    return "\n".join(lines)


def say(text: str) -> None:
    """A line of progress."""
    print(f"bench: {text}", file=sys.stderr, flush=True)


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Options of `segue bench engine`."""
    parser.add_argument("--model", default="live", help="name of a shipped model, or a model file")
    parser.add_argument("--device", default="cpu", choices=["cpu", "cuda"], help="where to run")
    parser.add_argument("--backend", action="append", metavar="NAME", help="a back-end, more with more of these; eager; `all`")
    parser.add_argument("--repeats", type=int, default=20, help="runs of each part")
    parser.add_argument("--steps", type=int, action="append", help=f"sampler steps of a take, more with more of these; {STEPS}")
    parser.add_argument("--batch", type=int, action="append", help="windows at once of components, more with more of these; 1")
    parser.add_argument("--window", type=float, action="append", help="seconds, more with more of these; the model's own")
    parser.add_argument("--out", type=Path, help="a file for what --json prints, for `segue bench figures`")
    parser.add_argument("--threads", type=int, default=0, help="threads of the model; 0: as many as PyTorch takes")


def benches(args: Any, machine: Machine) -> list[Bench]:
    """The model on every back-end that was asked for; one that is refused is said and left out."""
    model = load(args.model, args.device)
    names = args.backend or ["eager"]
    if "all" in names:
        names = [name for name in CANDIDATES if set(chosen(name).values()) <= set(backends().found)]
    site = Site(threads=args.threads, cache=cache_folder(), say=say)
    plain, made = make("eager", model, args.device, site), []
    for name in names:
        try:
            fast = make(name, model, args.device, site)
        except ValueError as error:
            if len(names) == 1:
                raise
            say(str(error))
            continue
        made.append(Bench(name, fast, plain, args.device, args.repeats, machine, known_answer_error(fast, plain)))
    return made


def report(rows: list[Row], machine: Machine) -> dict[str, Any]:
    """What --json prints: machine, gpu, versions, rows."""
    gpu = torch.cuda.get_device_name() if torch.cuda.is_available() else None
    load = f", load {os.getloadavg()[0]:.1f}" if hasattr(os, "getloadavg") else ""  # of the last minute
    return {
        "machine": f"{platform.machine()}, {torch.get_num_threads()} threads, {machine.flops / 1e9:.0f} GFLOP/s fp32, "
        f"{machine.bytes / 1e9:.0f} GB/s{load}",
        "gpu": gpu,
        "versions": {"python": platform.python_version(), **versions(PACKAGES)},
        "rows": [asdict(row) for row in rows],
    }


def run(args: Any) -> int:
    """`segue bench engine`: 0. Raises ValueError with a sentence where the model or the back-end is missing."""
    if args.threads:
        torch.set_num_threads(args.threads)
    torch.set_flush_denormal(True)
    machine = measured_machine(args.device)
    rows = []
    for bench in benches(args, machine):
        for window_s in args.window or [bench.model.window_s]:
            of_window = windowed(bench, window_s)
            rows += [row for batch in args.batch or [1] for row in component_rows(of_window, batch)]
            rows += [row for steps in args.steps or [STEPS] for row in take_rows(of_window, steps)]
    found = report(rows, machine)
    if args.out:
        args.out.write_text(json.dumps(found, indent=1) + "\n", encoding="utf-8")
    print(json.dumps(found) if args.json else f"{args.model} on {found['machine']}, torch {torch.__version__}\n{table(rows)}")
    return 0


def windowed(bench: Bench, window_s: float) -> Bench:
    """The same with windows of another length."""
    spec = replace(bench.model.spec, window_s=window_s)
    return replace(bench, model=replace(bench.model, spec=spec), plain=replace(bench.plain, spec=spec))
