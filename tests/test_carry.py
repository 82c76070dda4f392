"""Carried channels: a periodic context goes on in phase, frames of context are kept, and v leads there."""

from __future__ import annotations

import math

import pytest
import torch
from torch import Tensor

from segue.engine.models.carry import SHORTEST, carried_v, sources
from segue.engine.paper import noised, x_0_hat

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
    index = sources(wave(), context(left, right))
    assert index is not None
    torch.testing.assert_close(wave()[:, index], wave(), atol=1e-4, rtol=0)


def test_new_frames_come_from_the_context_and_context_from_itself() -> None:
    x, given = torch.randn(4, FRAMES, generator=torch.Generator().manual_seed(1)), context(40, 30)
    index = sources(x, given)
    assert index is not None
    assert bool(given[index].all())
    assert bool((index[given] == torch.arange(FRAMES)[given]).all())


def test_what_is_repeated_is_long_enough() -> None:
    index = sources(torch.zeros(4, FRAMES), context(60))
    assert index is not None
    assert len(set(index[60:].tolist())) >= SHORTEST


@pytest.mark.parametrize("given", [context(0), context(2), torch.ones(FRAMES, dtype=torch.bool)])
def test_without_context_or_target_nothing_is_carried(given: Tensor) -> None:
    assert sources(wave(), given) is None


def test_v_leads_to_the_carried_channels_and_keeps_the_others() -> None:
    x_0, level = torch.cat((0.01 * torch.randn(3, FRAMES), wave()))[None], 0.6
    t = level * (~context(60)).float()[None]
    x_t = noised(x_0, torch.randn(x_0.shape), t)
    v = torch.randn(x_0.shape)
    made = carried_v(v, x_t, t, 4)
    assert torch.equal(made[:, :3], v[:, :3])
    torch.testing.assert_close(x_0_hat(x_t, made, t)[:, 3:, 60:], x_0[:, 3:, 60:], atol=1e-3, rtol=0)
    assert torch.equal(carried_v(v, x_t, torch.full_like(t, level), 4), v), "one level throughout: the model's own answer"
