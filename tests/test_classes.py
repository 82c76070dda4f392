"""Classes, from folders or tables to a take that is asked for by name: what is stored, told, left out, packed and heard."""

from __future__ import annotations

import json
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import soundfile
import torch

from segue.engine.checkpoint import load
from segue.engine.engine import Engine, EngineError, Request
from segue.engine.models.guide import STATISTICS, guide
from segue.engine.models.spec import ModelSpec
from segue.engine.noise import generator
from segue.engine.synthesis import STYLES
from segue.train import distill
from segue.train.clips import Library
from segue.train.condition import NO_CLASS, left_out, one_hot
from segue.train.data import RATE, prepare, prepare_synthesis, read_index
from segue.train.diffusion import Run, draw_batch, train_diffusion
from segue.train.diffusion_recipe import read_recipe, with_classes
from segue.train.encode import export_latents, load_codec
from segue.train.latents import Latents
from segue.train.loop import Plan
from segue.train.pack import pack
from segue.train.teacher import read_teacher

CODEC = "slides-mel-small"
NOISE = {"bass": 0.001, "hiss": 0.1}  # beside a tone of 150 Hz
RECIPE = """
model: slides-mel-small
denoiser: {width: 16, multipliers: [1, 1], blocks: 1, attention: [], head: 16, groups: 4}
condition: classes
frames: 24
batch: 4
rate: 0.005
warm_up: 10
ema: 0.9
check_steps: 0
"""


@pytest.fixture(scope="module")
def music(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder a class, one of the files deeper, and one file of no class."""
    place, rng = tmp_path_factory.mktemp("classes") / "music", np.random.default_rng(1)
    for name, level in NOISE.items():
        for number, below in enumerate((name, f"{name}/album")):
            t = np.arange(3 * RATE) / RATE
            tone = 0.1 * np.sin(2 * np.pi * 150 * (1 + 0.1 * number) * t) + level * rng.standard_normal(len(t))
            (place / below).mkdir(parents=True, exist_ok=True)
            soundfile.write(place / below / f"{number}.wav", tone.astype(np.float32), RATE)
    soundfile.write(place / "loose.wav", 0.01 * rng.standard_normal(3 * RATE).astype(np.float32), RATE)
    return place


@pytest.fixture(scope="module")
def latents(music: Path) -> Latents:
    out = music.parent
    list(prepare(music, out / "audio"))
    list(export_latents(load_codec(CODEC)[1], Library([out / "audio"]), out / "latents"))
    return Latents([out / "latents"], 24)


@pytest.fixture(scope="module")
def recipe_file(music: Path) -> Path:
    (music.parent / "recipe.yaml").write_text(RECIPE)
    return music.parent / "recipe.yaml"


@pytest.fixture(scope="module")
def model(music: Path, latents: Latents, recipe_file: Path) -> Path:
    """A model that was trained for some seconds, packed."""
    recipe = replace(read_recipe(recipe_file), steps=100)
    path = train_diffusion(recipe, latents, latents, Plan(music.parent / "run", report_steps=1000))
    pack(CODEC, path, music.parent / "told.safetensors", {"codec": "fp16", "denoiser": "fp32"}, ModelSpec("told"))
    return music.parent / "told.safetensors"


def test_folders_are_classes_and_reach_the_latents(latents: Latents, music: Path) -> None:
    labels = {entry.name: entry.label for entry in read_index(music.parent / "audio").values()}
    assert labels == {
        "music--bass--0": "bass",
        "music--bass--album--1": "bass",
        "music--hiss--0": "hiss",
        "music--hiss--album--1": "hiss",
        "music--loose": "",
    }
    assert sorted(latents.classes.values()) == ["bass", "bass", "hiss", "hiss"]
    assert len(latents.names) == 5


def test_tables_go_before_folders(tmp_path: Path) -> None:
    place = tmp_path / "archive" / "fma_tiny" / "000"
    place.mkdir(parents=True)
    tone = 0.1 * np.sin(np.arange(2 * RATE) / 10)
    for number in (2, 5):
        soundfile.write(place / f"{number:06d}.wav", tone, RATE)
    rows = [",artist,track,track", ",name,license,genre_top", "2,Bee,CC0,Hip-Hop", "5,Bee,CC0,"]
    (tmp_path / "archive" / "fma_metadata").mkdir()
    (tmp_path / "archive" / "fma_metadata" / "tracks.csv").write_text("\n".join(rows) + "\n")
    list(prepare(tmp_path / "archive" / "fma_tiny", tmp_path / "out"))
    assert sorted(entry.label for entry in read_index(tmp_path / "out").values()) == ["", "Hip-Hop"]
    listed = tmp_path / "listed"
    (listed / "loud").mkdir(parents=True)
    for name in ("a", "b"):
        soundfile.write(listed / "loud" / f"{name}.wav", tone, RATE)
    (listed / "manifest.json").write_text(json.dumps([{"file": "loud/a.wav", "artist": "Ant", "genre": "Drone"}]))
    list(prepare(listed, tmp_path / "other"))
    found = {entry.name: (entry.artist, entry.label) for entry in read_index(tmp_path / "other").values()}
    assert found == {"listed--loud--a": ("Ant", "Drone"), "listed--loud--b": ("", "loud")}


def test_composed_music_knows_its_style(tmp_path: Path) -> None:
    list(prepare_synthesis(0.1, tmp_path, seconds=3.0))
    assert {entry.label for entry in read_index(tmp_path).values()} <= set(STYLES)


def test_windows_are_told_the_class_of_their_song(latents: Latents, recipe_file: Path) -> None:
    recipe = with_classes(read_recipe(recipe_file), latents)
    assert recipe.classes == ("bass", "hiss")
    assert getattr(recipe.denoiser, "cond_dim", 0) == 2
    seen = set()
    for step in range(12):
        batch = draw_batch(recipe, latents, False, step)
        low = batch.x_0.mean((1, 2)) < 0
        named = batch.classes != NO_CLASS
        assert torch.equal(batch.classes[named] == 0, low[named])
        seen |= set(batch.classes.tolist())
    assert seen == {NO_CLASS, 0, 1}


def test_a_draw_is_the_window_that_it_was_without_its_name(latents: Latents) -> None:
    song, window = latents.drawn(generator(7))
    assert song in latents.names
    assert torch.equal(window, latents.windows(1, generator(7))[0])


def test_conditions_are_left_out_for_some() -> None:
    told = left_out(one_hot(torch.tensor([0, 1, NO_CLASS, 1] * 100), 2), 400, seed=1, step=2)
    assert told[2::4].sum() == 0
    shares = told.view(100, 4, 2).sum(-1).mean(0)
    assert 0.8 < float(shares[0]) < 1
    assert set(told.unique().tolist()) == {0.0, 1.0}


def test_what_cannot_be_told_is_a_sentence(latents: Latents, recipe_file: Path, tmp_path: Path) -> None:
    recipe = read_recipe(recipe_file)
    with pytest.raises(ValueError, match="the latents have bass, hiss"):
        with_classes(replace(recipe, classes=("drums",)), latents)
    assert with_classes(replace(recipe, classes=("hiss",)), latents).classes == ("hiss",)
    bare = replace(recipe, denoiser=read_recipe(Path("paper_latent")).denoiser, family="paper-latent")
    with pytest.raises(ValueError, match="family paper-latent takes none"):
        with_classes(bare, latents)
    (tmp_path / "bad.yaml").write_text("condition: genre")
    with pytest.raises(ValueError, match="allowed statistics, classes"):
        read_recipe(tmp_path / "bad.yaml")
    told = with_classes(recipe, latents)
    with pytest.raises(ValueError, match="resume: got a run of classes"):
        Run(told).restore(Run(replace(told, classes=("hiss", "bass"))).state())
    with pytest.raises(ValueError, match="got 3 classes for a condition of 2"):
        ModelSpec("x", denoiser=told.denoiser, classes=("a", "b", "c"))


def fullness(engine: Engine, take: np.ndarray) -> float:
    """Mean of the mel image: noise fills every band, a tone one."""
    whole = take.shape[1] // engine.model.hop * engine.model.hop
    return float(engine.model.codec.encode(torch.from_numpy(take[None, :, :whole])).mean())


def test_a_take_asks_for_a_class_by_name(model: Path) -> None:
    """Told bass it leaves most bands empty, told hiss it fills them; twice the weight goes further along."""
    loaded = load(model)
    assert loaded.spec.classes == ("bass", "hiss")
    engine = Engine(loaded)
    assert (engine.guide.name, engine.guide.classes, engine.guide.classifier) == (STATISTICS, ("bass", "hiss"), None)
    asked = Request("classify", 2 * engine.new_frames, steps=6, seed=3, match_level=False)
    heard = {}
    for name in NOISE:
        y = engine.guide.wanted((name.upper(),)).numpy()
        for weight in (1.0, 2.0):
            heard[name, weight] = fullness(engine, engine.take(replace(asked, classes=y, parameters={"weight": weight})))
    assert heard["bass", 1.0] < 0.0
    assert heard["hiss", 1.0] > 0.5
    assert heard["hiss", 2.0] - heard["bass", 2.0] > heard["hiss", 1.0] - heard["bass", 1.0]


def test_a_class_goes_on_from_a_context(model: Path) -> None:
    engine = Engine(load(model))
    t = np.arange(2 * RATE) / RATE
    left = np.tile(0.1 * np.sin(2 * np.pi * 150 * t), (2, 1)).astype(np.float32)
    y = engine.guide.wanted(("hiss",)).numpy()
    take = engine.take(Request("classify", engine.new_frames, left, classes=y, steps=4))
    assert take.shape == (2, engine.new_frames)
    assert np.isfinite(take).all()
    with pytest.raises(ValueError, match="one of 2 names"):
        engine.guide.wanted(("jazz",))
    with pytest.raises(EngineError, match="needs a classifier and classes"):
        engine.take(Request("classify", engine.new_frames, left))


def test_a_distilled_generator_still_knows_its_classes(model: Path, latents: Latents, tmp_path: Path) -> None:
    """Teacher and student are told the same, and the packed student asks for a class by its name."""
    recipe = distill.Recipe(stages=(2,), steps=30, batch=8, precision="fp32")
    teacher = read_teacher(str(model.parent / "run" / "diffusion.pt"), torch.device("cpu"))
    assert (teacher.classes, teacher.condition) == (("bass", "hiss"), "classes")
    again = read_teacher(str(model), torch.device("cpu"))
    assert (again.classes, again.condition) == (teacher.classes, teacher.condition)
    ((steps, path),) = distill.distil(recipe, teacher, latents, Plan(tmp_path / "run", report_steps=1000))
    pack(CODEC, path, tmp_path / "few.safetensors", {"codec": "fp16", "denoiser": "fp32"}, ModelSpec("few"))
    engine = Engine(load(tmp_path / "few.safetensors"))
    assert engine.guide.classes == ("bass", "hiss")
    asked = Request("classify", 2 * engine.new_frames, steps=steps, seed=3, match_level=False)
    bass, hiss = (fullness(engine, engine.take(replace(asked, classes=engine.guide.wanted((name,)).numpy()))) for name in NOISE)
    assert hiss - bass > 0.5


def test_what_a_student_is_told_is_the_class_of_its_window(model: Path, latents: Latents) -> None:
    teacher = read_teacher(str(model), torch.device("cpu"))
    seen = set()
    for step in range(12):
        batch = distill.draw_batch(distill.Recipe(batch=8), 2, teacher, latents, False, step)
        low = batch.x_0.mean((1, 2)) < 0
        named = batch.classes != NO_CLASS
        assert torch.equal(batch.classes[named] == 0, low[named])
        seen |= set(batch.classes.tolist())
    assert seen == {NO_CLASS, 0, 1}


def test_a_named_guide_stays(model: Path) -> None:
    assert guide(STATISTICS, load(model)).classes == ("bass", "hiss")
