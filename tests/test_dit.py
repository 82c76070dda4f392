"""The denoiser's contract: shapes, levels per frame, relative positions, both attentions, and its vector-Jacobian product."""

from __future__ import annotations

import pytest
import torch
from torch import Tensor, nn

from segue.engine.models.dit import Dit, DitSpec
from segue.engine.protocols import Denoiser

SPEC = DitSpec(channels=6, width=32, layers=2, heads=2, rank=8, kernel=3)
FRAMES = 20


def woken(spec: DitSpec = SPEC, written_attention: bool = False) -> Dit:
    """A denoiser whose zero-initialised gates are open, as after training."""
    torch.manual_seed(0)
    dit = Dit(spec, written_attention).double()
    for parameter in dit.parameters():
        nn.init.normal_(parameter, std=0.2)
    return dit.requires_grad_(False)


def noise(*shape: int, seed: int = 1) -> Tensor:
    return torch.randn(shape, generator=torch.Generator().manual_seed(seed), dtype=torch.float64)


def test_is_a_denoiser_with_levels_per_frame() -> None:
    dit = Dit(SPEC)
    assert isinstance(dit, Denoiser)
    assert dit.per_frame_t
    assert dit.channels == 6


def test_an_untrained_network_answers_zero() -> None:
    assert not Dit(SPEC).v(torch.randn(2, 6, FRAMES), torch.rand(2)).any()


def test_one_level_is_the_special_case_of_equal_levels() -> None:
    dit, x, t = woken(), noise(3, 6, FRAMES), torch.tensor([0.2, 0.7, 1.0], dtype=torch.float64)
    torch.testing.assert_close(dit.v(x, t), dit.v(x, t[:, None].expand(-1, FRAMES)))


@pytest.mark.parametrize("frames", [19, 20])
def test_any_number_of_frames_has_its_answer(frames: int) -> None:
    assert woken().v(noise(2, 6, frames), torch.rand(2, frames, dtype=torch.float64)).shape == (2, 6, frames)


def test_frames_of_one_token_keep_their_levels_apart() -> None:
    dit, x, t = woken(), noise(1, 6, FRAMES), torch.full((1, FRAMES), 0.5, dtype=torch.float64)
    first, second = t.clone(), t.clone()
    first[..., 8], second[..., 9] = 0, 0
    assert (dit.v(x, first) - dit.v(x, second)).abs().max() > 1e-6


def test_items_of_a_batch_do_not_meet() -> None:
    dit, x, t = woken(), noise(3, 6, FRAMES), torch.rand(3, FRAMES, dtype=torch.float64)
    torch.testing.assert_close(dit.v(x, t)[1:2], dit.v(x[1:2], t[1:2]))


def test_every_frame_hears_every_other_and_its_level() -> None:
    dit, x, t = woken(), noise(1, 6, FRAMES), torch.full((1, FRAMES), 0.5, dtype=torch.float64)
    base = dit.v(x, t)
    louder, cleaner = x.clone(), t.clone()
    louder[..., 0] += 1
    cleaner[..., 0] = 0
    assert (dit.v(louder, t) - base)[..., -1].abs().max() > 1e-6
    assert (dit.v(x, cleaner) - base)[..., -1].abs().max() > 1e-6


def test_written_attention_equals_the_fused_one() -> None:
    x, t = noise(2, 6, FRAMES), torch.rand(2, FRAMES, dtype=torch.float64)
    torch.testing.assert_close(woken(written_attention=True).v(x, t), woken().v(x, t))


def test_attention_sees_relative_positions_only() -> None:
    from segue.engine.models.dit import rope, rotate

    q, k = noise(1, 1, 1, 16, seed=2).expand(-1, -1, 30, -1), noise(1, 1, 1, 16, seed=3).expand(-1, -1, 30, -1)
    rotation = rope(30, 16, torch.device("cpu"))
    logits = rotate(q, rotation) @ rotate(k, rotation).transpose(-2, -1)
    torch.testing.assert_close(logits[..., 5, 2], logits[..., 25, 22], atol=1e-5, rtol=1e-5)
    assert (logits[..., 5, 2] - logits[..., 5, 12]).abs() > 1e-3


def test_vjp_equals_finite_differences() -> None:
    dit, x, t, g, step = (
        woken(),
        noise(2, 6, FRAMES),
        torch.rand(2, FRAMES, dtype=torch.float64),
        noise(2, 6, FRAMES, seed=4),
        1e-6,
    )
    v, pulled = dit.vjp(x, t, g)
    torch.testing.assert_close(v, dit.v(x, t))
    direction = noise(2, 6, FRAMES, seed=5)
    moved = (dit.v(x + step * direction, t) - dit.v(x - step * direction, t)) / (2 * step)
    torch.testing.assert_close((g * moved).sum(), (pulled * direction).sum(), rtol=1e-6, atol=1e-8)


def test_vjp_works_where_gradients_are_off() -> None:
    with torch.no_grad():
        _, pulled = woken().vjp(noise(1, 6, FRAMES), torch.full((1,), 0.5, dtype=torch.float64), noise(1, 6, FRAMES))
    assert pulled.abs().max() > 0
    assert not pulled.requires_grad


def test_half_precision_keeps_the_time_exact() -> None:
    exact = woken().float()
    x, t = noise(1, 6, FRAMES).float(), torch.rand(1, FRAMES)
    rough = woken().float().lowered(torch.bfloat16)
    expected = exact.v(x, t)
    assert (rough.v(x.bfloat16(), t) - expected).norm() < 0.05 * expected.norm()


def test_a_condition_changes_the_answer_and_must_fit() -> None:
    dit, x, t = (
        woken(DitSpec(channels=6, width=32, layers=2, heads=2, rank=8, cond_dim=3)),
        noise(1, 6, FRAMES),
        torch.ones(1).double(),
    )
    assert (dit.v(x, t, noise(1, 3)) - dit.v(x, t)).abs().max() > 1e-6
    with pytest.raises(ValueError, match="cond: got 4 values, this model takes 3"):
        dit.v(x, t, noise(1, 4))


@pytest.mark.parametrize(
    ("values", "sentence"), [({"width": 30, "heads": 4}, "no even head size"), ({"kernel": 4}, "has no middle")]
)
def test_impossible_sizes_are_refused(values: dict[str, int], sentence: str) -> None:
    with pytest.raises(ValueError, match=sentence):
        DitSpec(**values)
