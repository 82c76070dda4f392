"""The metrics on pairs whose answer is known: equal sets, shifted Gaussians, mixtures, and music harmed by known amounts."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from numpy.typing import NDArray

from segue.train.metrics.degrade import HALVES, KNOWN, blocks_reversed, low_passed, noisy, pure_noise
from segue.train.metrics.divergence import kld_of_sets
from segue.train.metrics.ears import Embedder, embedder_of, hear
from segue.train.metrics.frechet import _weighted, at_infinity, excess, frechet, halves, principal
from segue.train.metrics.realism import manifold, precision, recall
from segue.train.metrics.seams import beat_offset, flux_z, phase_coherence, tempo
from segue.train.metrics.spectral import band_distances, over_time, roughness
from segue.train.metrics.validate import checks
from segue.train.yamnet import data_folder

RATE = 44_100
Floats = NDArray[np.floating[Any]]


def gaussian(seed: int, n: int, mean: float = 0.0, scale: float = 1.0, dim: int = 8) -> Floats:
    return mean + scale * np.random.default_rng(seed).standard_normal((n, dim))


def test_equal_sets_are_at_distance_zero() -> None:
    x = gaussian(1, 300)
    assert frechet(x, x) == pytest.approx(0, abs=1e-9)
    assert frechet(x, x[::-1]) == pytest.approx(0, abs=1e-9)
    few = gaussian(1, 20, dim=200)  # fewer than dimensions: covariances without full rank
    assert frechet(few, few) == pytest.approx(0, abs=1e-6)


@pytest.mark.parametrize(("mean", "scale"), [(0.5, 1.0), (0.0, 2.0), (1.0, 0.5)])
def test_shifted_and_scaled_gaussians_are_where_the_formula_says(mean: float, scale: float) -> None:
    x, y = gaussian(1, 40_000), gaussian(2, 40_000, mean, scale)
    assert frechet(x, y) == pytest.approx(8 * (mean**2 + (1 - scale) ** 2), rel=0.02, abs=0.01)


def test_a_correlated_gaussian_agrees_with_the_root_of_the_product() -> None:
    from scipy.linalg import sqrtm

    rng = np.random.default_rng(5)
    x, y = (rng.standard_normal((500, 6)) @ rng.standard_normal((6, 6)) + rng.standard_normal(6) for _ in range(2))
    sx, sy = np.cov(x.T), np.cov(y.T)
    wanted = np.square(x.mean(0) - y.mean(0)).sum() + np.trace(sx + sy - 2 * sqrtm(sx @ sy).real)
    assert frechet(x, y) == pytest.approx(wanted, rel=1e-9)


def test_more_of_another_mixture_is_further() -> None:
    x = gaussian(1, 4000)
    mixed = [np.concatenate([gaussian(2, 4000 - n), gaussian(3, n, mean=4.0)]) for n in (0, 400, 1200, 3000)]
    found = [frechet(x, y) for y in mixed]
    assert found == sorted(found)
    # a mixture of share w has mean 4 w and covariance I + 16 w (1 - w) ones: exact for Gaussians fitted to it
    w, dim = 0.3, 8
    top = np.sqrt(1 + 16 * w * (1 - w) * dim) - 1
    assert frechet(x, mixed[2]) == pytest.approx(dim * (4 * w) ** 2 + top**2, rel=0.03)


def test_small_samples_are_biased_and_the_extrapolation_is_less_so() -> None:
    x, y = gaussian(1, 200, dim=32)[:, None], gaussian(2, 200, dim=32)[:, None]
    biased = frechet(x[:, 0], y[:, 0])
    assert biased > 1.5  # the truth is 0
    assert abs(at_infinity(x, y)) < 0.4 * biased
    assert halves(x) > biased  # halves are smaller still


def test_excess_is_zero_for_truth_one_for_the_codec_and_between_between() -> None:
    reference, truth = gaussian(1, 100)[:, None], gaussian(2, 100)[:, None]
    codec, half = truth + 1.0, truth + np.sqrt(0.5)
    assert excess(reference, truth, codec, truth)[0] == pytest.approx(0)
    assert excess(reference, truth, codec, codec)[0] == pytest.approx(1)
    value, low, high = excess(reference, truth, codec, half)
    assert low < value < high
    assert value == pytest.approx(0.5, abs=0.15)
    assert excess(reference, truth, codec, half) == (value, low, high)


def test_weighted_distances_are_those_of_the_repeated_takes() -> None:
    fixed, made = gaussian(1, 60, dim=5), gaussian(2, 60, 0.3, dim=5).reshape(20, 3, 5)
    times = np.random.default_rng(3).multinomial(20, np.full(20, 1 / 20), 4)
    wanted = [frechet(fixed, np.repeat(made, row, axis=0).reshape(-1, 5)) for row in times]
    np.testing.assert_allclose(_weighted(fixed, made, times), wanted, rtol=1e-6)


def test_principal_axes_are_those_of_the_greatest_spread() -> None:
    x = gaussian(1, 500, dim=3) * np.array([0.1, 5.0, 1.0])
    kept = principal(x, dims=1)(x)
    assert abs(np.corrcoef(kept[:, 0], x[:, 1])[0, 1]) > 0.999


def test_kld_of_sets_knows_shares_and_not_order() -> None:
    p = np.array([[0.9, 0.1], [0.1, 0.9]])
    assert kld_of_sets(p, p[::-1]) == pytest.approx(0)
    assert kld_of_sets(p, p[:1].repeat(2, axis=0)) == pytest.approx(0.5 * np.log(0.5 / 0.9) + 0.5 * np.log(0.5 / 0.1))


def test_manifold_holds_its_own_and_not_what_is_far() -> None:
    x = gaussian(1, 400, dim=4)
    assert precision(x, gaussian(2, 400, dim=4)) > 0.8
    assert precision(x, gaussian(2, 400, mean=6.0, dim=4)) == 0
    collapsed = 0.05 * gaussian(2, 400, dim=4)
    assert precision(x, collapsed) > 0.99
    assert recall(x, collapsed) < 0.1  # all in one place: precise, and most of the set is missing
    near, far = manifold(x).realism(np.array([[0.0] * 4, [5.0] * 4]))
    assert near > 1 > far
    # on a line: radii are 1, so a point at distance 2 of the end has realism 1 / 2
    line = manifold(np.arange(10.0)[:, None], k=1)
    np.testing.assert_allclose(line.realism(np.array([[11.0]])), [0.5])


def tones(seconds: float = 4.0, hz: tuple[float, ...] = (220.0, 331.0, 497.0)) -> Floats:
    time = np.arange(round(seconds * RATE)) / RATE
    return np.stack([0.1 * sum(np.sin(2 * np.pi * f * time + f) for f in hz)] * 2).astype(np.float32)


def clicks(bpm: float, seconds: float = 8.0, late_s: float = 0.0) -> Floats:
    """Noise bursts on every beat, stronger on the first of four, the first burst after late_s."""
    rng, n = np.random.default_rng(1), round(seconds * RATE)
    audio = 1e-4 * rng.standard_normal(n)
    for i, at in enumerate(np.arange(late_s, seconds - 0.1, 60 / bpm)):
        burst = rng.standard_normal(2000) * np.exp(-np.arange(2000) / 400)
        audio[round(at * RATE) : round(at * RATE) + 2000] += (0.5 if i % 4 == 0 else 0.3) * burst
    return np.stack([audio, audio]).astype(np.float32)


def test_band_distances_say_where_and_on_which_side() -> None:
    rng = np.random.default_rng(1)
    a = 0.1 * rng.standard_normal((2, 4 * RATE)).astype(np.float32)
    assert max(band_distances(a, a, RATE).values()) == 0
    dull = band_distances(a, low_passed(8000.0)(a, RATE, rng), RATE)
    assert dull["mid 8000-16000"] > 5 > 0.5 > dull["mid 250-1000"]
    narrow = band_distances(a, np.stack([a.mean(0)] * 2), RATE)
    assert narrow["side 1000-4000"] > 40
    assert narrow["mid 1000-4000"] < 0.01


def test_a_crossfade_rises_over_time_and_a_cut_is_rougher() -> None:
    rng = np.random.default_rng(1)
    one, two = tones(4.0), 0.2 * rng.standard_normal((2, 4 * RATE)).astype(np.float32)
    ramp = np.linspace(0, 1, 4 * RATE, dtype=np.float32)
    smooth = over_time((1 - ramp) * one + ramp * two, one, RATE)
    cut = over_time(np.where(ramp < 0.5, one, two), one, RATE)
    assert smooth[0] < smooth[5] < smooth[-1]
    assert roughness(np.linspace(0.2, 3.0, 20)) == pytest.approx(0)
    assert roughness(cut) > roughness(np.linspace(0, 1, 20) ** 1.2)


def test_flux_at_a_click_stands_out_and_elsewhere_does_not() -> None:
    quiet = tones() + 1e-3 * np.random.default_rng(1).standard_normal((2, 4 * RATE)).astype(np.float32)
    joined = np.concatenate([quiet[:, : 2 * RATE], 0.1 * np.random.default_rng(2).standard_normal((2, 2 * RATE))], axis=1)
    assert flux_z(quiet, 2 * RATE, RATE) < 4
    assert flux_z(joined, 2 * RATE, RATE) > 10
    assert flux_z(np.zeros((2, 4 * RATE)), 2 * RATE, RATE) == 0


@pytest.mark.parametrize(("turn", "wanted"), [(0.0, 1.0), (np.pi / 2, 0.0), (np.pi, -1.0)])
def test_phase_coherence_is_the_cosine_of_the_jump(turn: float, wanted: float) -> None:
    time = np.arange(2 * RATE) / RATE
    for hz in (441.0, 1003.7):
        audio = np.sin(2 * np.pi * hz * time + turn * (time >= 1))
        assert phase_coherence(np.stack([audio, audio]), RATE) == pytest.approx(wanted, abs=0.02)
    glide = np.sin(2 * np.pi * (400 * time + 30 * time**2) + turn * (time >= 1))
    assert phase_coherence(np.stack([glide, glide]), RATE) == pytest.approx(wanted, abs=0.1)


def test_phase_of_unrelated_sound_is_incoherent() -> None:
    noise = np.random.default_rng(1).standard_normal((40, 2, 8192))
    assert abs(np.mean([phase_coherence(one, 4096) for one in noise])) < 0.15


@pytest.mark.parametrize("bpm", [84.0, 103.0, 120.0, 128.0, 150.0])
def test_tempo_of_clicks(bpm: float) -> None:
    assert tempo(clicks(bpm), RATE) == pytest.approx(bpm, rel=0.01)


@pytest.mark.parametrize("offset", [0.0, 0.125, 0.25, -0.25])
def test_beats_that_come_late_are_late_by_so_much(offset: float) -> None:
    beat = 0.5
    before, after = clicks(120.0, 6.0), clicks(120.0, 4.0, late_s=(offset % 1) * beat)
    assert beat_offset(before, after, RATE) == pytest.approx(offset, abs=0.03)


def test_silence_has_no_beat() -> None:
    nothing = np.zeros((2, 4 * RATE), np.float32)
    assert np.isnan(beat_offset(nothing, nothing, RATE))
    assert np.isnan(tempo(nothing, RATE))


class Toy:
    """An embedder of two numbers a half second."""

    name, rate = "toy", 8000

    def patches(self, audio: torch.Tensor) -> torch.Tensor:
        cut = audio.unfold(-1, 4000, 4000)
        return torch.stack([cut.std(-1), cut.diff(dim=-1).std(-1)], dim=-1)

    def classes(self, patches: torch.Tensor) -> torch.Tensor:
        return patches.mean(1).sigmoid()


def test_an_embedder_of_ones_own_is_named_module_function(monkeypatch: pytest.MonkeyPatch, tmp_path: Any) -> None:
    (tmp_path / "my_ears.py").write_text("def toy():\n    from tests_toy import Toy\n    return Toy()\n")
    import sys

    monkeypatch.syspath_prepend(str(tmp_path))
    monkeypatch.setitem(sys.modules, "tests_toy", sys.modules[__name__])
    ears = embedder_of("my_ears:toy", tmp_path)
    assert isinstance(ears, Embedder)
    heard = hear(ears, [tones(2.0), tones(2.0)], RATE)
    assert heard.e.shape == (2, 4, 2)
    np.testing.assert_allclose(heard.p.sum(axis=1), 1)
    wrong = {"nowhere:toy": "module:function", "json:dumps2": "module:function", "nowhere.safetensors": "no weights"}
    for word, said in wrong.items():
        with pytest.raises((ValueError, FileNotFoundError), match=said):
            embedder_of(word, tmp_path)
    with pytest.raises(ValueError, match="must have name, rate"):
        embedder_of("builtins:dict", tmp_path)


@pytest.fixture(scope="module")
def music() -> tuple[Any, list[Floats]]:
    """YAMNet, and 4 s of each of some pieces."""
    import soundfile

    try:
        ears = embedder_of("yamnet", data_folder())
    except FileNotFoundError as error:
        pytest.skip(str(error))
    clips = []
    for path in sorted((data_folder() / "eval").iterdir())[::2]:
        audio, rate = soundfile.read(path, frames=12 * RATE, dtype="float32", always_2d=True)
        if rate == RATE and len(audio) == 12 * RATE:
            clips.append(audio[8 * RATE :].T)
    return ears, clips


def test_harm_is_heard_in_the_right_order(music: tuple[Any, list[Floats]]) -> None:
    torch.set_num_threads(1)
    ears, clips = music
    clean = hear(ears, clips, RATE)

    def judged(harm: Any) -> tuple[float, float]:
        made = hear(ears, [harm(clip, RATE, np.random.default_rng(1)) for clip in clips], RATE)
        return frechet(clean.flat, made.flat), kld_of_sets(clean.p, made.p)

    ladders = [
        [noisy(40.0), noisy(20.0), noisy(5.0), pure_noise],
        [low_passed(6000.0), low_passed(2000.0), low_passed(500.0)],
        [blocks_reversed(0.05, share) for share in (0.2, 0.5, 1.0)],
    ]
    for ladder in ladders:
        fads, klds = zip(*(judged(harm) for harm in ladder), strict=True)
        assert list(fads) == sorted(fads), fads
        assert list(klds) == sorted(klds), klds
    assert frechet(clean.flat, clean.flat) == pytest.approx(0, abs=1e-3)


STORED = Path(__file__).resolve().parent.parent / "bench" / "results" / "validate.json"
NEAR = 0.1  # of a known figure


def near(check: Any) -> bool:
    """Whether both figures of a check lie near those that are known."""
    known = ((check["fad"], check["known_fad"]), (check["kld"], check["known_kld"]))
    return all(abs(found / wanted - 1) <= NEAR for found, wanted in known)


def test_the_known_figures_of_the_evaluation_split_were_found_again() -> None:
    halves, *harmed = json.loads(STORED.read_text())["checks"]
    assert {check["harm"]: (check["known_fad"], check["known_kld"]) for check in harmed} == {
        name: (fad, kld) for name, (_, fad, kld) in KNOWN.items()
    }
    assert [check["harm"] for check in harmed if not near(check)] == []
    assert HALVES[0][0] <= halves["fad"] <= HALVES[0][1]
    assert round(halves["kld"], 2) >= HALVES[1][0]


def test_one_of_them_is_found_again_here(music: tuple[Any, list[Floats]]) -> None:
    torch.set_num_threads(1)
    name = "low-pass 2 kHz"
    _, found = checks(music[0], data_folder() / "eval", harms={name: KNOWN[name]})
    assert near(vars(found))
