"""A model's parts as graphs of plain tensor operators: what exporters and compilers take, with examples and moving axes.

The vector-Jacobian product is a forward graph too: automatic differentiation is traced through once. Attention is written out
for it, and some of PyTorch's operators are decomposed, because what stands for them elsewhere is wrong or absent.
"""

from __future__ import annotations

import copy
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any, TypeVar

import torch
from torch import Tensor, nn
from torch.fx.experimental.proxy_tensor import make_fx

from segue.engine import noise
from segue.engine.models.spec import Model
from segue.engine.models.spectrum import Fourier
from segue.engine.models.vae import LiveCodec

M = TypeVar("M", bound=nn.Module)
Function = Callable[..., Any]

EXAMPLE_BATCH, EXAMPLE_FRAMES = 2, 48  # unlike each other and unlike 1, so that both stay free
LEVELS = (0.0, 0.9)  # of the examples' frames


@dataclass(frozen=True)
class Axis:
    """An axis that is free: a whole multiple of `step`, 1 but for audio, which comes in whole frames."""

    name: str
    step: int = 1


@dataclass(frozen=True)
class Graph:
    """A function of tensors with names for what goes in and out, examples, and each input's free axes.

    module: holds the weights that the function uses. reference: what it must equal, eager and untouched.
    """

    name: str
    function: Function
    reference: Function
    module: nn.Module
    inputs: tuple[str, ...]
    outputs: tuple[str, ...]
    examples: tuple[Tensor, ...]
    axes: tuple[Mapping[int, Axis], ...]
    out_axes: tuple[Mapping[int, str], ...]


def shadow(module: M, **members: Any) -> M:
    """A copy that shares the module's weights and has some members of its own."""
    made = copy.copy(module)
    made.__dict__["_modules"] = dict(made.__dict__["_modules"])
    for name, member in members.items():
        if isinstance(member, nn.Module):
            made._modules[name] = member
        else:
            made.__dict__[name] = member
    return made


def written(denoiser: M) -> M:
    """A denoiser whose attention is matmul, softmax, matmul: traced through the fused kernel, the gradient is silently wrong."""
    made = copy.deepcopy(denoiser)
    for module in made.modules():
        if hasattr(module, "written_attention"):
            module.written_attention = True  # type: ignore[assignment]
    return made.eval().requires_grad_(False)


def frames_of(model: Model) -> int:
    """Latent frames of the examples: all denoisers take some power of two."""
    return min(EXAMPLE_FRAMES, max(16, model.window_frames))


def latents(model: Model, batch: int = EXAMPLE_BATCH, frames: int | None = None, seed: int = 0) -> Tensor:
    """Examples of x_t, `[B, C, T]`."""
    return noise.normal((batch, model.codec.latent_dim, frames or frames_of(model)), noise.generator(seed))


def levels_of(model: Model, x_t: Tensor) -> Tensor:
    """Examples of t: `[B, T]` with context in the first third where the denoiser takes that, else `[B]`."""
    batch, frames = x_t.shape[0], x_t.shape[-1]
    if not model.denoiser.per_frame_t:
        return torch.linspace(*LEVELS, batch + 1)[1:].to(x_t.device)
    rising = torch.linspace(*LEVELS, frames).expand(batch, -1)
    return torch.where(torch.arange(frames) < frames // 3, 0.0, rising).contiguous().to(x_t.device)


def network(model: Model) -> nn.Module:
    """The denoiser's module, whose call is the network: `v` may do more. Raises ValueError for one that is no module."""
    inner = getattr(model.denoiser, "inner", model.denoiser)
    if not isinstance(inner, nn.Module):
        raise ValueError(f"denoiser: {type(inner).__name__} is no PyTorch module and has no graph; use the back-end eager")
    return inner


def codec_module(model: Model) -> nn.Module:
    """The codec's module. Raises ValueError for one that is none."""
    inner = getattr(model.codec, "inner", model.codec)
    if not isinstance(inner, nn.Module):
        raise ValueError(f"codec: {type(inner).__name__} is no PyTorch module and has no graph; use the back-end eager")
    return inner


def denoiser_graph(model: Model) -> Graph:
    """The network: (x_t, t) -> v."""
    net = written(network(model))
    x = latents(model)
    t = levels_of(model, x)
    names, out = ("x_t", "t"), {0: "batch", 2: "frames"}
    return Graph("denoiser", lambda x, t: net(x, t), network(model), net, names, ("v",), (x, t), _moving(x, t), (out,))


def vjp_graph(model: Model) -> Graph:
    """The network and its pullback, traced: (x_t, t, g) -> (v, J_v^T g)."""
    net = written(network(model))
    x = latents(model)
    t, g = levels_of(model, x), latents(model, seed=1)

    traced = make_fx(pulled_by(net), decompositions(), tracing_mode="symbolic", _allow_non_fake_inputs=True)(x, t, g)
    axes = (*_moving(x, t), *_moving(x))
    out = {0: "batch", 2: "frames"}
    return Graph("vjp", traced, pulled_by(network(model)), traced, ("x_t", "t", "g"), ("v", "vjp"), (x, t, g), axes, (out, out))


def pulled_by(net: nn.Module) -> Function:
    """(x_t, t, g) -> (v, J_v^T g) of a network, by automatic differentiation."""

    def step(x_t: Tensor, t: Tensor, g: Tensor) -> tuple[Tensor, Tensor]:
        with torch.enable_grad():
            x = x_t.detach().requires_grad_()
            v = net(x, t)
            (pulled,) = torch.autograd.grad(v, x, g)
        return v.detach(), pulled

    return step


def encoder_graph(model: Model) -> Graph:
    """The whole encoder: audio -> z."""
    codec = _written_codec(model)
    hop = model.codec.hop
    audio = 0.1 * noise.normal((EXAMPLE_BATCH, 2, frames_of(model) * hop), noise.generator(2))
    axes = ({0: Axis("batch"), 2: Axis("frames", hop)},)
    return Graph(
        "encoder", codec.encode, model.codec.encode, codec, ("audio",), ("z",), (audio,), axes, ({0: "batch", 2: "frames"},)
    )


def decoder_graph(model: Model) -> Graph:
    """The whole decoder: (z, frame_offset `[1]`) -> audio."""
    codec, z = _written_codec(model), latents(model)

    def decode(z: Tensor, frame_offset: Tensor) -> Tensor:
        if not isinstance(codec, LiveCodec):
            whole: Tensor = codec.decode(z) + 0.0 * frame_offset
            return whole  # keeps one signature for every family
        stride = codec.spec.stride
        index = (frame_offset * stride + torch.arange(z.shape[-1] * stride, device=z.device)) % codec.noise.shape[1]
        audio: Tensor = codec.decode_with(z, codec.noise.index_select(1, index)[None])
        return audio

    axes: tuple[Mapping[int, Axis], ...] = ({0: Axis("batch"), 2: Axis("frames")}, {})
    names, out = ("z", "frame_offset"), {0: "batch", 2: "samples"}
    examples = (z, torch.tensor([3]))

    def reference(z: Tensor, frame_offset: Tensor) -> Tensor:
        return model.codec.decode(z, int(frame_offset))

    return Graph("decoder", decode, reference, codec, names, ("audio",), examples, axes, (out,))


def read_graph(model: Model) -> Graph:
    """The network inside the live encoder: spectral features -> mean (the transform itself runs faster outside)."""
    codec = codec_module(model)
    assert isinstance(codec, LiveCodec)
    encoder, stride = codec.encoder, codec.spec.stride
    audio = 0.1 * noise.normal((EXAMPLE_BATCH, 2, frames_of(model) * codec.hop), noise.generator(2))
    with torch.no_grad():
        examples = encoder.features(audio.to(codec.mean.device))
    axis = {0: Axis("batch"), 1: Axis("frames", stride)}
    outputs = ("mean", "log_variance")
    out = {0: "batch", 1: "frames"}
    return Graph("read", encoder.read, encoder.read, encoder, ("levels", "phases"), outputs, examples, (axis, axis), (out, out))


def parts_graph(model: Model) -> Graph:
    """The network inside the live decoder: raw latents `[B, T, C]` -> tone and gains of the noise."""
    codec = codec_module(model)
    assert isinstance(codec, LiveCodec)
    z = latents(model).transpose(1, 2).contiguous()
    axes = ({0: Axis("batch"), 1: Axis("frames")},)
    out = {0: "batch", 1: "spectra"}
    part = codec.decoder.flat_parts
    return Graph("parts", part, part, codec.decoder, ("z",), ("tone", "breath"), (z,), axes, (out, out))


def decompositions() -> dict[Any, Any]:
    """Core ATen's, and our own where an exporter knows no translation."""
    from torch._decomp import core_aten_decompositions

    aten = torch.ops.aten
    table = dict(core_aten_decompositions())
    table[aten.convolution_backward.default] = _convolution_backward
    table[aten.native_layer_norm.default] = _native_layer_norm
    table[aten.replication_pad1d_backward.default] = _replication_pad1d_backward
    return table


def _native_layer_norm(
    x: Tensor, shape: list[int], weight: Tensor | None, bias: Tensor | None, eps: float
) -> tuple[Tensor, Tensor, Tensor]:
    """Operator by operator: TensorRT's parser refuses an operator of three outputs."""
    axes = list(range(-len(shape), 0))
    mean = x.mean(axes, keepdim=True)
    centred = x - mean
    rstd = torch.rsqrt(centred.square().mean(axes, keepdim=True) + eps)
    out = centred * rstd
    out = out if weight is None else out * weight
    return out if bias is None else out + bias, mean, rstd


def _convolution_backward(
    grad: Tensor, x: Tensor, weight: Tensor, bias_sizes: Any, stride: list[int], padding: list[int],
    dilation: list[int], transposed: bool, output_padding: list[int], groups: int, mask: list[bool],
) -> tuple[Tensor | None, Tensor | None, Tensor | None]:  # fmt: skip
    """The gradient by the input alone, of a convolution of odd kernel and stride 1: a convolution with the mirrored kernel.

    With y_t = sum_j w_j x_{t + j - p}, the gradient at x_s is sum_j w_j g_{s - j + p}: the kernel mirrored, channels swapped in
    each group, padded by kernel - 1 - p. Other strides interleave zeros into g, which a transposed convolution does.
    Raises NotImplementedError where more is asked for: weights are frozen here.
    """
    if transposed or mask[1] or mask[2]:
        raise NotImplementedError("convolution_backward: only the gradient by the input of a plain convolution is written out")
    aten = torch.ops.aten
    kernel = weight.shape[2:]
    if any(s != 1 for s in stride):
        missing = [
            size - ((g - 1) * s - 2 * p + d * (k - 1) + 1)
            for size, g, s, p, d, k in zip(x.shape[2:], grad.shape[2:], stride, padding, dilation, kernel, strict=True)
        ]
        pulled = aten.convolution.default(grad, weight, None, stride, padding, dilation, True, missing, groups)
        return pulled, None, None
    around = [d * (k - 1) - p for d, k, p in zip(dilation, kernel, padding, strict=True)]
    grouped = weight.unflatten(0, (groups, -1))
    mirrored = grouped.flip(list(range(3, grouped.ndim))).transpose(1, 2).flatten(0, 1)
    pulled = aten.convolution.default(grad, mirrored, None, stride, around, dilation, False, output_padding, groups)
    return pulled, None, None


def _replication_pad1d_backward(grad: Tensor, x: Tensor, padding: list[int]) -> Tensor:
    """What was repeated at an end adds to the end's own gradient. No sum runs over nothing: ONNX Runtime returns nothing then."""
    left, right = padding
    inner = grad.narrow(-1, left, x.shape[-1])
    first = grad.narrow(-1, 0, left + 1).sum(-1, keepdim=True)
    last = grad.narrow(-1, grad.shape[-1] - right - 1, right + 1).sum(-1, keepdim=True)
    return torch.cat((first, inner[..., 1:-1], last), dim=-1)


def _moving(x: Tensor, t: Tensor | None = None) -> tuple[Mapping[int, Axis], ...]:
    batch, frames = Axis("batch"), Axis("frames")
    of_x: Mapping[int, Axis] = {0: batch, x.ndim - 1: frames}
    if t is None:
        return (of_x,)
    return of_x, ({0: batch} if t.ndim == 1 else {0: batch, 1: frames})


def _written_codec(model: Model) -> Any:
    codec = codec_module(model)
    if not isinstance(codec, LiveCodec):
        return codec
    fourier = Fourier.of(codec.spec.window)
    return shadow(codec, encoder=shadow(codec.encoder, fourier=fourier), decoder=shadow(codec.decoder, fourier=fourier))
