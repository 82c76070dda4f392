"""Every row of Table 2, and the registry it is found in."""

from __future__ import annotations

import ast
import inspect
import tomllib
from dataclasses import dataclass, replace
from importlib.metadata import EntryPoint
from pathlib import Path

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from torch import Tensor

from segue.engine import backends, registry
from segue.engine.distance import bce, l1, l2
from segue.engine.gaussian import Gaussian, ar1
from segue.engine.guidance import enter
from segue.engine.paper import K, level_of_share, levels, share_of_level
from segue.engine.problem import Rows
from segue.engine.samplers import sampler
from segue.engine.task import Sources
from segue.engine.tasks import BUILT_IN, GROUP, infill, regenerate, tasks
from segue.engine.tasks.style import styled

C, FRAMES = 3, 12
LINEAR = ("continuation", "infill", "regenerate", "renoise", "transition", "loop")


@dataclass(frozen=True)
class Mean:
    """An embedder: the mean over time."""

    dim: int = C

    def embed(self, x: Tensor) -> Tensor:
        return x.mean(-1)


def sources(left: int = 4, right: int = 3, classes: bool = True) -> Sources:
    g = torch.Generator().manual_seed(1)
    return Sources(
        torch.randn(2, C, FRAMES, generator=g),
        left,
        right,
        embedder=Mean(),
        style=torch.randn(2, C, 20, generator=g),
        classifier=lambda x: torch.sigmoid(x.mean(-1)),
        classes=torch.tensor([[1.0, 0.0, 0.5]] * 2) if classes else None,
    )


def noise() -> Tensor:
    return torch.randn(2, C, FRAMES, generator=torch.Generator().manual_seed(2))


def test_all_rows_are_there() -> None:
    table = tasks()
    assert set(BUILT_IN) <= set(table.found)
    assert all(task.doc for task in table.found.values())


@pytest.mark.parametrize("name", LINEAR)
def test_linear_rows(name: str) -> None:
    """y = A x_bar; x_T is y in the context, clean as printed, and depends on z elsewhere; d is L1."""
    s, z = sources(), noise()
    p = tasks()[name].problem(s, z)
    assert isinstance(p.A, Rows)
    assert p.d is l1
    right = 0 if name == "continuation" else 3
    assert p.A.mask.tolist() == [True] * 4 + [False] * (8 - right) + [True] * right
    assert p.y is not None
    assert torch.equal(p.y, s.x_bar[..., p.A.mask])
    assert torch.equal(p.x_T[..., p.A.mask], p.y)
    if name not in ("regenerate", "renoise", "transition"):
        assert torch.equal(p.x_T[..., ~p.A.mask], z[..., ~p.A.mask])


@pytest.mark.parametrize("name", ["regenerate", "transition"])
@settings(deadline=None, max_examples=20)
@given(k=st.floats(0, 1))
def test_regenerate_mixes_noise_with_what_stands_there(name: str, k: float) -> None:
    s, z = sources(), noise()
    p = tasks()[name].problem(s, z, k=k)
    assert isinstance(p.A, Rows)
    torch.testing.assert_close(p.x_T[..., ~p.A.mask], (k * z + (1 - k) * s.x_bar)[..., ~p.A.mask])


def test_default_k_is_the_papers() -> None:
    s, z = sources(), noise()
    regenerate_task = tasks()["regenerate"]
    assert torch.equal(regenerate_task.problem(s, z).x_T, regenerate_task.problem(s, z, k=0.85).x_T)
    assert K == 0.85
    assert torch.equal(regenerate_task.problem(s, z, k=1.0).x_T, tasks()["infill"].problem(s, z).x_T)


def test_infill_differs_from_regenerate_in_one_expression() -> None:
    def body(module: object) -> list[str]:
        (function,) = ast.parse(inspect.getsource(module.problem)).body  # type: ignore[attr-defined]
        assert isinstance(function, ast.FunctionDef)
        return [ast.unparse(line) for line in function.body[1:]]

    a, b = body(infill), body(regenerate)
    assert a[:-1] == b[:-1]
    assert a[-1].replace("project(z,", "project(k * z + (1 - k) * sources.x_bar,") == b[-1]


def test_the_two_regenerations_start_at_different_levels_of_noise() -> None:
    """Table 2's mix at k = 0.85 has standard deviation 0.86; the forward process keeps 1."""
    g = torch.Generator().manual_seed(0)
    s = Sources(torch.randn(1, 8, 4000, generator=g), 1, 1)
    z = torch.randn(1, 8, 4000, generator=g)
    table = tasks()
    assert float(table["regenerate"].problem(s, z).x_T.std()) == pytest.approx(0.863, abs=0.01)
    p = table["renoise"].problem(s, z, T=0.6)
    assert float(p.x_T.std()) == pytest.approx(1.0, abs=0.01)
    assert p.t_T == 0.6


def test_a_variation_keeps_the_sound_of_what_stands_there_until_its_outline_goes() -> None:
    kept = [tasks()["renoise"].kept(T=level_of_share(k)) for k in (0.0, 0.5, K, (1 + K) / 2, 1.0)]
    assert kept == pytest.approx([1, 1, 1, 0.5, 0])
    assert tasks()["regenerate"].kept(k=1.0) == 1  # Table 2's own, as it is printed
    for k in (0.0, 0.3, K, 1.0):
        assert share_of_level(level_of_share(k)) == pytest.approx(k, abs=1e-12)


def test_renoise_from_a_low_level_keeps_what_stands_there() -> None:
    world = Gaussian(ar1(FRAMES, 0.95).float(), channels=C)
    s = Sources(world.sample(2, torch.Generator().manual_seed(3)), 4, 3)
    task = tasks()["renoise"]

    def moved(T: float) -> float:
        p = enter(task.problem(s, noise(), T=T), "clean", world)
        x = sampler("ddim")(world, p, levels(10, p.t_T), xi=0.0, generator=torch.Generator())
        return float((x - s.x_bar).abs().mean())

    assert moved(0.1) < 0.5 * moved(1.0)


def test_generate_measures_nothing() -> None:
    z = noise()
    p = tasks()["generate"].problem(sources(0, 0), z)
    assert (p.A, p.y, p.d, p.terms) == (None, None, None, ())
    assert torch.equal(p.x_T, z)


@pytest.mark.parametrize(("name", "d"), [("style", l2), ("classify", bce)])
def test_guidance_rows(name: str, d: object) -> None:
    """Without context Table 2's row as printed; with one, a further loss on the new frames alone."""
    z = noise()
    both = name == "classify"
    bare = tasks()[name].problem(sources(0, 0, both), z)
    assert torch.equal(bare.x_T, z)
    (term,) = bare.terms
    assert term.d is d
    assert term.A(z).shape == term.y.shape == (2, C)
    (term,) = tasks()[name].problem(sources(classes=both), z).terms
    changed = z.clone()
    changed[..., :4] += 1
    assert torch.equal(term.A(changed), term.A(z))


@pytest.mark.parametrize("name", ["style", "classify"])
def test_guidance_moves_towards_the_style(name: str) -> None:
    world = Gaussian(ar1(FRAMES, 0.9).float(), channels=C)
    p = enter(tasks()[name].problem(sources(classes=name == "classify"), noise()), "clean", world)
    (term,) = p.terms

    def distance(xi: float) -> float:
        return float(term.d(term.y, term.A(sampler("ddim")(world, p, levels(20), xi=xi, generator=torch.Generator()))).sum())

    assert distance(1.0) < 0.9 * distance(0.0)


@pytest.mark.parametrize("name", ["style", "classify"])
def test_guidance_without_its_source_is_a_sentence(name: str) -> None:
    with pytest.raises(ValueError, match="give both"):
        tasks()[name].problem(Sources(torch.zeros(1, C, FRAMES)), noise()[:1])


def test_style_classes_and_context_stand_beside_each_other_with_their_weights() -> None:
    p = tasks()["style"].problem(sources(), noise(), weight=2.0, class_weight=3.0, reconstruction=0.5)
    assert [(term.d, term.weight) for term in p.losses()] == [(l1, 0.5), (l2, 2.0 * 8), (bce, 3.0 * 8)]
    clean = enter(p, "clean", Gaussian(ar1(FRAMES).float(), channels=C))
    assert [term.d for term in clean.losses()] == [l2, bce]


def test_classes_that_do_not_matter_are_not_judged() -> None:
    s = sources()
    y = torch.tensor([[float("nan"), 1.0, float("nan")]] * 2)
    (term,) = tasks()["classify"].problem(replace(s, classes=y), noise()).terms
    assert term.y.tolist() == [[1.0], [1.0]]
    assert s.classifier is not None
    torch.testing.assert_close(term.A(noise()), s.classifier(noise()[..., 4:])[:, 1:2])


def test_a_start_at_0_is_what_stands_there() -> None:
    s = sources()
    p = tasks()["renoise"].problem(s, noise(), T=0.0)
    assert p.t_T == 0
    torch.testing.assert_close(p.x_T, s.x_bar)


def test_what_stands_there_takes_on_the_style_and_keeps_its_course() -> None:
    g = torch.Generator().manual_seed(3)
    x_bar, style = torch.randn(1, 4, 30, generator=g), 2 + 3 * torch.randn(1, 4, 50, generator=g)
    x_bar[:, 3] = 0.5  # nothing moves there
    new, task = slice(10, 30), tasks()["style"]
    moved = styled(x_bar, new, style, task, {"weight": 4.0})
    assert torch.equal(moved[..., :10], x_bar[..., :10])
    assert torch.equal(moved[:, 3], x_bar[:, 3])
    for measure in (torch.mean, torch.std):
        torch.testing.assert_close(measure(moved[:, :3, new], dim=-1), measure(style[:, :3], dim=-1))
    both = torch.corrcoef(torch.stack((moved[0, 1, new], x_bar[0, 1, new])))
    assert float(both[0, 1]) == pytest.approx(1, abs=1e-5)
    half = styled(x_bar, new, style, task, {"weight": 0.5})
    torch.testing.assert_close(half, (x_bar + moved) / 2)
    assert torch.equal(styled(x_bar, new, style, task, {"weight": 0.0}), x_bar)
    assert torch.equal(styled(x_bar, new, style, tasks()["continuation"], {}), x_bar)
    assert torch.equal(styled(x_bar, new, None, task, {}), x_bar)


def test_parameters_are_checked() -> None:
    task = tasks()["regenerate"]
    with pytest.raises(ValueError, match=r"regenerate: k lies between 0 and 1, got 1\.5"):
        task.problem(sources(), noise(), k=1.5)
    with pytest.raises(ValueError, match="no parameter 'kk'; it takes k"):
        task.check({"kk": 1.0})
    assert task.check({}) == {"k": K}


def test_declared_defaults_are_the_functions() -> None:
    for task in tasks().found.values():
        keywords = {n: p.default for n, p in inspect.signature(task.make).parameters.items() if n not in ("sources", "z")}
        assert keywords == {p.name: p.default for p in task.parameters}


def test_context_must_leave_room() -> None:
    with pytest.raises(ValueError, match=r"got 8 \+ 4 frames of 12"):
        sources(8, 4)


def test_a_broken_plug_in_is_named_and_skipped(monkeypatch: pytest.MonkeyPatch) -> None:
    plugins = [
        EntryPoint("mine", "segue.engine.tasks.infill:TASK", GROUP),
        EntryPoint("gone", "no.such.module:TASK", GROUP),
        EntryPoint("notask", "segue.engine.paper:K", GROUP),
    ]
    monkeypatch.setattr(registry, "entry_points", lambda group: plugins)
    table = tasks()
    assert set(table.found) == set(BUILT_IN)
    assert set(table.broken) == {"mine", "gone", "notask"}
    assert "ModuleNotFoundError" in table.broken["gone"]
    with pytest.raises(ValueError, match=r"'gone' of no\.such\.module:TASK does not load"):
        table["gone"]
    with pytest.raises(ValueError, match=r"task: got 'nothing'; one of .*continuation"):
        table["nothing"]


def test_ours_are_registered_like_anyones() -> None:
    """The entry points of the package are the tables of the code."""
    project = tomllib.loads((Path(__file__).parents[1] / "pyproject.toml").read_text())["project"]
    assert project["entry-points"][GROUP] == BUILT_IN
    assert project["entry-points"][backends.GROUP] == backends.BUILT_IN


def test_a_plug_in_is_found(monkeypatch: pytest.MonkeyPatch) -> None:
    import segue.engine.tasks as home
    from segue.engine.task import Task

    monkeypatch.setattr(home, "MINE", Task("mine", "a plug-in's", infill.problem), raising=False)
    monkeypatch.setattr(registry, "entry_points", lambda group: [EntryPoint("mine", "segue.engine.tasks:MINE", GROUP)])
    assert tasks()["mine"].doc == "a plug-in's"


def test_a_second_of_the_same_name_is_refused() -> None:
    point = EntryPoint("infill", BUILT_IN["infill"], GROUP)
    table = registry.collect([point, point], "task", lambda name, part: part)
    assert list(table.found) == ["infill"]
    assert "rename it" in next(iter(table.broken.values()))
