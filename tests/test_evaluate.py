"""The evaluation: metrics that know better from worse, honest intervals, baselines that are what they say, stable rows."""

from __future__ import annotations

import argparse
import json
from dataclasses import asdict
from pathlib import Path

import numpy as np
import pytest
import torch

from segue.engine.measure import long_term_spectrum, loudness
from segue.train import evaluate
from segue.train.baselines import BASELINES, Audio
from segue.train.bootstrap import interval
from segue.train.evaluate import CODEC, ELSEWHERE, OURS, TRUTH, WRONG, How, kld, rows_of, score
from segue.train.excerpts import Clip, wrong_contexts
from segue.train.yamnet import YamNet, data_folder, load_yamnet

RATE = 44_100


def music(seed: int, seconds: float = 3.0, rate: int = RATE) -> Audio:
    """Decaying tones at random pitches, five a second, stereo."""
    rng = np.random.default_rng(seed)
    time = np.arange(round(seconds * rate)) / rate
    notes = 220 * 2 ** (rng.integers(0, 24, int(seconds * 5) + 1) / 12)
    audio = 0.3 * np.sin(2 * np.pi * notes[(time * 5).astype(int)] * time) * np.exp(-4 * ((time * 5) % 1))
    return np.stack([audio, 0.8 * audio]).astype(np.float32)


@pytest.fixture
def clips() -> list[Clip]:
    return [Clip(f"song{i % 3}", music(i), music(i + 100), RATE) for i in range(6)]


def test_interval_holds_the_mean_and_shrinks_with_n() -> None:
    rng = np.random.default_rng(1)
    few, many = rng.normal(1, 1, 20), rng.normal(1, 1, 2000)
    for values in (few, many):
        low, high = interval(values)
        assert low < values.mean() < high
    assert np.diff(interval(many))[0] < 0.3 * np.diff(interval(few))[0]
    assert interval(many) == interval(many)


@pytest.mark.parametrize("name", sorted(BASELINES))
def test_baselines_have_their_length_and_depend_on_nothing_else(name: str) -> None:
    context = music(3)
    first, second = (BASELINES[name](context, 50_000, RATE, np.random.default_rng(1)) for _ in range(2))
    assert first.shape == (2, 50_000)
    assert np.array_equal(first, second)


def test_shaped_noise_has_the_spectrum_of_its_context_but_not_its_waveform() -> None:
    context = music(3)
    noise = BASELINES["shaped noise"](context, 4 * RATE, RATE, np.random.default_rng(1))
    assert loudness(noise, RATE) == pytest.approx(loudness(context, RATE), abs=0.5)
    there, here = (10 * np.log10(long_term_spectrum(a)[0, 8:60] + 1e-12) for a in (context, noise))
    assert np.abs(there - here).mean() < 2.0
    assert abs(np.corrcoef(context[0], noise[0, : context.shape[1]])[0, 1]) < 0.1


def test_shuffled_blocks_are_the_context_in_another_order() -> None:
    context = music(3)
    blocks = BASELINES["shuffled blocks"](context, context.shape[1], RATE, np.random.default_rng(1))
    assert not np.array_equal(blocks, context)
    np.testing.assert_allclose(np.sort(blocks[0, : 44_100 // 10 * 30]), np.sort(context[0, : 44_100 // 10 * 30]))


def test_wrong_contexts_are_other_songs(clips: list[Clip]) -> None:
    owner = {clip.context.tobytes(): clip.song for clip in clips}
    for clip, context in zip(clips, wrong_contexts(clips), strict=True):
        assert owner[context.tobytes()] != clip.song


def test_kld_is_zero_for_equal_and_positive_for_different() -> None:
    p = np.random.default_rng(1).dirichlet(np.ones(9), 5)
    q = np.roll(p, 1, axis=1)
    np.testing.assert_allclose(kld(p, p), 0, atol=1e-12)
    assert (kld(p, q) > 0).all()


def test_rows_know_better_from_worse(clips: list[Clip]) -> None:
    rng = np.random.default_rng(4)
    close = [0.9 * clip.truth for clip in clips]
    takes = {name: [BASELINES[name](c.context, c.truth.shape[1], RATE, rng) for c in clips] for name in BASELINES}
    takes |= {
        OURS: close,
        WRONG: [np.roll(t, 9000, axis=1) for t in close],
        ELSEWHERE: [c.elsewhere[:, c.split :] for c in clips],
    }
    takes |= {TRUTH: [c.truth for c in clips], CODEC: close}
    rows = rows_of(score(clips, takes, RATE, None), How("ddim", 4))
    found = {(row.metric, row.system): row for row in rows}
    for system in ("silence", "shaped noise", WRONG):
        row = found["MR", f"{OURS} - {system}"]
        assert row.interval is not None
        assert row.interval[1] < 0, system
    assert found["MR", TRUTH].value == 0
    assert found["MR", OURS].floor == found["MR", ELSEWHERE].value
    assert found["level_within_3_db", OURS].n == len(clips)
    assert found["copies", OURS].value == 0
    keys = {"task", "system", "sampler", "steps", "metric", "value", "spread", "n", "embedder", "floor"}
    assert keys <= set(json.loads(json.dumps(asdict(rows[0]))))


def test_missing_models_and_data_are_one_sentence(capsys: pytest.CaptureFixture[str]) -> None:
    parser = argparse.ArgumentParser()
    evaluate.add_arguments(parser)
    assert evaluate.run(parser.parse_args(["--model", "nowhere", "--json"])) == 2
    out = capsys.readouterr()
    assert out.out == ""
    assert "nowhere: no such model or file" in out.err
    assert evaluate.run(parser.parse_args(["--steps", "4", "0"])) == 2
    assert "got 108 clips and [4, 0] steps; give one or more of each" in capsys.readouterr().err


def test_yamnet_without_weights_is_one_sentence(tmp_path: Path) -> None:
    with pytest.raises(FileNotFoundError, match="YAMNet: no weights at"):
        load_yamnet(tmp_path)


@pytest.fixture(scope="module")
def yamnet() -> YamNet:
    try:
        return load_yamnet()
    except FileNotFoundError as error:
        pytest.skip(str(error))


def test_yamnet_hears_silence_and_music(yamnet: YamNet) -> None:
    labels = [line.strip() for line in (data_folder() / "models" / "yamnet_label_list.txt").read_text().splitlines()]
    tones = torch.from_numpy(music(5, seconds=2.0, rate=yamnet.rate).mean(axis=0))[None]
    p = yamnet.probabilities(torch.cat([torch.zeros_like(tones), tones]))
    assert p.shape == (2, 521)
    assert labels[int(p[0].argmax())] == "Silence"
    assert labels[int(p[1].argmax())] != "Silence"


def test_yamnet_is_differentiable_to_the_waveform(yamnet: YamNet) -> None:
    audio = torch.from_numpy(music(5, seconds=1.0, rate=yamnet.rate).mean(axis=0))[None].requires_grad_()
    yamnet.embed(audio).square().sum().backward()  # type: ignore[no-untyped-call]
    assert audio.grad is not None
    assert bool(torch.isfinite(audio.grad).all())
    assert float(audio.grad.abs().max()) > 0
