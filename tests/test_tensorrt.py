"""TensorRT engines are built of checked graphs, without a GPU where the library can; what cannot run is refused in a sentence."""

import json

import pytest
import torch
from small import live

from segue.engine.backends import FALLBACK, Site, ready
from segue.engine.backends.graphs import denoiser_graph
from segue.engine.backends.onnx import graph_bytes
from segue.engine.backends.onnx_bf16 import PRODUCTS, lowered
from segue.engine.backends.tensorrt import engine_bytes, tensorrt_rtx
from segue.engine.backends.tensorrt_engine import CLASSIC, RTX, Shapes, built, partition
from segue.engine.checkpoint import save
from segue.engine.models.dit import DitSpec
from segue.server import cli
from segue.train.export_onnx import GRAPHS

DIT = DitSpec(channels=16, width=32, layers=1, heads=1, rank=4, carried=8)
NO_GPU = pytest.mark.skipif(torch.cuda.is_available(), reason="says what happens without a GPU")


@pytest.fixture(scope="module")
def model():
    return live(DIT, 4, 0.2, window_s=1.0)


@pytest.fixture
def rtx():
    pytest.importorskip("onnxscript", reason="the extra onnx is not installed")
    return pytest.importorskip("tensorrt_rtx", reason="the extra tensorrt-rtx is not installed")


def test_products_are_lowered_but_for_what_comes_from_levels_alone(model):
    onnx = pytest.importorskip("onnx", reason="the extra onnx is not installed")
    pytest.importorskip("onnxscript", reason="the extra onnx is not installed")
    pytest.importorskip("onnxruntime", reason="the extra onnx is not installed")
    data = graph_bytes("denoiser", denoiser_graph, model, Site())
    small = onnx.load_from_string(lowered(data))
    onnx.checker.check_model(small, full_check=True)
    kinds = {info.name: info.type.tensor_type.elem_type for info in onnx.shape_inference.infer_shapes(small).graph.value_info}
    products = [node for node in small.graph.node if node.op_type in PRODUCTS]
    halved = [node for node in products if kinds[node.output[0]] == onnx.TensorProto.BFLOAT16]
    # two of the embedding, and the modulations of one block and of the end, come from t alone
    assert len(products) - len(halved) == 4
    assert len(halved) >= 7
    graph = denoiser_graph(model)
    feeds = dict(zip(graph.inputs, (x.numpy() for x in graph.examples), strict=True))
    (got,) = onnx.reference.ReferenceEvaluator(small).run(None, feeds)
    wanted = graph.reference(*graph.examples).numpy()
    error = abs(got - wanted).max() / abs(wanted).max()
    assert 1e-5 < error < 0.03


@pytest.mark.parametrize("name", GRAPHS)
def test_an_engine_of_each_graph_is_built_here_and_kept(model, rtx, tmp_path, name):
    said = []
    site = Site(cache=tmp_path, say=said.append)
    engine = engine_bytes(RTX, name, GRAPHS[name], model, "cpu", site)
    assert len(engine) > 10_000
    assert any("done" in sentence for sentence in said)  # progress while it is built
    said.clear()
    assert engine_bytes(RTX, name, GRAPHS[name], model, "cpu", site) == engine
    assert said == []
    (kept,) = tmp_path.glob(f"{name}.*tensorrt-rtx-*")
    assert Shapes.of(model).name in kept.name
    assert ("fp32" if name == "vjp" else "bf16") in kept.name


def test_what_it_would_leave_to_another_runtime_is_counted(rtx):
    onnx = pytest.importorskip("onnx", reason="the extra onnx is not installed")
    helper, kind = onnx.helper, onnx.TensorProto.FLOAT
    names = ("x", "a", "b", "y")
    nodes = [helper.make_node(op, [one], [two]) for op, one, two in zip(("Exp", "Det", "Log"), names, names[1:], strict=False)]
    ends = [helper.make_tensor_value_info(name, kind, shape) for name, shape in (("x", [2, 3, 3]), ("y", [2]))]
    model = helper.make_model(helper.make_graph(nodes, "g", ends[:1], ends[1:]), opset_imports=[helper.make_opsetid("", 20)])
    found = partition(RTX, model.SerializeToString())
    assert (found.nodes, found.taken, found.engines, found.left) == (3, 2, 2, {"Det": 1})


def test_nothing_falls_out_of_it(model, rtx, tmp_path, capsys, monkeypatch):
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "cache"))
    save(tmp_path / "small.safetensors", model.spec, model.codec, model.denoiser)
    argv = ["export", "tensorrt", "--model", str(tmp_path / "small.safetensors"), "--only", "denoiser"]
    for precision in ("bf16", "fp32"):
        assert cli.main([*argv, "--json", "--dry-run", "--precision", precision]) == 0
        (row,) = json.loads(capsys.readouterr().out)["graphs"]
        assert (row["precision"], row["taken"], row["engines"], row["left"]) == (precision, row["nodes"], 1, {})
    assert cli.main(argv) == 2  # neither a folder nor a dry run


def test_what_the_parser_refuses_is_said(model, rtx):
    with pytest.raises(ValueError, match="tensorrt-rtx: cannot read denoiser: "):
        built(RTX, denoiser_graph(model), b"no model", Shapes.of(model), print)


@NO_GPU
def test_without_a_gpu_it_is_refused_and_the_next_in_order_is_tried(model):
    with pytest.raises(ValueError, match="it runs on cuda alone"):
        tensorrt_rtx(model, "cpu") if _has("tensorrt_rtx") else pytest.skip("the extra tensorrt-rtx is not installed")
    assert FALLBACK["cuda"] == ("tensorrt", "tensorrt-rtx", "compiled", "eager")
    said = []
    made, name = ready("tensorrt-rtx", model, "cpu", Site(say=said.append))
    assert name in FALLBACK["cpu"]
    assert said[0].startswith("back-end tensorrt-rtx: ")
    assert made.denoiser.device == "cpu"


def _has(module):
    from importlib.util import find_spec

    return find_spec(module) is not None


@NO_GPU
def test_export_writes_engines_in_the_layout_of_a_server(model, rtx, tmp_path, capsys, monkeypatch):
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "cache"))
    save(tmp_path / "small.safetensors", model.spec, model.codec, model.denoiser)
    argv = ["export", "tensorrt", "--json", "--model", str(tmp_path / "small.safetensors"), "--out", str(tmp_path / "out")]
    assert cli.main([*argv, "--only", "denoiser", "--precision", "fp32"]) == 0
    told = json.loads(capsys.readouterr().out)
    (file,) = told["files"]
    assert (tmp_path / "out" / "denoiser" / "1" / "model.plan").stat().st_size == file["bytes"]
    assert not file["loaded"]  # nobody here can say what it answers
    assert told["frames"] == [2, model.window_frames, 2 * model.window_frames]
    assert told["versions"]["tensorrt-rtx"]
    assert cli.main([*argv, "--library", CLASSIC.name, "--only", "denoiser"]) == 2
