"""Times of the engine's parts and takes: encoder, denoiser, its vjp, decoder, and whole takes in each regime."""

from __future__ import annotations

import argparse
import json
import platform
import resource
import sys
import time
from collections.abc import Callable
from dataclasses import asdict, dataclass, replace
from typing import Any

import numpy as np
import torch

from segue.engine.backends import Site, backends, chosen, known_answer_error, make
from segue.engine.backends.choice import CANDIDATES
from segue.engine.backends.floors import Machine, floor_s, weight_bytes
from segue.engine.backends.graphs import codec_module, network
from segue.engine.backends.site import versions
from segue.engine.checkpoint import load
from segue.engine.engine import Engine
from segue.engine.models.spec import Model
from segue.engine.request import Request
from segue.server.cache import cache_folder

STEPS = 4
REGIMES = ("clean", "tail", "guided")
MATMUL = 1024  # side of the square product that is measured beside the rest
COPY = 1 << 24  # floats of the copy that bandwidth is measured by
SEED = 1
PACKAGES = ("numpy", "onnx", "onnxruntime", "openvino", "tensorrt-rtx", "tensorrt")


@dataclass(frozen=True)
class Row:
    """One measurement: a component or a task, the other is None. Times in seconds; rtf is median_s over the audio made."""

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


@dataclass(frozen=True)
class Bench:
    """What every row of one back-end shares."""

    name: str
    model: Model
    device: str
    repeats: int
    machine: Machine
    error: float | None


def timed(work: Callable[[], object], repeats: int) -> tuple[float, float]:
    """Median and 99th percentile of the seconds that work takes, after one run that is not counted."""
    work()
    times = []
    for _ in range(repeats):
        synchronise()
        begun = time.perf_counter()
        work()
        synchronise()
        times.append(time.perf_counter() - begun)
    return float(np.median(times)), float(np.quantile(times, 0.99))


def synchronise() -> None:
    """Wait for the GPU, where there is one."""
    if torch.cuda.is_available():
        torch.cuda.synchronize()


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
            median, p99 = timed(work, bench.repeats)
        row = Row(model.name, name, None, bench.name, None, None, batch, model.window_s, None, bench.repeats, median, p99, None)
        made[name] = replace(row, **shared(bench), rtf=median / seconds, floor_s=component_floor(name, bench, batch))
        say(f"{bench.name}: {name}, batch {batch}: {1e3 * median:.1f} ms")
    return list(made.values())


def component_floor(name: str, bench: Bench, batch: int) -> float | None:
    """The floor of one component, counted on the eager model; None where its modules cannot be counted."""
    model = bench.model
    frames = model.window_frames
    net, codec = network(model), codec_module(model)
    if "forward" in vars(net) or "encode" in vars(codec):
        return None  # what runs elsewhere is not counted: the floor stands in the rows of eager
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


def continuation(engine: Engine, steps: int = STEPS, **options: Any) -> Request:
    """A continuation of one window, after noise."""
    noise = np.random.default_rng(SEED).standard_normal((2, round(engine.context_min_s * engine.sample_rate)))
    return Request("continuation", engine.new_frames, (0.1 * noise).astype(np.float32), steps=steps, **options)


def take_rows(bench: Bench, steps: int) -> list[Row]:
    """A continuation of one window in each regime, from audio to audio."""
    engine = Engine(bench.model)
    repeats, rows = max(3, bench.repeats // 2), []
    for regime in REGIMES:
        request = continuation(engine, steps, regime=regime)
        median, p99 = timed(lambda request=request: engine.take(request), repeats)  # type: ignore[misc]
        window_s, new_s = bench.model.window_s, engine.new_s
        name, times = bench.model.name, (median, p99)
        row = Row(name, None, "continuation", bench.name, regime, steps, 1, window_s, new_s, repeats, *times, median / new_s)
        rows.append(replace(row, **shared(bench)))
        say(f"{bench.name}: continuation, {regime}, {steps} steps: {median:.3f} s for {engine.new_s:.2f} s")
    return rows


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
    flops = 2 * side**3 / timed(lambda: a @ a, 10)[0]
    return Machine(flops, 2 * x.nbytes / timed(lambda: y.copy_(x), 10)[0])


def table(rows: list[Row]) -> str:
    """The rows as lines of text."""
    lines = [f"{'':48}{'median ms':>11}{'p99 ms':>10}{'rtf':>9}{'floor ms':>10}{'error':>9}"]
    for row in rows:
        what = row.component or f"{row.task}, {row.guidance}, {row.steps} steps"
        name = f"{row.backend}: {what}" + (f" x {row.batch}" if row.batch > 1 else "")
        floor = "" if row.floor_s is None else f"{1e3 * row.floor_s:.2f}"
        error = "" if row.known_answer_error is None else f"{row.known_answer_error:.1e}"
        lines.append(f"{name:48}{1e3 * row.median_s:11.1f}{1e3 * row.p99_s:10.1f}{row.rtf or 0:9.4f}{floor:>10}{error:>9}")
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
    parser.add_argument("--steps", type=int, default=STEPS, help="sampler steps of a take")
    parser.add_argument("--batch", type=int, default=1, help="windows at once in the components' rows")
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
        made.append(Bench(name, fast, args.device, args.repeats, machine, known_answer_error(fast, plain)))
    return made


def report(rows: list[Row], machine: Machine) -> dict[str, Any]:
    """What --json prints: machine, gpu, versions, rows."""
    gpu = torch.cuda.get_device_name() if torch.cuda.is_available() else None
    return {
        "machine": f"{platform.machine()}, {torch.get_num_threads()} threads, {machine.flops / 1e9:.0f} GFLOP/s fp32, "
        f"{machine.bytes / 1e9:.0f} GB/s",
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
        rows += component_rows(bench, args.batch) + take_rows(bench, args.steps)
    floors = {row.component: row.floor_s for row in rows if row.component and row.floor_s is not None}
    rows = [row if row.component is None else replace(row, floor_s=floors.get(row.component)) for row in rows]
    found = report(rows, machine)
    print(json.dumps(found) if args.json else f"{args.model} on {found['machine']}, torch {torch.__version__}\n{table(rows)}")
    return 0
