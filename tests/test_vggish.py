"""VGGish as a listener: its ear is the published one, its weights load from either form, and figures made with it say so."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
import torch
from numpy.typing import NDArray
from safetensors.torch import save_file

from segue.engine.models.yamnet import PATCH, RATE
from segue.train.metrics.ears import embedder_of, hear
from segue.train.metrics.frechet import frechet
from segue.train.metrics.validate import checks
from segue.train.metrics.vggish import BANDS, HIGH_HZ, LOW_HZ, Vggish, mel_matrix
from segue.train.yamnet import data_folder, load_yamnet


@pytest.fixture(scope="module")
def weights(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A small network of its shape, untrained."""
    with torch.random.fork_rng():
        torch.manual_seed(3)
        net = Vggish(hidden=16)
    folder = tmp_path_factory.mktemp("vggish")
    save_file(net.state_dict(), folder / "vggish.safetensors")
    torch.save(net.state_dict() | {"pproc.pca_means": torch.zeros(128, 1)}, folder / "vggish.pth")  # as the port's file has it
    return folder


def tone(hertz: float, seconds: float, rate: int = RATE) -> NDArray[np.float32]:
    """`[2, N]`."""
    wave = 0.3 * np.sin(2 * np.pi * hertz * np.arange(round(seconds * rate)) / rate)
    return np.stack([wave, wave]).astype(np.float32)


def test_its_ear_is_yamnets() -> None:
    """Both were published with one front end but for the offset under the logarithm."""
    try:
        known = load_yamnet(data_folder()).get_buffer("mel").numpy()
    except FileNotFoundError as error:
        pytest.skip(str(error))
    assert np.abs(mel_matrix() - known).max() < 1e-3  # the file holds half precision


def test_a_tone_is_heard_in_its_band() -> None:
    net = Vggish(hidden=8)
    for hertz in (300.0, 1000.0, 5000.0):
        mel = net.log_mel(torch.from_numpy(tone(hertz, 0.2)[:1]))[0].mean(0)
        share = np.log((1 + hertz / 700) / (1 + LOW_HZ / 700)) / np.log((1 + HIGH_HZ / 700) / (1 + LOW_HZ / 700))
        assert abs(int(mel.argmax()) - (share * (BANDS + 1) - 1)) <= 1
    assert float(net.log_mel(torch.zeros(1, RATE)).max()) == pytest.approx(np.log(0.01))


def test_its_weights_are_read_from_both_forms(weights: Path) -> None:
    takes = [tone(440.0, 2.5, 44_100), tone(880.0, 2.5, 44_100), tone(1760.0, 2.5, 44_100)]
    words = [f"vggish:{weights / name}" for name in ("vggish.safetensors", "vggish.pth")]
    found = [hear(embedder_of(word, weights), takes, 44_100) for word in words]
    assert found[0].e.shape == (3, 2, 128)  # 2.5 s hold two patches
    assert found[0].p.shape == (3, 0)
    np.testing.assert_array_equal(found[0].e, found[1].e)
    assert frechet(found[0].flat[:2], found[0].flat[2:]) > 0


def test_audio_shorter_than_a_patch_is_padded(weights: Path) -> None:
    ears = embedder_of(f"vggish:{weights / 'vggish.safetensors'}", weights)
    assert ears.patches(torch.zeros(2, RATE * PATCH // 400)).shape == (2, 1, 128)


def test_a_file_that_is_none_is_one_sentence(tmp_path: Path, weights: Path) -> None:
    with pytest.raises(FileNotFoundError, match="no weights at"):
        embedder_of(f"vggish:{tmp_path / 'nowhere.pth'}", tmp_path)
    save_file({"other": torch.zeros(2)}, tmp_path / "other.safetensors")
    (tmp_path / "text.pth").write_text("not weights")
    for name in ("other.safetensors", "text.pth"):
        with pytest.raises(ValueError, match="does not hold its weights"):
            embedder_of(f"vggish:{tmp_path / name}", tmp_path)


def test_what_names_no_classes_has_no_divergence(weights: Path, tmp_path: Path) -> None:
    """And YAMNet's known figures do not stand beside another's."""
    import soundfile

    noise = np.random.default_rng(0).standard_normal((5 * RATE, 1)) * 0.1
    soundfile.write(tmp_path / "a.wav", noise, RATE)
    found = checks(embedder_of(f"vggish:{weights / 'vggish.pth'}", weights), tmp_path)
    assert len(found) > 3
    assert all(one.kld is None and one.known_fad is None and one.embedder == "vggish" for one in found)
    assert all(np.isfinite(one.fad) for one in found)
