"""Lowers the matrix products of an ONNX model to bfloat16, for runtimes whose networks are typed by their files."""

from __future__ import annotations

from collections.abc import Collection
from typing import Any

PRODUCTS = ("MatMul", "Gemm")  # the convolutions here are depthwise, and opset 20 has none in bfloat16


def lowered(data: bytes, exact: Collection[str] = ("t",)) -> bytes:
    """The model with its products in bfloat16, each between two casts; all else, inputs and outputs stay as they were.

    exact: inputs whose products stay in fp32 as long as no other input has joined them. bfloat16 in the embedding of levels
    would quadruple the error, and what it saves there is nothing.
    """
    import onnx

    model = onnx.load_from_string(data)
    graph, lower = model.graph, onnx.TensorProto.BFLOAT16
    moving = {node.name for node in graph.input} - set(exact)
    nodes: list[Any] = []
    for node in graph.node:
        depends = node.op_type != "Shape" and any(name in moving for name in node.input)
        if depends:
            moving.update(node.output)
        if node.op_type not in PRODUCTS or not depends:
            nodes.append(node)
            continue
        out = node.output[0]
        small = [f"{name}.bf16.{out}" for name in node.input]
        nodes += [
            onnx.helper.make_node("Cast", [name], [cast], to=lower) for name, cast in zip(node.input, small, strict=True) if name
        ]
        product = onnx.NodeProto()
        product.CopyFrom(node)
        del product.input[:], product.output[:]
        product.input.extend(cast if name else "" for name, cast in zip(node.input, small, strict=True))
        product.output.append(f"{out}.bf16")
        nodes += [product, onnx.helper.make_node("Cast", [f"{out}.bf16"], [out], to=onnx.TensorProto.FLOAT)]
    del graph.node[:]
    graph.node.extend(nodes)
    del graph.value_info[:]
    whole: bytes = model.SerializeToString()
    return whole
