"""Every back-end against eager: v, its gradient, encode, decode and whole takes; what differs is refused."""

import sys
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import torch
from small import live

from segue.engine import backends as home
from segue.engine import noise
from segue.engine.backends import (
    EXACT_TOLERANCE,
    FALLBACK,
    TOLERANCE,
    Site,
    chosen,
    graphs,
    known_answer_error,
    make,
    onnx_file,
    ready,
    site,
)
from segue.engine.backends.onnx import graph_bytes
from segue.engine.backends.onnx_halves import onnx_halves
from segue.engine.backends.swapped import Halves, swapped
from segue.engine.engine import Engine
from segue.engine.models.dit import DitSpec
from segue.engine.request import Request

DIT = DitSpec(channels=16, width=64, layers=2, heads=2, rank=8, carried=8)
TAKE_TOLERANCE = 0.02  # relative error of a whole take in fp32: four steps, decoded, coloured
REDUCED_TAKE_TOLERANCE = 0.1  # the same in bf16 and int8
EXTRAS = {"onnx": "onnxruntime", "onnx-int8": "onnxruntime", "openvino": "openvino", "openvino-bf16": "openvino"}


@pytest.fixture(autouse=True)
def one_thread():
    before = torch.get_num_threads()
    torch.set_num_threads(1)
    yield
    torch.set_num_threads(before)


@pytest.fixture(scope="module")
def model():
    return live(DIT, 1, 0.05, window_s=3.0)


@pytest.fixture(scope="module")
def cache(tmp_path_factory):
    return tmp_path_factory.mktemp("cache")


def needs(name):
    if name in EXTRAS:
        pytest.importorskip(EXTRAS[name], reason=f"the extra that brings {EXTRAS[name]} is not installed")
        pytest.importorskip("onnxscript", reason="the extra onnx is not installed")


def take(model, **options):
    engine = Engine(model)
    context = 0.1 * np.random.default_rng(0).standard_normal((2, round(engine.context_min_s * engine.sample_rate)))
    options = {"steps": 4, "seed": 5, **options}
    return engine.take(Request("continuation", engine.new_frames, context.astype(np.float32), **options))


def apart(a, b):
    return np.linalg.norm(a - b) / np.linalg.norm(b)


@pytest.mark.parametrize("name", EXTRAS)
def test_a_backend_answers_as_eager_does_and_makes_the_same_take(model, cache, name):
    needs(name)
    plain, made = make("eager", model), make(name, model, site=Site(cache=cache))
    error = known_answer_error(made, plain)
    assert 0 < error <= (EXACT_TOLERANCE if name in home.EXACT else TOLERANCE)
    tolerance = TAKE_TOLERANCE if name in home.EXACT else REDUCED_TAKE_TOLERANCE
    for options in ({"regime": "clean"}, {"regime": "guided", "xi": 0.5}, {"regime": "tail", "xi": 0.5}):
        a, b = take(made, **options), take(plain, **options)
        assert np.array_equal(take(made, **options), a)  # equal seeds, equal bytes on one back-end
        assert apart(a, b) <= tolerance
        assert apart(take(plain, **options, seed=6), b) > 10 * REDUCED_TAKE_TOLERANCE  # another seed is another take
    guided = take(plain, regime="guided", xi=0.5)
    assert not np.allclose(guided, take(plain, regime="guided", xi=0.0), atol=1e-4)  # guidance moves the target


@pytest.mark.parametrize("name", ["eager", *EXTRAS])
def test_the_gradient_that_guides_reaches_target_frames(model, cache, name):
    needs(name)
    made = make(name, model, site=Site(cache=cache))
    x, t = graphs.latents(model, 1, 40), torch.full((1,), 0.6)
    g = torch.zeros_like(x)
    g[..., :12] = 1.0  # the context is measured alone
    v, pulled = made.denoiser.vjp(x, t, g)
    wanted_v, wanted = model.denoiser.vjp(x, t, g)
    assert pulled[..., 12:].abs().max() > 1e-3
    tolerance = EXACT_TOLERANCE if name in ("eager", *home.EXACT) else TOLERANCE
    assert onnx_file.relative(v, wanted_v) <= tolerance
    assert onnx_file.relative(pulled, wanted) <= tolerance


def test_a_guided_step_runs_forward_once(model):
    """By halves of the vjp graph where a gradient is wanted; without one the other graph answers."""
    asked = []

    def build(name, trace):
        if name != "vjp":
            reference = trace(model).reference
            return lambda *inputs: asked.append(name) or [reference(*inputs)]

        def ahead(x_t, t):
            asked.append("ahead")
            v, pull = make("eager", model).denoiser.pullback(x_t, t)
            return v, pull

        return Halves(ahead, lambda pull, g: asked.append("back") or pull(g))

    made = swapped(model, "cpu", Site(("denoiser",)), build)
    x, t = graphs.latents(model, 2, 45), torch.full((2,), 0.6)
    v, pull = made.denoiser.pullback(x, t)
    wanted_v, wanted = make("eager", model).denoiser.pullback(x, t)
    g = torch.where(torch.arange(45) < 20, (v - x).sign(), 0.0)
    torch.testing.assert_close(v, wanted_v)
    torch.testing.assert_close(pull(g), wanted(g))
    assert asked == ["ahead", "back"]
    made.denoiser.v(x, t)
    assert asked[2:] == ["denoiser"]


def test_the_halves_of_a_vjp_graph_make_the_whole(model, cache):
    needs("onnx")
    data = graph_bytes("vjp", graphs.vjp_graph, model, Site(cache=cache))
    halves, whole = onnx_halves(data, 1, "CPUExecutionProvider"), onnx_file.onnx_runner(data, 1)
    for batch, frames in ((1, 33), (3, 70)):
        x, g = (graphs.latents(model, batch, frames, seed=seed) for seed in (0, 1))
        t = torch.where(torch.arange(frames) < frames // 2, 0.0, 0.4).expand(batch, -1)
        for a, b in zip(halves(x, t, g), whole(x, t, g), strict=True):
            assert onnx_file.relative(a, b) <= 1e-5


@pytest.mark.parametrize("name", EXTRAS)
def test_every_part_is_within_its_tolerance_at_other_batches_and_lengths(model, cache, name):
    needs(name)
    plain, made = make("eager", model), make(name, model, site=Site(cache=cache))
    tolerance = EXACT_TOLERANCE if name in home.EXACT else TOLERANCE
    for batch, frames in ((1, 33), (3, 70)):
        x = graphs.latents(model, batch, frames, seed=frames)
        t = torch.where(torch.arange(frames) < frames // 2, 0.0, 0.4).expand(batch, -1)
        audio = 0.1 * noise.normal((batch, 2, frames * model.codec.hop), noise.generator(7))
        pairs = [
            (made.denoiser.v(x, t), plain.denoiser.v(x, t)),
            (made.denoiser.vjp(x, t, x)[1], plain.denoiser.vjp(x, t, x)[1]),
            (made.codec.encode(audio), plain.codec.encode(audio)),
            (made.codec.decode(x, 5), plain.codec.decode(x, 5)),
        ]
        assert max(onnx_file.relative(a, b) for a, b in pairs) <= tolerance


def test_parts_may_be_chosen_one_by_one(model, cache):
    needs("onnx")
    assert chosen("denoiser=onnx") == {"denoiser": "onnx", "codec": "eager"}
    made = make("denoiser=onnx", model, site=Site(cache=cache))
    assert made.codec.inner is model.codec
    assert made.denoiser.inner is not model.denoiser
    with pytest.raises(ValueError, match="backend: got 'voice=onnx'"):
        chosen("voice=onnx")


def test_what_was_built_is_kept_and_belongs_to_its_model(model, cache, monkeypatch):
    needs("onnx")
    told = []
    here = Site(cache=cache, say=told.append)
    make("denoiser=onnx", model, site=here)
    told.clear()
    make("denoiser=onnx", model, site=here)
    assert told == []
    keys = {site.key("v", m, "cpu", ("onnx",)) for m in (model, replace(model, sha256="0" * 64))}
    monkeypatch.setattr(site, "hardware", lambda device: "another driver")
    assert len(keys | {site.key("v", model, "cpu", ("onnx",))}) == 3


def test_a_backend_whose_extra_is_absent_is_refused_and_the_next_one_taken(model, monkeypatch):
    monkeypatch.setitem(sys.modules, "openvino", None)
    monkeypatch.setitem(sys.modules, "onnxruntime", None)
    monkeypatch.setitem(sys.modules, "onnxscript", None)
    said = []
    made, name = ready("openvino-bf16", model, site=Site(say=said.append))
    assert name == FALLBACK["cpu"][-1] == "eager"
    assert known_answer_error(made, make("eager", model)) == 0.0
    assert len(said) == 3
    assert "install the extra" in said[0]
    with pytest.raises(ValueError, match="one of"):
        ready("nothing", model)


def test_an_export_that_differs_is_not_written(tmp_path):
    needs("onnx")
    layer = torch.nn.Linear(5, 4)
    axes = ({0: graphs.Axis("batch"), 1: graphs.Axis("frames")},)
    wrong = graphs.Graph(
        "layer", layer, lambda x: 1.01 * layer(x), layer, ("x",), ("y",), (torch.randn(2, 48, 5),), axes, ({0: "batch"},)
    )
    with pytest.raises(ValueError, match=r"layer: differs from eager by 0\.0099"):
        onnx_file.export(wrong, tmp_path / "layer.onnx", {})
    assert list(Path(tmp_path).iterdir()) == []


def test_decompositions_are_what_they_stand_for():
    aten = torch.ops.aten
    g = noise.generator(3)
    for groups, stride, kernel in ((1, 1, 3), (4, 1, 7), (8, 1, 5), (2, 2, 3)):
        x, w = torch.randn(2, 8, 21, generator=g), torch.randn(16, 8 // groups, kernel, generator=g)
        y = aten.convolution(x, w, None, [stride], [kernel // 2], [1], False, [0], groups)
        grad = torch.randn(y.shape, generator=g)
        rest = (None, [stride], [kernel // 2], [1], False, [0], groups, [True, False, False])
        torch.testing.assert_close(
            graphs._convolution_backward(grad, x, w, *rest)[0], aten.convolution_backward(grad, x, w, *rest)[0]
        )
    x, grad = torch.randn(1, 3, 9, generator=g), torch.randn(1, 3, 12, generator=g)
    wanted = aten.replication_pad1d_backward(grad, x, [2, 1])
    torch.testing.assert_close(graphs._replication_pad1d_backward(grad, x, [2, 1]), wanted)
    for mine, theirs in zip(
        graphs._native_layer_norm(x, [9], None, None, 1e-5), aten.native_layer_norm(x, [9], None, None, 1e-5), strict=True
    ):
        torch.testing.assert_close(mine, theirs)


def test_a_windowed_decode_equals_the_full_one_inside(model):
    codec = model.codec
    z = graphs.latents(model, 1, 3 * codec.receptive_frames + 10)
    reach, hop = codec.receptive_frames, codec.hop
    first, last = reach + 3, 2 * reach + 5
    full = codec.decode(z)
    part = codec.decode(z[..., first - reach : last + reach], first - reach)
    inside = part[..., reach * hop : (reach + last - first) * hop]
    assert (inside - full[..., first * hop : last * hop]).abs().max() <= 1e-4 * full.abs().max()
