"""Where takes of the toy model join what stands around them: seams, windows one after another, levels."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
import pytest
import torch
from torch import Tensor
from toy import CONTEXT, ENGINE, HOP, RATE, SIZE, Framewise, Stretchy, model, music, request

from segue.engine.backends import make
from segue.engine.colour import HALF, corrected
from segue.engine.engine import Engine, Request
from segue.engine.measure import loudness, loudness_step_lu, step_over_material
from segue.engine.sounding import Sounding


def test_the_seam_is_no_rougher_than_the_music() -> None:
    left = music(1.0)
    for seed in range(5):
        take = ENGINE.take(request("continuation", 1.0, seed=seed))
        assert step_over_material(np.concatenate([left, take], axis=1), left.shape[1], RATE) <= 1.0


def test_both_seams_of_an_infill() -> None:
    r = request("infill", 0.4, seed=3)
    assert r.left is not None
    assert r.right is not None
    heard = np.concatenate([r.left, ENGINE.take(r), r.right], axis=1)
    for frame in (r.left.shape[1], r.left.shape[1] + r.new_frames):
        assert step_over_material(heard, frame, RATE) <= 1.0


def test_a_loop_closes_and_keeps_its_phrase() -> None:
    r = request("loop", 1.5)
    take = ENGINE.take(r)
    assert r.middle is not None
    bridge = r.new_frames // 4
    assert np.array_equal(take[:, bridge:], r.middle[:, bridge:])
    assert np.abs(take[:, :bridge] - r.middle[:, :bridge]).max() > 0.01
    assert step_over_material(np.concatenate([take, take], axis=1), take.shape[1], RATE) <= 1.0
    heard = np.concatenate([r.middle, take], axis=1)
    assert step_over_material(heard, take.shape[1], RATE) <= 1.0


def test_a_long_take_has_no_seam_between_windows(monkeypatch: pytest.MonkeyPatch) -> None:
    """With a decoder that really looks around, the pieces of many windows are the decode of the whole line."""
    taps = torch.tensor([0.1, 0.2, 0.4, 0.2, 0.1])
    filter_ = np.hanning(2 * HALF + 1).astype(np.float32) / HALF

    @dataclass(frozen=True)
    class Smeared(Framewise):
        def decode(self, z: Tensor, frame_offset: int = 0) -> Tensor:
            padded = torch.nn.functional.pad(z, (2, 2))
            smeared = sum(w * padded[..., i : i + z.shape[-1]] for i, w in enumerate(taps))
            assert isinstance(smeared, Tensor)
            gain = 1 + ((torch.arange(z.shape[-1]) + frame_offset) % 7) / 7  # depends on the absolute frame
            return super().decode(smeared * gain)

    lines: list[Tensor] = []

    class Watched(Sounding):
        def _colour(self, context: int) -> Any:
            return filter_

        def _decoded(self, latents: Tensor, first: int, last: int) -> Any:
            lines[:] = [latents.clone()]
            self.left, self.gain = self._line.left, self._line.gain
            watched.append(self)
            return super()._decoded(latents, first, last)

    watched: list[Watched] = []
    monkeypatch.setattr("segue.engine.engine.Sounding", Watched)
    take = Engine(make("eager", model(codec=Smeared()))).take(request("continuation", 1.7, match_level=False))
    assert len(watched) >= 2
    decoded = corrected(Smeared().decode(lines[0])[0].numpy(), filter_)
    whole = decoded[:, watched[0].left * HOP :][:, : take.shape[1]] / watched[0].gain
    fade = round(0.02 * RATE)
    np.testing.assert_allclose(take[:, fade:], whole[:, fade:], atol=2e-6)


def test_a_later_window_follows_from_the_one_before() -> None:
    """Latents at a border between windows are correlated as the world is, not independent."""
    rho = 0.99
    engine = Engine(make("eager", model(denoiser=Stretchy(rho=rho, scale=0.3))))
    take = engine.take(request("continuation", 3.0, steps=8, match_level=False))
    frames = Framewise().encode(torch.from_numpy(take)[None])[0]
    border = (SIZE - CONTEXT) * 2
    a, b = frames[:, border - 1], frames[:, border]
    assert float((a * b).sum() / (a.norm() * b.norm())) > 0.8


def test_generate_goes_on_from_itself() -> None:
    engine = Engine(make("eager", model(denoiser=Stretchy(rho=0.99, scale=0.3))))
    take = engine.take(Request("generate", 3 * SIZE * HOP, steps=8))
    frames = Framewise().encode(torch.from_numpy(take)[None])[0]
    a, b = frames[:, SIZE - 1], frames[:, SIZE]
    assert float((a * b).sum() / (a.norm() * b.norm())) > 0.8


@pytest.mark.parametrize("gain", [0.001, 0.02, 1.0])
def test_level_follows_the_context(gain: float) -> None:
    left = music(1.5, gain=gain)
    take = ENGINE.take(Request("continuation", 2 * RATE, left=left, seed=5))
    assert abs(loudness_step_lu(np.concatenate([left, take], axis=1), left.shape[1], RATE)) < 1.5


def test_what_the_model_hears_does_not_depend_on_the_input_level() -> None:
    """Same take, scaled: the context is brought to the reference before it is encoded."""
    quiet, loud = (ENGINE.take(Request("continuation", RATE // 2, left=music(1.0) * np.float32(g))) for g in (0.1, 1.0))
    np.testing.assert_allclose(10 * quiet, loud, atol=2e-3 * np.abs(loud).max())


def test_an_infill_arrives_at_the_level_of_what_follows() -> None:
    left, right = music(1.5, gain=0.2), music(1.5, 1, gain=0.35)
    take = ENGINE.take(Request("infill", RATE, left=left, right=right, match_level=True))
    end = loudness(take[:, -RATE // 8 :], RATE) - loudness(right[:, :RATE], RATE)
    assert abs(end) < 2.0


def test_a_silent_context_is_no_error() -> None:
    assert np.isfinite(ENGINE.take(Request("continuation", RATE // 2, left=np.zeros((2, RATE), np.float32)))).all()


def test_broken_samples_are_taken_as_silence() -> None:
    left = music(1.0)
    left[:, ::7] = np.nan
    assert np.isfinite(ENGINE.take(Request("continuation", RATE // 2, left=left))).all()
