"""The take as one function of tensors equals the samplers on Table 2's problems, for a batch of different tasks at once."""

import json
from dataclasses import replace

import pytest
import torch

from segue.engine import noise
from segue.engine.backends.launch import Launch, Takes
from segue.engine.checkpoint import save
from segue.engine.guidance import enter
from segue.engine.models.dit import Dit, DitSpec
from segue.engine.models.spec import Model, ModelSpec
from segue.engine.models.vae import CodecSpec, LiveCodec
from segue.engine.paper import levels
from segue.engine.samplers.ddim import ddim
from segue.engine.statistics import Statistics
from segue.engine.task import Sources
from segue.engine.tasks import tasks
from segue.server import cli

FRAMES, STEPS, XI = 48, 4, 0.3
LEFT, RIGHT = 20, 12
CODEC = CodecSpec(
    latent_dim=16, encoder_width=32, encoder_slow_width=32, encoder_blocks=1, encoder_slow_blocks=1, decoder_width=32,
    decoder_slow_width=32, decoder_blocks=1, decoder_slow_blocks=1, bass_dim=8, bass_width=16, bass_blocks=1,
)  # fmt: skip
SPEC = DitSpec(channels=16, width=32, layers=2, heads=1, rank=4)


@pytest.fixture(scope="module")
def model():
    torch.manual_seed(2)
    codec, denoiser = LiveCodec(CODEC).eval(), Dit(SPEC).eval()
    for p in denoiser.parameters():
        torch.nn.init.normal_(p, std=0.1)
    return Model(
        ModelSpec("small", codec=CODEC, denoiser=SPEC), codec.requires_grad_(False), denoiser.requires_grad_(False), "", "a"
    )


def takes_of(launch, regime):
    """A continuation and a regeneration as one batch."""
    place = torch.arange(FRAMES)
    measured = torch.stack((place < LEFT, (place < LEFT) | (place >= FRAMES - RIGHT)))
    samples = (FRAMES + 2 * launch.reach) * CODEC.latent_hop
    return Takes(
        0.1 * noise.normal((2, 2, samples), noise.generator(0)),
        noise.normal((2, 16, FRAMES), noise.generator(1)),
        measured,
        measured if regime == "clean" else torch.zeros_like(measured),
        torch.tensor([1.0, 0.85]),
        torch.tensor([levels(STEPS), levels(STEPS)]),
        torch.full((2,), XI),
    )


@pytest.mark.parametrize("regime", ["clean", "guided"])
def test_each_item_is_what_the_sampler_makes_of_its_task(model, regime):
    launch = Launch(model, LEFT, FRAMES - RIGHT, guided=regime == "guided")
    takes = takes_of(launch, regime)
    with torch.no_grad():
        x_bar = model.codec.encode(takes.audio)[..., launch.reach : launch.reach + FRAMES]
        solved = launch.solved(takes, x_bar)
    for item, (name, right) in enumerate((("continuation", 0), ("regenerate", RIGHT))):
        sources = Sources(x_bar[item : item + 1], LEFT, right, Statistics(16), None, None, None)
        problem = enter(tasks()[name].problem(sources, takes.z[item : item + 1]), regime, model.denoiser)
        wanted = ddim(model.denoiser, problem, levels(STEPS), xi=XI, generator=noise.generator(0))
        torch.testing.assert_close(solved[item : item + 1], wanted, rtol=1e-4, atol=1e-4)


def test_guidance_moves_frames_that_are_not_measured(model):
    launch = Launch(model, LEFT, FRAMES - RIGHT, guided=True)
    takes = takes_of(launch, "guided")
    a, b = launch(takes), launch(replace(takes, xi=torch.zeros(2)))
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


def test_carried_channels_are_refused_in_a_sentence(model):
    carried = replace(model, spec=replace(model.spec, denoiser=replace(SPEC, carried=8)))
    with pytest.raises(ValueError, match="launch: small carries channels on from its context"):
        Launch(carried, 0, 8)


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
