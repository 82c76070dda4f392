"""Every stage of training at tiny size: recipes, precisions, families, fine-tuning, distillation, and a whole job end to end."""

from __future__ import annotations

from dataclasses import asdict, replace
from pathlib import Path

import numpy as np
import pytest
import soundfile
import torch
import yaml
from safetensors.torch import save_file

from segue.engine.checkpoint import load, save
from segue.engine.engine import Engine
from segue.engine.gaussian import Gaussian, ar1
from segue.engine.models.dit import Dit, DitSpec
from segue.engine.models.folding import FoldSpec
from segue.engine.models.paper_dit import PaperDitSpec
from segue.engine.models.spec import ModelSpec
from segue.engine.models.unet1d import UnetSpec
from segue.engine.models.vae import CodecSpec
from segue.engine.paper import noised
from segue.train import codec as codec_stage
from segue.train import codec_recipe, distill, few_steps_table, finetune, gpu, overfit, pieces
from segue.train.clips import Library
from segue.train.data import RATE, prepare, read_index
from segue.train.diffusion import Run, train_diffusion
from segue.train.diffusion_recipe import Recipe, read_recipe
from segue.train.encode import export_latents, load_codec, part_of
from segue.train.latents import Latents
from segue.train.loop import Plan
from segue.train.optim import BETAS, FINAL_SHARE, WEIGHT_DECAY, adamw, rate_at
from segue.train.pack import pack
from segue.train.playing import continue_all
from segue.train.recipe import RUNS
from segue.train.teacher import read_teacher

SMALL = DitSpec(channels=3, width=32, layers=1, heads=2, rank=8, kernel=3)
CODEC = CodecSpec(
    encoder_width=16, encoder_slow_width=24, decoder_width=16, decoder_slow_width=24, latent_dim=8,
    encoder_blocks=1, encoder_slow_blocks=1, decoder_blocks=1, decoder_slow_blocks=1, noise_frames=37,
    bass_dim=2, bass_width=8, bass_blocks=1,
)  # fmt: skip


def seeded(seed: int) -> torch.Generator:
    return torch.Generator().manual_seed(seed)


@pytest.fixture(autouse=True)
def one_thread() -> None:
    torch.set_num_threads(1)


@pytest.fixture(scope="module")
def prepared(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Three songs of 4 s, one of them held out."""
    place = tmp_path_factory.mktemp("songs") / "mine"
    place.mkdir()
    rng = np.random.default_rng(0)
    t = np.arange(4 * RATE) / RATE
    for name in ("one", "two", "three"):
        tone = 0.2 * np.sin(2 * np.pi * rng.uniform(100, 900) * t)[:, None] + 0.02 * rng.normal(size=(len(t), 2))
        soundfile.write(place / f"{name}.wav", tone, RATE)
    list(prepare(place, place.parent / "audio", holdout=0.31))
    assert {entry.split for entry in read_index(place.parent / "audio").values()} == {"train", "eval"}
    return place.parent / "audio"


@pytest.fixture
def latents(tmp_path: Path) -> Latents:
    g = seeded(0)
    save_file({f"song{i}/0": torch.randn(3, 60, generator=g).half() for i in range(6)}, tmp_path / "z.safetensors")
    return Latents([tmp_path], 24)


def test_the_optimiser_is_the_papers() -> None:
    assert (BETAS, WEIGHT_DECAY) == ((0.9, 0.999), 0.0)
    group = adamw([torch.nn.Parameter(torch.zeros(2))], 1e-3).param_groups[0]
    assert (group["betas"], group["weight_decay"]) == (BETAS, WEIGHT_DECAY)
    assert rate_at(0, 0.0, 1.0, 10) == pytest.approx(0.1)
    assert rate_at(9, 0.0, 1.0, 10) == pytest.approx(1.0)
    assert rate_at(99, 0.5, 1.0, 10) == pytest.approx(FINAL_SHARE + (1 - FINAL_SHARE) / 2)
    assert rate_at(99, 1.0, 1.0, 10) == pytest.approx(FINAL_SHARE)


def test_every_recipe_that_ships_is_read_by_its_stage() -> None:
    for path in sorted(RUNS.glob("*.yaml")):
        if "distill" in path.stem:
            distill.read_recipe(path)
        elif "overfit" in path.stem:
            overfit.read_recipe(path)
        elif "finetune" in path.stem:
            finetune.read_recipe(path)
        elif "codec" in path.stem or "noise" in path.stem:
            codec_recipe.read_recipe(path)
        else:
            read_recipe(path)
    paper = read_recipe(Path("paper_latent"))
    assert (paper.family, paper.denoiser, paper.warm_up, paper.shard) == ("paper-latent", PaperDitSpec(), 5000, True)


@pytest.mark.parametrize(
    ("text", "sentence"),
    [
        ("batchsize: 4", "unknown key 'batchsize'"),
        ("denoiser: {widht: 3}", "unknown key 'widht'"),
        ("model: huge", "model 'huge'"),
        ("precision: fp8", "precision: got 'fp8'"),
        ("rate: fast", "rate in .*: got 'fast'"),
        ("batch: true", "batch in .*: got True"),
        ("[1, 2]", "got list, allowed `key: value` lines"),
        ("a: [", "no YAML"),
    ],
)
def test_a_wrong_recipe_is_one_sentence(tmp_path: Path, text: str, sentence: str) -> None:
    (tmp_path / "bad.yaml").write_text(text)
    with pytest.raises(ValueError, match=sentence):
        read_recipe(tmp_path / "bad.yaml")


def test_a_recipe_that_is_not_there_is_named_beside_those_that_are() -> None:
    with pytest.raises(FileNotFoundError, match="recipe nowhere: no such file; shipped are codec"):
        read_recipe(Path("nowhere"))


@pytest.mark.parametrize("precision", ["fp32", "bf16", "fp16"])
def test_every_precision_learns_the_same_thing(latents: Latents, precision: str) -> None:
    losses = []
    run = Run(Recipe(SMALL, batch=4, frames=24, rate=1e-3, warm_up=1, precision=precision), latents)
    for step in range(6):
        losses.append(run.advance(step / 100)["loss"])
    exact = Run(Recipe(SMALL, batch=4, frames=24, rate=1e-3, warm_up=1, precision="fp32"), latents)
    assert losses == pytest.approx([exact.advance(step / 100)["loss"] for step in range(6)], rel=0.02)
    assert float(run.stepper.scale.get_scale()) == (2.0**16 if precision == "fp16" else 1.0)


def test_a_gradient_that_is_not_finite_changes_nothing(latents: Latents) -> None:
    run = Run(Recipe(SMALL, batch=4, frames=24, precision="fp32"), latents)
    before = [p.detach().clone() for p in run.dit.parameters()]
    run.stepper(sum((p * float("inf")).sum() for p in run.dit.parameters()), 1.0)  # type: ignore[arg-type]
    assert all(torch.equal(p, q) for p, q in zip(run.dit.parameters(), before, strict=True))


def test_a_run_that_stays_broken_says_so(latents: Latents, tmp_path: Path) -> None:
    class Broken:
        step, seconds = 0, 0.0

        def advance(self, progress: float) -> dict[str, float]:
            self.step += 1
            return {"loss": float("nan")}

        def state(self) -> dict[str, int]:
            return {}

        def restore(self, state: dict[str, int]) -> None: ...

    from segue.train import loop

    with pytest.raises(RuntimeError, match="not finite for 100 steps"):
        loop.train(Broken(), "x", Plan(tmp_path), 1000)


def test_tensorboard_reads_what_a_run_wrote(latents: Latents, tmp_path: Path) -> None:
    accumulator = pytest.importorskip("tensorboard.backend.event_processing.event_accumulator", reason="extra `train`")
    recipe = Recipe(SMALL, batch=4, frames=24, steps=4, check_steps=0)
    train_diffusion(recipe, latents, latents, Plan(tmp_path / "run", board=True, report_steps=2))
    events = accumulator.EventAccumulator(str(tmp_path / "run" / "board" / "diffusion"))
    events.Reload()
    assert [event.step for event in events.Scalars("loss")] == [2, 4]


def test_a_session_ends_early_and_the_run_goes_on(latents: Latents, tmp_path: Path) -> None:
    recipe = Recipe(SMALL, batch=4, frames=24, steps=3, check_steps=0)
    for expected in (1, 2, 3):
        path = train_diffusion(recipe, latents, latents, Plan(tmp_path, session=0.0, resume=expected > 1))
        assert torch.load(path, weights_only=True)["step"] == expected


def test_checkpoints_of_chosen_steps_stay(latents: Latents, tmp_path: Path) -> None:
    recipe = Recipe(SMALL, batch=4, frames=24, steps=3, check_steps=0)
    train_diffusion(recipe, latents, latents, Plan(tmp_path, keep=(1, 2, 9)))
    kept = {path.name: torch.load(path, weights_only=True)["step"] for path in tmp_path.glob("*.pt")}
    assert kept == {"diffusion-000001.pt": 1, "diffusion-000002.pt": 2, "diffusion.pt": 3}


FAMILIES = {
    "paper-latent": PaperDitSpec(channels=16, width=24, layers=1, heads=2, clip=8),
    "paper-waveform": UnetSpec(width=8, multipliers=(1, 2), attention=0, heads=2, groups=4),
}


@pytest.mark.parametrize("family", FAMILIES)
def test_every_family_trains_packs_and_plays(prepared: Path, tmp_path: Path, family: str) -> None:
    """Folded samples need no codec; the paper's VAE is trained for a step."""
    codec = {"latent_dim": 16, "width": 8, "widest": 16, "expansion": 1} if family == "paper-latent" else {}
    (tmp_path / "codec.yaml").write_text(
        yaml.safe_dump({"model": f"{family}-small", "codec": codec, "batch": 1, "frames": 64, "steps": 1, "settle_clips": 2})
    )
    (tmp_path / "generator.yaml").write_text(
        yaml.safe_dump({
            "model": f"{family}-small", "denoiser": _plain(FAMILIES[family]), "batch": 2, "frames": 2000,
            "steps": 2, "check_steps": 0, "sample_steps": 2, "precision": "fp32",
        })
    )  # fmt: skip
    codec_path = codec_stage.train_codec(codec_recipe.read_recipe(tmp_path / "codec.yaml"), [prepared], Plan(tmp_path / "codec"))
    _, decoder = load_codec(codec_path)
    recipe = read_recipe(tmp_path / "generator.yaml")
    recipe = replace(recipe, frames=recipe.frames if family == "paper-waveform" else 500)
    list(export_latents(decoder, Library([prepared]), tmp_path / "latents"))
    latents = Latents([tmp_path / "latents"], recipe.frames)
    from segue.train.samples import Samples

    path = train_diffusion(
        recipe, latents, latents, Plan(tmp_path), lambda module: Samples(module, decoder, latents, tmp_path / "samples")
    )
    assert len(list((tmp_path / "samples").glob("step-000002-*.flac"))) == 3
    pack(codec_path, path, tmp_path / "model.safetensors", {}, ModelSpec("mine"))
    model = load(tmp_path / "model.safetensors")
    assert (model.spec.family, model.window_frames) == (family, recipe.frames)
    engine = Engine(model)
    context = (0.1 * np.random.default_rng(1).standard_normal((2, round(engine.context_min_s * RATE)))).astype(np.float32)
    assert np.isfinite(continue_all(engine, [context], engine.new_frames, 1, "ddim", seed=1)[0]).all()


def _plain(spec: object) -> dict[str, object]:
    return {key: list(value) if isinstance(value, tuple) else value for key, value in asdict(spec).items()}  # type: ignore[call-overload]


def test_a_decoder_is_trained_on_from_a_model(prepared: Path, tmp_path: Path) -> None:
    small = codec_recipe.Recipe(batch=1, frames=16, steps=1, codec=CODEC, settle_clips=2)
    first = codec_stage.train_codec(small, [prepared], Plan(tmp_path / "first"))
    _, codec = load_codec(first)
    denoiser = replace(SMALL, channels=CODEC.latent_dim)
    save(
        tmp_path / "mine.safetensors", ModelSpec("mine", codec=CODEC, denoiser=denoiser), codec, Dit(denoiser), {"codec": "fp32"}
    )
    recipe = replace(small, stage="decoder", rate=1e-9)
    start = tmp_path / "mine.safetensors"
    again = codec_stage.train_codec(recipe, [prepared], Plan(tmp_path / "again"), start)
    tuned = finetune.finetune_codec(recipe, finetune.Recipe(width=4), [prepared], start, Plan(tmp_path / "tuned"))
    begun = torch.load(first, weights_only=True)["ema"]
    for path in (again, tuned):
        after = torch.load(path, weights_only=True)["ema"]
        assert all(torch.allclose(begun[key], after[key], atol=1e-6) for key in begun), path.parent.name


def test_fine_tuning_moves_the_decoder_alone_and_resumes_exactly(prepared: Path, tmp_path: Path) -> None:
    small = codec_recipe.Recipe(batch=1, frames=16, steps=1, codec=CODEC, settle_clips=2)
    start = codec_stage.train_codec(small, [prepared], Plan(tmp_path / "first"))
    recipe = replace(small, stage="decoder", noise=True, steps=4)
    ours = finetune.Recipe(width=4, alone=1, scales=2)

    def path(name: str) -> Path:
        return tmp_path / name

    whole = finetune.finetune_codec(recipe, ours, [prepared], start, Plan(path("whole")))
    finetune.finetune_codec(recipe, ours, [prepared], start, Plan(path("halves"), session=0.0))
    halves = finetune.finetune_codec(recipe, ours, [prepared], None, Plan(path("halves"), resume=True))
    a, b, before = (torch.load(p, weights_only=True) for p in (whole, halves, start))
    for part in ("ema", "judge"):
        assert all(torch.equal(a[part][key], b[part][key]) for key in a[part]), part
    frozen = [key for key in before["ema"] if key.startswith("encoder") or key in ("mean", "std")]
    assert all(torch.equal(before["ema"][key], a["ema"][key]) for key in frozen)
    assert not torch.equal(before["ema"]["decoder.gains.weight"], a["ema"]["decoder.gains.weight"])
    with pytest.raises(ValueError, match="got no codec; name the checkpoint"):
        finetune.finetune_codec(recipe, ours, [prepared], None, Plan(path("x")))


@pytest.mark.parametrize("scales", [0, 6])
def test_a_number_of_windows_that_is_not_there_is_refused(tmp_path: Path, scales: int) -> None:
    path = tmp_path / "some.yaml"
    path.write_text(f"noise: true\nscales: {scales}\n")
    with pytest.raises(ValueError, match=f"got {scales}; one of 1 to 5"):
        finetune.read_recipe(path)


def test_the_discriminator_learns_to_tell_noise_from_a_tone() -> None:
    from segue.train.discriminator import Discriminator, deceiving_loss, judging_loss

    torch.manual_seed(1)
    judge = Discriminator(4)
    optimiser = torch.optim.Adam(judge.parameters(), 1e-2)
    real = 0.3 * torch.sin(torch.arange(4096) * 0.05).expand(2, 2, -1)
    made = 0.2 * torch.randn(2, 2, 4096, generator=seeded(1))
    first = float(judging_loss(judge(real), judge(made)).detach())
    for _ in range(25):
        optimiser.zero_grad()
        loss = judging_loss(judge(real), judge(made))
        loss.backward()  # type: ignore[no-untyped-call]
        optimiser.step()
    assert float(loss.detach()) < 0.5 * first
    assert float(deceiving_loss(judge(made)).detach()) > float(deceiving_loss(judge(real)).detach())


def test_a_latent_shard_is_one_machines_share(prepared: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("segue.train.encode.SHARD", 1)
    _, fold = load_codec("paper-waveform-small")
    library = Library([prepared])
    for part in (0, 1):
        list(export_latents(fold, library, tmp_path / "both", part=(part, 2)))
    assert len(list((tmp_path / "both").glob("*.safetensors"))) == len(library.songs) >= 2
    assert set(Latents([tmp_path / "both"], 100).names) == {f"audio--{song.name.split('/')[1]}" for song in library.songs}
    assert part_of("2/3") == (1, 3)
    for wrong in ("3/2", "0/2", "x"):
        with pytest.raises(ValueError, match="part: got"):
            part_of(wrong)


def test_the_target_of_one_step_ends_where_it_should() -> None:
    x_t, x_s = torch.randn(2, 2, 3, 10, generator=seeded(1)).double()
    t, s = torch.tensor([1.0, 0.5]).double(), torch.tensor([0.75, 0.0]).double()
    v = distill.target_v(x_t, x_s, t, s)
    torch.testing.assert_close(distill.moved(x_t, v, t, s), x_s)
    still = torch.zeros(2, 10).double()
    assert torch.equal(distill.target_v(x_t, x_t, still, still), torch.zeros_like(x_t))


@pytest.mark.parametrize("method", distill.METHODS)
def test_an_exact_student_agrees_with_its_teacher_in_a_gaussian_world(method: str) -> None:
    """Where v is known exactly: the aim of one step is where two of them end."""
    oracle = Gaussian(ar1(10), 3)
    x_t = torch.randn(2, 3, 10, generator=seeded(1)).double()
    t, s, e = (torch.tensor([level, level]).double() for level in (1.0, 0.75, 0.5))

    def teacher(x: torch.Tensor, level: torch.Tensor) -> torch.Tensor:
        return oracle.v(x, level)

    if method == "progressive":
        aim = distill.progressive_target(teacher, x_t, t, e)
    else:
        aim = distill.consistency_target(teacher, teacher, x_t, (t, s, e))
    x_half = distill.moved(x_t, teacher(x_t, t), t, s)
    two = distill.moved(x_half, teacher(x_half, s), s, e)
    torch.testing.assert_close(distill.moved(x_t, aim, t, e), two)


@pytest.mark.parametrize("method", distill.METHODS)
def test_distilling_brings_few_steps_nearer_to_many(latents: Latents, tmp_path: Path, method: str) -> None:
    trained = Run(Recipe(SMALL, batch=16, frames=24, rate=5e-3, warm_up=5, ema=0.9, precision="fp32"), latents)
    for step in range(40):
        trained.advance(step / 80)
    torch.save(trained.state(), tmp_path / "teacher.pt")
    teacher = read_teacher(str(tmp_path / "teacher.pt"), torch.device("cpu"))
    recipe = distill.Recipe(method, (2,), batch=16, rate=3e-3, warm_up=5, ema=0.9, steps=60, precision="fp32")
    done = distill.distil(recipe, teacher, latents, Plan(tmp_path))
    assert [steps for steps, _ in done] == [2]
    if method == "progressive":
        rows = distill.before_and_after(recipe, teacher, done, latents)
        assert {row.task for row in rows} == {"clean", "guided", "tail"}
        near = {row.system: row.value for row in rows if (row.task, row.metric, row.steps) == ("clean", "to_many", 2)}
        assert near["after, progressive"] < near[few_steps_table.BEFORE]

    def loss(path: str) -> float:
        student = read_teacher(path, torch.device("cpu"))
        run = distill.Run(recipe, replace(teacher, module=student.module), 2, latents, torch.device("cpu"))
        run.teacher = teacher
        batch = distill.draw_batch(recipe, 2, teacher, latents, True, 10_000)
        t, _, e = (level[:, None] * batch.target.float() for level in batch.levels)
        x_t = noised(batch.x_0, batch.eps, t)
        with torch.no_grad():
            aim = distill.progressive_target(lambda x, level: teacher.module(x, level), x_t, t, e)
            return float(((student.module(x_t, t) - aim) * batch.target[:, None]).square().mean())

    assert loss(str(done[0][1])) < 0.8 * loss(str(tmp_path / "teacher.pt"))
    again = distill.distil(recipe, teacher, latents, Plan(tmp_path, resume=True))
    assert again == done, "a stage that is over is passed"


def test_stages_of_a_distillation_halve(tmp_path: Path) -> None:
    wrong = {"stages: [8, 3]": "half the steps", "stages: [2, 4]": "falling", "method: magic": "method 'magic'"}
    for text, sentence in wrong.items():
        (tmp_path / "bad.yaml").write_text(text)
        with pytest.raises(ValueError, match=sentence):
            distill.read_recipe(tmp_path / "bad.yaml")


def test_a_cut_file_is_put_together_or_its_loss_is_named(tmp_path: Path) -> None:
    (tmp_path / "big.bin").write_bytes(np.random.default_rng(0).bytes(25_000))
    made = pieces.cut(tmp_path / "big.bin", tmp_path / "out", limit_mb=0.01)
    assert [path.stat().st_size for path in made[:-1]] == [10_000, 10_000, 5_000]
    (back,) = pieces.joined(tmp_path / "out", tmp_path / "back")
    assert back.read_bytes() == (tmp_path / "big.bin").read_bytes()
    made[1].write_bytes(b"x" * 10_000)
    with pytest.raises(ValueError, match=r"big\.bin is damaged"):
        pieces.joined(tmp_path / "out", tmp_path / "back")
    made[1].unlink()
    with pytest.raises(ValueError, match=r"big\.bin\.001 of big\.bin is missing"):
        pieces.joined(tmp_path / "out", tmp_path / "back")


TINY = {
    "codec": {"codec": None, "batch": 1, "frames": 8, "settle_clips": 2},
    "noise": {"codec": None, "stage": "decoder", "noise": True, "batch": 1, "frames": 8},
    "finetune": {"codec": None, "noise": True, "batch": 1, "frames": 8, "width": 4, "alone": 0},
    "diffusion": {"denoiser": {"channels": 8, "width": 16, "layers": 1, "heads": 2, "rank": 4}, "batch": 2, "frames": 40},
    "distill": {"stages": [2], "batch": 2},
}


def test_a_job_goes_from_pieces_to_a_model_over_two_machines(
    prepared: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    for name, values in TINY.items():
        filled = {key: asdict(CODEC) if key == "codec" else value for key, value in values.items()}
        (tmp_path / f"tiny_{name}.yaml").write_text(yaml.safe_dump(filled | {"steps": 2}))
    places = list(pieces.stage(prepared, tmp_path / "in", limit_mb=0.05))
    assert len(places) >= 2, "in pieces"
    recipes = {name: tmp_path / f"tiny_{name}.yaml" for name in TINY}
    first = gpu.Job(tmp_path / "in", tmp_path / "work", tmp_path / "out", "", recipes, 10.0, deadline=1e12)
    gpu.unpack(first)
    assert {e.name: e.split for e in read_index(first.audio).values()} == {e.name: e.split for e in read_index(prepared).values()}
    gpu.train_codec(first)
    back = {path.name for path in (tmp_path / "out").iterdir()}
    assert back == {"result.tar.000", "result.tar.pieces.json"}
    # another machine: the data again, and what the first one brought out
    (tmp_path / "in" / "earlier").mkdir()
    for path in (tmp_path / "out").iterdir():
        path.rename(tmp_path / "in" / "earlier" / path.name)
    second = replace(first, work=tmp_path / "work2", out=tmp_path / "out2")
    gpu.carry_out(second)
    assert torch.load(tmp_path / "work2" / "finetune" / "codec.pt", weights_only=True)["step"] == 2
    assert "before, many steps" in capsys.readouterr().out
    gpu.unbundle(tmp_path / "out2", tmp_path / "here")
    for name in ("diffusion", "distilled-2"):
        assert load(tmp_path / "here" / "models" / f"{name}.safetensors").window_frames == 40
    assert all(path.stat().st_size <= 16 * 2**20 for path in (tmp_path / "out2").iterdir())


def test_a_fold_needs_no_training(tmp_path: Path, prepared: Path, capsys: pytest.CaptureFixture[str]) -> None:
    recipe = codec_recipe.Recipe(codec=FoldSpec(), model="paper-waveform", family="paper-waveform")
    path = codec_stage.train_codec(recipe, [prepared], Plan(tmp_path))
    assert load_codec(path)[0].codec == FoldSpec()
    assert "nothing to train" in capsys.readouterr().err
