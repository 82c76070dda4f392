"""The slides' models: mel images and their inversion, the VAE over them, and the 2-D U-Net with and without a condition."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import soundfile
import torch
from torch import Tensor, nn

from segue.engine.checkpoint import load, save
from segue.engine.conditioned import Conditioned
from segue.engine.engine import Engine
from segue.engine.models.families import build_codec, build_denoiser, presets
from segue.engine.models.mel_vae import MelVae, MelVaeSpec
from segue.engine.models.melspec import CENTRE_DB, FLOOR_DB, SPREAD_DB, MelCodec, MelSpec, amplitudes_of, decibel_error, image_of
from segue.engine.models.slides import RESOLUTIONS
from segue.engine.models.spec import ModelSpec
from segue.engine.models.unet2d import Unet2d, Unet2dSpec
from segue.engine.paper import noised, v_of
from segue.engine.protocols import Codec, Denoiser
from segue.engine.request import Request
from segue.train.condition import left_out, statistics

EXAMPLES = Path(__file__).resolve().parent.parent / "examples"
MOST_DB = 1.0  # of the inversion's log-mel error
FAST = 3  # iterations where a test does not listen
TINY = Unet2dSpec(channels=16, width=8, multipliers=(1, 2), blocks=1, attention=(1,), head=8, groups=4)
TINY_VAE = MelVaeSpec(MelSpec(bands=16, iterations=FAST), 2, (8, 16), 1)


def white(*shape: int, seed: int = 1, dtype: torch.dtype = torch.float32) -> Tensor:
    return torch.randn(shape, generator=torch.Generator().manual_seed(seed), dtype=dtype)


def clip(seconds: float = 3.0) -> Tensor:
    """Music in whole columns, `[1, 2, N]`."""
    audio, rate = soundfile.read(EXAMPLES / "clip_a.flac", frames=int(seconds * 44_100), dtype="float32", always_2d=True)
    assert rate == 44_100
    return torch.from_numpy(audio[: len(audio) // 512 * 512].T.copy())[None]


def woken(network: nn.Module) -> nn.Module:
    """Zero-initialised layers answer, as after training."""
    torch.manual_seed(0)
    for parameter in network.parameters():
        nn.init.normal_(parameter, std=0.15)
    return network.eval().requires_grad_(False)


@pytest.mark.parametrize("bands", [64, 128])
def test_the_inversion_is_within_a_decibel_and_nearer_than_griffin_lim(bands: int) -> None:
    codec, audio = MelCodec(MelSpec(bands=bands)), clip()
    with torch.no_grad():
        image = codec.image(audio)
        ours = float(decibel_error(image, codec.image(codec.decode(codec.encode(audio)))))
        baseline = float(decibel_error(image, codec.image(codec.image.griffin_lim(image, 100))))
    print(f"{bands} bands: {ours:.2f} dB, Griffin-Lim {baseline:.2f} dB")
    assert ours < MOST_DB
    assert ours < baseline


def test_a_louder_sound_is_a_brighter_image_by_as_many_decibels() -> None:
    codec, audio = MelCodec(MelSpec(bands=32)), 0.1 * white(1, 2, 512 * 20)
    louder = codec.image(2 * audio) - codec.image(audio)
    torch.testing.assert_close(louder * SPREAD_DB, torch.full_like(louder, 20 * np.log10(2)), atol=1e-3, rtol=0)


def test_silence_stays_silent() -> None:
    codec = MelCodec(MelSpec(bands=32, iterations=FAST))
    z = codec.encode(torch.zeros(1, 2, 512 * 10))
    assert float(z.max()) == pytest.approx((FLOOR_DB - CENTRE_DB) / SPREAD_DB)
    assert not codec.decode(z).any()


def test_images_and_amplitudes_are_inverse() -> None:
    amplitudes = torch.logspace(-4.5, 0.3, 40).reshape(1, 1, 5, 8)
    torch.testing.assert_close(amplitudes_of(image_of(amplitudes)), amplitudes, rtol=1e-4, atol=0)


def test_an_image_in_other_units_sounds_the_same() -> None:
    """Narrow bands at a low rate have another mean and spread than those that were measured."""
    spec, audio = MelSpec(bands=32, iterations=FAST), clip(0.5)
    usual, other = MelCodec(spec), MelCodec(replace(spec, centre_db=-40.0, spread_db=10.0))
    torch.testing.assert_close(10.0 * other.image(audio) - 40.0, SPREAD_DB * usual.image(audio) + CENTRE_DB)
    torch.testing.assert_close(other.decode(other.encode(audio)), usual.decode(usual.encode(audio)), atol=1e-4, rtol=0)
    with pytest.raises(ValueError, match="got a spread of 0 dB"):
        MelSpec(spread_db=0)


def test_stereo_keeps_its_sides_apart() -> None:
    codec = MelCodec(MelSpec(bands=32, sides=2, iterations=FAST))
    audio = clip(1.0) * torch.tensor([1.0, 0.1])[:, None]
    with torch.no_grad():
        back = codec.decode(codec.encode(audio))
    assert codec.latent_dim == 64
    assert float(back[0, 0].std() / back[0, 1].std()) == pytest.approx(float(audio[0, 0].std() / audio[0, 1].std()), rel=0.1)


@pytest.mark.parametrize("codec", [MelCodec(MelSpec(bands=16, iterations=FAST)), woken(MelVae(TINY_VAE))], ids=["mel", "vae"])
def test_a_windowed_decode_equals_the_full_one(codec: MelCodec | MelVae) -> None:
    assert isinstance(codec, Codec)
    reach = codec.receptive_frames
    z = white(1, codec.latent_dim, 2 * reach + 12)
    with torch.no_grad():
        whole, part = codec.decode(z, 5), codec.decode(z[..., 4:], 9)
    inside = slice(reach * codec.hop, 8 * codec.hop + reach * codec.hop)
    torch.testing.assert_close(part[..., inside], whole[..., 4 * codec.hop :][..., inside], atol=1e-4, rtol=1e-3)
    # the reach is no larger than it has to be, by much: nearer to the edge the two differ
    assert float((part - whole[..., 4 * codec.hop :]).abs()[..., : 2 * codec.hop].max()) > 1e-3


def test_the_vae_halves_its_images_and_encodes_alike_in_windows() -> None:
    codec = woken(MelVae(TINY_VAE))
    assert isinstance(codec, MelVae)
    audio = 0.1 * white(1, 2, codec.hop * 40)
    z = codec.encode(audio)
    assert z.shape == (1, 16, 40)
    assert codec.pictured(z).shape == (1, 1, 16, 80)
    reach = codec.encoder_receptive_frames
    torch.testing.assert_close(codec.encode(audio[..., 2 * codec.hop :])[..., reach:], z[..., 2 + reach :], atol=1e-4, rtol=1e-3)


def test_the_unet_is_a_denoiser_of_any_length() -> None:
    network = Unet2d(TINY)
    assert isinstance(network, Denoiser)
    assert network.channels == 16
    assert not network.v(white(2, 16, 9), torch.tensor([0.1, 0.9])).any()
    with pytest.raises(ValueError, match="one level a window"):
        network.v(white(1, 16, 9), torch.full((1, 9), 0.5))
    with pytest.raises(ValueError, match="whole rows an image"):
        Unet2dSpec(channels=16, images=3)


def test_the_unets_pullback_is_the_transposed_jacobian() -> None:
    network = woken(Unet2d(TINY)).double()
    assert isinstance(network, Unet2d)
    x, g, d = (white(1, 16, 10, seed=s, dtype=torch.float64) for s in (1, 2, 3))
    t = torch.tensor([0.4], dtype=torch.float64)
    along = (network.v(x + 1e-5 * d, t) - network.v(x - 1e-5 * d, t)) / 2e-5
    assert float((network.vjp(x, t, g)[1] * d).sum()) == pytest.approx(float((along * g).sum()), rel=1e-4)


def test_a_condition_changes_the_answer_and_a_weight_exaggerates_it() -> None:
    network = woken(Unet2d(replace(TINY, cond_dim=3)))
    assert isinstance(network, Unet2d)
    x, t, g = white(2, 16, 8), torch.tensor([0.5, 0.7]), white(2, 16, 8, seed=4)
    cond = torch.tensor([[0.0, 1.0, 0.0]])
    none, alone, twice = network.v(x, t), Conditioned(network, cond), Conditioned(network, cond, 2.0)
    assert isinstance(twice, Denoiser)
    assert float((alone.v(x, t) - none).abs().max()) > 1e-4
    torch.testing.assert_close(twice.v(x, t) - none, 2 * (alone.v(x, t) - none))
    pulled, parts = twice.vjp(x, t, g), (alone.vjp(x, t, g), network.vjp(x, t, g))
    assert pulled is not None
    assert parts[0] is not None
    torch.testing.assert_close(pulled[1], 2 * parts[0][1] - parts[1][1])
    with pytest.raises(ValueError, match="this model takes 3"):
        network.v(x, t, torch.ones(2, 5))


def test_it_learns_two_classes_by_heart() -> None:
    torch.manual_seed(0)
    network = Unet2d(replace(TINY, cond_dim=2))
    ramp, stripes = torch.linspace(-1.5, 1.5, 16)[:, None], torch.tensor([-1.0, -1.0, 1.0, 1.0]).repeat(4)[:, None]
    x_0 = torch.stack((ramp, stripes)).expand(-1, -1, 12)
    cond, generator, losses = torch.eye(2), torch.Generator().manual_seed(0), []
    optimiser = torch.optim.AdamW(network.parameters(), 5e-3, weight_decay=0.0)
    for step in range(240):
        eps = torch.randn(x_0.shape, generator=generator)
        t = (torch.arange(2) + torch.rand(2, generator=generator)) / 2
        t = t if step % 2 else t.flip(0)
        loss = (network(noised(x_0, eps, t), t, cond) - v_of(x_0, eps, t)).square().mean()
        optimiser.zero_grad()
        loss.backward()
        optimiser.step()
        losses.append(float(loss.detach()))
    assert np.mean(losses[-30:]) < 0.35 * np.mean(losses[:5])
    with torch.no_grad():  # at t = 1 v is -x_0: from the same noise the class decides
        guess = -network.v(white(1, 16, 12).expand(2, -1, -1), torch.ones(2), cond)
    likeness = torch.einsum("irt,jrt->ij", guess, x_0)
    assert likeness.argmax(dim=1).tolist() == [0, 1]


def test_the_printed_presets_have_the_slides_sizes() -> None:
    named = presets()
    with torch.device("meta"):
        for frames, bands in RESOLUTIONS:
            spec = named[f"slides-mel-{frames}x{bands}"]
            assert (spec.window_frames, spec.codec.latent_dim) == (frames, bands)
            assert sum(p.numel() for p in build_denoiser(spec)[0].parameters()) == pytest.approx(113e6, rel=0.01)
        latent = named["slides-latent-256x256"]
        assert (latent.window_frames, latent.codec.latent_dim) == (32, 32)
        assert sum(p.numel() for p in build_codec(latent)[0].parameters()) == pytest.approx(83e6, rel=0.05)


def test_the_waveform_row_has_the_slides_size() -> None:
    """64 M parameters in 259 MB, 65536 positions."""
    spec = presets()["slides-waveform-65536x1"]
    with torch.device("meta"):
        parameters = sum(p.numel() for p in build_denoiser(spec)[0].parameters())
    assert parameters == pytest.approx(259e6 / 4, rel=0.005)
    assert spec.window_frames == 65536
    assert spec.codec.latent_hop * spec.window_frames / spec.codec.rate == pytest.approx(2.96, abs=0.02)


@pytest.mark.parametrize("name", ["slides-mel-small", "slides-conditional-small", "slides-latent-small"])
def test_a_saved_small_preset_plays(tmp_path: Path, name: str) -> None:
    spec = presets()[name]
    codec = replace(spec.codec, mel=replace(spec.codec.mel, iterations=FAST)) if isinstance(spec.codec, MelVaeSpec) else None
    spec = replace(spec, codec=codec or replace(spec.codec, iterations=FAST))  # type: ignore[type-var]
    path = tmp_path / "small.safetensors"
    torch.manual_seed(0)
    save(path, spec, build_codec(spec)[0], build_denoiser(spec)[0])
    model = load(path)
    assert model.spec == spec
    engine = Engine(model)
    audio = clip(4.0)[0].numpy()
    new = engine.new_frames
    takes = {
        "continuation": engine.take(Request("continuation", new, audio, steps=2)),
        "infill": engine.take(Request("infill", 30_000, audio, right=audio, steps=2)),
        "generate": engine.take(Request("generate", new, steps=2, sampler="ddpm")),
    }
    for take in takes.values():
        assert np.isfinite(take).all()
        assert float(np.abs(take).max()) > 1e-4
    assert ModelSpec.from_dict(spec.to_dict()) == spec


def test_the_engine_tells_a_conditional_model_of_style_and_classes(tmp_path: Path) -> None:
    codec = MelSpec(bands=16, iterations=FAST)
    spec = ModelSpec("cond", codec, replace(TINY, cond_dim=32), window_s=0.8, family="slides-mel")
    path = tmp_path / "cond.safetensors"
    save(path, spec, build_codec(spec)[0], woken(build_denoiser(spec)[0]))
    engine, audio = Engine(load(path)), clip(2.0)[0].numpy()
    asked = Request("generate", engine.new_frames, steps=2, seed=5, match_level=False)
    classes = np.full((1, 32), np.nan, np.float32)
    classes[0, 3] = 1.0
    takes = [engine.take(request) for request in (asked, replace(asked, style=audio), replace(asked, classes=classes))]
    assert all(np.isfinite(take).all() for take in takes)
    assert all(float(np.abs(a - takes[0]).max()) > 1e-4 for a in takes[1:])


def test_the_trainer_tells_most_windows_what_they_are() -> None:
    x_0 = white(200, 8, 12)
    told = left_out(statistics(16, x_0), 200, seed=1, step=3)
    untold = (told == 0).all(dim=1)
    assert 0.02 < float(untold.float().mean()) < 0.2
    torch.testing.assert_close(told[~untold][:, :8], x_0[~untold].mean(-1))
    with pytest.raises(ValueError, match="cond_dim: got 5"):
        statistics(5, x_0)
