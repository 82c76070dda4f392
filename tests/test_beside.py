"""Models that play beside the judged one: the same clips, a number of steps of their own, and how much better ours is, paired."""

from __future__ import annotations

import argparse
import json
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import soundfile
import torch
from made_up_ears import EARS

from segue.engine.checkpoint import save
from segue.engine.models.cqt_unet import CqtSpec
from segue.engine.models.cqt_waveform import LIFTED
from segue.engine.models.families import build_codec, build_denoiser
from segue.engine.models.spec import ModelSpec
from segue.train import opening, table
from segue.train.evaluate import played_beside
from segue.train.excerpts import Clip
from segue.train.report import tables
from segue.train.rows import LESS, Row

RATE = 44_100
TINY = CqtSpec(256, bands=8, octaves=5, widths=(8, 8, 8, 16, 16), blocks=1, groups=4, code=16, patch=(4, 3), direct=True)


def written(path: Path, rate: int = RATE) -> Path:
    spec = ModelSpec(path.stem, replace(LIFTED, rate=rate), TINY, window_s=6.0, reference_lufs=-18.0, family="cqt")
    torch.manual_seed(0)
    save(path, spec, build_codec(spec)[0], build_denoiser(spec)[0])
    return path


def noise(seconds: float, seed: int = 0) -> Any:
    return (0.1 * np.random.default_rng(seed).standard_normal((2, round(seconds * RATE)))).astype(np.float32)


def options(add: Any, *words: str) -> Any:
    parser = argparse.ArgumentParser()
    add(parser)
    return parser.parse_args(words)


def test_a_model_of_another_rate_is_refused(tmp_path: Path) -> None:
    slow = written(tmp_path / "slow.safetensors", 11_025)
    with pytest.raises(ValueError, match=r"slow.safetensors works at 11025 Hz, clips are at 44100; judge one of that rate"):
        opening.beside(options(opening.add_beside, "--beside", str(slow)))


def test_it_plays_what_the_judged_model_plays(tmp_path: Path) -> None:
    clips = [Clip("a", noise(5.0, seed), noise(5.0, seed + 5), round(2.4 * RATE)) for seed in range(2)]
    args = options(opening.add_beside, "--beside", str(written(tmp_path / "cqt.safetensors")), "--beside-steps", "2")
    args.sampler = "ddim"
    takes = played_beside(args, clips)
    assert list(takes) == ["cqt, ddim 2"]
    assert [take.shape for take in takes["cqt, ddim 2"]] == [clip.truth.shape for clip in clips]
    assert not np.array_equal(*takes["cqt, ddim 2"])


def test_the_table_gives_it_rows_of_its_tasks_and_the_paired_difference(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    (tmp_path / "eval").mkdir()
    for i in range(4):
        soundfile.write(tmp_path / "eval" / f"song{i}.wav", noise(13.0, i).T, RATE)
    (tmp_path / "more_ears.py").write_text(EARS)
    monkeypatch.syspath_prepend(str(tmp_path))
    torch.set_num_threads(1)
    model = str(written(tmp_path / "cqt.safetensors"))
    where = ("--data", str(tmp_path), "--store", str(tmp_path / "store"), "--embedder", "more_ears:Ears", "--clips", "4")
    how = ("--steps", "1", "--tasks", "unconditional", "continuation", "--beside", model, "--beside-steps", "2")
    args = options(table.add_arguments, *where, *how, "--beside-tasks", "continuation")
    args.json = True
    assert table.run(args) == 0
    rows = [Row(**row) for row in json.loads(capsys.readouterr().out)["rows"]]
    mr = {row.system: row.value for row in rows if (row.task, row.metric) == ("continuation", "MR")}
    (less,) = [row for row in rows if row.metric == LESS]
    assert (less.task, less.n) == ("continuation", 4)
    assert less.system == "ours continuation ddim 1 - cqt: continuation ddim 2"
    ours, other = (mr[name] for name in less.system.split(" - "))
    assert ours is not None
    assert other is not None
    assert less.value == pytest.approx(ours - other)
    assert less.interval is not None
    assert less.interval[0] <= less.value <= less.interval[1]
    assert not any(row.system.startswith("cqt") for row in rows if row.task == "unconditional")
    text = tables(rows)
    assert f"| continuation | {less.system} | {less.value:.2f} [" in text
    assert "not trained" not in text
