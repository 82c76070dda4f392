"""The back-ends `onnx` and `onnx-int8`: the model's networks in ONNX Runtime, on the CPU or with its CUDA provider."""

from __future__ import annotations

import tempfile
from collections.abc import Callable
from pathlib import Path

from segue.engine.backends.graphs import Graph
from segue.engine.backends.onnx_file import export, onnx_runner, quiet
from segue.engine.backends.onnx_halves import onnx_halves
from segue.engine.backends.site import Site
from segue.engine.backends.swapped import Runner, swapped
from segue.engine.models.spec import Model

PACKAGES = ("onnx", "onnxscript")
# Which stretches of the context are carried on hangs on small differences of latents: the encoder stays fp32.
EXACT = ("vjp", "read", "encoder")
PROVIDERS = {"cpu": "CPUExecutionProvider", "cuda": "CUDAExecutionProvider"}


def onnx(model: Model, device: str = "cpu", site: Site | None = None) -> Model:
    """The model in ONNX Runtime, fp32. Raises ValueError where it has no provider for the device."""
    site = site or Site()
    provider = provider_of(device)

    def build(name: str, trace: Callable[[Model], Graph]) -> Runner:
        return run_by(name, graph_bytes(name, trace, model, site), site.cores, provider)

    return swapped(model, "cpu", site, build)


def onnx_int8(model: Model, device: str = "cpu", site: Site | None = None) -> Model:
    """The same with weights and, as they come, activations of matrix products in eight bits; encoder and gradients stay fp32."""
    site = site or Site()
    provider = provider_of(device)

    def build(name: str, trace: Callable[[Model], Graph]) -> Runner:
        data = graph_bytes(name, trace, model, site)
        if name not in EXACT:
            exact = data
            data = site.kept(f"{name}.int8.onnx", model, "cpu", (*PACKAGES, "onnxruntime"), lambda: eight_bits(exact))
        return run_by(name, data, site.cores, provider)

    return swapped(model, "cpu", site, build)


def run_by(name: str, data: bytes, threads: int, provider: str = PROVIDERS["cpu"]) -> Runner:
    """What runs a graph in ONNX Runtime; the vjp in halves."""
    return onnx_halves(data, threads, provider) if name == "vjp" else onnx_runner(data, threads, provider)


def provider_of(device: str) -> str:
    """ONNX Runtime's name for a device. Raises ValueError where the installed build has none."""
    import onnxruntime

    wanted = PROVIDERS[device.partition(":")[0]]
    if wanted not in onnxruntime.get_available_providers():
        have = ", ".join(onnxruntime.get_available_providers())
        raise ValueError(f"onnx: no {wanted} in this ONNX Runtime, it has {have}; pip install onnxruntime-gpu, or use cpu")
    return wanted


def graph_bytes(name: str, trace: Callable[[Model], Graph], model: Model, site: Site) -> bytes:
    """A graph as an ONNX model, built once for each model and version of what builds it."""

    def build() -> bytes:
        site.say(f"building {name} for {model.name}: once, up to a minute")
        with tempfile.TemporaryDirectory() as folder:
            path = Path(folder) / f"{name}.onnx"
            export(trace(model), path, {"segue.model": model.name, "segue.sha256": model.sha256})
            return path.read_bytes()

    return site.kept(f"{name}.onnx", model, "cpu", PACKAGES, build)


def eight_bits(data: bytes) -> bytes:
    """An ONNX model with its matrix products in int8, activations measured as they come."""
    from onnxruntime.quantization import QuantType, quantize_dynamic

    with tempfile.TemporaryDirectory() as folder, quiet():
        whole, small = Path(folder) / "whole.onnx", Path(folder) / "small.onnx"
        whole.write_bytes(data)
        quantize_dynamic(whole, small, weight_type=QuantType.QInt8, per_channel=True, op_types_to_quantize=["MatMul", "Gemm"])
        return small.read_bytes()
