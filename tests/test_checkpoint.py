"""Model files: what comes back, how small they are, and what is said about files that cannot be loaded."""

from __future__ import annotations

import json
from dataclasses import replace
from pathlib import Path

import pytest
import torch
from safetensors import safe_open
from safetensors.torch import save_file
from small import DEEPER_CODEC as CODEC
from torch import nn

from segue.engine import checkpoint
from segue.engine.checkpoint import CheckpointError, list_models, load, packed, save, unpacked
from segue.engine.models.dit import Dit, DitSpec
from segue.engine.models.families import presets
from segue.engine.models.spec import ModelSpec
from segue.engine.models.vae import LiveCodec

DIT = DitSpec(channels=24, width=64, layers=1, heads=2, rank=8)
SPEC = ModelSpec("small", CODEC, DIT, provenance={"data": "none"})


@pytest.fixture
def parts() -> tuple[LiveCodec, Dit]:
    torch.manual_seed(3)
    codec, dit = LiveCodec(CODEC), Dit(DIT)
    for parameter in dit.parameters():
        nn.init.normal_(parameter, std=0.1)
    return codec.eval(), dit.eval()


def written(folder: Path, parts: tuple[LiveCodec, Dit], precision: str, spec: ModelSpec = SPEC) -> Path:
    path = folder / "small.safetensors"
    save(path, spec, *parts, {"codec": precision, "denoiser": precision})
    return path


@pytest.mark.parametrize(("precision", "tolerance"), [("fp32", 1e-6), ("fp16", 0.01), ("int8", 0.1)])
def test_a_saved_model_answers_alike(tmp_path: Path, parts: tuple[LiveCodec, Dit], precision: str, tolerance: float) -> None:
    model = load(written(tmp_path, parts, precision))
    assert model.spec == SPEC
    assert (model.rate, model.hop, model.window_frames) == (44_100, 1024, 258)
    x, t = torch.randn(1, 24, 12, generator=torch.Generator().manual_seed(1)), torch.full((1,), 0.5)
    with torch.no_grad():
        expected = parts[1].v(x, t)
    assert (model.denoiser.v(x, t) - expected).norm() <= tolerance * expected.norm()


def test_int8_is_off_by_half_a_step_of_its_channel_at_most() -> None:
    weight = torch.randn(96, 80) * torch.logspace(-3, 1, 96)[:, None]
    back = unpacked(packed("w", weight, "int8"))["w"]
    step = weight.abs().amax(dim=1, keepdim=True) / 127
    assert bool(((back - weight).abs() <= 0.5001 * step).all())


def test_precisions_shrink_the_file(tmp_path: Path, parts: tuple[LiveCodec, Dit]) -> None:
    sizes = [written(tmp_path, parts, precision).stat().st_size for precision in ("fp32", "fp16", "int8")]
    assert sizes[0] > 1.8 * sizes[1] > 1.8 * 1.5 * sizes[2]


def test_an_unknown_precision_is_refused() -> None:
    with pytest.raises(ValueError, match="precision: got 'fp4'; one of fp32, fp16, int8"):
        packed("w", torch.ones(2, 2), "fp4")


def test_a_changed_weight_is_noticed(tmp_path: Path, parts: tuple[LiveCodec, Dit]) -> None:
    path = written(tmp_path, parts, "fp16")
    with safe_open(path, "pt") as file:
        metadata, tensors = file.metadata(), {key: file.get_tensor(key) for key in file.keys()}  # noqa: SIM118
    tensors["denoiser.first.bias"][0] += 1
    save_file(tensors, path, metadata)
    with pytest.raises(CheckpointError, match=r"hash to .* copy the file again"):
        load(path)


def test_a_cut_file_and_a_foreign_file_are_refused(tmp_path: Path, parts: tuple[LiveCodec, Dit]) -> None:
    path = written(tmp_path, parts, "fp16")
    path.write_bytes(path.read_bytes()[:5000])
    with pytest.raises(CheckpointError, match="damaged"):
        load(path)
    save_file({"a": torch.ones(1)}, path)
    with pytest.raises(CheckpointError, match="without a segue specification"):
        load(path)


def test_a_checkpoint_of_a_training_is_told_from_a_damaged_model(tmp_path: Path) -> None:
    torch.save({"recipe": {}}, tmp_path / "diffusion.pt")
    with pytest.raises(CheckpointError, match="a checkpoint of a training, allowed model files; `segue train pack`"):
        load(tmp_path / "diffusion.pt")


def test_another_family_is_named(tmp_path: Path, parts: tuple[LiveCodec, Dit]) -> None:
    path = written(tmp_path, parts, "fp16", replace(SPEC, family="wavelet-flow"))
    with pytest.raises(CheckpointError, match=r"of family 'wavelet-flow', this engine loads .*latent-dit.*; install the package"):
        load(path)


def test_a_specification_that_does_not_fit_its_weights_is_named(tmp_path: Path, parts: tuple[LiveCodec, Dit]) -> None:
    path = written(tmp_path, parts, "fp16", replace(SPEC, denoiser=replace(DIT, layers=2)))
    with pytest.raises(CheckpointError, match="its denoiser does not fit its specification"):
        load(path)


def test_a_newer_specification_is_named(tmp_path: Path) -> None:
    values = SPEC.to_dict() | {"flavour": "new"}
    path = tmp_path / "newer.safetensors"
    save_file({"a": torch.ones(1)}, path, {"segue": json.dumps(values)})
    with pytest.raises(CheckpointError, match="unknown key 'flavour'"):
        load(path)


def test_missing_names_say_what_there_is() -> None:
    with pytest.raises(CheckpointError, match="nowhere: no such model or file"):
        load("nowhere")
    with pytest.raises(CheckpointError, match="live-300m: a configuration without weights"):
        load("live-300m")


def test_presets_are_listed_with_their_sizes() -> None:
    rows = {row.name: row for row in list_models()}
    assert set(rows) >= set(presets())
    assert rows["live-300m"].weights is None
    assert 2.8e8 < rows["live-300m"].parameters < 3.4e8


def test_what_ships_is_below_32_megabytes_and_loads() -> None:
    files = sorted(checkpoint.SHIPPED.glob("*.safetensors"))
    if not files:
        pytest.skip("no checkpoint ships with this tree")
    assert sum(file.stat().st_size for file in files) < 32e6
    for file in files:
        model = load(file.stem)
        assert model.denoiser.channels == model.codec.latent_dim


def test_specifications_come_back_from_json() -> None:
    for spec in (*presets().values(), SPEC):
        assert ModelSpec.from_dict(json.loads(json.dumps(spec.to_dict()))) == spec
