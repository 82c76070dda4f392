"""The live codec: shapes, windows, determinism, silence, stereo, and a training run that resumes exactly."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import torch

from segue.engine.models.spectrum import band_matrix, istft, mid_side, stft
from segue.engine.models.vae import CodecSpec, LiveCodec, build
from segue.engine.protocols import Codec

TOLERANCE = 1e-4
SMALL = CodecSpec(
    encoder_width=16, encoder_slow_width=24, decoder_width=16, decoder_slow_width=24, latent_dim=8,
    encoder_blocks=1, encoder_slow_blocks=1, decoder_blocks=1, decoder_slow_blocks=1, noise_frames=37,
    bass_dim=2, bass_width=8, bass_blocks=1,
)  # fmt: skip


@pytest.fixture(scope="module")
def codec() -> LiveCodec:
    torch.manual_seed(0)
    return build(spec=SMALL)


def audio(frames: int, seed: int = 0) -> torch.Tensor:
    return 0.1 * torch.randn(1, 2, frames * 1024, generator=torch.Generator().manual_seed(seed))


def test_it_is_a_codec(codec: LiveCodec) -> None:
    assert isinstance(codec, Codec)
    assert (codec.rate, codec.hop, codec.audio_channels, codec.latent_dim) == (44_100, 1024, 2, 8)


def test_default_size_stays_within_its_budget() -> None:
    full = LiveCodec()
    assert sum(p.numel() for p in full.encoder.parameters()) < 3e6
    assert sum(p.numel() for p in full.decoder.parameters()) < 5e6


def test_shapes_follow_the_hop(codec: LiveCodec) -> None:
    z = codec.encode(audio(7))
    assert z.shape == (1, 8, 7)
    assert codec.decode(z).shape == (1, 2, 7 * 1024)


@pytest.mark.parametrize("shape", [(1, 1, 1024), (1, 2, 1000), (2, 1024), (1, 2, 0)])
def test_wrong_audio_is_refused_in_a_sentence(codec: LiveCodec, shape: tuple[int, ...]) -> None:
    with pytest.raises(ValueError, match="allowed"):
        codec.encode(torch.zeros(shape))


def test_wrong_latents_are_refused_in_a_sentence(codec: LiveCodec) -> None:
    with pytest.raises(ValueError, match="allowed"):
        codec.decode(torch.zeros(1, 9, 4))


def test_windowed_decode_equals_full_decode(codec: LiveCodec) -> None:
    z = torch.randn(1, 8, 60, generator=torch.Generator().manual_seed(1))
    full, first, last, reach = codec.decode(z), 11, 51, codec.receptive_frames
    part = codec.decode(z[..., first:last], frame_offset=first)
    inside = slice((first + reach) * 1024, (last - reach) * 1024)
    assert (full[..., inside] - part[..., reach * 1024 : -reach * 1024]).abs().max() < TOLERANCE
    assert full.abs().max() > 100 * TOLERANCE


def test_receptive_frames_is_enough_and_not_idle(codec: LiveCodec) -> None:
    """A change of one latent frame is heard inside the stated reach and nowhere beyond it."""
    z = torch.randn(1, 8, 60, generator=torch.Generator().manual_seed(2))
    changed = z.clone()
    changed[..., 30] += 1
    heard = (codec.decode(z) - codec.decode(changed)).abs().amax(dim=(0, 1)).unflatten(0, (60, 1024)).amax(dim=1)
    frames = torch.nonzero(heard > 1e-7).flatten()
    assert 30 - codec.receptive_frames <= int(frames.min()) < 30 < int(frames.max()) <= 30 + codec.receptive_frames


def test_windowed_encode_equals_full_encode(codec: LiveCodec) -> None:
    x, reach = audio(60), codec.encoder_receptive_frames
    full, part = codec.encode(x), codec.encode(x[..., 10 * 1024 : 50 * 1024])
    assert (full[..., 10 + reach : 50 - reach] - part[..., reach:-reach]).abs().max() < TOLERANCE


def test_decode_is_deterministic_and_its_noise_moves_with_the_offset(codec: LiveCodec) -> None:
    z = torch.randn(1, 8, 12, generator=torch.Generator().manual_seed(3))
    assert torch.equal(codec.decode(z, 5), codec.decode(z, 5))
    assert torch.equal(codec.decode(z, 5), codec.decode(z, 5 + SMALL.noise_frames))
    assert not torch.equal(codec.decode(z, 5), codec.decode(z, 6))


def test_noise_repeats_without_a_seam(codec: LiveCodec) -> None:
    """White noise of unit variance in every stretch, the wrap included."""
    around = codec.noise_at(SMALL.noise_frames - 2, 4)
    assert 0.8 < float(around.square().mean()) / float(codec.noise.square().mean()) < 1.2


def test_statistics_bring_latents_to_unit_variance() -> None:
    torch.manual_seed(4)
    codec = build(spec=SMALL)
    raw = codec.encode(audio(50))
    codec.mean.copy_(raw.mean(dim=(0, 2)))
    codec.std.copy_(raw.std(dim=(0, 2)))
    z = codec.encode(audio(50))
    torch.testing.assert_close(z.mean(dim=(0, 2)), torch.zeros(8), atol=1e-4, rtol=0)
    torch.testing.assert_close(z.std(dim=(0, 2)), torch.ones(8), atol=1e-3, rtol=0)
    changed = codec.decoder(z.transpose(1, 2) * codec.std + codec.mean, codec.noise_at(0, 50))
    torch.testing.assert_close(codec.decode(z), changed)


def test_stft_and_its_inverse_are_exact_inside() -> None:
    x, window = audio(20), torch.hann_window(1024)
    y = istft(stft(x, window, 256), window, 256)
    assert (x - y)[..., 1024:-1024].abs().max() < 1e-5


def test_mid_side_is_its_own_inverse() -> None:
    x = audio(2)
    torch.testing.assert_close(mid_side(mid_side(x)), x)


def test_only_the_bass_channels_see_phase(codec: LiveCodec) -> None:
    """Turning the polarity over leaves every envelope channel as it is and changes the bass channels."""
    x = audio(20)
    change = (codec.encode(x) - codec.encode(-x)).abs().amax(dim=(0, 2))
    envelopes = SMALL.latent_dim - SMALL.bass_dim
    assert change[:envelopes].max() < 1e-5
    assert change[envelopes:].min() > 1e-3


def test_envelope_channels_do_not_know_left_from_right(codec: LiveCodec) -> None:
    """Swapping the sides turns the side signal over, which magnitudes of mid and side cannot see: a limit of this codec."""
    x = audio(20)
    swapped = codec.encode(x.flip(1))
    envelopes = SMALL.latent_dim - SMALL.bass_dim
    assert (codec.encode(x) - swapped)[:, :envelopes].abs().max() < 1e-5


def test_bands_share_every_bin_fully() -> None:
    matrix = band_matrix(513, 32, 44_100)
    torch.testing.assert_close(matrix.sum(dim=0), torch.ones(513))
    assert (matrix >= 0).all()


def test_extreme_inputs_stay_finite(codec: LiveCodec) -> None:
    for x in (torch.zeros(1, 2, 8192), 10 * audio(8), torch.ones(1, 2, 8192)):
        z = codec.encode(x)
        assert torch.isfinite(z).all()
        assert torch.isfinite(codec.decode(z)).all()
    assert torch.isfinite(codec.decode(torch.full((1, 8, 8), 20.0))).all()


@pytest.fixture
def prepared(tmp_path: Path) -> Path:
    from segue.train.data import Entry, store, write_index

    out = tmp_path / "audio"
    out.mkdir()
    rng = np.random.default_rng(0)
    gain = store(out, "a", (0.1 * rng.normal(size=(44_100 * 2, 2))).astype(np.float32))
    write_index(out, [Entry("a", "a", "", "", "train", 44_100 * 2, gain)])
    return out


@pytest.mark.parametrize("noise", [False, True])
def test_training_resumes_exactly(prepared: Path, tmp_path: Path, noise: bool) -> None:
    from segue.train.clips import Library
    from segue.train.codec import Run
    from segue.train.codec_recipe import Recipe
    from segue.train.loop import resume, save

    def weights(steps: tuple[int, ...], name: str) -> torch.Tensor:
        for number, until in enumerate(steps):
            recipe = Recipe(noise=noise, batch=1, frames=8, steps=4, codec=SMALL)
            run = Run(recipe, library=Library([prepared]))
            path = tmp_path / f"{name}.pt"
            if number:
                resume(run, path)
            while run.step < until:
                run.advance(run.step / recipe.steps)
            save(run, path)
        state = torch.load(path, weights_only=True)
        assert state["step"] == steps[-1]
        return torch.cat([value.flatten() for value in state["ema"].values()])

    assert torch.equal(weights((4,), "whole"), weights((2, 4), "halves"))


def test_decoder_stage_leaves_the_encoder_alone(prepared: Path, tmp_path: Path) -> None:
    from segue.train.codec import train_codec
    from segue.train.codec_recipe import Recipe
    from segue.train.loop import Plan

    small = Recipe(batch=1, frames=8, steps=2, codec=SMALL, settle_clips=2)
    path = train_codec(small, [prepared], Plan(tmp_path / "a"))
    first = torch.load(path, weights_only=True)
    recipe = replace(small, stage="decoder", noise=True)
    path = train_codec(recipe, [prepared], Plan(tmp_path / "b"), start=tmp_path / "a" / "codec.pt")
    second = torch.load(path, weights_only=True)
    frozen = [key for key in first["ema"] if key.startswith("encoder") or key in ("mean", "std")]
    assert all(torch.equal(first["ema"][key], second["ema"][key]) for key in frozen)
    assert not torch.equal(first["ema"]["decoder.fine.weight"], second["ema"]["decoder.fine.weight"])


def test_recipe_refuses_an_unknown_key(tmp_path: Path) -> None:
    from segue.train.codec_recipe import read_recipe

    path = tmp_path / "bad.yaml"
    path.write_text("batchsize: 4\n")
    with pytest.raises(ValueError, match="unknown key 'batchsize'"):
        read_recipe(path)


def test_shipped_recipes_are_valid() -> None:
    from segue.train.codec_recipe import read_recipe

    for name in ("codec", "codec_decoder", "paper_codec"):
        read_recipe(Path(name))


def test_long_encode_equals_one_encode(codec: LiveCodec) -> None:
    from segue.train.encode import encode_long

    x = audio(50)
    assert (encode_long(codec, x[0], chunk=16) - codec.encode(x)[0]).abs().max() < TOLERANCE
