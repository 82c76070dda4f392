"""Carried channels: a periodic context goes on in phase, frames of context are kept, and v leads there."""

from __future__ import annotations

import math

import pytest
import torch
from torch import Tensor

from segue.engine.models.carry import CANDIDATES, PIECE, carried_v, goings_on, sources
from segue.engine.paper import eps_hat, noised, x_0_hat

FRAMES, PERIOD = 120, 23


def wave(frames: int = FRAMES, period: int = PERIOD) -> Tensor:
    """`[4, T]`: two turning phases."""
    angle = torch.arange(frames) * (2 * math.pi / period)
    return torch.stack((angle.cos(), angle.sin(), (2 * angle).cos(), (2 * angle).sin()))


def context(left: int, right: int = 0) -> Tensor:
    place = torch.arange(FRAMES)
    return (place < left) | (place >= FRAMES - right)


@pytest.mark.parametrize(("left", "right"), [(60, 0), (0, 60), (50, 50)])
def test_a_periodic_context_goes_on_in_phase(left: int, right: int) -> None:
    candidates = sources(wave(), context(left, right))
    assert candidates is not None
    # the likest place is a whole number of periods away
    beside = slice(left, left + 10) if left else slice(FRAMES - right - 10, FRAMES - right)
    torch.testing.assert_close(wave()[:, candidates[0, beside]], wave()[:, beside], atol=1e-4, rtol=0)


def test_new_frames_come_from_the_context_and_context_from_itself() -> None:
    x, given = torch.randn(4, FRAMES, generator=torch.Generator().manual_seed(1)), context(40, 30)
    candidates = sources(x, given)
    assert candidates is not None
    assert candidates.shape == (CANDIDATES, FRAMES)
    for index in candidates:
        assert bool(given[index].all())
        assert bool((index[given] == torch.arange(FRAMES)[given]).all())


def test_nothing_is_quoted_for_long() -> None:
    x = torch.randn(4, FRAMES, generator=torch.Generator().manual_seed(1))
    chains = goings_on(x[:, :60], 60)
    assert chains is not None
    for index in chains:
        runs = (index.diff() != 1).nonzero().flatten()
        assert int(runs.diff().max()) <= PIECE


@pytest.mark.parametrize("given", [context(0), context(2), torch.ones(FRAMES, dtype=torch.bool)])
def test_without_context_or_target_nothing_is_carried(given: Tensor) -> None:
    assert sources(wave(), given) is None


def test_v_leads_to_a_candidate_and_keeps_the_other_channels() -> None:
    x_0, level = torch.randn(7, FRAMES, generator=torch.Generator().manual_seed(2)), 0.6
    given = context(60)
    candidates = sources(x_0, given)
    assert candidates is not None
    x_0[3:] = x_0[3:, candidates[5]]
    t = level * (~given).float()[None]
    x_t = noised(x_0[None], torch.randn(1, 7, FRAMES, generator=torch.Generator().manual_seed(3)), t)
    v = torch.randn(x_t.shape)
    made = carried_v(v, x_t, t, 4)
    assert torch.equal(made[:, :3], v[:, :3])
    torch.testing.assert_close(x_0_hat(x_t, made, t)[0, 3:, 60:], x_0[3:, 60:], atol=1e-4, rtol=0)
    assert torch.equal(carried_v(v, x_t, torch.full_like(t, level), 4), v), "one level throughout: the model's own answer"


def test_the_noise_chooses_and_the_choice_stands_through_the_steps() -> None:
    x_0, given = torch.randn(7, FRAMES, generator=torch.Generator().manual_seed(2)), context(60)
    ends = set()
    for seed in range(12):
        x_t = torch.where(given, x_0, torch.randn(7, FRAMES, generator=torch.Generator().manual_seed(seed)))[None]
        chosen = []
        for level, following in ((1.0, 0.75), (0.75, 0.5), (0.5, 0.25), (0.25, 0.0)):
            t, s = level * (~given).float()[None], following * (~given).float()[None]
            v = carried_v(torch.zeros_like(x_t), x_t, t, 4)
            chosen.append(x_0_hat(x_t, v, t)[0, 3:, 60:])
            x_t = noised(x_0_hat(x_t, v, t), eps_hat(x_t, v, t), s)
        for later in chosen[1:]:
            torch.testing.assert_close(later, chosen[0], atol=1e-4, rtol=0)
        ends.add(round(float(chosen[-1].sum()), 3))
    assert len(ends) > 3, "seeds differ"
