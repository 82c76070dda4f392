"""Writes a model's codec, denoiser and guidance gradient as TensorRT engines, laid out for an inference server."""

from __future__ import annotations

import argparse
import json
import sys
import time
from dataclasses import asdict
from pathlib import Path
from typing import Any

import torch

from segue.engine.backends.cache import cache_folder
from segue.engine.backends.site import Site, versions
from segue.engine.backends.tensorrt import EXACT, engine_bytes, precision_of, source_bytes
from segue.engine.backends.tensorrt_engine import LIBRARIES, RTX, Library, Shapes, engine_runner, partition
from segue.engine.checkpoint import load
from segue.engine.models.spec import Model
from segue.train.export_onnx import GRAPHS

PRECISIONS = ("bf16", "fp32")


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Options of `segue export tensorrt`."""
    parser.add_argument("--model", default="live", help="name of a shipped model, or a model file")
    parser.add_argument("--out", type=Path, help="folder; each graph becomes OUT/NAME/1/model.plan")
    parser.add_argument("--dry-run", action="store_true", help="say which operators it would take, and build nothing")
    parser.add_argument("--only", action="append", choices=sorted(GRAPHS), help="one graph, more with more of these; all")
    parser.add_argument("--library", default=RTX.name, choices=sorted(LIBRARIES), help="tensorrt needs the GPU to build on")
    parser.add_argument("--precision", default="bf16", choices=PRECISIONS, help=f"of matrix products; {EXACT[0]} is fp32 always")


def run(args: Any) -> int:
    """`segue export tensorrt`: 0. Raises ValueError where a graph is refused; what was written before it stays."""
    if args.out is None and not args.dry_run:
        raise ValueError("export tensorrt: got neither --out nor --dry-run; give --out FOLDER for the engines")
    model, library = load(args.model), LIBRARIES[args.library]
    lower, names = args.precision == "bf16", args.only or GRAPHS
    if args.dry_run:
        return shown([divided(model, library, name, lower) for name in names], model, library, args.json)
    files = [written(model, library, name, args.out, lower) for name in names]
    shapes = Shapes.of(model)
    if args.json:
        spans = {"batch": shapes.batch, "frames": shapes.frames}
        print(json.dumps({"model": model.name, "versions": versions((library.package,)), **spans, "files": files}))
        return 0
    for file in files:
        ran = "run here" if file["loaded"] else "built, not run: no GPU here"
        print(f"{file['path']}: {file['bytes'] / 1e6:.1f} MB, {file['precision']}, {file['cpu_s']:.0f} s of CPU, {ran}")
    return 0


def site() -> Site:
    """Where graphs are kept, with progress to standard error."""
    return Site(cache=cache_folder(), say=lambda text: print(f"export: {text}", file=sys.stderr, flush=True))


def divided(model: Model, library: Library, name: str, lower: bool) -> dict[str, Any]:
    """How the library would divide one graph."""
    found = partition(library, source_bytes(name, GRAPHS[name], model, site(), lower))
    return {"graph": name, "precision": precision_of(name, lower), "library": library.name, **asdict(found)}


def shown(graphs: list[dict[str, Any]], model: Model, library: Library, as_json: bool) -> int:
    """Prints how graphs are divided: 0 where the library takes all of them, else 1."""
    if as_json:
        print(json.dumps({"model": model.name, "versions": versions((library.package,)), "graphs": graphs}))
    for row in [] if as_json else graphs:
        left = ", ".join(f"{count} {name}" for name, count in row["left"].items()) or "nothing"
        taken = f"{row['taken']} of {row['nodes']} nodes, engines: {row['engines']}"
        print(f"{row['graph']}, {row['precision']}: {library.name} takes {taken}; left out: {left}")
    return int(any(row["left"] for row in graphs))


def written(model: Model, library: Library, name: str, out: Path, lower: bool) -> dict[str, Any]:
    """One graph as an engine, with where it is, how large, what it took, and whether a GPU here could load it."""
    device = "cuda" if torch.cuda.is_available() else "cpu"
    begun = time.process_time()
    data = engine_bytes(library, name, GRAPHS[name], model, device, site(), lower)
    took = time.process_time() - begun
    if device == "cuda":
        engine_runner(library, data, device)
    path = out / name / "1" / "model.plan"
    path.parent.mkdir(parents=True, exist_ok=True)
    partial = path.with_name(path.name + ".part")
    partial.write_bytes(data)
    partial.replace(path)
    facts = {"graph": name, "path": str(path), "bytes": len(data), "library": library.name}
    return {**facts, "precision": precision_of(name, lower), "cpu_s": took, "loaded": device == "cuda"}
