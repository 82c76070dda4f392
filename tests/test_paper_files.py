"""The paper's two models in small, from a file through every task and the whole server."""

from __future__ import annotations

import json
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import soundfile
import torch
import yaml
from numpy.typing import NDArray
from torch import nn

from segue.engine import checkpoint
from segue.engine.backends import known_answer_error, make
from segue.engine.engine import Engine, Request
from segue.engine.models.families import build_codec, build_denoiser, families, presets
from segue.engine.models.spec import ModelSpec

RATE = 44_100
FAMILIES = ("paper-latent", "paper-waveform")


def small(family: str) -> ModelSpec:
    """The reduced preset, with a shorter window."""
    return replace(presets()[f"{family}-small"], window_s=0.4)


@pytest.fixture(scope="module")
def files(tmp_path_factory: pytest.TempPathFactory) -> dict[str, Path]:
    """A model file of each reduced preset; not trained, but with every gate open."""
    folder, made = tmp_path_factory.mktemp("models"), {}
    for family in FAMILIES:
        codec, denoiser = build_codec(small(family))[0], build_denoiser(small(family))[0]
        torch.manual_seed(1)
        for parameter in denoiser.parameters():
            nn.init.normal_(parameter, std=0.02)
        made[family] = folder / f"{family}.safetensors"
        checkpoint.save(made[family], small(family), codec, denoiser)
    return made


def music(seconds: float, seed: int = 0) -> NDArray[np.float32]:
    rng = np.random.default_rng(seed)
    t = np.arange(round(seconds * RATE)) / RATE
    return np.asarray(0.1 * np.sin(2 * np.pi * (220 + 50 * seed) * t) + 0.03 * rng.standard_normal((2, len(t))), np.float32)


def request(task: str, seconds: float = 0.2) -> Request:
    left, middle, right = music(0.5), music(seconds, 1), music(0.5, 2)
    sources: dict[str, dict[str, Any]] = {
        "continuation": {"left": left},
        "infill": {"left": left, "right": right},
        "regenerate": {"left": left, "middle": middle, "right": right},
        "renoise": {"left": left, "middle": middle, "right": right},
        "transition": {"left": left, "middle": middle, "middle_right": music(seconds, 2), "right": right},
        "loop": {"middle": middle},
        "style": {"left": left, "style": right},
        "generate": {},
    }
    return Request(task, middle.shape[1], steps=2, **sources[task])


@pytest.mark.parametrize("family", FAMILIES)
def test_the_small_model_plays_every_task_from_a_file(family: str, files: dict[str, Path]) -> None:
    engine = Engine(make("eager", checkpoint.load(files[family])))
    for task in ("continuation", "infill", "regenerate", "renoise", "transition", "loop", "style", "generate"):
        asked = request(task)
        takes = [engine.take(replace(asked, seed=seed, xi=xi)) for seed, xi in ((1, None), (2, None))]
        for take in takes:
            assert take.shape == (2, asked.new_frames)
            assert np.isfinite(take).all()
            assert take.std() > 1e-4
        assert np.abs(takes[0] - takes[1]).max() > 1e-5


@pytest.mark.parametrize("family", FAMILIES)
def test_xi_makes_another_take_and_none_is_the_models_own(family: str, files: dict[str, Path]) -> None:
    model = checkpoint.load(files[family])
    engine, asked = Engine(make("eager", model)), request("infill")
    own, said, none, more = (engine.take(replace(asked, xi=xi)) for xi in (None, model.spec.xi, 0.0, 1.0))
    assert own.tobytes() == said.tobytes()
    assert np.abs(own - none).max() > 0
    assert np.abs(more - none).max() > 1e-4


@pytest.mark.parametrize("family", FAMILIES)
def test_a_file_says_what_it_holds_and_answers_alike(family: str, files: dict[str, Path]) -> None:
    model, info = checkpoint.load(files[family]), checkpoint.info(files[family])
    assert model.spec == small(family)
    assert (info.family, info.hop, info.latent_dim) == (family, model.codec.hop, model.codec.latent_dim)
    assert info.weights == str(files[family])
    half = checkpoint.load(files[family])
    assert known_answer_error(make("eager", model), make("eager", half)) == 0


def test_a_denoiser_of_another_family_is_refused(files: dict[str, Path], tmp_path: Path) -> None:
    spec = replace(small("paper-latent"), denoiser=small("paper-waveform").denoiser)
    model = checkpoint.load(files["paper-latent"])
    assert isinstance(model.codec, nn.Module)
    assert isinstance(model.denoiser, nn.Module)
    checkpoint.save(tmp_path / "mixed.safetensors", spec, model.codec, model.denoiser)
    with pytest.raises(checkpoint.CheckpointError, match=r"specification cannot be read .*unknown key"):
        checkpoint.load(tmp_path / "mixed.safetensors")


def test_the_paper_models_are_listed() -> None:
    rows = {row.name: row for row in checkpoint.list_models()}
    assert set(FAMILIES) <= set(families().found)
    for family in FAMILIES:
        for name in (family, f"{family}-small"):
            assert rows[name].family == family
            assert rows[name].weights is None
            assert rows[name].sample_rate == RATE
    assert (rows["paper-latent"].hop, rows["paper-latent"].latent_dim) == (128, 32)
    assert (rows["paper-waveform"].hop, rows["paper-waveform"].codec_parameters) == (16, 0)


@pytest.mark.parametrize("family", FAMILIES)
def test_render_plays_the_small_model(
    family: str, files: dict[str, Path], tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    from segue.server.cli import main

    soundfile.write(tmp_path / "in.wav", music(1.5).T, RATE)
    (tmp_path / "score.yaml").write_text(yaml.safe_dump([{"at": 1.0, "send": ["/segue/deck/1/continue", "sec", 0.3]}]))
    words = ["render", "in.wav", "out.wav", "--score", "score.yaml", "--model", str(files[family]), "--tail", "1.5"]
    words = [str(tmp_path / word) if word.endswith((".wav", ".yaml")) else word for word in words]
    assert main([*words, "--cost", "0.1", "--json"]) == 0
    report = json.loads(capsys.readouterr().out)
    assert [take["verb"] for take in report["takes"]] == ["continue"]
    assert report["takes"][0]["frames"] > 0.2 * RATE


def test_a_broken_family_is_named(monkeypatch: pytest.MonkeyPatch, files: dict[str, Path]) -> None:
    from segue.engine.models import families as home

    monkeypatch.setitem(home.BUILT_IN, "paper-latent", "segue.engine.models.paper_latent:NAME")
    with pytest.raises(checkpoint.CheckpointError, match=r"'paper-latent' of .* does not load: TypeError"):
        checkpoint.load(files["paper-latent"])
    assert "paper-waveform" in presets()
