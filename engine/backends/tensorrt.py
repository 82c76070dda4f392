"""The back-ends `tensorrt-rtx` and `tensorrt`: the model's networks as TensorRT engines, on an NVIDIA GPU.

The ONNX models behind the engines are held to eager when they are made; the engines are, by `backends.make`, when they are
loaded. The encoder stays eager: it runs once a take, at lengths that no engine is built for.
"""

from __future__ import annotations

import copy
from collections.abc import Callable
from dataclasses import replace
from typing import Any

from segue.engine.backends.graphs import Graph, codec_module, network
from segue.engine.backends.onnx import graph_bytes
from segue.engine.backends.onnx_bf16 import lowered
from segue.engine.backends.site import Site
from segue.engine.backends.swapped import Runner, swapped
from segue.engine.backends.tensorrt_engine import CLASSIC, RTX, Library, Shapes, built, engine_runner
from segue.engine.models.spec import Model

EAGER = ("read", "encoder")
EXACT = ("vjp",)  # in fp32: a gradient of reduced precision guides elsewhere


def tensorrt_rtx(model: Model, device: str = "cuda", site: Site | None = None) -> Model:
    """The model in TensorRT-RTX. Raises ImportError without it, ValueError without a GPU or where it refuses the card."""
    return _made(RTX, model, device, site or Site())


def tensorrt(model: Model, device: str = "cuda", site: Site | None = None) -> Model:
    """The model in TensorRT. Raises as tensorrt_rtx does."""
    return _made(CLASSIC, model, device, site or Site())


def _made(library: Library, model: Model, device: str, site: Site) -> Model:
    library.load()
    if not device.startswith("cuda"):
        raise ValueError(f"{library.name}: got device {device!r}; it runs on cuda alone")
    home = on_cpu(model)

    def build(name: str, trace: Callable[[Model], Graph]) -> Runner:
        if name in EAGER:
            reference = trace(model).reference
            return lambda *inputs: _sequence(reference(*inputs))
        return engine_runner(library, engine_bytes(library, name, trace, home, device, site), device)

    return swapped(model, device, site, build)


def engine_bytes(
    library: Library, name: str, trace: Callable[[Model], Graph], model: Model, device: str, site: Site, lower: bool = True
) -> bytes:
    """The engine of one graph, built once for each model, shapes, precision, card, driver and versions.

    model: on the CPU. lower: with products in bfloat16, but for EXACT.
    """
    shapes = Shapes.of(model)

    def build() -> bytes:
        data = source_bytes(name, trace, model, site, lower)
        site.say(f"building {name} for {model.name} with {library.name}: once, up to some minutes")
        return built(library, trace(model), data, shapes, site.say)

    kind = f"{name}.{shapes.name}.{precision_of(name, lower)}.{library.name}"
    return site.kept(kind, model, device, (library.package, "onnx", "onnxscript"), build)


def source_bytes(name: str, trace: Callable[[Model], Graph], model: Model, site: Site, lower: bool = True) -> bytes:
    """The ONNX model that an engine is built of; see engine_bytes."""
    data = graph_bytes(name, trace, model, site)
    return lowered(data) if precision_of(name, lower) == "bf16" else data


def precision_of(name: str, lower: bool) -> str:
    """In what the matrix products of a graph are made: bf16 where lower, but for EXACT."""
    return "bf16" if lower and name not in EXACT else "fp32"


def on_cpu(model: Model) -> Model:
    """The model, copied where it is elsewhere: graphs are traced on the CPU."""
    denoiser, codec = (part(model) for part in (network, codec_module))
    if all(p.device.type == "cpu" for part in (denoiser, codec) for p in part.parameters()):
        return model
    copies: list[Any] = [copy.deepcopy(part).cpu() for part in (denoiser, codec)]
    return replace(model, denoiser=copies[0], codec=copies[1])


def _sequence(answer: Any) -> Any:
    return answer if isinstance(answer, (tuple, list)) else [answer]
