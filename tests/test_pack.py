"""Packing: a trained codec and generator become one model that loads, plays a window, and is judged and timed."""

from __future__ import annotations

import argparse
import json
from dataclasses import asdict, replace
from pathlib import Path

import numpy as np
import pytest
import torch
from small import DEEPER_CODEC as CODEC

from segue.bench import engine as bench
from segue.engine.checkpoint import load
from segue.engine.engine import Engine
from segue.engine.models.dit import DitSpec
from segue.engine.models.spec import ModelSpec
from segue.engine.models.vae import LiveCodec
from segue.train import pack
from segue.train.data import REFERENCE_LUFS
from segue.train.diffusion import Run
from segue.train.diffusion_recipe import Recipe
from segue.train.playing import continue_all, reconstruct

DENOISER = DitSpec(channels=24, width=32, layers=1, heads=2, rank=8)
FRAMES = 40


def trained(folder: Path, denoiser: DitSpec = DENOISER) -> tuple[Path, Path]:
    """Checkpoints as `train codec` and `train diffusion` leave them."""
    torch.manual_seed(1)
    torch.save({"ema": LiveCodec(CODEC).state_dict(), "spec": asdict(CODEC)}, folder / "codec.pt")
    torch.save(Run(Recipe(denoiser, frames=FRAMES)).state(), folder / "diffusion.pt")
    return folder / "codec.pt", folder / "diffusion.pt"


@pytest.fixture(scope="module")
def packed(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("model")
    codec, diffusion = trained(folder)
    spec = ModelSpec("small", heat=0.5, provenance={"data": "none"})
    pack.pack(codec, diffusion, folder / "small.safetensors", {"denoiser": "int8"}, spec)
    return folder / "small.safetensors"


def test_a_packed_model_keeps_its_window_and_level(packed: Path) -> None:
    model = load(packed)
    assert model.window_frames == FRAMES
    assert int(model.window_s * model.rate / model.hop) == FRAMES
    assert model.spec.reference_lufs == REFERENCE_LUFS
    assert model.spec.provenance["data"] == "none"
    assert (model.spec.heat, model.spec.denoiser.carried) == (0.5, CODEC.bass_dim)


def test_a_generator_of_another_codec_is_refused(tmp_path: Path) -> None:
    codec, diffusion = trained(tmp_path, DitSpec(channels=8, width=32, layers=1, heads=2))
    with pytest.raises(ValueError, match="got a generator of 8 channels for a codec of 24"):
        pack.pack(codec, diffusion, tmp_path / "x.safetensors", {}, ModelSpec("small"))


def test_a_better_decoder_goes_under_the_generator_that_a_model_has(packed: Path, tmp_path: Path) -> None:
    codec, _ = trained(tmp_path)
    state = torch.load(codec, weights_only=True)
    state["ema"]["decoder.gains.bias"] += 0.25
    torch.save(state, codec)
    out = tmp_path / "again.safetensors"
    pack.pack(codec, packed, out, {"denoiser": "int8"}, ModelSpec("again", provenance={"codec": "longer"}))
    before, after = load(packed), load(out)
    assert (after.name, after.spec.heat) == ("again", 0.5)
    assert after.spec.provenance == {**before.spec.provenance, "codec": "longer"}
    z = torch.randn(1, CODEC.latent_dim, 8, generator=torch.Generator().manual_seed(1))
    assert after.codec.decode(z).square().mean() > 2 * before.codec.decode(z).square().mean(), "two nepers up"
    assert isinstance(before.denoiser, torch.nn.Module)
    assert isinstance(after.denoiser, torch.nn.Module)
    kept = after.denoiser.state_dict()
    assert all(torch.allclose(value, kept[key], atol=1e-2) for key, value in before.denoiser.state_dict().items())


def test_a_decoder_of_another_size_goes_under_a_model_too(packed: Path, tmp_path: Path) -> None:
    codec, _ = trained(tmp_path)
    state = torch.load(codec, weights_only=True)
    wider = replace(CODEC, decoder_width=2 * CODEC.decoder_width)
    decoder = {key: value for key, value in LiveCodec(wider).state_dict().items() if key.startswith("decoder.")}
    torch.save({"ema": state["ema"] | decoder, "spec": asdict(wider)}, codec)
    pack.pack(codec, packed, tmp_path / "wider.safetensors", {}, ModelSpec("wider"))
    assert load(tmp_path / "wider.safetensors").spec.codec == wider


def test_a_codec_with_other_latents_does_not_go_under_a_model(packed: Path, tmp_path: Path) -> None:
    codec, _ = trained(tmp_path)
    state = torch.load(codec, weights_only=True)
    state["ema"]["encoder.outward.weight"] *= 1.2
    torch.save(state, codec)
    with pytest.raises(ValueError, match="are not those that small was trained on"):
        pack.pack(codec, packed, tmp_path / "x.safetensors", {}, ModelSpec("x"))


def test_the_engine_plays_what_was_packed(packed: Path) -> None:
    engine = Engine(load(packed))
    samples = round(engine.context_min_s * engine.sample_rate)
    context = (0.1 * np.random.default_rng(1).standard_normal((2, samples))).astype(np.float32)
    first, again = (continue_all(engine, [context, context], engine.new_frames, 2, "ddim", seed=1) for _ in range(2))
    assert first[0].shape == (2, engine.new_frames)
    assert np.array_equal(first[0], again[0])
    assert not np.array_equal(first[0], first[1]), "clips have seeds of their own"
    assert reconstruct(engine, context).shape == context.shape


def test_parts_and_takes_are_timed(packed: Path, capsys: pytest.CaptureFixture[str]) -> None:
    parser = argparse.ArgumentParser(conflict_handler="resolve")
    parser.add_argument("--json", action="store_true")  # every command of segue has it
    bench.add_arguments(parser)
    out = packed.with_name("engine.json")
    grid = ["--steps", "1", "--batch", "1", "--batch", "2", "--window", "3", "--out", str(out)]
    assert bench.run(parser.parse_args(["--model", str(packed), "--repeats", "3", *grid, "--json"])) == 0
    report = json.loads(capsys.readouterr().out)
    assert json.loads(out.read_text()) == report
    assert {(row["component"], row["batch"]) for row in report["rows"] if row["component"]} >= {("vjp", 1), ("vjp", 2)}
    assert {row["window_s"] for row in report["rows"]} == {3.0}
    assert all(row["take_error"] == 0 and row["floor_s"] > 0 for row in report["rows"] if row["task"])
    assert {row["component"] for row in report["rows"]} == {"encoder", "denoiser", "vjp", "decoder", None}
    assert {row["guidance"] for row in report["rows"] if row["task"]} == set(bench.REGIMES)
    assert all(row["median_s"] > 0 and row["p99_s"] >= row["median_s"] for row in report["rows"])
