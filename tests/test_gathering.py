"""Takes of one batch: each is what it would be alone, and the model runs once a step for all."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, field, replace

import numpy as np
import pytest
import torch
from torch import Tensor
from toy import RATE, Stretchy, model

from segue.engine.engine import Engine
from segue.engine.gaussian import Gaussian, ar1
from segue.engine.protocols import Denoiser
from segue.server.audio.values import Ring
from segue.server.gathering import together
from segue.server.inference import Inference
from segue.server.jobs import Audio, Finished, Job, Piece, RingPart

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


@dataclass(frozen=True)
class Alike(Stretchy):
    """The exact denoiser for a batch whose items share their levels, and how many came at once."""

    sizes: list[int] = field(default_factory=list, compare=False)

    def v(self, x_t: Tensor, t: Tensor, cond: Tensor | None = None) -> Tensor:
        self.sizes.append(len(x_t))
        assert bool((t == t[:1]).all())
        return super().v(x_t, t[:1])


class Rings:
    """Noise as what was heard."""

    def read(self, ring: Ring, deck: int, end_frame: int, n: int) -> Audio:
        """n frames."""
        return np.random.default_rng(end_frame).normal(0, 0.1, (2, n)).astype(np.float32)


def test_jobs_of_a_batch_are_the_takes_of_their_seeds() -> None:
    denoiser = Alike()
    inference = Inference(Engine(replace(model(), denoiser=denoiser)), Rings(), RATE)
    left = RingPart("sounded", 1, 5 * RATE, 3 * RATE)
    job = Job(1, 1, "continue", "continuation", RATE // 2, left=left, seed=3, also=((2, 4), (3, 5)))
    events = list(inference.run(job, lambda: False, lambda share: None))
    assert sorted(event.job for event in events if isinstance(event, Finished)) == [1, 2, 3]
    assert set(denoiser.sizes) == {3}
    for one, seed in ((1, 3), (2, 4), (3, 5)):
        alone = [e for e in inference.run(replace(job, id=one, seed=seed, also=()), lambda: False, print) if isinstance(e, Piece)]
        among = [e for e in events if isinstance(e, Piece) and e.job == one]
        for first, second in zip(alone, among, strict=True):
            np.testing.assert_allclose(first.audio, second.audio, atol=1e-4)
