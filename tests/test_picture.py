"""The picture shows what the audio is."""

import numpy as np
import pytest

from segue.server.bands import FLOOR_DB
from segue.server.picture import BANDS, COLUMNS, Region, draw, outline, spectrogram

RATE = 44_100


def sine(hertz: float, seconds: float) -> np.ndarray:
    return np.sin(2 * np.pi * hertz * np.arange(int(seconds * RATE)) / RATE)


@pytest.mark.parametrize("hertz", [110, 1000, 9000])
def test_a_sine_is_a_line_at_its_frequency_and_level(hertz):
    level, edges = spectrogram(0.5 * sine(hertz, 2), RATE)
    column = level[:, level.shape[1] // 2]
    loudest = int(column.argmax())
    assert edges[loudest] / 1.2 <= hertz <= edges[loudest + 1] * 1.2
    assert column.max() == pytest.approx(-6.0, abs=1.5)
    assert level.shape[0] == BANDS


def test_silence_lies_on_the_floor():
    assert (spectrogram(np.zeros(RATE), RATE)[0] == FLOOR_DB).all()


def test_an_hour_takes_no_more_columns_than_a_minute():
    assert spectrogram(np.zeros(3600 * 100), 100)[0].shape[1] <= COLUMNS + 1


def test_outline_keeps_every_peak():
    audio = np.zeros(30 * RATE)
    audio[777_777], audio[123_456] = 0.9, -0.8
    starts, low, high = outline(audio)
    assert len(starts) == len(low) == len(high) <= COLUMNS
    assert (high.max(), low.min()) == (0.9, -0.8)
    assert starts[high.argmax()] <= 777_777 < starts[high.argmax() + 1]


def test_regions_change_the_picture(tmp_path):
    pytest.importorskip("matplotlib", reason="matplotlib is in the extra `eval`")
    image = pytest.importorskip("matplotlib.image")
    audio = np.stack([sine(440, 3), sine(550, 3)], axis=1) * 0.3
    plain = image.imread(draw(audio, RATE, [], tmp_path / "plain.png"))
    marked = image.imread(draw(audio, RATE, [Region(RATE, 2 * RATE, "continue")], tmp_path / "marked.png"))
    assert plain.shape == marked.shape
    changed = np.abs(plain - marked).max(axis=(0, 2)) > 0.01
    width = changed.size
    assert changed[width // 3 : 2 * width // 3].mean() > 0.5
    assert not changed[: width // 4].any()


@pytest.mark.parametrize("frames", [1, 100, 2048])
def test_short_audio_is_drawn(tmp_path, frames):
    pytest.importorskip("matplotlib", reason="matplotlib is in the extra `eval`")
    assert draw(np.full(frames, 0.1), RATE, [], tmp_path / "x.png").stat().st_size > 1000


def test_no_audio_is_refused_with_a_sentence(tmp_path):
    with pytest.raises(ValueError, match="no audio"):
        draw(np.zeros((0, 2)), RATE, [], tmp_path / "x.png")
