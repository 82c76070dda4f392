"""Takes of one batch: each is what it would be alone, and the model runs once a step for all."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, field

import pytest
import torch
from torch import Tensor

from segue.engine.gaussian import Gaussian, ar1
from segue.engine.protocols import Denoiser
from segue.server.gathering import together

FRAMES = 12


@dataclass(frozen=True)
class Counting(Gaussian):
    """The oracle, with the sizes of its passes."""

    sizes: list[int] = field(default_factory=list)

    def v(self, x_t: Tensor, t: Tensor, cond: Tensor | None = None) -> Tensor:
        """v, counted."""
        self.sizes.append(len(x_t))
        return super().v(x_t, t)


def steps(denoiser: Denoiser, seed: int, count: int, guided: bool = False) -> Iterator[Tensor]:
    """`count` steps of something that asks the denoiser and goes on from its answer."""
    x = torch.randn(1, 1, FRAMES, generator=torch.Generator().manual_seed(seed), dtype=torch.float64)
    for i in range(count):
        t = torch.full((1, FRAMES), (i + 1) / (count + 1), dtype=torch.float64)
        if guided:
            answer = denoiser.vjp(x, t, x)
            assert answer is not None
            x = answer[0] + answer[1]
        else:
            x = denoiser.v(x, t)
        yield x


@pytest.fixture
def oracle() -> Counting:
    return Counting(ar1(FRAMES))


@pytest.mark.parametrize("guided", [False, True])
def test_each_is_what_it_is_alone(oracle: Counting, guided: bool) -> None:
    runs = [lambda denoiser, seed=seed: steps(denoiser, seed, 5, guided) for seed in range(4)]
    got: list[list[Tensor]] = [[], [], [], []]
    for number, item in together(oracle, runs):
        assert isinstance(item, Tensor)
        got[number].append(item)
    if not guided:
        assert oracle.sizes == [4] * 5
    for seed, items in enumerate(got):
        for one, two in zip(items, steps(oracle, seed, 5, guided), strict=True):
            torch.testing.assert_close(one, two, rtol=1e-9, atol=1e-9)


def test_one_that_ends_sooner_or_fails_keeps_nobody_waiting(oracle: Counting) -> None:
    def fails(denoiser: Denoiser) -> Iterator[Tensor]:
        yield from steps(denoiser, 0, 2)
        raise ValueError("enough")

    runs = [fails, lambda denoiser: steps(denoiser, 1, 1), lambda denoiser: steps(denoiser, 2, 4)]
    said = list(together(oracle, runs))
    assert sum(isinstance(item, Tensor) for _, item in said) == 7
    assert [str(item) for number, item in said if isinstance(item, ValueError) and number == 0] == ["enough"]
    assert oracle.sizes == [3, 2, 1, 1]


def test_an_error_of_the_model_is_every_runs() -> None:
    runs = [lambda denoiser: steps(denoiser, 0, 1), lambda denoiser: steps(denoiser, 1, 1)]
    said = list(together(Gaussian(ar1(FRAMES + 1)), runs))
    assert [isinstance(item, RuntimeError) for _, item in said] == [True, True]
