"""The back-ends `openvino` and `openvino-bf16`: the model's networks in OpenVINO, on the CPU."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
import torch
from torch import Tensor

from segue.engine.backends.graphs import Graph
from segue.engine.backends.onnx import graph_bytes, run_by
from segue.engine.backends.site import Site
from segue.engine.backends.swapped import Runner, swapped
from segue.engine.models.spec import Model

EXACT = ("read", "encoder")  # see onnx.py


def openvino(model: Model, device: str = "cpu", site: Site | None = None) -> Model:
    """The model in OpenVINO, fp32."""
    return _made(model, device, site or Site(), "f32")


def openvino_bf16(model: Model, device: str = "cpu", site: Site | None = None) -> Model:
    """The same with matrix products in bfloat16, but for the encoder; needs a processor that has them to be any faster."""
    return _made(model, device, site or Site(), "bf16")


def _made(model: Model, device: str, site: Site, precision: str) -> Model:
    if device != "cpu":
        raise ValueError(f"openvino: got device {device!r}; it runs on cpu here")
    import openvino as ov

    core = ov.Core()

    def build(name: str, trace: Callable[[Model], Graph]) -> Runner:
        data = graph_bytes(name, trace, model, site)
        if name == "vjp" and precision == "f32":  # OpenVINO 2026.4 gives another gradient than eager, by a fifth, in fp32 alone
            return run_by(name, data, site.cores)
        config = {
            "INFERENCE_PRECISION_HINT": "f32" if name in EXACT else precision,
            "INFERENCE_NUM_THREADS": site.cores,
            "NUM_STREAMS": 1,
            "PERFORMANCE_HINT": "LATENCY",
        }
        return runner(core.compile_model(core.read_model(data), "CPU", config))

    return swapped(model, device, site, build)


def runner(compiled: Any) -> Runner:
    """A function of tensors that runs a compiled model."""
    request = compiled.create_infer_request()

    def run(*inputs: Tensor) -> list[Tensor]:
        fed = [np.ascontiguousarray(x.detach().cpu().numpy()) for x in inputs]
        request.infer(fed, share_inputs=True)
        return [torch.from_numpy(np.array(request.get_output_tensor(i).data)) for i in range(len(compiled.outputs))]

    return run
