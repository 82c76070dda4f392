"""Model files: one safetensors file holds codec, denoiser, the specification that rebuilds them, and a hash of the tensors."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import torch
from torch import Tensor, nn

from segue.engine.models.families import build_codec, build_denoiser, families, presets
from segue.engine.models.spec import FAMILY, Model, ModelSpec

SHIPPED = Path(__file__).parent / "weights"
SUFFIX = ".safetensors"
SCALE = "::scale"  # beside an int8 tensor: one factor an output channel
ARCHIVE = b"PK"  # how a checkpoint that torch.save wrote begins
PRECISIONS = ("fp32", "fp16", "int8")
INT8_LEAST = 4096  # smaller tensors stay in half precision: gains and biases cost nothing and matter


class CheckpointError(ValueError):
    """A model that cannot be loaded, as one sentence."""


@dataclass(frozen=True)
class ModelInfo:
    """A row of `segue models`. weights: "shipped", a path, or None for a configuration only."""

    name: str
    family: str
    parameters: int
    codec_parameters: int
    sample_rate: int
    hop: int
    latent_dim: int
    window_s: float
    weights: str | None


def load(name_or_path: str | Path = "live", device: str | torch.device = "cpu") -> Model:
    """A model by its name among the shipped ones, or from a file, in fp32 and ready for inference.

    Raises CheckpointError for a missing, damaged or foreign file, or a name without weights.
    """
    path = _find(name_or_path)
    metadata, tensors = _read(path)
    spec = _spec(path, metadata)
    stated, found = metadata.get("sha256", ""), digest(tensors)
    if stated != found:
        raise CheckpointError(
            f"{path}: its tensors hash to {found[:12]}, its header says {stated[:12] or 'nothing'}; copy the file again"
        )
    weights = unpacked(tensors)
    codec_module, codec = build_codec(spec)
    denoiser_module, denoiser = build_denoiser(spec)
    for part, module in (("codec", codec_module), ("denoiser", denoiser_module)):
        _fill(path, part, module, weights)
        module.to(device)
    return Model(spec, codec, denoiser, str(path), found)


def save(path: Path, spec: ModelSpec, codec: nn.Module, denoiser: nn.Module, precision: Mapping[str, str] | None = None) -> str:
    """Write a model file; precision of "codec" and "denoiser" is one of PRECISIONS, fp16 by default. Returns the sha256."""
    from safetensors.torch import save_file

    chosen = {"codec": "fp16", "denoiser": "fp16"} | dict(precision or {})
    tensors: dict[str, Tensor] = {}
    for part, module in (("codec", codec), ("denoiser", denoiser)):
        for key, value in module.state_dict().items():
            tensors |= packed(f"{part}.{key}", value.detach().cpu(), chosen[part])
    sha256 = digest(tensors)
    metadata = {"segue": json.dumps(spec.to_dict(), sort_keys=True), "sha256": sha256, "precision": json.dumps(chosen)}
    save_file(tensors, path, metadata=metadata)
    path.chmod(0o644)  # the library writes for the owner alone, and a model is there to be read
    return sha256


def packed(key: str, value: Tensor, precision: str) -> dict[str, Tensor]:
    """A tensor as it is stored: itself, its half, or int8 with one scale an output channel (the first axis).

    Raises ValueError for another precision.
    """
    if precision not in PRECISIONS:
        raise ValueError(f"precision: got {precision!r}; one of {', '.join(PRECISIONS)}")
    if not value.is_floating_point() or precision == "fp32":
        return {key: value.contiguous()}
    if precision == "fp16" or value.ndim < 2 or value.numel() < INT8_LEAST:
        return {key: value.half().contiguous()}
    rows = value.float().flatten(1)
    scale = (rows.abs().amax(dim=1) / 127).clamp(min=1e-8)
    whole = (rows / scale[:, None]).round().clamp(-127, 127).to(torch.int8)
    return {key: whole.view(value.shape).contiguous(), key + SCALE: scale}


def unpacked(tensors: Mapping[str, Tensor]) -> dict[str, Tensor]:
    """Stored tensors as fp32 weights."""
    weights = {}
    for key, value in tensors.items():
        if key.endswith(SCALE):
            continue
        if value.dtype == torch.int8 and key + SCALE in tensors:
            scale = tensors[key + SCALE].float()
            weights[key] = value.float() * scale.view(-1, *[1] * (value.ndim - 1))
        else:
            weights[key] = value.float() if value.is_floating_point() else value
    return weights


def digest(tensors: Mapping[str, Tensor]) -> str:
    """SHA-256 over names, types, shapes and contents, in the order of the names."""
    total = hashlib.sha256()
    for key in sorted(tensors):
        value = tensors[key].contiguous()
        total.update(f"{key} {value.dtype} {list(value.shape)}\n".encode())
        total.update(value.reshape(-1).view(torch.uint8).numpy().tobytes())
    return total.hexdigest()


def list_models(folder: Path = SHIPPED) -> list[ModelInfo]:
    """Every shipped model and every preset, by name; a damaged file stands as a configuration, without weights."""
    specs = {name: (spec, None) for name, spec in presets().items()}
    found: dict[str, tuple[ModelSpec, str | None]] = dict(specs)
    for path in sorted(folder.glob(f"*{SUFFIX}")):
        try:
            found[path.stem] = (_spec(path, _metadata(path)), "shipped")
        except CheckpointError:
            continue
    return [_info(name, spec, weights) for name, (spec, weights) in sorted(found.items())]


def info(name_or_path: str | Path) -> ModelInfo:
    """The row of one model, from its header alone. Raises CheckpointError as load does."""
    path = _find(name_or_path)
    spec = _spec(path, _metadata(path))
    return _info(spec.name, spec, "shipped" if path.parent == SHIPPED else str(path))


def _info(name: str, spec: ModelSpec, weights: str | None) -> ModelInfo:
    with torch.device("meta"):
        parts = (build_denoiser(spec)[0], build_codec(spec)[0])
    counts = [sum(p.numel() for p in part.parameters()) for part in parts]
    codec_spec = spec.codec
    return ModelInfo(
        name, spec.family, counts[0], counts[1], codec_spec.rate, spec.hop, codec_spec.latent_dim, spec.window_s, weights
    )


def _find(name_or_path: str | Path) -> Path:
    shipped = SHIPPED / f"{name_or_path}{SUFFIX}"
    if shipped.is_file():
        return shipped
    if str(name_or_path) in presets():
        raise CheckpointError(
            f"{name_or_path}: a configuration without weights; give a file that holds them, or one of {_names()}"
        )
    path = Path(name_or_path)
    if not path.is_file():
        raise CheckpointError(
            f"{name_or_path}: no such model or file; shipped are {_names()}; give one of these or a {SUFFIX} file"
        )
    return path


def _names() -> str:
    return ", ".join(path.stem for path in sorted(SHIPPED.glob(f"*{SUFFIX}"))) or "none"


def _read(path: Path) -> tuple[dict[str, str], dict[str, Tensor]]:
    from safetensors import SafetensorError, safe_open

    try:
        with safe_open(path, "pt") as file:
            return dict(file.metadata() or {}), {key: file.get_tensor(key) for key in file.keys()}  # noqa: SIM118
    except (SafetensorError, OSError) as error:
        raise CheckpointError(_unreadable(path, error)) from error


def _unreadable(path: Path, error: Exception) -> str:
    with path.open("rb") as file:
        archive = file.read(len(ARCHIVE)) == ARCHIVE
    if archive:
        return f"{path}: got a checkpoint of a training, allowed model files; `segue train pack` makes one of it"
    return f"{path}: damaged, or no safetensors file ({error}); copy or train it again"


def _metadata(path: Path) -> dict[str, str]:
    from safetensors import SafetensorError, safe_open

    try:
        with safe_open(path, "pt") as file:
            return dict(file.metadata() or {})
    except (SafetensorError, OSError) as error:
        raise CheckpointError(_unreadable(path, error)) from error


def _spec(path: Path, metadata: Mapping[str, str]) -> ModelSpec:
    if "segue" not in metadata:
        raise CheckpointError(f"{path}: a safetensors file without a segue specification; give a model made by segue train")
    try:
        values: dict[str, Any] = json.loads(metadata["segue"])
        family, known = values.get("family", FAMILY), families()
        if family in known.broken:
            raise CheckpointError(f"{path}: {known.broken[family]}; repair the package that brings it")
        if family not in known.found:
            names = ", ".join(sorted(known.found))
            raise CheckpointError(f"{path}: of family {family!r}, this engine loads {names}; install the package that brings it")
        return ModelSpec.from_dict(values)
    except (json.JSONDecodeError, TypeError, ValueError, AttributeError) as error:
        if isinstance(error, CheckpointError):
            raise
        raise CheckpointError(
            f"{path}: its specification cannot be read ({error}); update segue or make the file again"
        ) from error


def _fill(path: Path, part: str, module: nn.Module, weights: Mapping[str, Tensor]) -> None:
    own = {key.removeprefix(f"{part}."): value for key, value in weights.items() if key.startswith(f"{part}.")}
    try:
        module.load_state_dict(own)
    except RuntimeError as error:
        first = str(error).splitlines()[1].strip()
        raise CheckpointError(f"{path}: its {part} does not fit its specification ({first}); make the file again") from error
    module.eval().requires_grad_(False)
