"""What somebody may get wrong on the way from a folder to a model is one sentence, and costs no run that is there."""

from __future__ import annotations

import json
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import torch
from safetensors.torch import save_file

from segue.engine.models.dit import DitSpec
from segue.engine.models.vae import CodecSpec
from segue.server.cli import main
from segue.train.clips import Library
from segue.train.codec_recipe import Recipe as CodecRecipe
from segue.train.codec_recipe import build_codec
from segue.train.data import RATE, prepare
from segue.train.diffusion import train_diffusion
from segue.train.diffusion_recipe import Recipe
from segue.train.encode import export_latents
from segue.train.latents import Latents
from segue.train.loop import Plan

SMALL = DitSpec(channels=3, width=32, layers=1, heads=2, rank=8, kernel=3)
YAML = """
denoiser: {channels: 3, width: 32, layers: 1, heads: 2, rank: 8, kernel: 3}
batch: 4
frames: 24
steps: 4
check_steps: 0
"""
CODEC = CodecSpec(
    encoder_width=16, encoder_slow_width=24, decoder_width=16, decoder_slow_width=24, latent_dim=8,
    encoder_blocks=1, encoder_slow_blocks=1, decoder_blocks=1, decoder_slow_blocks=1, noise_frames=37,
    bass_dim=2, bass_width=8, bass_blocks=1,
)  # fmt: skip


@pytest.fixture
def latents(tmp_path: Path) -> Path:
    path = tmp_path / "latents" / "latents.safetensors"
    path.parent.mkdir()
    save_file({f"song{i}/0": torch.randn(3, 60).half() for i in range(2)}, path)
    return path


@pytest.fixture
def recipe(tmp_path: Path) -> Path:
    path = tmp_path / "small.yaml"
    path.write_text(YAML)
    return path


@pytest.mark.parametrize(
    ("words", "sentence"),
    [
        (["--minutes", "0"], "--minutes: got 0.0, allowed more than 0"),
        (["--minutes", "nan"], "--minutes: got nan, allowed more than 0"),
        (["--session", "-1"], "--session: got -1.0, allowed more than 0"),
        (["--report-steps", "0"], "--report-steps: got 0, allowed 1 or more"),
        (["--save-seconds", "-1"], "--save-seconds: got -1.0, allowed 0 or more"),
        (["--keep", "0", "5"], "--keep: got [0, 5], allowed steps of 1 or more"),
        (["--recipe", "live"], "got 3 channels for a generator of 64; encode with the codec that it was made for"),
        (["--latents", "nowhere"], "latents nowhere: no such file or folder; make it with `segue train encode`"),
        (["--resume"], "leave out --resume to begin a run"),
    ],
)
def test_a_wrong_word_is_one_sentence_and_writes_nothing(
    latents: Path, recipe: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str], words: list[str], sentence: str
) -> None:
    start = ["train", "diffusion", "--recipe", str(recipe), "--latents", str(latents), "--out", str(tmp_path / "run")]
    assert main([*start, *words]) == 2
    err = capsys.readouterr().err
    assert sentence in err
    assert err.count("\n") == 1
    assert not list(tmp_path.glob("run/*.pt"))


@pytest.mark.parametrize(
    ("words", "sentence"),
    [
        ([], "got no music; name a folder of it, or --synthesis MINUTES"),
        (["FOLDER", "--holdout", "2"], "--holdout: got 2, allowed a share from 0 to 1"),
        (["FOLDER", "--minutes", "-1"], "--minutes: got -1, allowed more than 0"),
    ],
)
def test_nothing_to_prepare_is_one_sentence(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], words: list[str], sentence: str
) -> None:
    assert main(["train", "prepare", "--out", str(tmp_path / "audio"), *words]) == 2
    err = capsys.readouterr().err
    assert sentence in err
    assert err.count("\n") == 1
    assert not (tmp_path / "audio").exists()


def test_clips_that_nobody_could_decode_are_missed_aloud(
    latents: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    (tmp_path / "clips.yaml").write_text(YAML + "sample_steps: 2\n")
    words = ["--recipe", str(tmp_path / "clips.yaml"), "--latents", str(latents), "--out", str(tmp_path / "run")]
    assert main(["train", "diffusion", *words]) == 0
    assert "no sample clips are written: --codec would decode them" in capsys.readouterr().err


def test_a_job_without_its_music_or_its_result_says_so(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    nowhere = str(tmp_path / "nowhere")
    assert main(["train", "gpu", "stage", "--data", nowhere, "--pieces", str(tmp_path / "pieces")]) == 2
    assert f"no prepared audio in {nowhere}: run `segue train prepare" in capsys.readouterr().err
    assert main(["train", "gpu", "join", "--out", nowhere, "--work", str(tmp_path / "work")]) == 2
    assert f"join: no result in {nowhere}; name the --out of `segue train gpu run`" in capsys.readouterr().err


@pytest.mark.parametrize("line", ["batch: 0", "frames: -3", "rate: 0.0", "steps: 0"])
def test_a_recipe_of_nothing_is_refused(latents: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str], line: str) -> None:
    key, _, value = line.partition(": ")
    (tmp_path / "none.yaml").write_text(line)
    words = ["--recipe", str(tmp_path / "none.yaml"), "--latents", str(latents), "--out", str(tmp_path / "run")]
    assert main(["train", "diffusion", *words]) == 2
    assert f"{key} in {tmp_path / 'none.yaml'}: got {value}, allowed values above 0" in capsys.readouterr().err


@pytest.mark.parametrize(
    ("stage", "line", "sentence"),
    [
        ("diffusion", "denoiser: 3", "denoiser in FILE: got 3, allowed sizes such as {width: 320, layers: 6}"),
        ("diffusion", "denoiser: {width: wide}", "denoiser: width in FILE: got 'wide', allowed values such as 320"),
        ("diffusion", "classes: techno", "classes in FILE: got 'techno', allowed values such as ['name', 'other name']"),
        ("diffusion", "ema: 2.0", "ema in FILE: got 2.0, allowed a share from 0 to below 1"),
        ("diffusion", "model: [live]", "model ['live'] in FILE, allowed cqt,"),
        ("codec", "latent_noise: 0.1", "latent_noise in FILE: got 0.1, allowed values such as [0.1, 0.2]"),
        ("codec", "latent_noise: [0.1]", "latent_noise in FILE: got [0.1], allowed two levels such as [0.1, 0.2]"),
        ("distill", "stages: 4", "stages in FILE: got 4, allowed values such as [8, 4, 2]"),
        ("distill", "stages: [four, two]", "stages in FILE: got ['four', 'two'], allowed values such as [8, 4, 2]"),
    ],
)
def test_a_value_of_another_kind_is_one_sentence(
    latents: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str], stage: str, line: str, sentence: str
) -> None:
    file = tmp_path / "wrong.yaml"
    file.write_text(line)
    given = {"codec": ["--data", str(latents.parent)], "diffusion": ["--latents", str(latents)]}
    given["distill"] = [*given["diffusion"], "--teacher", "live"]
    assert main(["train", stage, "--recipe", str(file), *given[stage], "--out", str(tmp_path / "run")]) == 2
    err = capsys.readouterr().err
    assert sentence.replace("FILE", str(file)) in err
    assert err.count("\n") == 1


def test_a_run_is_not_written_over(latents: Path, recipe: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    words = ["train", "diffusion", "--recipe", str(recipe), "--latents", str(latents), "--out", str(tmp_path / "run")]
    assert main(words) == 0
    before = (tmp_path / "run" / "diffusion.pt").read_bytes()
    assert main(words) == 2
    assert "diffusion.pt is there already: go on with it by --resume, or choose another --out" in capsys.readouterr().err
    assert (tmp_path / "run" / "diffusion.pt").read_bytes() == before
    assert main([*words, "--resume"]) == 0


def test_a_checkpoint_of_another_kind_or_a_damaged_one_is_named(
    latents: Path, recipe: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    generator, codec, damaged = tmp_path / "run" / "diffusion.pt", tmp_path / "codec.pt", tmp_path / "damaged" / "diffusion.pt"
    fit = ["train", "diffusion", "--recipe", str(recipe), "--latents", str(latents), "--out"]
    assert main([*fit, str(generator.parent)]) == 0
    torch.save({"spec": {}, "ema": {}}, codec)
    damaged.parent.mkdir()
    damaged.write_bytes(generator.read_bytes()[:5000])
    model = str(tmp_path / "m.safetensors")
    wanted_codec = f"{generator}: got a checkpoint of a generator, allowed one of a codec; name that one"
    wanted_generator = f"{codec}: got a checkpoint of a codec, allowed one of a generator; name that one"
    out = ["--latents", str(latents), "--out", str(tmp_path / "new")]
    for words, sentence in (
        (["encode", "--codec", str(generator)], wanted_codec),
        (["pack", "--codec", str(generator), "--diffusion", str(codec), "--out", model], wanted_codec),
        (["pack", "--codec", "live", "--diffusion", str(codec), "--out", model], wanted_generator),
        (["distill", "--recipe", "tiny_distill", "--teacher", str(codec), *out], wanted_generator),
        (["distill", "--recipe", "tiny_distill", "--teacher", "nowhere.pt", *out], "nowhere.pt: no such checkpoint"),
        (["pack", "--codec", "live", "--diffusion", "live", "--out", str(tmp_path / "no" / "m")], "is no folder; make it first"),
        ([*fit[1:], str(damaged.parent), "--resume"], f"{damaged}: damaged, or no checkpoint of a training"),
    ):
        assert main(["train", *words]) == 2
        err = capsys.readouterr().err
        assert sentence in err
        assert err.count("\n") == 1


def test_latents_of_another_codec_or_of_other_songs_are_not_taken_for_these(tmp_path: Path) -> None:
    import soundfile

    (tmp_path / "music").mkdir()
    for i in range(2):
        tone = 0.3 * np.sin(np.arange(2 * RATE) * 0.02 * (i + 1))
        soundfile.write(tmp_path / "music" / f"{i}.wav", np.stack([tone, tone], 1), RATE)
    list(prepare(tmp_path / "music", tmp_path / "audio"))
    library, codecs = Library([tmp_path / "audio"]), []
    for seed in range(2):
        torch.manual_seed(seed)
        codecs.append(build_codec(CodecRecipe(codec=CODEC)).eval())
    out = tmp_path / "latents"
    assert len(list(export_latents(codecs[0], library, out))) == 1
    assert not list(export_latents(codecs[0], library, out))  # nothing is left to do
    told = [line.partition("; ")[2] for line in export_latents(codecs[0], library, tmp_path / "two", (0, 1))]
    assert [line.partition(",")[0] for line in told] == ["2 songs to go", "0 songs to go"]
    assert told[1].endswith(", 0.0 min")
    before = (out / "latents-v0-000.safetensors").read_bytes()
    with torch.no_grad():
        for value in codecs[0].decoder.parameters():
            value.mul_(2)  # a decoder that was trained on
    assert not list(export_latents(codecs[0], library, out))
    with pytest.raises(ValueError, match="another codec or of other songs; remove it, or choose another --out"):
        list(export_latents(codecs[1], library, out))
    library.songs.pop()
    with pytest.raises(ValueError, match="of other songs"):
        list(export_latents(codecs[0], library, out))
    assert (out / "latents-v0-000.safetensors").read_bytes() == before


def test_what_was_told_after_the_last_checkpoint_is_not_told_twice(latents: Path, tmp_path: Path) -> None:
    """A kill between two checkpoints: the run goes on from the first, and its figures with it."""
    small = Recipe(SMALL, batch=4, frames=24, steps=4, check_steps=0)
    data = Latents([latents], 24)
    path = train_diffusion(small, data, data, Plan(tmp_path, report_steps=1))
    figures = path.with_suffix(".jsonl")
    with figures.open("a") as file:
        file.write(json.dumps({"step": 5, "loss": 9.0}) + '\n{"step": 6, "lo')
    train_diffusion(replace(small, steps=6), data, data, Plan(tmp_path, resume=True, report_steps=1))
    rows = [json.loads(line) for line in figures.read_text().splitlines()]
    assert [row["step"] for row in rows] == [1, 2, 3, 4, 5, 6]
    assert rows[4]["loss"] != 9.0


def test_no_warm_up_is_a_warm_up_of_nothing() -> None:
    from segue.train.optim import rate_at

    assert rate_at(0, 0.0, 1e-3, warm_up=0) == pytest.approx(1e-3)
