"""The paper's two models: sizes as printed, windowed codecs, gradients."""

from __future__ import annotations

from dataclasses import replace
from functools import lru_cache
from typing import Any

import pytest
import torch
from torch import Tensor, nn
from torch._subclasses import FakeTensorMode

from segue.engine.guidance import enter, on_x_0_hat
from segue.engine.models.families import build_codec, build_denoiser, families, presets
from segue.engine.models.paper_dit import PaperDit, PaperDitSpec, relative_distances, skewed
from segue.engine.models.paper_vae import LAYERS, STRIDE, PaperVae, PaperVaeSpec
from segue.engine.models.unet1d import Unet1d, UnetSpec
from segue.engine.paper import XI, XI_WAVEFORM
from segue.engine.protocols import Codec, Denoiser
from segue.engine.task import Sources
from segue.engine.tasks import tasks

RATE = 44_100
FAMILIES = ("paper-latent", "paper-waveform")
TINY_DIT = PaperDitSpec(channels=6, width=32, layers=2, heads=2, clip=5)
TINY_UNET = UnetSpec(channels=6, width=8, multipliers=(1, 2, 2), blocks=1, attention=1, heads=2, groups=4)
TINY_VAE = PaperVaeSpec(latent_dim=6, width=4, widest=16, expansion=2)


def noise(*shape: int, seed: int = 1) -> Tensor:
    return torch.randn(shape, generator=torch.Generator().manual_seed(seed), dtype=torch.float64)


def woken(module: nn.Module, std: float = 0.2) -> Any:
    """A module whose zero-initialised gates are open, as after training."""
    torch.manual_seed(0)
    for parameter in module.parameters():
        nn.init.normal_(parameter, std=std)
    return module.double().eval().requires_grad_(False)


def tiny(family: str) -> Any:
    return woken(PaperDit(TINY_DIT) if family == "paper-latent" else Unet1d(TINY_UNET))


@lru_cache(maxsize=4)
def counted(name: str) -> tuple[int, int]:
    """Parameters of a preset's denoiser and codec, on the meta device."""
    with torch.device("meta"):
        parts = build_denoiser(presets()[name])[0], build_codec(presets()[name])[0]
    assert all(p.is_meta for part in parts for p in part.parameters())
    return sum(p.numel() for p in parts[0].parameters()), sum(p.numel() for p in parts[1].parameters())


def test_the_latent_model_has_0_93_billion_parameters() -> None:
    spec = presets()["paper-latent"]
    assert isinstance(spec.denoiser, PaperDitSpec)
    assert (spec.denoiser.layers, spec.denoiser.width) == (32, 1536)
    assert (spec.hop, spec.window_frames) == (128, 2032)
    denoiser, codec = counted("paper-latent")
    assert abs(denoiser / 1e9 - 1) <= 0.1
    assert denoiser == 927_171_872
    assert codec == 27_392_002


def test_the_waveform_model_has_440_million_parameters_within_10_per_cent() -> None:
    spec = presets()["paper-waveform"]
    assert (spec.hop, spec.codec.latent_dim, spec.window_s) == (16, 64, 11.9)
    denoiser, codec = counted("paper-waveform")
    assert abs(denoiser / 440e6 - 1) <= 0.1
    assert denoiser == 435_932_736
    assert codec == 0


@pytest.mark.parametrize("family", FAMILIES)
def test_the_full_sizes_take_a_whole_window(family: str) -> None:
    """With fake tensors: shapes are worked out and nothing is computed."""
    spec = presets()[family]
    with FakeTensorMode(), torch.no_grad():
        (_, codec), (_, denoiser) = build_codec(spec), build_denoiser(spec)
        x = torch.empty(2, spec.codec.latent_dim, spec.window_frames)
        assert denoiser.v(x, torch.empty(2)).shape == x.shape
        audio = codec.decode(x)
        assert audio.shape == (2, 2, spec.window_frames * spec.hop)
        assert codec.encode(audio).shape == x.shape


def test_the_step_of_the_guidance_is_each_models_own() -> None:
    assert [presets()[name].xi for name in FAMILIES] == [XI, XI_WAVEFORM]


@pytest.mark.parametrize("family", FAMILIES)
def test_both_are_denoisers_of_one_level_a_window(family: str) -> None:
    denoiser = tiny(family)
    assert isinstance(denoiser, Denoiser)
    assert not denoiser.per_frame_t
    with pytest.raises(ValueError, match=r"one level a window; use the regime guided"):
        denoiser.v(noise(1, 6, 8), torch.ones(1, 8).double())
    with pytest.raises(ValueError, match="cond: got 3 values, this model takes none"):
        denoiser.v(noise(1, 6, 8), torch.ones(1).double(), torch.ones(1, 3))


@pytest.mark.parametrize("family", FAMILIES)
def test_an_untrained_network_answers_zero(family: str) -> None:
    fresh = PaperDit(TINY_DIT) if family == "paper-latent" else Unet1d(TINY_UNET)
    assert not fresh.v(torch.randn(2, 6, 12), torch.rand(2)).any()


@pytest.mark.parametrize("family", FAMILIES)
@pytest.mark.parametrize("frames", [1, 12, 13])
def test_any_number_of_frames_has_its_answer_and_items_do_not_meet(family: str, frames: int) -> None:
    denoiser, x, t = tiny(family), noise(3, 6, frames), torch.tensor([0.2, 0.7, 1.0]).double()
    v = denoiser.v(x, t)
    assert v.shape == x.shape
    torch.testing.assert_close(v[1:2], denoiser.v(x[1:2], t[1:2]))
    assert (v - denoiser.v(x, t.flip(0))).abs().max() > 1e-6


def test_a_direct_way_gives_x_t_a_gain_that_follows_the_level() -> None:
    unet, x, t = (
        Unet1d(replace(TINY_UNET, channels=40, direct=True)).double(),
        noise(2, 40, 13),
        torch.tensor([0.3, 0.9]).double(),
    )
    assert unet.direct is not None
    assert not unet.v(x, t).any()
    nn.init.normal_(unet.direct.weight)
    gain = unet.v(x, t) / x
    torch.testing.assert_close(gain, gain[..., :1].expand_as(gain))  # every channel its own, the same at every frame
    assert (gain[0, :, 0] - gain[1, :, 0]).abs().max() > 1e-3


@pytest.mark.parametrize("family", FAMILIES)
def test_vjp_equals_finite_differences(family: str) -> None:
    denoiser, x, t, g, step = tiny(family), noise(2, 6, 13), torch.tensor([0.3, 0.9]).double(), noise(2, 6, 13, seed=4), 1e-6
    with torch.no_grad():
        v, pulled = denoiser.vjp(x, t, g)
    torch.testing.assert_close(v, denoiser.v(x, t))
    direction = noise(2, 6, 13, seed=5)
    moved = (denoiser.v(x + step * direction, t) - denoiser.v(x - step * direction, t)) / (2 * step)
    torch.testing.assert_close((g * moved).sum(), (pulled * direction).sum(), rtol=1e-6, atol=1e-8)


@pytest.mark.parametrize("family", FAMILIES)
@pytest.mark.parametrize("regime", ["clean", "guided", "tail"])
def test_guidance_reaches_target_frames_in_every_regime(family: str, regime: str) -> None:
    """One level a window, so every regime is the guided one, and Table 2's x_T applies as printed."""
    denoiser, x = tiny(family), noise(1, 6, 24)
    problem = enter(tasks()["infill"].problem(Sources(x, 8, 8), noise(1, 6, 24, seed=2)), regime, denoiser)
    assert problem.clean is None
    _, gradient = on_x_0_hat(denoiser, problem, problem.x_T, problem.at(0.6))
    assert gradient[..., 8:16].abs().min() > 0


def test_attention_knows_distances_up_to_the_clip() -> None:
    assert relative_distances(5, 3, torch.device("cpu")).tolist() == [0, 0, 1, 2, 3, 4, 5, 6, 6]
    by_distance = torch.arange(-4, 5).expand(2, 5, 9)
    assert torch.equal(skewed(by_distance)[1], torch.arange(5) - torch.arange(5)[:, None])
    block, h = tiny("paper-latent").blocks[0], noise(1, 12, 32)

    def attended(h: Tensor, clip: int = 5) -> Tensor:
        out: Tensor = block.attend(h, relative_distances(12, clip, h.device) + 5 - clip)
        return out

    assert (attended(h.flip(1)).flip(1) - attended(h)).abs().max() > 1e-6  # before differs from after
    torch.testing.assert_close(attended(h.flip(1), 0).flip(1), attended(h, 0))  # without distances it does not


def test_the_vae_has_eight_layers_a_side_and_a_stride_of_128() -> None:
    vae = woken(PaperVae(TINY_VAE))
    assert isinstance(vae, Codec)
    assert (LAYERS, STRIDE, len(vae.encoder.layers), len(vae.decoder.layers)) == (8, 128, 8, 8)
    assert (len(vae.encoder.downs), len(vae.decoder.ups)) == (7, 7)
    z = vae.encode(noise(2, 2, 128 * 3))
    assert z.shape == (2, 6, 3)
    assert vae.decode(z).shape == (2, 2, 128 * 3)


@torch.no_grad()
def test_a_fresh_vae_tells_sounds_apart_through_its_posterior() -> None:
    """Latents that vary less than the posterior's noise are soon left out by the decoder."""
    torch.manual_seed(1)
    vae = PaperVae(presets()["paper-latent-small"].codec)
    mean, log_variance = vae.encoder(0.1 * torch.randn(1, 2, 128 * 64))
    assert float(mean.std(1).mean()) > 4 * float((log_variance / 2).exp().mean())
    assert float(vae.decoder(torch.randn(1, 8, 16)).std()) < 0.1


def test_a_windowed_decode_and_encode_equal_the_whole() -> None:
    vae, frames, first, last = woken(PaperVae(TINY_VAE)), 60, 25, 31
    z, reach = noise(1, 6, frames), vae.receptive_frames
    part = vae.decode(z[..., first - reach : last + reach])[..., reach * 128 : -reach * 128]
    torch.testing.assert_close(part, vae.decode(z)[..., first * 128 : last * 128], rtol=0, atol=1e-10)
    audio, reach = noise(1, 2, frames * 128), vae.encoder_receptive_frames
    cut = vae.encode(audio[..., (first - reach) * 128 : (last + reach) * 128])[..., reach:-reach]
    torch.testing.assert_close(cut, vae.encode(audio)[..., first:last], rtol=0, atol=1e-10)


def test_the_reach_is_no_wider_than_it_must_be() -> None:
    """Within 2 frames of what a decoded sample really depends on."""
    vae, z = woken(PaperVae(TINY_VAE)), noise(1, 6, 60).requires_grad_()
    vae.decode(z)[..., 30 * 128 : 31 * 128].sum().backward()
    touched = z.grad.abs().sum((0, 1)).nonzero().flatten()
    assert vae.receptive_frames - 2 <= 30 - int(touched.min()) <= vae.receptive_frames
    assert vae.receptive_frames - 2 <= int(touched.max()) - 30 <= vae.receptive_frames


def test_parts_that_keep_no_contract_are_refused() -> None:
    spec = presets()["paper-latent-small"]
    from segue.engine.models import families as home

    wrong = replace(families()["paper-latent"], codec=lambda _: nn.Identity(), denoiser=lambda _: nn.Identity())
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(home, "families", lambda: {"paper-latent": wrong})
        with pytest.raises(TypeError, match="Identity is no Codec"):
            build_codec(spec)
        with pytest.raises(TypeError, match="Identity is no Denoiser"):
            build_denoiser(spec)


@pytest.mark.parametrize(
    ("kind", "sizes", "sentence"),
    [
        (PaperDitSpec, {"width": 100, "heads": 24}, "choose an even multiple of heads"),
        (UnetSpec, {"width": 100}, "choose a width that is a multiple of both"),
        (UnetSpec, {"kernel": 4}, "an odd kernel"),
    ],
)
def test_impossible_sizes_are_refused(kind: type, sizes: dict[str, int], sentence: str) -> None:
    with pytest.raises(ValueError, match=sentence):
        kind(**sizes)
