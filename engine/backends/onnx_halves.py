"""The vjp graph as two ONNX models, so that a guided step runs forward once: what does not wait for g, and the rest."""

from __future__ import annotations

from typing import Any

import numpy as np
import torch
from torch import Tensor

from segue.engine.backends.onnx_file import session
from segue.engine.backends.swapped import Halves


def halved(data: bytes) -> tuple[bytes, bytes]:
    """An ONNX model (x_t, t, g) -> (v, vjp) as (x_t, t) -> (v, and whatever the second reads) and (that, g) -> vjp."""
    import onnx

    model = onnx.shape_inference.infer_shapes(onnx.load_from_string(data))
    graph = model.graph
    ahead: list[Any] = []
    back: list[Any] = []
    waiting = {graph.input[2].name}
    for node in graph.node:  # in an order in which each finds its inputs made
        late = not waiting.isdisjoint(node.input)
        (back if late else ahead).append(node)
        waiting.update(node.output if late else ())
    made = {name for node in ahead for name in node.output}
    read = {name for node in back for name in node.input}
    crossing = sorted(made & read)
    known = {value.name: value for value in (*graph.input, *graph.output)}
    kinds = {value.name: value.type.tensor_type.elem_type for value in graph.value_info}

    def part(nodes: list[Any], inputs: list[str], outputs: list[str]) -> bytes:
        used = {name for node in nodes for name in node.input}
        first, last = (
            [known.get(name) or onnx.helper.make_tensor_value_info(name, kinds[name], None) for name in names]
            for names in (inputs, outputs)
        )
        weights = [weight for weight in graph.initializer if weight.name in used]
        half = onnx.helper.make_model(
            onnx.helper.make_graph(nodes, graph.name, first, last, weights),
            opset_imports=model.opset_import,
            ir_version=model.ir_version,
            functions=model.functions,
        )
        written: bytes = half.SerializeToString()
        return written

    given = [value.name for value in graph.input]
    v, pulled = (value.name for value in graph.output)
    return (
        part(ahead, given[:2], [v, *(name for name in crossing if name != v)]),
        part(back, [name for name in (*given, *crossing) if name in read], [pulled]),
    )


def onnx_halves(data: bytes, threads: int, provider: str) -> Halves:
    """What runs the halves of a vjp graph; what crosses over stays with ONNX Runtime."""
    import onnxruntime

    first, second = (session(half, threads, provider) for half in halved(data))
    names = [node.name for node in first.get_inputs()]
    outputs = [node.name for node in first.get_outputs()]
    wanted = [node.name for node in second.get_inputs()]
    g_name = next(name for name in wanted if name not in names and name not in outputs)

    def value(x: Tensor) -> Any:
        return onnxruntime.OrtValue.ortvalue_from_numpy(np.ascontiguousarray(x.detach().cpu().numpy()))

    def ahead(x_t: Tensor, t: Tensor) -> tuple[Tensor, Any]:
        fed = dict(zip(names, (value(x_t), value(t)), strict=True))
        kept = {**fed, **dict(zip(outputs, first.run_with_ort_values(outputs, fed), strict=True))}
        return torch.from_numpy(kept[outputs[0]].numpy()), {name: kept[name] for name in wanted if name in kept}

    def back(kept: Any, g: Tensor) -> Tensor:
        (pulled,) = second.run_with_ort_values([second.get_outputs()[0].name], {**kept, g_name: value(g)})
        return torch.from_numpy(pulled.numpy())

    return Halves(ahead, back)
