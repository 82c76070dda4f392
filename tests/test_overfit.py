"""Every family learns one clip: its loss falls, and what the command says is what was measured."""

from __future__ import annotations

import json
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import soundfile
from numpy.typing import NDArray

from segue.engine import checkpoint
from segue.engine.models.families import presets
from segue.engine.models.paper_dit import PaperDitSpec
from segue.engine.models.paper_vae import PaperVaeSpec
from segue.engine.models.spec import ModelSpec
from segue.engine.models.unet1d import UnetSpec
from segue.server.cli import main
from segue.train.overfit import LEFT, NEW, Plan, grid, overfit, read_clip

RATE = 44_100
FALL = {"paper-latent": 1.7, "paper-waveform": 1.5}  # factors by which the v-loss falls in seconds; not yet worth hearing
TINY = {
    "paper-latent": replace(
        presets()["paper-latent-small"],
        codec=PaperVaeSpec(latent_dim=8, width=8, widest=32, expansion=2),
        denoiser=PaperDitSpec(channels=8, width=64, layers=2, heads=2, clip=16),
        window_s=0.3,
    ),
    "paper-waveform": replace(
        presets()["paper-waveform-small"],
        denoiser=UnetSpec(width=96, multipliers=(1, 1), blocks=1, attention=1, heads=2),
        window_s=0.15,
    ),
}


def clip(seconds: float) -> NDArray[np.float32]:
    t = np.arange(round(seconds * RATE)) / RATE
    sides = [np.sin(2 * np.pi * 220 * t) * np.exp(-4 * (t % 0.15)), np.sin(2 * np.pi * 331 * t)]
    return np.asarray(0.2 * np.stack(sides), np.float32)


@pytest.mark.parametrize("family", TINY)
def test_the_loss_falls_when_one_clip_is_all_there_is(family: str) -> None:
    plan = Plan(codec_steps=10, steps=60, rate=3e-3, batch=2, sampler_steps=1)
    said: list[str] = []
    model, result = overfit(TINY[family], clip(0.65), plan, said.append)
    assert result.v_loss_last * FALL[family] < result.v_loss_first
    assert (result.model, result.family) == (TINY[family].name, family)
    assert result.windows == int(0.65 / TINY[family].window_s)
    assert model.spec.reference_lufs is None
    assert any("denoiser step 50 of 60" in line for line in said)
    assert result.ratio == result.take_mel / result.known_mel
    exact = family == "paper-waveform"
    assert (result.codec_mel < 1e-4) == exact
    assert (result.codec_steps == 0) == exact


def test_a_denoiser_that_knows_the_answer_gives_the_clip_back() -> None:
    """Through the exact codec nothing but the 20 ms at the seams is wrong, so what is left over is the denoiser's."""
    _, result = overfit(TINY["paper-waveform"], clip(0.65), Plan(steps=1, sampler_steps=2))
    assert result.known_mel < 0.35 * result.take_mel


def test_equal_plans_give_equal_models() -> None:
    spec, plan = TINY["paper-waveform"], Plan(steps=2, sampler_steps=1)
    rows = [replace(overfit(spec, clip(0.2), plan)[1], seconds=0.0) for _ in range(2)]
    assert rows[0] == rows[1]


def test_windows_lie_end_to_end_and_need_a_clip_as_long() -> None:
    import torch

    z = torch.arange(14.0).reshape(2, 7)
    assert grid(z, 3).tolist() == [[[0, 1, 2], [7, 8, 9]], [[3, 4, 5], [10, 11, 12]]]
    assert LEFT + NEW < 1
    with pytest.raises(ValueError, match="got 7 frames, one window has 8"):
        grid(z, 8)


def test_the_command_writes_a_model_that_loads(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    import segue.train.overfit as home

    soundfile.write(tmp_path / "clip.wav", clip(1.0)[:1].T, 22_050)
    spec: ModelSpec = TINY["paper-waveform"]
    monkeypatch.setattr(home, "presets", lambda: {spec.name: spec})
    words = ["train", "overfit", "--model", spec.name, "--clip", str(tmp_path / "clip.wav"), "--start", "0.5"]
    numbers = ["--seconds", "0.4", "--steps", "2", "--sampler-steps", "1"]
    assert main([*words, *numbers, "--out", str(tmp_path / "m.safetensors"), "--json"]) == 0
    assert json.loads(capsys.readouterr().out)["clip_s"] == pytest.approx(0.4)
    assert checkpoint.load(tmp_path / "m.safetensors").spec.provenance["data"] == "clip.wav"


def test_what_cannot_be_used_is_one_line(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    soundfile.write(tmp_path / "clip.wav", clip(1.0).T, RATE)
    assert read_clip(tmp_path / "clip.wav", 0.25, 0.5, RATE).shape == (2, RATE // 2)
    for words, sentence in ((["--seconds", "3"], "1.0 s long; give a file of 3 s"), (["--model", "none"], "model: got 'none'")):
        assert main(["train", "overfit", "--clip", str(tmp_path / "clip.wav"), *words]) == 2
        assert sentence in capsys.readouterr().err
