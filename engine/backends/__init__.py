"""The back-ends by name, ours and those that packages register under the entry point group `segue.backends`.

A back-end takes a loaded model, a device and a site, and gives the same model with its parts made ready to run there. What does
not answer as eager does is refused: a broken acceleration plays noise without an error.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from typing import TypeAlias

import torch
from torch import Tensor

from segue.engine import noise
from segue.engine.backends.site import PARTS, Site
from segue.engine.models.spec import Model
from segue.engine.registry import Registry, load

__all__ = ["EXACT_TOLERANCE", "FALLBACK", "TOLERANCE", "Site", "backends", "chosen", "known_answer_error", "make", "ready"]

GROUP = "segue.backends"
BUILT_IN = {
    "eager": "segue.engine.backends.eager:eager",
    "compiled": "segue.engine.backends.compiled:compiled",
    "onnx": "segue.engine.backends.onnx:onnx",
    "onnx-int8": "segue.engine.backends.onnx:onnx_int8",
    "openvino": "segue.engine.backends.openvino:openvino",
    "openvino-bf16": "segue.engine.backends.openvino:openvino_bf16",
    "tensorrt": "segue.engine.backends.tensorrt:tensorrt",
    "tensorrt-rtx": "segue.engine.backends.tensorrt:tensorrt_rtx",
}
TOLERANCE = 0.03  # relative error that reduced precision may cost: of v, of its gradient, of latents and decoded audio
EXACT_TOLERANCE = 1e-4  # the same of back-ends that compute in fp32
EXACT = ("compiled", "onnx", "openvino")
# tried in this order, from the one that was asked for on
FALLBACK = {"cpu": ("openvino", "onnx", "eager"), "cuda": ("tensorrt", "tensorrt-rtx", "compiled", "eager")}

# (model, device, site) -> the model, ready
Backend: TypeAlias = Callable[[Model, str, Site], Model]


def backends() -> Registry[Backend]:
    """All back-ends that load, and a sentence for each that does not."""
    return load(GROUP, "back-end", _check, BUILT_IN)


def _check(name: str, part: object) -> Backend:
    if not callable(part):
        raise TypeError(f"got {type(part).__name__}; a back-end is a function of a model, a device and a site")
    return part


def chosen(text: str) -> dict[str, str]:
    """`NAME`, or `denoiser=NAME,codec=NAME` with eager for what is left out, as one name a part. Raises ValueError."""
    if "=" not in text:
        return dict.fromkeys(PARTS, text)
    pairs = dict.fromkeys(PARTS, "eager")
    for pair in text.split(","):
        part, _, name = pair.strip().partition("=")
        if part not in PARTS or not name:
            raise ValueError(f"backend: got {pair.strip()!r}; write NAME, or PART=NAME with a part of {', '.join(PARTS)}")
        pairs[part] = name
    return pairs


def make(name: str, model: Model, device: str = "cpu", site: Site | None = None) -> Model:
    """The model on a back-end and device, checked against eager; `name` as `chosen` takes it.

    Raises ValueError where it is unknown, absent or wrong.
    """
    site, names, registry = site or Site(), chosen(name), backends()
    plain = registry["eager"](model, device, site)
    made = plain
    for one in sorted({part for part in names.values() if part != "eager"}):
        parts = tuple(part for part in PARTS if names[part] == one)
        try:
            part_made = registry[one](model, device, replace(site, parts=parts))
            made = replace(made, **{part: getattr(part_made, part) for part in parts})
            error = known_answer_error(made, plain)
        except ImportError as missing:
            raise ValueError(f"back-end {one}: {missing}; install the extra that brings it, or use eager") from missing
        except Exception as broken:  # whatever a foreign runtime raises, the reader gets one sentence
            first = str(broken).splitlines()[0] if str(broken) else type(broken).__name__
            raise ValueError(f"back-end {one}: {first}; use eager") from broken
        allowed = EXACT_TOLERANCE if one in EXACT else TOLERANCE
        if not error <= allowed:
            raise ValueError(f"back-end {one}: differs from eager by {error:.2g}, allowed {allowed:g}; use eager")
    return made


def ready(name: str, model: Model, device: str = "cpu", site: Site | None = None) -> tuple[Model, str]:
    """`make`, or where that is refused the next of FALLBACK that is not, with the name of what it became.

    Each refusal is a sentence to site.say. Raises ValueError for a name that nobody has registered.
    """
    site, known = site or Site(), backends()
    for one in chosen(name).values():
        if one not in known.found and one not in known.broken:
            known[one]
    order = FALLBACK[device.partition(":")[0]]
    after = order[order.index(name) + 1 :] if name in order else order
    for one in (name, *after):
        try:
            return make(one, model, device, site), one
        except ValueError as error:
            if one == "eager":
                raise
            site.say(str(error))
    raise AssertionError("eager is the last of every order")


@torch.no_grad()
def known_answer_error(model: Model, eager: Model) -> float:
    """Largest relative error against eager: of v, at equal and at differing levels, its pullback, latents and decoded audio."""
    pairs = zip(_answers(model, eager), _answers(eager, eager), strict=True)
    errors = [float((a.cpu() - b.cpu()).norm() / b.cpu().norm().clamp_min(1e-9)) for a, b in pairs]
    return max(errors) if all(e == e for e in errors) else float("nan")


def _answers(model: Model, eager: Model) -> list[Tensor]:
    """What a model says to random questions, asked in the way of `eager`."""
    frames, device = 48, getattr(eager.denoiser, "device", "cpu")
    x = noise.normal((1, eager.codec.latent_dim, frames), noise.generator(0)).to(device)
    g = noise.normal(tuple(x.shape), noise.generator(1)).to(device)
    levels = [torch.full((1,), 0.6, device=device)]
    if eager.denoiser.per_frame_t:
        levels.append(torch.where(torch.arange(frames, device=device) < frames // 3, 0.0, 0.6)[None])
    rows = [model.denoiser.v(x, t) for t in levels]
    pulled = model.denoiser.vjp(x, levels[-1], g)
    audio = 0.1 * noise.normal((1, 2, frames * eager.codec.hop), noise.generator(2))
    return [*rows, *(pulled or ()), model.codec.encode(audio), model.codec.decode(x)]
