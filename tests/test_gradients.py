"""Guidance gradients against finite differences in float64, at both points, for both rows, in every family of models."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, replace
from functools import lru_cache

import pytest
import torch
from torch import Tensor, nn

from segue.engine import checkpoint
from segue.engine.distance import bce, l2
from segue.engine.guidance import gradient, on_x_0_hat, on_x_t
from segue.engine.models.embedder import EmbedderSpec, LatentEmbedder, load, save
from segue.engine.models.families import build_denoiser, families
from segue.engine.models.folding import Fold, FoldSpec
from segue.engine.models.guide import Guide, OnAudio, guide
from segue.engine.models.spec import ModelSpec
from segue.engine.models.yamnet import STRIDES, YamNet
from segue.engine.paper import x_0_hat
from segue.engine.problem import Problem, Term
from segue.engine.protocols import Denoiser
from segue.engine.resample import resampled

FRAMES = 16
STEP = 1e-5
LEVEL = 0.6


@lru_cache
def denoiser(family: str) -> Denoiser:
    """The family's smallest preset, in float64, its weights all drawn: layers that begin at zero would hide an error."""
    spec: ModelSpec = min(families()[family].presets.values(), key=size)
    with torch.random.fork_rng():
        torch.manual_seed(0)
        module, made = build_denoiser(spec)
        for parameter in module.parameters():
            if float(parameter.detach().abs().max()) == 0:
                nn.init.normal_(parameter, std=0.02)
    module.double().eval().requires_grad_(False)
    return made


def size(spec: ModelSpec) -> int:
    with torch.device("meta"):
        return sum(p.numel() for p in build_denoiser(spec)[0].parameters())


def terms(channels: int) -> dict[str, Term]:
    """Table 2's embedder row and its classifier row, on a small embedder of latents."""
    with torch.random.fork_rng():
        torch.manual_seed(1)
        net = LatentEmbedder(EmbedderSpec(channels, width=8, blocks=1, dim=5, classes=4)).double().requires_grad_(False)
    y = torch.ones(1, 5, dtype=torch.float64)
    classes = torch.tensor([[1.0, 0.0, 1.0, 0.3]], dtype=torch.float64)
    return {"style": Term(net.embed, y, l2, 3.0), "classify": Term(net.probabilities, classes, bce, 2.0)}


def slopes(loss: Callable[[Tensor], Tensor], grad: Tensor, x: Tensor, step: float = STEP) -> tuple[float, float]:
    """The derivative along a random direction: by the gradient, and by central difference."""
    along = torch.randn(x.shape, generator=torch.Generator().manual_seed(3), dtype=x.dtype)
    along = along / along.norm()
    with torch.no_grad():
        difference = float((loss(x + step * along) - loss(x - step * along)) / (2 * step))
    return float((grad * along).sum()), difference


@pytest.mark.parametrize("row", ["style", "classify", "both"])
@pytest.mark.parametrize("family", sorted(families().found))
def test_gradients_are_finite_differences(family: str, row: str) -> None:
    model = denoiser(family)
    x_t = torch.randn(1, model.channels, FRAMES, generator=torch.Generator().manual_seed(2), dtype=torch.float64)
    named = terms(model.channels)
    chosen = tuple(named.values()) if row == "both" else (named[row],)
    problem = Problem(None, None, None, x_t, terms=chosen)
    t = problem.at(LEVEL)

    def of(x: Tensor) -> Tensor:
        total = sum((term.weight * term.d(term.y, term.A(x)).sum() for term in chosen), x.new_zeros(()))
        assert isinstance(total, Tensor)
        return total

    for guidance, loss in ((on_x_t, of), (on_x_0_hat, lambda x: of(x_0_hat(x, model.v(x, t), t)))):
        _, grad = guidance(model, problem, x_t, t)
        assert float(grad.norm()) > 1e-6
        slope, difference = slopes(loss, grad, x_t)
        assert slope == pytest.approx(difference, rel=1e-4, abs=1e-8)


@lru_cache
def small_yamnet() -> YamNet:
    """YAMNet's layers, a sixteenth as wide, with drawn weights."""
    g = torch.Generator().manual_seed(4)
    widths = [2, 4, 8, 8, 8, 8, 8, 8, 8, 8, 8, 8, 8, 8]

    def drawn(*shape: int) -> Tensor:
        fan = max(1, shape[1] * shape[2] * shape[3]) if len(shape) == 4 else 1
        return torch.randn(shape, generator=g) * (2 / fan) ** 0.5

    weights = {"window": torch.hann_window(400), "mel": torch.rand(257, 64, generator=g) / 50}
    weights |= {"c0_w": drawn(widths[0], 1, 3, 3), "c0_b": torch.full((widths[0],), 0.1)}
    for i in range(1, len(STRIDES) + 1):
        before, after = widths[i - 1], widths[i]
        weights |= {f"d{i}_w": drawn(before, 1, 3, 3), f"d{i}_b": torch.full((before,), 0.1)}
        weights |= {f"p{i}_w": drawn(after, before, 1, 1), f"p{i}_b": torch.full((after,), 0.1)}
    weights |= {"fc_w": torch.randn(6, widths[-1], generator=g), "fc_b": torch.zeros(6)}
    return YamNet(weights).double()


def test_yamnet_on_decoded_audio_has_the_gradient_of_its_finite_difference() -> None:
    codec = Fold(FoldSpec())
    heard = OnAudio(codec, small_yamnet())
    x = torch.randn(1, codec.latent_dim, 2800, generator=torch.Generator().manual_seed(5), dtype=torch.float64)
    y = torch.ones(1, 8, dtype=torch.float64)
    p = torch.tensor([[1.0, 0.0, 1.0, 0.0, 1.0, 0.0]], dtype=torch.float64)
    for term in (Term(heard.embed, y, l2), Term(heard.probabilities, p, bce)):

        def loss(x: Tensor, term: Term = term) -> Tensor:
            return term.d(term.y, term.A(x)).sum()

        grad = gradient(Problem(None, None, None, x, terms=(term,)), x)
        slope, difference = slopes(loss, grad, x, 1e-6)
        assert abs(difference) > 1e-9
        assert slope == pytest.approx(difference, rel=1e-3)


def test_resampling_keeps_a_tone_and_loses_one_that_has_no_place() -> None:
    time, at_16 = torch.arange(44_100) / 44_100, torch.arange(16_000) / 16_000
    kept = resampled(torch.sin(2 * torch.pi * 1000 * time)[None], 44_100, 16_000)
    assert kept.shape == (1, 16_000)
    torch.testing.assert_close(kept[0, 500:-500], torch.sin(2 * torch.pi * 1000 * at_16)[500:-500], atol=2e-3, rtol=0)
    lost = resampled(torch.sin(2 * torch.pi * 12_000 * time)[None], 44_100, 16_000)
    assert float(lost[0, 500:-500].abs().max()) < 5e-3


@dataclass(frozen=True)
class Folded:
    """A codec of a given gain."""

    gain: float

    @property
    def codec(self) -> Fold:
        return Fold(FoldSpec(gain=self.gain))


def test_an_embedder_is_refused_on_another_codec(tmp_path) -> None:  # type: ignore[no-untyped-def]
    ours, other = Folded(10.0).codec, Folded(12.0).codec
    net = LatentEmbedder(EmbedderSpec(ours.latent_dim, width=8, blocks=1, dim=5, classes=2), ("Drum", "Drum machine"))
    path = tmp_path / "x.embedder"
    save(path, net, ours)
    x = torch.randn(1, ours.latent_dim, 32)
    torch.testing.assert_close(load(path, ours).embed(x), net.embed(x), rtol=0.02, atol=0.02)
    with pytest.raises(ValueError, match="was trained on another codec"):
        load(path, other)
    path.write_bytes(b"nothing")
    with pytest.raises(ValueError, match="holds no latent embedder"):
        load(path, ours)


def test_classes_are_wanted_by_name() -> None:
    class Nothing:
        dim = 1

        def embed(self, x: Tensor) -> Tensor:
            return x

    named = Guide("toy", Nothing(), lambda x: x, ("Drum", "Drum machine", "Banjo"))
    assert named.wanted(("drum",))[0].isnan().tolist() == [False, True, True]
    assert named.wanted(("Banj",))[0].isnan().tolist() == [True, True, False]
    with pytest.raises(ValueError, match="got 'Bango'; one of 3 names, such as Banjo"):
        named.wanted(("Bango",))
    with pytest.raises(ValueError, match="has no classes"):
        replace(named, classes=()).wanted(("Drum",))


def test_the_model_that_ships_brings_classes_and_a_gradient_towards_them() -> None:
    model = checkpoint.load("live")
    found = guide("", model)
    assert len(found.classes) == 521
    assert found.classifier is not None
    asked = found.wanted(("Drum machine",)).isfinite()[0]
    x = (0.5 * torch.randn(1, 64, 129, generator=torch.Generator().manual_seed(1))).requires_grad_()
    p = found.classifier(x)
    assert bool(((p >= 0) & (p <= 1)).all())
    (grad,) = torch.autograd.grad(p[:, asked].log().sum(), x)
    moved = found.classifier(x.detach() + 2 * grad / grad.norm())
    assert float(moved[0, asked]) > float(p[0, asked].detach())
    assert guide("", replace(model, spec=replace(model.spec, name="another"))).classes == ()
    with pytest.raises(FileNotFoundError, match="got 'nowhere'"):
        guide("nowhere", model)
