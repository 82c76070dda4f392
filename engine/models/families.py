"""The model families by name, ours and those that packages register under the entry point group `segue.models`.

A family is a codec and a denoiser that belong together: two frozen specs of plain values, and the modules that each builds.
Latents are `[B, C, T]` whatever lies inside; a model of two dimensions folds its bands into C.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, Generic, TypeVar

from torch import nn

from segue.engine.protocols import Codec, Denoiser
from segue.engine.registry import Registry, load

if TYPE_CHECKING:
    from segue.engine.models.spec import ModelSpec

GROUP = "segue.models"
BUILT_IN = {
    "latent-dit": "segue.engine.models.live:FAMILY",
    "paper-latent": "segue.engine.models.paper_latent:FAMILY",
    "paper-waveform": "segue.engine.models.paper_waveform:FAMILY",
    "cqt": "segue.engine.models.cqt_waveform:FAMILY",
    "slides-mel": "segue.engine.models.slides:FAMILY",
    "slides-latent": "segue.engine.models.slides:LATENT_FAMILY",
}
C = TypeVar("C")
D = TypeVar("D")


@dataclass(frozen=True)
class Family(Generic[C, D]):
    """A kind of model.

    codec_spec, denoiser_spec: frozen dataclasses of plain values (see `CodecShape` in shaped.py, `DenoiserShape` in spec.py).
    codec, denoiser: from such a spec a module that implements `Codec`, `Denoiser`; neither may draw on more than
    PyTorch's current random state, and both must build on the meta device. presets: configurations by their names.
    """

    name: str
    codec_spec: type[C]
    denoiser_spec: type[D]
    codec: Callable[[C], nn.Module]
    denoiser: Callable[[D], nn.Module]
    presets: Mapping[str, ModelSpec] = field(default_factory=dict)


def families() -> Registry[Family[Any, Any]]:
    """All families that load, and a sentence for each that does not."""
    return load(GROUP, "family", _check, BUILT_IN)


def _check(name: str, part: object) -> Family[Any, Any]:
    if not isinstance(part, Family):
        raise TypeError(f"got {type(part).__name__}; a family is a segue.engine.models.families.Family")
    if part.name != name:
        raise ValueError(f"registered as {name!r}, calls itself {part.name!r}; the names must be equal")
    return part


def presets() -> dict[str, ModelSpec]:
    """Every family's configurations; of two with one name the first stands, ours before anyone's."""
    named: dict[str, ModelSpec] = {}
    for family in families().found.values():
        named = {**family.presets, **named}
    return named


def build_codec(spec: ModelSpec) -> tuple[nn.Module, Codec]:
    """The codec of a spec, not trained, as a module and as what it implements: one object."""
    module = families()[spec.family].codec(spec.codec)
    if not isinstance(module, Codec):
        raise TypeError(f"family {spec.family}: {type(module).__name__} is no Codec; see segue.engine.protocols")
    return module, module


def build_denoiser(spec: ModelSpec) -> tuple[nn.Module, Denoiser]:
    """The denoiser of a spec, not trained, as a module and as what it implements: one object."""
    module = families()[spec.family].denoiser(spec.denoiser)
    if not isinstance(module, Denoiser):
        raise TypeError(f"family {spec.family}: {type(module).__name__} is no Denoiser; see segue.engine.protocols")
    return module, module
