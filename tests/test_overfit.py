"""Every family learns of one clip, what is held is held by every measure, and what the command says was measured."""

from __future__ import annotations

import json
import math
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import soundfile
import soxr
import torch

from segue.engine import checkpoint, measure
from segue.engine.compose import gain_to
from segue.engine.models.folding import FoldSpec, lifted
from segue.engine.models.spec import Model
from segue.engine.paper import alpha, over, sigma
from segue.engine.synthesis import compose
from segue.server.cli import main
from segue.train.data import RATE, REFERENCE_LUFS
from segue.train.memorise import LEFT, NEW, Audio, Plan, encoded, ends_of, fit_codec, grid, log_mel
from segue.train.overfit import AT_ALL, MARGIN, OF_NOISE, OWN, Work, is_held, overfit, read_clip, read_recipe
from segue.train.recall import Distances, recalled

RECIPES = ("live", "paper_latent", "paper_waveform", "cqt", "slides_mel", "slides_latent")


@pytest.fixture(autouse=True)
def one_thread() -> Iterator[None]:
    """Small networks on a shared machine are many times slower on threads that wait for each other."""
    before = torch.get_num_threads()
    torch.set_num_threads(1)
    yield
    torch.set_num_threads(before)


def clip(rate: int, seconds: float) -> Audio:
    """A second into a composed piece, `[2, n]`."""
    whole = compose(np.random.default_rng(1), 4.0).audio[RATE : RATE + round((seconds + 0.1) * RATE)]
    heard = soxr.resample(whole, RATE, rate)[: round(seconds * rate)]
    return np.ascontiguousarray(heard.T, np.float32)


def work_of(recipe: str, window: float, **plan: float) -> Work:
    """A recipe that ships, for a shorter window and plan."""
    work = read_recipe(Path(f"overfit_{recipe}"))
    return replace(work, spec=replace(work.spec, window_s=window), plan=replace(work.plan, **plan))


@pytest.mark.parametrize("recipe", RECIPES)
def test_the_loss_falls_when_one_clip_is_all_there_is(recipe: str) -> None:
    work = work_of(recipe, 0.39, codec_steps=4, steps=24, sampler_steps=1)
    model, result = overfit(replace(work, plan=replace(work.plan, batch=1)), clip(work.spec.codec.rate, 0.4))
    assert result.v_loss_last < result.v_loss_first
    assert (result.model, result.family) == (work.spec.name, work.spec.family)
    assert result.windows == 1
    assert model.spec == work.spec
    exact = recipe in ("paper_waveform", "cqt")
    assert (result.codec_mel < 1e-4, result.ratio is None) == (exact, exact)
    assert (result.codec_steps == 4) == (recipe in ("paper_latent", "slides_latent"))


@pytest.mark.parametrize("recipe", ["live", "slides_latent"])
def test_a_short_clip_is_held(recipe: str) -> None:
    """Within a tenth of what its codec costs, where noise of the same colour is much further off."""
    if recipe == "live":
        work = work_of(recipe, 0.78, steps=900, batch=2)
    else:
        work = work_of(recipe, 0.78, codec_steps=100, steps=400, batch=4)
        smaller = replace(work.spec.denoiser, multipliers=(1, 2), attention=())  # type: ignore[type-var]
        work = replace(work, spec=replace(work.spec, denoiser=smaller))
    _, result = overfit(work, clip(work.spec.codec.rate, 0.8))
    assert result.ratio is not None
    assert result.ratio <= MARGIN
    assert result.codec_mel < AT_ALL * result.noise_mel
    assert result.latent_error < OWN
    assert result.held


@pytest.mark.parametrize("recipe", ["paper_waveform", "cqt"])
def test_a_short_clip_is_held_to_its_samples(recipe: str) -> None:
    """Where the codec loses nothing: as sound, within half of the distance of noise of the same colour."""
    work, short = work_of(recipe, 0.78, steps=240 if recipe == "paper_waveform" else 110), clip(11_025, 0.8)
    assert isinstance(work.spec.codec, FoldSpec)
    level = gain_to(REFERENCE_LUFS, [short], work.spec.codec.rate)
    gain = 1 / float(lifted(torch.from_numpy(level * short), work.spec.codec.emphasis).std())
    fewer: dict[str, Any] = {"multipliers": (1, 1, 1)} if recipe == "paper_waveform" else {"patch": (4, 8)}
    smaller = replace(work.spec.denoiser, **fewer)  # type: ignore[type-var]
    spec = replace(work.spec, codec=replace(work.spec.codec, gain=gain), denoiser=smaller)
    _, result = overfit(replace(work, spec=spec), short)
    assert result.ratio is None
    assert result.take_mel <= OF_NOISE * result.noise_mel
    assert result.latent_error < OWN
    assert result.held


class Known:
    """A denoiser that is told x_0 `[1, C, T]`: what it leaves wrong is not the denoiser's."""

    def __init__(self, x_0: torch.Tensor, per_frame_t: bool) -> None:
        self.x_0, self.per_frame_t, self.channels = x_0, per_frame_t, x_0.shape[1]

    def v(self, x_t: torch.Tensor, t: torch.Tensor, cond: torch.Tensor | None = None) -> torch.Tensor:
        """v = (alpha x_t - x_0) / sigma, which is 0 on frames at t = 0."""
        level = over(t, x_t)
        made = (alpha(level) * x_t - self.x_0) / sigma(level).clamp_min(1e-9)
        return torch.where(level > 0, made, torch.zeros_like(made))

    def vjp(self, x_t: torch.Tensor, t: torch.Tensor, g: torch.Tensor, cond: torch.Tensor | None = None) -> None:
        """None is asked for."""


@pytest.mark.parametrize("per_frame_t", [True, False])
def test_a_denoiser_that_knows_the_answer_is_as_far_off_as_its_codec(per_frame_t: bool) -> None:
    work = work_of("live", 0.78)
    codec, audio = checkpoint.load("live").codec, clip(RATE, 0.8)
    windows = grid(encoded(codec, audio), work.spec.window_frames)
    mel = recalled(Model(work.spec, codec, Known(windows[:1], per_frame_t), "", ""), audio, windows, Plan(sampler_steps=3))
    assert mel.take == pytest.approx(mel.codec, rel=1e-3)
    assert mel.latent_error < 1e-6
    assert mel.noise > 1.3 * mel.codec


def test_what_is_held_is_near_by_every_measure() -> None:
    good = Distances(codec=0.4, take=0.43, noise=1.0, latent_error=0.1)
    assert is_held(good)
    assert not is_held(replace(good, take=0.45))
    assert not is_held(replace(good, latent_error=1.01 * OWN))
    assert not is_held(Distances(codec=0.8, take=0.8, noise=1.0, latent_error=0.0))
    assert is_held(Distances(codec=0.0, take=OF_NOISE, noise=1.0, latent_error=0.1))
    assert not is_held(Distances(codec=0.0, take=1.01 * OF_NOISE, noise=1.0, latent_error=0.1))


def test_a_codec_that_is_fitted_listens_to_the_clip() -> None:
    """Although the posterior's noise is there: before audio was brought to unit variance, latents came to be all alike."""
    from segue.engine.models.families import build_codec

    work = work_of("paper_latent", 0.5, codec_steps=40)
    torch.manual_seed(1)
    module, codec = build_codec(work.spec)
    audio = clip(codec.rate, 0.8)
    losses = fit_codec(module, audio, work.plan, lambda line: None)
    assert np.mean(losses[-6:]) < 0.9 * np.mean(losses[:6])
    with torch.no_grad():
        assert float(encoded(codec, audio).std(dim=1).mean()) == pytest.approx(1.0, abs=0.05)
        raw = module.encoder(torch.from_numpy(audio[None, :, : len(audio[0]) // 128 * 128]))[0][0]
    assert float(raw.std(0).mean()) > 0.5 * float(raw.std())


def test_the_differentiable_log_mel_is_the_one_that_judges() -> None:
    audio = clip(RATE, 0.5)
    ours = log_mel(torch.from_numpy(audio[None]), RATE, measure.MEL_WINDOW, measure.MEL_BANDS)[0].mT.numpy()
    np.testing.assert_allclose(ours, measure.log_mel(audio, RATE), atol=2e-3)


def test_equal_plans_give_equal_models() -> None:
    work = work_of("slides_mel", 0.5, steps=2, sampler_steps=1)
    rows = [replace(overfit(work, clip(work.spec.codec.rate, 0.6))[1], cpu_seconds=0.0) for _ in range(2)]
    assert rows[0] == rows[1]


def test_windows_lie_end_to_end_and_need_a_clip_as_long() -> None:
    z = torch.arange(14.0).reshape(2, 7)
    assert grid(z, 3).tolist() == [[[0, 1, 2], [7, 8, 9]], [[3, 4, 5], [10, 11, 12]]]
    assert ends_of(10).tolist() == [True] * 4 + [False] * 4 + [True] * 2
    assert LEFT + NEW < 1
    with pytest.raises(ValueError, match="got 7 frames, one window has 8"):
        grid(z, 8)


def test_the_command_writes_a_model_that_loads(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    soundfile.write(tmp_path / "clip.wav", clip(22_050, 1.0)[:1].T, 22_050)
    (tmp_path / "tiny.yaml").write_text("model: slides-mel-small\nwindow: 0.3\ncodec: {iterations: 2}\nsampler_steps: 1\n")
    words = ["train", "overfit", "--recipe", str(tmp_path / "tiny.yaml"), "--clip", str(tmp_path / "clip.wav"), "--start", "0.5"]
    numbers = ["--seconds", "0.4", "--steps", "2", "--out", str(tmp_path / "m.safetensors")]
    assert main([*words, *numbers, "--json"]) == 1  # not held, after two steps
    told = json.loads(capsys.readouterr().out)
    assert (told["clip_s"], told["steps"], told["held"]) == (pytest.approx(0.4), 2, False)
    assert math.isfinite(told["ratio"])
    assert checkpoint.load(tmp_path / "m.safetensors").spec.provenance["data"] == "clip.wav"


def test_what_cannot_be_used_is_one_line(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    soundfile.write(tmp_path / "clip.wav", clip(RATE, 1.0).T, RATE)
    assert read_clip(tmp_path / "clip.wav", 0.25, 0.5, RATE).shape == (2, RATE // 2)
    (tmp_path / "bad.yaml").write_text("speed: 3")
    bad = (
        (["--seconds", "3"], "1.0 s long; give a file of 3 s"),
        (["--model", "none"], "model: got 'none'"),
        (["--recipe", "nowhere"], "recipe nowhere: no such file"),
        (["--recipe", str(tmp_path / "bad.yaml")], "unknown key 'speed'"),
    )
    for words, sentence in bad:
        assert main(["train", "overfit", "--clip", str(tmp_path / "clip.wav"), *words]) == 2
        assert sentence in capsys.readouterr().err


def test_the_recipes_that_ship_read() -> None:
    for name in RECIPES:
        assert read_recipe(Path(f"overfit_{name}")).plan.steps > 0
