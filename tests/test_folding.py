"""Folding loses nothing: unfolding is its inverse at every sample, and what lies far away does not matter."""

from __future__ import annotations

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from segue.engine.models.folding import Fold, FoldSpec, fold, lifted, lowered, unfold
from segue.engine.protocols import Codec

SHAPES = [(32, 16), (16, 16), (48, 16), (24, 8)]


EMPHASISED = FoldSpec(emphasis=0.95)


def noise(*shape: int, seed: int = 1) -> torch.Tensor:
    return torch.randn(shape, generator=torch.Generator().manual_seed(seed), dtype=torch.float64)


@pytest.mark.parametrize(("frame", "hop"), SHAPES)
@settings(max_examples=25, deadline=None)
@given(frames=st.integers(1, 40), batch=st.integers(1, 3), seed=st.integers(0, 1000))
def test_unfolding_a_fold_is_the_identity_edges_included(frame: int, hop: int, frames: int, batch: int, seed: int) -> None:
    audio = noise(batch, 2, frames * hop, seed=seed)
    z = fold(audio, frame, hop)
    assert z.shape == (batch, 2 * frame, frames)
    torch.testing.assert_close(unfold(z, frame, hop), audio, rtol=0, atol=1e-12)


def test_the_codec_gives_back_its_audio() -> None:
    codec = Fold(FoldSpec())
    assert isinstance(codec, Codec)
    audio = 0.1 * noise(1, 2, 16 * 301).float()
    torch.testing.assert_close(codec.decode(codec.encode(audio)), audio, rtol=0, atol=1e-7)
    assert sum(p.numel() for p in codec.parameters()) == 0


@pytest.mark.parametrize("a", [0.5, 0.95, 0.99])
@pytest.mark.parametrize("samples", [1, 2, 513, 20_000])
def test_what_is_lifted_is_lowered_to_what_it_was(a: float, samples: int) -> None:
    audio, memory = noise(1, 2, samples), FoldSpec(emphasis=a).memory
    y = lifted(audio, a)
    assert torch.equal(y[..., 0], audio[..., 0])
    torch.testing.assert_close(y[..., 1:], audio[..., 1:] - a * audio[..., :-1])
    torch.testing.assert_close(lowered(y, a, memory), audio, rtol=0, atol=1e-6)


def test_the_codec_gives_back_emphasised_audio_too() -> None:
    codec, audio = Fold(EMPHASISED), 0.1 * noise(1, 2, 16 * 3001).float()
    torch.testing.assert_close(codec.decode(codec.encode(audio)), audio, rtol=0, atol=1e-6)
    assert FoldSpec().memory == 0
    assert torch.equal(Fold(FoldSpec()).encode(audio), FoldSpec().gain * fold(audio, 32, 16))


def test_emphasis_gives_a_white_error_the_colour_of_music() -> None:
    """1 / |1 - a e^(-i w)|: from 1 / (1 - a) at 0 to 1 / (1 + a) at the Nyquist frequency."""
    white = noise(1, 64, 4000).float()
    spectrum = torch.fft.rfft(Fold(EMPHASISED).decode(white)[0, 0]).abs()
    bass, treble = (float(part.square().mean().sqrt()) for part in (spectrum[:100], spectrum[-100:]))
    assert bass / treble == pytest.approx(1.95 / 0.05, rel=0.25)


def test_a_frame_is_centred_on_its_hop() -> None:
    audio = torch.zeros(1, 2, 64)
    audio[0, 1, 24] = 1.0  # right side, in the middle of hop 1
    z = fold(audio, 32, 16)
    assert z[0, 32 + 16, 1] == 1.0
    assert z[:, :32].abs().sum() == 0
    assert int((z != 0).sum()) == 2  # in the frame of its own hop and in the next one's, which begins there


def test_where_frames_disagree_the_hamming_window_weighs_them() -> None:
    z = torch.zeros(1, 64, 2, dtype=torch.float64)
    z[:, :32, 1] = 1.0
    left = unfold(z, 32, 16)[0, 0]
    window = torch.hamming_window(32, periodic=False, dtype=torch.float64)
    torch.testing.assert_close(left[8:24], window[:16] / (window[:16] + window[16:]))
    assert not left[:8].any()
    torch.testing.assert_close(left[24:], torch.ones(8, dtype=torch.float64))


@pytest.mark.parametrize("spec", [FoldSpec(), EMPHASISED])
def test_a_part_is_unfolded_and_folded_as_within_the_whole(spec: FoldSpec) -> None:
    codec, first, last = Fold(spec), 41, 67
    z, reach = noise(1, 64, 120).float(), codec.receptive_frames
    part = codec.decode(z[..., first - reach : last + reach], first - reach)[..., reach * 16 : -reach * 16]
    torch.testing.assert_close(part, codec.decode(z)[..., first * 16 : last * 16], rtol=0, atol=1e-6 if spec.emphasis else 1e-7)
    audio, reach = noise(1, 2, 120 * 16).float(), codec.encoder_receptive_frames
    cut = codec.encode(audio[..., (first - reach) * 16 : (last + reach) * 16])[..., reach:-reach]
    torch.testing.assert_close(cut, codec.encode(audio)[..., first:last], rtol=0, atol=0)


def test_gradients_reach_through_the_unfold() -> None:
    z = noise(1, 64, 5).requires_grad_()
    assert torch.autograd.gradcheck(lambda a: unfold(a, 32, 16), (z,))


@pytest.mark.parametrize("sizes", [{"frame": 33}, {"frame": 48, "hop": 32}, {"frame": 32, "hop": 31}])
def test_impossible_shapes_are_refused(sizes: dict[str, int]) -> None:
    with pytest.raises(ValueError, match=r"FoldSpec: got frames of .* at hop"):
        FoldSpec(**sizes)


@pytest.mark.parametrize("emphasis", [1.0, -0.1])
def test_an_emphasis_that_has_no_inverse_is_refused(emphasis: float) -> None:
    with pytest.raises(ValueError, match="at least 0, which is none, and below 1"):
        FoldSpec(emphasis=emphasis)


def test_audio_and_frames_of_another_shape_are_refused() -> None:
    codec = Fold(FoldSpec())
    with pytest.raises(ValueError, match=r"allowed \[B, 2, T \* 16\]"):
        codec.encode(torch.zeros(1, 2, 17))
    with pytest.raises(ValueError, match=r"allowed \[B, 64, T\]"):
        codec.decode(torch.zeros(1, 63, 4))
