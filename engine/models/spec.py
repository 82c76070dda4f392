"""What a model is: its frozen specification, and the loaded codec and denoiser beside it."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import asdict, dataclass, field, fields
from typing import Any, Protocol, TypeVar

from segue.engine.models.dit import DitSpec
from segue.engine.models.families import families
from segue.engine.models.shaped import CodecShape
from segue.engine.models.vae import CodecSpec
from segue.engine.paper import XI
from segue.engine.protocols import Codec, Denoiser

FAMILY = "latent-dit"  # the family of the live model: LiveCodec and Dit
S = TypeVar("S")


class DenoiserShape(Protocol):
    """What every family's denoiser spec, a frozen dataclass of plain values, says of itself."""

    @property
    def channels(self) -> int:
        """C of the latents, the codec's latent_dim."""


@dataclass(frozen=True)
class ModelSpec:
    """Everything that rebuilds a model but its weights.

    window_s: seconds of the window it was trained on. reference_lufs: loudness that audio is brought to before it is encoded,
    None for as it comes. heat: few steps of a sampler shrink the spread of a take, so its start is drawn wider,
    z (1 + heat / steps). xi: guidance step of a request that names none, at 50 steps (C.3). classes: names of what the
    denoiser's condition tells, one value each; none where it tells something else. provenance: data, recipe, compute, in words.
    """

    name: str
    codec: CodecShape = field(default_factory=CodecSpec)
    denoiser: DenoiserShape = field(default_factory=DitSpec)
    window_s: float = 6.0
    reference_lufs: float | None = None
    heat: float = 0.0
    xi: float = XI
    family: str = FAMILY
    classes: tuple[str, ...] = ()
    provenance: Mapping[str, str] = field(default_factory=dict)

    def __post_init__(self) -> None:
        object.__setattr__(self, "classes", tuple(self.classes))  # JSON knows lists only
        told = int(getattr(self.denoiser, "cond_dim", 0))
        if self.classes and len(self.classes) != told:
            raise ValueError(f"ModelSpec: got {len(self.classes)} classes for a condition of {told} values; name one a value")

    @property
    def hop(self) -> int:
        """Samples a latent frame."""
        return self.codec.latent_hop

    @property
    def window_frames(self) -> int:
        """Whole latent frames in window_s."""
        return int(self.window_s * self.codec.rate / self.hop)

    def to_dict(self) -> dict[str, Any]:
        """Plain values, as JSON keeps them."""
        return asdict(self)

    @classmethod
    def from_dict(cls, values: Mapping[str, Any]) -> ModelSpec:
        """The inverse of to_dict. Raises ValueError for an unknown family, or an unknown or missing key."""
        known = _checked(cls, values)
        if "name" not in known:
            raise ValueError("ModelSpec: name is missing; add it")
        family = families()[known.get("family", FAMILY)]
        known["codec"] = build(family.codec_spec, known.get("codec", {}))
        known["denoiser"] = build(family.denoiser_spec, known.get("denoiser", {}))
        return cls(**known)


def build(kind: type[S], values: Mapping[str, Any]) -> S:
    """A flat spec from plain values. Raises ValueError for an unknown key."""
    return kind(**_checked(kind, values))


def _checked(kind: type, values: Mapping[str, Any]) -> dict[str, Any]:
    allowed = [f.name for f in fields(kind)]
    unknown = sorted(set(values) - set(allowed))
    if unknown:
        raise ValueError(f"{kind.__name__}: unknown key {unknown[0]!r}; allowed {', '.join(allowed)}; a newer segue may know it")
    return dict(values)


@dataclass(frozen=True)
class Model:
    """A loaded model. source: where its weights came from. sha256: of its tensors, as the file states and load checked."""

    spec: ModelSpec
    codec: Codec
    denoiser: Denoiser
    source: str
    sha256: str

    @property
    def name(self) -> str:
        """The model's name."""
        return self.spec.name

    @property
    def rate(self) -> int:
        """Sample rate in Hz."""
        return self.codec.rate

    @property
    def hop(self) -> int:
        """Samples a latent frame."""
        return self.codec.hop

    @property
    def window_frames(self) -> int:
        """Latent frames of the window it was trained on."""
        return self.spec.window_frames

    @property
    def window_s(self) -> float:
        """Seconds of that window."""
        return self.spec.window_s
