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

from segue.engine.checkpoint import CheckpointError, load
from segue.engine.engine import Engine
from segue.engine.models.spec import Model
from segue.engine.request import Request

STEPS = 4
REGIMES = ("clean", "tail", "guided")
MATMUL = 1024  # side of the square product that is measured beside the rest
SEED = 1


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


def timed(work: Callable[[], object], repeats: int) -> tuple[float, float]:
    """Median and 99th percentile of the seconds that work takes, after one run that is not counted."""
    work()
    times = []
    for _ in range(repeats):
        begun = time.perf_counter()
        work()
        if torch.cuda.is_available():
            torch.cuda.synchronize()
        times.append(time.perf_counter() - begun)
    return float(np.median(times)), float(np.quantile(times, 0.99))


def component_rows(model: Model, device: str, repeats: int) -> list[Row]:
    """Encoder, one denoiser call, one vjp, and decoder over one window of the model."""
    g = torch.Generator().manual_seed(SEED)
    frames, hop = model.window_frames, model.hop
    audio = (0.1 * torch.randn(1, 2, frames * hop, generator=g)).to(device)
    z = torch.randn(1, model.codec.latent_dim, frames, generator=g).to(device)
    t = torch.full((1, frames), 0.5, device=device)
    works: dict[str, Callable[[], object]] = {
        "encoder": lambda: model.codec.encode(audio),
        "denoiser": lambda: model.denoiser.v(z, t),
        "vjp": lambda: model.denoiser.vjp(z, t, z),
        "decoder": lambda: model.codec.decode(z),
    }
    rows = []
    for name, work in works.items():
        with torch.inference_mode(name != "vjp"):
            median, p99 = timed(work, repeats)
        seconds = frames * hop / model.rate
        rows.append(
            Row(model.name, name, None, "eager", None, None, 1, model.window_s, None, repeats, median, p99, median / seconds)
        )
        print(f"bench: {name} {1e3 * median:.1f} ms", file=sys.stderr, flush=True)
    return rows


def take_rows(model: Model, repeats: int, steps: int) -> list[Row]:
    """A continuation of one window in each regime, from audio to audio."""
    engine = Engine(model)
    noise = np.random.default_rng(SEED).standard_normal((2, round(engine.context_min_s * engine.sample_rate)))
    request = Request("continuation", engine.new_frames, (0.1 * noise).astype(np.float32), steps=steps)
    rows = []
    for regime in REGIMES:
        asked = replace(request, regime=regime)
        median, p99 = timed(lambda asked=asked: engine.take(asked), max(3, repeats // 4))  # type: ignore[misc]
        row = Row(
            model.name,
            None,
            "continuation",
            "eager",
            regime,
            steps,
            1,
            model.window_s,
            engine.new_s,
            max(3, repeats // 4),
            median,
            p99,
            None,
        )
        rows.append(replace(row, rtf=median / engine.new_s, peak_memory_mb=peak_memory_mb()))
        print(
            f"bench: continuation, {regime}, {steps} steps: {median:.3f} s for {engine.new_s:.2f} s", file=sys.stderr, flush=True
        )
    return rows


def peak_memory_mb() -> float:
    """The most memory this process has held so far, in MB; the GPU's where there is one."""
    if torch.cuda.is_available():
        return torch.cuda.max_memory_allocated() / 1e6
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1e3


def gflops_fp32() -> float:
    """Billions of fp32 operations a second of a matrix product, the scale of every other number here."""
    a = torch.randn(MATMUL, MATMUL)
    return 2 * MATMUL**3 / timed(lambda: a @ a, 10)[0] / 1e9


def table(rows: list[Row]) -> str:
    """The rows as lines of text."""
    lines = [f"{'':32}{'median ms':>11}{'p99 ms':>10}{'rtf':>9}"]
    for row in rows:
        name = row.component or f"{row.task}, {row.guidance}, {row.steps} steps"
        lines.append(f"{name:32}{1e3 * row.median_s:11.1f}{1e3 * row.p99_s:10.1f}{row.rtf or 0:9.4f}")
    return "\n".join(lines)


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Options of `segue bench engine`."""
    parser.add_argument("--model", default="live", help="name of a shipped model, or a model file")
    parser.add_argument("--device", default="cpu", choices=["cpu", "cuda"], help="where to run")
    parser.add_argument("--repeats", type=int, default=20, help="runs of each part")
    parser.add_argument("--steps", type=int, default=STEPS, help="sampler steps of a take")
    parser.add_argument("--json", action="store_true", help="print one JSON object")


def run(args: Any) -> int:
    """`segue bench engine`: 0, or 2 with one line where the model is missing."""
    try:
        model = load(args.model, args.device)
    except CheckpointError as error:
        print(error, file=sys.stderr)
        return 2
    rows = component_rows(model, args.device, args.repeats)
    rows += take_rows(model, args.repeats, args.steps)
    gpu = torch.cuda.get_device_name() if torch.cuda.is_available() else None
    machine = f"{platform.machine()}, {torch.get_num_threads()} threads, {gflops_fp32():.0f} GFLOP/s fp32"
    versions = {"python": platform.python_version(), "torch": torch.__version__}
    if args.json:
        print(json.dumps({"machine": machine, "gpu": gpu, "versions": versions, "rows": [asdict(row) for row in rows]}))
    else:
        print(f"{model.name} on {machine}, torch {torch.__version__}\n{table(rows)}")
    return 0
