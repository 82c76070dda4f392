"""The take as one function of tensors equals the samplers on Table 2's problems, for a batch of all tasks at once."""

import json
from dataclasses import replace

import pytest
import torch
from small import CODEC, live
from torch._subclasses.fake_tensor import DataDependentOutputException, FakeTensorMode

from segue.engine import noise
from segue.engine.backends import make
from segue.engine.backends.launch import Launch, Takes
from segue.engine.checkpoint import save
from segue.engine.guidance import enter
from segue.engine.models import carry_memory
from segue.engine.models.carry import PIECE, carried_v, sources
from segue.engine.models.carry_tensors import SHORTEST, carried, searched
from segue.engine.models.dit import DitSpec
from segue.engine.models.guide import Guide
from segue.engine.paper import K, alpha, levels, sigma
from segue.engine.samplers.ddim import ddim
from segue.engine.statistics import Statistics
from segue.engine.task import Sources
from segue.engine.tasks import tasks
from segue.server import cli

FRAMES, STEPS, XI = 80, 4, 0.3
LEFT, RIGHT = 34, 28
START = 0.7  # of renoise
SPEC = DitSpec(channels=16, width=32, layers=2, heads=1, rank=4)
# task: (left context, right context, share of noise, share of what stands there, level it starts at)
NOISED = torch.tensor(START)
ROWS = {
    "generate": (0, 0, 1.0, 0.0, 1.0),
    "continuation": (LEFT, 0, 1.0, 0.0, 1.0),
    "infill": (LEFT, RIGHT, 1.0, 0.0, 1.0),
    "regenerate": (LEFT, RIGHT, K, 1 - K, 1.0),
    "transition": (RIGHT, LEFT, K, 1 - K, 1.0),
    "loop": (RIGHT, RIGHT, 1.0, 0.0, 1.0),
    "renoise": (LEFT, 0, float(sigma(NOISED)), float(alpha(NOISED)), START),
}


def small(carried):
    return live(replace(SPEC, carried=carried), 2, 0.1, sha256="a")


@pytest.fixture(scope="module")
def model():
    return small(0)


@pytest.fixture(scope="module")
def carrying():
    return small(8)


def problem_of(name, x_bar, z, regime, denoiser):
    left, right, *_ = ROWS[name]
    given = Sources(x_bar, left, right, Statistics(16), None, None, None)
    return enter(tasks()[name].problem(given, z), regime, denoiser)


def takes_of(launch, regime):
    """Every task, each an item of one batch."""
    place, count = torch.arange(FRAMES), len(ROWS)
    measured = torch.stack([(place < left) | (place >= FRAMES - right) for left, right, *_ in ROWS.values()])
    z = noise.normal((count, 16, FRAMES), noise.generator(1))
    held = [problem_of(name, z[:1], z[:1], regime, launch.model.denoiser).clean for name in ROWS]
    clean = torch.stack([torch.zeros(FRAMES, dtype=torch.bool) if mask is None else mask for mask in held])
    return Takes(
        0.1 * noise.normal((count, 2, (FRAMES + 2 * launch.reach) * CODEC.latent_hop), noise.generator(0)),
        z,
        measured,
        clean,
        torch.tensor([row[2] for row in ROWS.values()]),
        torch.tensor([row[3] for row in ROWS.values()]),
        torch.tensor([levels(STEPS, row[4]) for row in ROWS.values()]),
        torch.full((count,), XI),
    )


@pytest.mark.parametrize("regime", ["clean", "tail", "guided"])
@pytest.mark.parametrize("carries", [0, 8])
def test_each_item_is_what_the_sampler_makes_of_its_task(model, carrying, carries, regime):
    model = carrying if carries else model
    launch = Launch(model, LEFT, FRAMES - RIGHT, guided=regime != "clean")
    takes = takes_of(launch, regime)
    with torch.no_grad():
        x_bar = model.codec.encode(takes.audio)[..., launch.reach : launch.reach + FRAMES]
        solved = launch.solved(takes, x_bar)
    for item, name in enumerate(ROWS):
        problem = problem_of(name, x_bar[item : item + 1], takes.z[item : item + 1], regime, model.denoiser)
        plain = make("eager", model).denoiser
        with torch.no_grad():
            wanted = ddim(plain, problem, levels(STEPS, ROWS[name][4]), xi=XI, generator=noise.generator(0))
        torch.testing.assert_close(
            solved[item : item + 1], wanted, rtol=1e-4, atol=1e-4, msg=lambda text, name=name: f"{name}: {text}"
        )


@pytest.mark.parametrize("seed", range(4))
def test_what_is_carried_is_found_without_the_host_as_with_it(seed):
    frames = 5 * PIECE + seed
    spans = [(50, 0), (0, 50), (40, 30), (SHORTEST, 0), (SHORTEST - 1, 0), (frames, 0), (0, 0), (30, SHORTEST - 1)]
    g = noise.generator(seed)
    x = noise.normal((len(spans), 16, frames), g)
    place = torch.arange(frames)
    context = torch.stack([(place < left) | (place >= frames - right) for left, right in spans])
    rows, has = searched(x, context)
    wanted = [sources(item, mask) for item, mask in zip(x, context, strict=True)]
    assert has.tolist() == [found is not None for found in wanted]
    for found, mine in zip(wanted, rows, strict=True):
        if found is not None:
            assert torch.equal(mine, found)
    v, t = noise.normal(tuple(x.shape), g), torch.where(context, 0.0, 0.6)
    torch.testing.assert_close(carried(v, x, t, 8, rows, has), carried_v(v, x, t, 8))


def test_what_is_carried_is_looked_for_once_a_take_and_anew_for_another_context(monkeypatch):
    asked = []
    monkeypatch.setattr(carry_memory, "sources", lambda *given: asked.append(1) or sources(*given))
    memory, g = carry_memory.Memory(), noise.generator(3)
    x, context = noise.normal((2, 16, 90), g), torch.arange(90).expand(2, -1) < torch.tensor([[50], [10]])
    for level in (0.9, 0.6, 0.3):  # steps: what is not context moves
        x = torch.where(context[:, None], x, noise.normal((2, 16, 90), g))
        v, t = noise.normal((2, 16, 90), g), torch.where(context, 0.0, level)
        torch.testing.assert_close(memory.carried_v(v, x, t, 8), carried_v(v, x, t, 8))
    assert len(asked) == 2  # once for each item
    for other in (torch.where(context[:, None], -x, x), x):
        torch.testing.assert_close(memory.carried_v(v, other, t, 8), carried_v(v, other, t, 8))
    assert len(asked) == 6
    assert torch.equal(memory.carried_v(v, x, torch.full((2,), 0.5), 8), v)


@pytest.mark.parametrize("regime", ["clean", "guided"])
def test_nothing_inside_waits_for_the_host(carrying, regime):
    """Tensors without values stand in for those of a GPU: whatever the host would have to read raises."""
    launch = Launch(carrying, LEFT, FRAMES - RIGHT, guided=regime == "guided")
    takes = takes_of(launch, regime)
    with FakeTensorMode(allow_non_fake_inputs=True) as mode:
        made = launch(Takes(*(mode.from_tensor(tensor) for tensor in takes.tensors())))
        assert made.shape == (len(ROWS), 2, (FRAMES - RIGHT - LEFT) * CODEC.latent_hop)
        with pytest.raises(DataDependentOutputException):
            int(made.argmax())


WANTED = torch.tensor([[1.0, float("nan"), 0.2]])
# parameters of a task that is guided elsewhere, beside a plain continuation: weights of context, style and classes
PUSHED = {
    "continuation": ({}, (1.0, 0.0, 0.0)),
    "style": ({"weight": 2.0, "class_weight": 0.7, "reconstruction": 0.5}, (0.5, 2.0, 0.7)),
    "classify": ({"weight": 3.0, "reconstruction": 1.5}, (1.5, 0.0, 3.0)),
}


@pytest.mark.parametrize("regime", ["clean", "tail", "guided"])
def test_style_and_classes_stand_in_one_batch_with_what_has_neither(carrying, regime):
    matrix = noise.normal((16, 3), noise.generator(5))
    guide = Guide("toy", Statistics(16), lambda x: torch.sigmoid(x.mean(-1) @ matrix), ("a", "b", "c"))
    launch = Launch(carrying, LEFT, FRAMES, guided=True, guide=guide)
    count, place = len(PUSHED), torch.arange(FRAMES)
    plain = make("eager", carrying).denoiser
    x_bar, z, style = (noise.normal((count, 16, FRAMES), noise.generator(seed)) for seed in (6, 7, 8))
    pushed = torch.tensor([weights for _, weights in PUSHED.values()]) * torch.tensor([1.0, FRAMES - LEFT, FRAMES - LEFT])
    problems = []
    for item, (name, (parameters, _)) in enumerate(PUSHED.items()):
        one = slice(item, item + 1)
        given = Sources(x_bar[one], LEFT, 0, guide.embedder, style[one], guide.classifier, WANTED)
        problems.append(enter(tasks()[name].problem(given, z[one], **parameters), regime, plain))
    clean = torch.stack([torch.zeros(FRAMES, dtype=torch.bool) if p.clean is None else p.clean for p in problems])
    ladder, ones = torch.tensor([levels(STEPS)] * count), torch.ones(count)
    audio = torch.zeros(count, 2, (FRAMES + 2 * launch.reach) * CODEC.latent_hop)
    takes = Takes(audio, z, (place < LEFT).expand(count, -1), clean, ones, torch.zeros(count), ladder, XI * ones)
    asked = replace(takes, weights=pushed, style=guide.embedder.embed(style), classes=WANTED.expand(count, -1))
    with torch.no_grad():
        solved, unasked = launch.solved(asked, x_bar), launch.solved(takes, x_bar)
    for item, problem in enumerate(problems):
        with torch.no_grad():
            wanted = ddim(plain, problem, levels(STEPS), xi=XI, generator=noise.generator(0))
        torch.testing.assert_close(solved[item : item + 1], wanted, rtol=1e-4, atol=1e-4)
        same = torch.allclose(solved[item, :, LEFT:], unasked[item, :, LEFT:], atol=1e-3)
        assert same == (item == 0)  # what is asked for moves its own item alone
    assert launch(asked).shape == (count, 2, (FRAMES - LEFT) * CODEC.latent_hop)
    with FakeTensorMode(allow_non_fake_inputs=True) as mode:  # nor does a guide wait for the host
        launch(Takes(*(mode.from_tensor(tensor) for tensor in asked.tensors())))


def test_guidance_moves_frames_that_are_not_measured(model):
    launch = Launch(model, LEFT, FRAMES - RIGHT, guided=True)
    takes = takes_of(launch, "guided")
    a, b = launch(takes), launch(replace(takes, xi=torch.zeros(len(ROWS))))
    assert (a - b).abs().max() > 1e-3 * b.abs().max()


def test_it_decodes_what_sounds_as_the_whole_decode_has_it(model):
    launch = Launch(model, LEFT, FRAMES - RIGHT)
    takes = takes_of(launch, "clean")
    hop = CODEC.latent_hop
    with torch.no_grad():
        x_bar = model.codec.encode(takes.audio)[..., launch.reach : launch.reach + FRAMES]
        whole = model.codec.decode(launch.solved(takes, x_bar))
    inside = whole[..., LEFT * hop : (FRAMES - RIGHT) * hop]
    assert (launch(takes) - inside).abs().max() <= 1e-4 * whole.abs().max()


def test_the_table_of_a_gpu_runs_small_on_a_cpu_and_goes_on_from_what_it_left(model, tmp_path, capsys):
    save(tmp_path / "small.safetensors", model.spec, model.codec, model.denoiser)
    out = tmp_path / "gpu.json"
    argv = ["bench", "gpu", "--json", "--device", "cpu", "--repeats", "1", "--model", str(tmp_path / "small.safetensors")]
    assert cli.main([*argv, "--out", str(out), "--minutes", "2"]) == 0
    told = capsys.readouterr()
    rows = json.loads(told.out)["rows"]
    assert {row["component"] for row in rows} == {"encoder", "decoder", "denoiser", "vjp", None}
    guided = [row for row in rows if row["guidance"] == "guided" and row["floor_s"]]
    assert {row["batch"] for row in guided} == {1, 4}
    assert all(row["known_answer_error"] <= 1e-5 and row["median_s"] > row["floor_s"] > 0 for row in guided)
    assert "guidance moves what sounds by" in told.err
    assert cli.main([*argv, "--out", str(out), "--minutes", "0"]) == 0  # nothing is left to do
    assert "out of time" not in capsys.readouterr().err
