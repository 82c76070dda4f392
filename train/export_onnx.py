"""Writes a model's codec, denoiser and guidance gradient as ONNX files, laid out for an inference server."""

from __future__ import annotations

import argparse
import json
import sys
from pathlib import Path
from typing import Any

from segue.engine.backends.graphs import decoder_graph, denoiser_graph, encoder_graph, vjp_graph
from segue.engine.backends.onnx_file import OPSET, PARITY, export
from segue.engine.checkpoint import load
from segue.engine.models.spec import Model

GRAPHS = {"encoder": encoder_graph, "decoder": decoder_graph, "denoiser": denoiser_graph, "vjp": vjp_graph}


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Options of `segue export onnx`."""
    parser.add_argument("--model", default="live", help="name of a shipped model, or a model file")
    parser.add_argument("--out", type=Path, required=True, help="folder; each graph becomes OUT/NAME/1/model.onnx")
    parser.add_argument("--only", action="append", choices=sorted(GRAPHS), help="one graph, more with more of these; all")


def run(args: Any) -> int:
    """`segue export onnx`: 0. Raises ValueError where a graph is refused; what was written before it stays."""
    model = load(args.model)
    files = []
    for name in args.only or GRAPHS:
        print(f"export: {name}, checked against eager before it is written", file=sys.stderr, flush=True)
        files.append(written(model, name, args.out))
    if args.json:
        print(json.dumps({"model": model.name, "opset": OPSET, "allowed_error": PARITY, "files": files}))
    else:
        for file in files:
            print(f"{file['path']}: {file['bytes'] / 1e6:.1f} MB, error {file['error']:.1e}")
    return 0


def written(model: Model, name: str, out: Path) -> dict[str, Any]:
    """One graph as a file, with where it is, how large, and how far from eager."""
    path = out / name / "1" / "model.onnx"
    path.parent.mkdir(parents=True, exist_ok=True)
    error = export(GRAPHS[name](model), path, facts(model))
    return {"graph": name, "path": str(path), "bytes": path.stat().st_size, "error": error}


def facts(model: Model) -> dict[str, str]:
    """What each file says of the model it came from."""
    spec = model.spec
    return {
        "segue.model": model.name,
        "segue.sha256": model.sha256,
        "segue.spec": json.dumps(spec.to_dict(), sort_keys=True),
        "segue.sample_rate": str(model.rate),
        "segue.hop": str(model.hop),
        "segue.carried": str(getattr(spec.denoiser, "carried", 0)),
    }
