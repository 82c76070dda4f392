"""The back-ends by name, ours and those that packages register under the entry point group `segue.backends`.

A back-end takes a loaded model and a device, and gives the same model with its parts made ready to run there. What does not
answer as eager does is refused: a broken acceleration plays noise without an error.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import TypeAlias

import torch

from segue.engine import noise
from segue.engine.models.spec import Model
from segue.engine.registry import Registry, load

GROUP = "segue.backends"
BUILT_IN = {"eager": "segue.engine.backends.eager:eager"}
TOLERANCE = 0.03  # relative error of v and of decoded audio that reduced precision may cost

# (model, device) -> the model, ready
Backend: TypeAlias = Callable[[Model, str], Model]


def backends() -> Registry[Backend]:
    """All back-ends that load, and a sentence for each that does not."""
    return load(GROUP, "back-end", _check, BUILT_IN)


def _check(name: str, part: object) -> Backend:
    if not callable(part):
        raise TypeError(f"got {type(part).__name__}; a back-end is a function of a model and a device")
    return part


def make(name: str, model: Model, device: str = "cpu") -> Model:
    """The model on a back-end and device, checked against eager. Raises ValueError where it is unknown, absent or wrong."""
    made = backends()[name](model, device)
    if name != "eager":
        error = known_answer_error(made, backends()["eager"](model, device))
        if not error <= TOLERANCE:
            raise ValueError(f"back-end {name}: differs from eager by {error:.2g}, allowed {TOLERANCE:g}; use eager")
    return made


@torch.no_grad()
def known_answer_error(model: Model, eager: Model) -> float:
    """Largest relative error of v, at equal and at differing levels, and of decoded audio, against eager."""
    frames = 48
    x = noise.normal((1, eager.codec.latent_dim, frames), noise.generator(0))
    x = x.to(getattr(eager.denoiser, "device", "cpu"))
    uniform = torch.full((1,), 0.6, device=x.device)
    answers = []
    for part in (model, eager):
        rows = [part.denoiser.v(x, uniform), part.codec.decode(x)]
        if eager.denoiser.per_frame_t:
            mixed = torch.where(torch.arange(frames, device=x.device) < frames // 3, 0.0, 0.6)[None]
            rows.append(part.denoiser.v(x, mixed))
        answers.append(rows)
    errors = [float((a.cpu() - b.cpu()).norm() / b.cpu().norm().clamp_min(1e-9)) for a, b in zip(*answers, strict=True)]
    return max(errors) if all(e == e for e in errors) else float("nan")
