"""A graph as an ONNX file: exported, checked, compared with eager at another shape, and only then written."""

from __future__ import annotations

import json
import logging
import warnings
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import numpy as np
import torch
from torch import Tensor, nn

from segue.engine import noise
from segue.engine.backends.graphs import Axis, Graph

OPSET = 20
PARITY = 1e-4  # relative error of an fp32 graph against eager
OTHER_BATCH, OTHER_FRAMES = 1, 65  # the shape of the comparison, unlike the one that was traced


class _Module(nn.Module):
    def __init__(self, graph: Graph) -> None:
        super().__init__()
        self.weights = graph.module
        self._function = graph.function

    def forward(self, *inputs: Tensor) -> Any:
        return self._function(*inputs)


def export(graph: Graph, path: Path, metadata: Mapping[str, str]) -> float:
    """Write a graph to a file, whole or not at all. Returns its relative error against eager at a shape of its own.

    Raises ValueError where the checker or the comparison (PARITY) refuses it, ModuleNotFoundError without the extra onnx.
    """
    import onnx
    import onnxscript  # noqa: F401  the exporter needs it

    model = _proto(graph)
    model.metadata_props.extend(
        onnx.StringStringEntryProto(key=key, value=value) for key, value in {**metadata, **_facts(graph)}.items()
    )
    try:
        onnx.checker.check_model(model, full_check=True)
    except onnx.checker.ValidationError as error:
        raise ValueError(
            f"{graph.name}: the ONNX checker refuses it ({str(error).splitlines()[0]}); nothing was written"
        ) from error
    data = model.SerializeToString()
    apart = parity(graph, onnx_runner(data, 1))
    if not apart <= PARITY:
        raise ValueError(f"{graph.name}: differs from eager by {apart:.2g}, allowed {PARITY:g}; nothing was written")
    partial = path.with_name(path.name + ".part")
    partial.write_bytes(data)
    partial.replace(path)
    return apart


def _proto(graph: Graph) -> Any:
    made: dict[str, Any] = {}

    def dim(axis: Axis) -> Any:
        if axis.step == 1:
            return torch.export.Dim.DYNAMIC
        base = made.setdefault(axis.name, torch.export.Dim(axis.name, min=2, max=1 << 14))
        return axis.step * base

    shapes = tuple({at: dim(axis) for at, axis in axes.items()} for axes in graph.axes)
    with quiet(), torch.no_grad():
        program = torch.onnx.export(
            _Module(graph).eval(),
            graph.examples,
            dynamo=True,
            opset_version=OPSET,
            dynamic_shapes=(shapes,),
            input_names=list(graph.inputs),
            output_names=list(graph.outputs),
            verbose=False,
        )
    assert program is not None
    return program.model_proto


def _facts(graph: Graph) -> dict[str, str]:
    return {"segue.graph": graph.name, "opset": str(OPSET), "torch": torch.__version__, "inputs": json.dumps(graph.inputs)}


def session(source: bytes | str, threads: int, provider: str = "CPUExecutionProvider") -> Any:
    """An ONNX model, loaded by ONNX Runtime."""
    import onnxruntime

    options = onnxruntime.SessionOptions()
    options.intra_op_num_threads, options.inter_op_num_threads = threads, 1
    options.log_severity_level = 3
    # Waiting by spinning takes the core that audio needs.
    options.add_session_config_entry("session.intra_op.allow_spinning", "0")
    return onnxruntime.InferenceSession(source, options, providers=[provider])


def onnx_runner(source: bytes | str, threads: int, provider: str = "CPUExecutionProvider") -> Callable[..., list[Tensor]]:
    """A function of tensors that runs an ONNX model in ONNX Runtime."""
    loaded = session(source, threads, provider)
    names = [node.name for node in loaded.get_inputs()]

    def run(*inputs: Tensor) -> list[Tensor]:
        fed = {name: np.ascontiguousarray(x.detach().cpu().numpy()) for name, x in zip(names, inputs, strict=True)}
        return [torch.from_numpy(out) for out in loaded.run(None, fed)]

    return run


def parity(graph: Graph, run: Callable[..., Any]) -> float:
    """Largest relative error of a runner's outputs against the graph's reference, at another batch and length."""
    inputs = [_other(x, axes) for x, axes in zip(graph.examples, graph.axes, strict=True)]
    with torch.no_grad():
        wanted = graph.reference(*inputs)
    wanted = wanted if isinstance(wanted, (tuple, list)) else (wanted,)
    errors = [relative(a, b) for a, b in zip(run(*inputs), wanted, strict=True)]
    return max(errors) if all(e == e for e in errors) else float("nan")


def relative(a: Tensor, b: Tensor) -> float:
    """|a - b| / |b|; infinite where the shapes differ."""
    if a.shape != b.shape:
        return float("inf")
    a, b = a.detach().cpu().double(), b.detach().cpu().double()
    return float((a - b).norm() / b.norm().clamp_min(1e-9))


def _other(x: Tensor, axes: Mapping[int, Axis]) -> Tensor:
    """The example tiled and cut to the other shape, shaken where it is not a level."""
    for at, axis in axes.items():
        size = OTHER_BATCH if axis.name == "batch" else OTHER_FRAMES * axis.step
        repeats = [1] * x.ndim
        repeats[at] = -(-size // x.shape[at])
        x = x.repeat(repeats).narrow(at, 0, size)
    if not x.is_floating_point() or x.ndim < 3:
        return x.contiguous()
    return (x * (1 + 0.1 * noise.normal(tuple(x.shape), noise.generator(5)).to(x.device))).contiguous()


@contextmanager
def quiet() -> Iterator[None]:
    """PyTorch's exporter warns of what we know; its own sentences are not ours."""
    loggers = [logging.getLogger(name or None) for name in ("", "torch.onnx", "torch.export", "onnxscript", "onnx_ir")]
    levels = [logger.level for logger in loggers]
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        for logger in loggers:
            logger.setLevel(logging.ERROR)
        try:
            yield
        finally:
            for logger, level in zip(loggers, levels, strict=True):
                logger.setLevel(level)
