"""The distances of Table 2: sums over elements, one number an item."""

from __future__ import annotations

import pytest
import torch

from segue.engine.distance import bce, l1, l2


def test_l1_is_summed_and_per_item() -> None:
    y = torch.zeros(2, 3, 4)
    x = torch.stack([torch.ones(3, 4), -2 * torch.ones(3, 4)])
    assert l1(y, x).tolist() == [12.0, 24.0]


def test_l2_is_the_norm_not_its_square() -> None:
    assert l2(torch.zeros(1, 2), torch.tensor([[3.0, 4.0]])).tolist() == [5.0]


def test_gradient_of_the_norm_has_length_one_and_is_zero_at_zero() -> None:
    y = torch.zeros(2, 5)
    x = torch.stack([torch.zeros(5), torch.arange(5.0)]).requires_grad_()
    (grad,) = torch.autograd.grad(l2(y, x).sum(), x)
    assert grad[0].tolist() == [0.0] * 5
    assert float(grad[1].norm()) == pytest.approx(1.0)


def test_bce_is_least_at_the_target_and_finite_at_the_ends() -> None:
    y = torch.tensor([[0.0, 1.0, 0.3]])
    grid = [bce(y, torch.tensor([[0.0, 1.0, p]])).item() for p in (0.1, 0.3, 0.9)]
    assert min(grid) == grid[1]
    p = torch.tensor([[1.0, 0.0, 0.5]], requires_grad=True)
    loss = bce(y, p).sum()
    assert torch.isfinite(loss)
    assert torch.isfinite(torch.autograd.grad(loss, p)[0]).all()
