"""The constant-Q transform is exact, tight and linear; the CQT baseline learns, pulls back and fills a hole."""

from __future__ import annotations

import math
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import torch
from torch import Tensor, nn

from segue.engine.checkpoint import load, save
from segue.engine.engine import Engine
from segue.engine.models.cqt import analysed, layout, synthesised
from segue.engine.models.cqt_unet import SOFT, CqtSpec, CqtUnet, frames_of, patched, samples_of, unpatched
from segue.engine.models.cqt_waveform import FRAMES, NAME
from segue.engine.models.families import build_codec, build_denoiser, presets
from segue.engine.models.folding import FoldSpec
from segue.engine.models.spec import ModelSpec
from segue.engine.paper import noised, v_of
from segue.engine.protocols import Denoiser
from segue.engine.request import Request

BANDS, OCTAVES = 24, 7
RATE = 44_100
EXACT = 1e-5  # of samples of unit variance, in single precision
TINY = CqtSpec(256, bands=8, octaves=5, widths=(8, 8, 8, 16, 16), blocks=1, groups=4, code=16)


PATCHED = replace(TINY, patch=(4, 3), direct=True)
GAINED = replace(PATCHED, gained=True)


def white(*shape: int, seed: int = 1, dtype: torch.dtype = torch.float32) -> Tensor:
    return torch.randn(shape, generator=torch.Generator().manual_seed(seed), dtype=dtype)


def woken(spec: CqtSpec, dtype: torch.dtype = torch.float32) -> CqtUnet:
    """A network whose zero-initialised layers answer, as after training."""
    torch.manual_seed(0)
    network = CqtUnet(spec).to(dtype)
    for parameter in network.parameters():
        nn.init.normal_(parameter, std=0.1)
    return network.requires_grad_(False)


@pytest.mark.parametrize("samples", [132_096, 44_100, 12_289, 1000])
def test_the_transform_gives_every_sample_back(samples: int) -> None:
    x = white(2, 2, samples)
    back = synthesised(analysed(x, BANDS, OCTAVES), samples, BANDS, OCTAVES)
    assert float((back - x).abs().max()) < EXACT


def test_an_impulse_at_the_edge_and_a_constant_come_back_too() -> None:
    x = torch.zeros(2, 1, 20_000)
    x[0, 0, 0] = x[0, 0, -1] = 1
    x[1] = 1
    assert float((synthesised(analysed(x, BANDS, OCTAVES), 20_000, BANDS, OCTAVES) - x).abs().max()) < EXACT


def test_the_frame_is_tight() -> None:
    x = white(1, 30_000)
    energy = sum(float(c.abs().square().sum()) for c in analysed(x, BANDS, OCTAVES))
    assert energy == pytest.approx(float(torch.fft.rfft(x, norm="ortho").abs().square().sum()), rel=1e-5)


def test_it_is_linear_and_its_gradient_is_finite() -> None:
    x, y = white(1, 9000), white(1, 9000, seed=2)
    for a, b, c in zip(*(analysed(s, BANDS, OCTAVES) for s in (x, y, 2 * x - 3 * y)), strict=True):
        torch.testing.assert_close(2 * a - 3 * b, c, atol=1e-5, rtol=1e-4)
    x.requires_grad_()
    kept = [c * (1 if i == 2 else 0) for i, c in enumerate(analysed(x, BANDS, OCTAVES))]
    synthesised(kept, 9000, BANDS, OCTAVES).square().sum().backward()
    assert x.grad is not None
    assert bool(torch.isfinite(x.grad).all())
    assert float(x.grad.abs().max()) > 0


@pytest.mark.parametrize(("hertz", "octave"), [(16_000.0, 0), (8_000.0, 1), (1_000.0, 4), (40.0, OCTAVES)])
def test_a_tone_sounds_in_the_band_of_its_pitch(hertz: float, octave: int) -> None:
    tone = torch.sin(2 * math.pi * hertz / RATE * torch.arange(2 * RATE, dtype=torch.float64))[None]
    loudest = [c.abs().square().sum(-1)[0] for c in analysed(tone, BANDS, OCTAVES)]
    group = max(range(len(loudest)), key=lambda i: float(loudest[i].max()))
    share = hertz / (RATE / 2) * 2.0**octave
    expected = BANDS * math.log2(2 * share) if octave < OCTAVES else BANDS * share
    assert group == octave
    assert abs(int(loudest[group].argmax()) - expected) <= 1


def test_an_octave_up_moves_a_row_to_the_next_group() -> None:
    rows = []
    for hertz in (900.0, 1800.0):
        tone = torch.sin(2 * math.pi * hertz / RATE * torch.arange(RATE, dtype=torch.float64))[None]
        energies = torch.stack([c.abs().square().sum(-1)[0] for c in analysed(tone, BANDS, OCTAVES)])
        rows.append(divmod(int(energies.argmax()), BANDS))
    assert rows[0][0] - rows[1][0] == 1
    assert rows[0][1] == rows[1][1]


@pytest.mark.parametrize(("samples", "bands"), [(1, 12), (100, 1)])
def test_what_cannot_be_a_transform_is_refused(samples: int, bands: int) -> None:
    with pytest.raises(ValueError, match="at least 2 samples, 2 bands"):
        analysed(torch.zeros(1, samples), bands, 4)


def test_frames_are_the_samples() -> None:
    audio = white(2, 2, 1024)
    assert torch.equal(samples_of(frames_of(audio, 256)), audio)
    codec = build_codec(ModelSpec("x", FRAMES, TINY, family=NAME))[1]
    torch.testing.assert_close(codec.encode(audio) / FRAMES.gain, frames_of(audio, 256))
    torch.testing.assert_close(codec.decode(codec.encode(audio)), audio)


def test_it_is_a_denoiser_that_answers_zero_before_training() -> None:
    network = CqtUnet(TINY)
    assert isinstance(network, Denoiser)
    assert network.channels == 512
    assert not network.v(white(1, 512, 20), torch.tensor([0.5])).any()
    with pytest.raises(ValueError, match="one level a window"):
        network.v(white(1, 512, 20), torch.full((1, 20), 0.5))


@pytest.mark.parametrize("samples", [12_288, 5_121, 100])
def test_rates_can_be_multiples_of_a_number(samples: int) -> None:
    where = layout(samples, 8, 5, multiple=3)
    assert all(rate % 3 == 0 for rate in where.rates)
    x = white(2, samples)
    assert float((synthesised(analysed(x, 8, 5, 3), samples, 8, 5, 3) - x).abs().max()) < EXACT


def test_a_patch_is_one_place_of_the_network() -> None:
    h = torch.arange(2 * 3 * 4 * 6.0).reshape(2, 3, 4, 6)
    places = patched(h, (2, 3))
    assert places.shape == (2, 18, 2, 2)
    assert places[1, :, 1, 0].tolist() == h[1, :, 2:4, :3].flatten().tolist()
    assert torch.equal(unpatched(places, (2, 3)), h)
    assert torch.equal(patched(h, (1, 1)), h)


def test_a_direct_way_through_the_transform_loses_nothing() -> None:
    network, x, t = CqtUnet(PATCHED), white(1, 512, 20), torch.tensor([0.5])
    assert network.direct is not None
    assert not network.v(x, t).any()
    nn.init.ones_(network.direct.bias)
    torch.testing.assert_close(network.v(x, t), x, rtol=0, atol=EXACT)


def test_gains_pass_on_what_comes_in_at_each_level() -> None:
    network, x, t = CqtUnet(GAINED), white(1, 512, 20), torch.tensor([0.5])
    assert not network.v(x, t).any()
    for layer in network.gains:
        nn.init.ones_(layer.bias)
    torch.testing.assert_close(network.v(x, t), x / (math.sin(math.pi / 4) + SOFT), rtol=0, atol=EXACT)


def test_a_patch_that_does_not_divide_the_bands_is_refused() -> None:
    with pytest.raises(ValueError, match="the first a divisor of bands"):
        replace(TINY, patch=(3, 1))


@pytest.mark.parametrize("spec", [TINY, PATCHED, replace(PATCHED, patch=(8, 2)), GAINED])
def test_its_pullback_is_the_transposed_jacobian(spec: CqtSpec) -> None:
    network = woken(spec, torch.float64)
    x, g, d = (white(1, 512, 12, seed=s, dtype=torch.float64) for s in (1, 2, 3))
    t = torch.tensor([0.6], dtype=torch.float64)
    pulled = network.vjp(x, t, g)[1]
    step = 1e-5
    along = (network.v(x + step * d, t) - network.v(x - step * d, t)) / (2 * step)
    assert float((pulled * d).sum()) == pytest.approx(float((along * g).sum()), rel=1e-3)
    assert float(pulled.abs().max()) > 0


def test_it_learns_a_clip_by_heart() -> None:
    torch.manual_seed(0)
    network = CqtUnet(TINY)
    time = torch.arange(256 * 48) / RATE
    tone = torch.sin(2 * math.pi * 220 * time) + torch.sin(2 * math.pi * 1300 * time) * (time * 8).frac().sub(0.5).sign()
    x_0 = frames_of(tone.expand(4, 2, -1), 256)
    optimiser = torch.optim.AdamW(network.parameters(), 3e-3, weight_decay=0.0)
    generator, losses = torch.Generator().manual_seed(0), []
    for _ in range(40):
        eps = torch.randn(x_0.shape, generator=generator)
        t = (torch.arange(4) + torch.rand(4, generator=generator)) / 4
        loss = (network(noised(x_0, eps, t), t) - v_of(x_0, eps, t)).square().mean()
        optimiser.zero_grad()
        loss.backward()
        optimiser.step()
        losses.append(float(loss.detach()))
    assert np.mean(losses[-10:]) < 0.5 * np.mean(losses[:3])


@pytest.mark.parametrize(("frames", "sizes"), [(FRAMES, TINY), (replace(FRAMES, emphasis=0.95, gain=40.0), GAINED)])
def test_a_saved_model_fills_a_hole_and_keeps_what_is_around_it(frames: FoldSpec, sizes: CqtSpec, tmp_path: Path) -> None:
    spec = ModelSpec("cqt-tiny", frames, sizes, window_s=1.0, reference_lufs=-18.0, family=NAME)
    path = tmp_path / "tiny.safetensors"
    save(path, spec, build_codec(spec)[0], woken(sizes))
    assert load(path).spec == spec
    engine = Engine(load(path))
    rng = np.random.default_rng(0)
    left, right = (0.1 * rng.standard_normal((2, 20_000)).astype(np.float32) for _ in range(2))
    takes = [engine.take(Request("infill", 9_000, left, right=right, steps=3, seed=1, xi=xi)) for xi in (0.0, 3e-3)]
    assert takes[0].shape == (2, 9_000)
    assert all(np.isfinite(take).all() for take in takes)
    assert np.abs(takes[0] - takes[1]).max() > 1e-6  # the gradient through the transform arrives in the hole


def test_presets_stand_by_their_sizes() -> None:
    names = ("cqt", "cqt-small", "cqt-patched")
    with torch.device("meta"):
        sizes = {name: sum(p.numel() for p in build_denoiser(presets()[name])[0].parameters()) for name in names}
    assert 20e6 < sizes["cqt"] < 25e6
    assert sizes["cqt-small"] < 1e6
    assert 15e6 < sizes["cqt-patched"] < 16e6
