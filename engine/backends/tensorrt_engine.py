"""TensorRT engines, of either library: built from checked ONNX models, and run on PyTorch's tensors and stream."""

from __future__ import annotations

import importlib
from collections import Counter
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor

from segue.engine.backends.graphs import Graph
from segue.engine.models.spec import Model

WORKSPACE = 2 << 30  # bytes that an engine may use beside its weights
WINDOWS = 2  # windows of frames that an engine takes at once, at most
MOST = 8  # items of a batch, at most
LEAST_FRAMES = 2


@dataclass(frozen=True)
class Library:
    """One of the two: a Python module, the package that brings it, and whether it builds where there is no GPU."""

    name: str
    module: str
    package: str
    ahead: bool

    def load(self) -> Any:
        """The module. Raises ImportError where its package is not installed, or brings no libraries."""
        return importlib.import_module(self.module)


# TensorRT-RTX compiles for the card when an engine is first run; TensorRT times kernels while it builds, on the card itself.
RTX = Library("tensorrt-rtx", "tensorrt_rtx", "tensorrt-rtx", True)
CLASSIC = Library("tensorrt", "tensorrt", "tensorrt", False)
LIBRARIES = {library.name: library for library in (RTX, CLASSIC)}


@dataclass(frozen=True)
class Shapes:
    """Least, usual and most items of a batch, and frames, that an engine takes."""

    batch: tuple[int, int, int]
    frames: tuple[int, int, int]

    @classmethod
    def of(cls, model: Model) -> Shapes:
        """From two frames to WINDOWS windows, best for one."""
        return cls((1, 1, MOST), (LEAST_FRAMES, model.window_frames, WINDOWS * model.window_frames))

    @property
    def name(self) -> str:
        """For the name of a file."""
        return "-".join(str(n) for n in (*self.batch, *self.frames))


@dataclass(frozen=True)
class Partition:
    """How a library would divide an ONNX model: its nodes, those that it takes, the engines that these would be, and how often
    each operator is left for another runtime."""

    nodes: int
    taken: int
    engines: int
    left: Mapping[str, int]


def partition(library: Library, data: bytes) -> Partition:
    """What a library's parser says of an ONNX model, in a moment and without a GPU; only a build shows that it is true."""
    import onnx

    trt = library.load()
    builder = trt.Builder(_logger(trt))
    network = _network(trt, builder)  # the parser holds neither
    parser = trt.OnnxParser(network, _logger(trt))
    parser.supports_model_v2(data)
    nodes = onnx.load_from_string(data).graph.node
    parts = [parser.get_subgraph_nodes(i) for i in range(parser.num_subgraphs)]
    taken = {place for part in parts for place in part}
    left = Counter(node.op_type for place, node in enumerate(nodes) if place not in taken)
    return Partition(len(nodes), len(taken), len(parts), dict(left))


def built(library: Library, graph: Graph, data: bytes, shapes: Shapes, say: Callable[[str], None]) -> bytes:
    """The engine of an ONNX model `data`, for the free axes of the graph that it was made of.

    say: gets a sentence at each tenth of each phase. Raises ValueError with the first reason where the library refuses it.
    """
    trt = library.load()
    if not library.ahead and not torch.cuda.is_available():
        raise ValueError(f"{library.name}: builds on the card that it is for, and there is none here; use {RTX.name}")
    builder = trt.Builder(_logger(trt))
    network = _network(trt, builder)
    parser = trt.OnnxParser(network, _logger(trt))
    if not parser.parse(data):
        raise ValueError(f"{library.name}: cannot read {graph.name}: {parser.get_error(0).desc()}")
    config = builder.create_builder_config()
    config.set_memory_pool_limit(trt.MemoryPoolType.WORKSPACE, WORKSPACE)
    config.progress_monitor = _monitor(trt, graph.name, say)
    if library.ahead and torch.cuda.is_available():
        config.num_compute_capabilities = 1
        config.set_compute_capability(trt.ComputeCapability.CURRENT, 0)
    config.add_optimization_profile(_profile(builder, network, graph, shapes))
    engine = builder.build_serialized_network(network, config)
    if engine is None:
        raise ValueError(f"{library.name}: refuses to build {graph.name} for this card; use compiled")
    return bytes(engine)


def _profile(builder: Any, network: Any, graph: Graph, shapes: Shapes) -> Any:
    profile = builder.create_optimization_profile()
    for at, axes in enumerate(graph.axes):
        if not axes:
            continue
        tensor = network.get_input(at)
        spans = []
        for batch, frames in zip(shapes.batch, shapes.frames, strict=True):
            size = list(tensor.shape)
            for axis, moving in axes.items():
                size[axis] = batch if moving.name == "batch" else moving.step * frames
            spans.append(tuple(size))
        profile.set_shape(tensor.name, *spans)
    return profile


def _network(trt: Any, builder: Any) -> Any:
    typed = getattr(trt.NetworkDefinitionCreationFlag, "STRONGLY_TYPED", None)
    return builder.create_network(0 if typed is None else 1 << int(typed))


def _logger(trt: Any) -> Any:
    return trt.Logger(trt.Logger.ERROR)


def _monitor(trt: Any, name: str, say: Callable[[str], None]) -> Any:
    class Monitor(trt.IProgressMonitor):  # type: ignore[misc]
        def __init__(self) -> None:
            trt.IProgressMonitor.__init__(self)
            self.steps: dict[str, int] = {}

        def phase_start(self, phase: str, parent: str | None, steps: int) -> None:
            if parent is None:
                self.steps[phase] = steps

        def phase_finish(self, phase: str) -> None:
            if self.steps.pop(phase, None) is not None:
                say(f"building {name}: {phase}, done")

        def step_complete(self, phase: str, step: int) -> bool:
            steps = self.steps.get(phase, 0)
            if steps >= 10 and step and step % (steps // 10) == 0:
                say(f"building {name}: {phase}, {step} of {steps}")
            return True

    return Monitor()


def engine_runner(library: Library, data: bytes, device: str) -> Callable[..., list[Tensor]]:
    """A function of tensors on a GPU that enqueues an engine on PyTorch's current stream, so that a CUDA graph may capture it.

    Raises ValueError where the library refuses the engine here, and, when called, for a shape that it was not built for.
    """
    trt = library.load()
    runtime = trt.Runtime(_logger(trt))
    engine = runtime.deserialize_cuda_engine(data)
    if engine is None:
        raise ValueError(f"{library.name}: this card or driver cannot run what was built; use compiled")
    context = engine.create_execution_context()
    names = [engine.get_tensor_name(i) for i in range(engine.num_io_tensors)]
    types = {trt.float32: torch.float32, trt.int64: torch.int64, trt.bfloat16: torch.bfloat16}
    ins = [name for name in names if engine.get_tensor_mode(name) == trt.TensorIOMode.INPUT]
    outs = [name for name in names if name not in ins]

    def run(*inputs: Tensor) -> list[Tensor]:
        held = []
        for name, x in zip(ins, inputs, strict=True):
            held.append(x.detach().to(device, types[engine.get_tensor_dtype(name)]).contiguous())
            if not context.set_input_shape(name, tuple(x.shape)):
                least, _, most = engine.get_tensor_profile_shape(name, 0)
                sizes = f"got {list(x.shape)}, built for {list(least)} to {list(most)}"
                raise ValueError(f"{library.name}: {name}: {sizes}; use a back-end without fixed shapes, as compiled")
            context.set_tensor_address(name, held[-1].data_ptr())
        made = []
        for name in outs:
            out = torch.empty(tuple(context.get_tensor_shape(name)), dtype=types[engine.get_tensor_dtype(name)], device=device)
            made.append(out)
            context.set_tensor_address(name, out.data_ptr())
        if not context.execute_async_v3(torch.cuda.current_stream(device).cuda_stream):
            raise ValueError(f"{library.name}: the card refused the launch; use compiled")
        return made

    run.runtime = runtime  # type: ignore[attr-defined]  # an engine dies with the runtime that made it
    return run
