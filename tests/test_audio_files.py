"""File decks: any file, from any place, the same samples; seeks on the exact frame; sentences for what is no audio."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
import soundfile
from audio import CORES, fresh_name

from segue.server.audio.core import Core, make_core
from segue.server.audio.feeder import Feeder
from segue.server.audio.file import run_offline
from segue.server.audio.files import FileError, FileReader
from segue.server.audio.layout import Geometry
from segue.server.audio.segment import Segment
from segue.server.audio.track import read_region
from segue.server.audio.values import Command, FileState, NotHeard, Tape

RATE = 44_100
SETTLED = 1e-5  # a resampler entered elsewhere differs by less: its filter is longer than the pre-roll by nothing audible


def write(folder: Path, rate: int, channels: int, seconds: float, name: str = "x.wav") -> str:
    t = np.arange(round(seconds * rate)) / rate
    rng = np.random.default_rng(rate)
    audio = np.sin(2 * np.pi * 220 * t * (1 + 0.1 * t))[:, None] * rng.uniform(0.3, 0.6, channels)
    audio += 0.05 * np.cumsum(rng.standard_normal((len(t), channels)), 0) / np.sqrt(len(t))
    soundfile.write(folder / name, audio.astype(np.float32), rate, subtype="FLOAT")
    return str(folder / name)


@pytest.mark.parametrize(("rate", "channels"), [(44_100, 2), (48_000, 1), (22_050, 6), (96_000, 2)])
def test_a_file_is_the_same_from_wherever_it_is_entered(tmp_path: Path, rate: int, channels: int) -> None:
    path = write(tmp_path, rate, channels, 4.0)
    with FileReader(path, RATE) as reader:
        assert reader.length == 4 * RATE
        whole = np.concatenate([reader.read(n) for n in (1, 30_000, 7, reader.length)], axis=1)
    for position in (-100, 0, 1, 12_345, 100_000, 4 * RATE - 50, 5 * RATE):
        part = read_region(path, position, 3000, RATE)
        low, high = min(max(position, 0), 4 * RATE), max(0, min(position + 3000, 4 * RATE))
        assert np.abs(part[:, low - position : high - position] - whole[:, low:high]).max(initial=0) <= (rate != RATE) * SETTLED
        assert not part[:, : max(0, min(-position, 3000))].any()
        assert not part[:, max(0, 4 * RATE - position) :].any()


def test_resampling_keeps_a_tone_in_its_place(tmp_path: Path) -> None:
    t = np.arange(96_000) / 48_000
    soundfile.write(tmp_path / "tone.wav", 0.5 * np.sin(2 * np.pi * 1000 * t), 48_000, subtype="FLOAT")
    found = read_region(str(tmp_path / "tone.wav"), 40_000, 10_000, RATE)
    np.testing.assert_allclose(found[0], 0.5 * np.sin(2 * np.pi * 1000 * np.arange(40_000, 50_000) / RATE), atol=1e-4)


def test_what_is_no_audio_is_a_sentence(tmp_path: Path) -> None:
    soundfile.write(tmp_path / "empty.wav", np.zeros((0, 2)), RATE)
    (tmp_path / "text.wav").write_text("not a song")
    for path, sentence in [
        (tmp_path / "empty.wav", "holds no audio"), (tmp_path / "text.wav", "cannot be read as audio"),
        (tmp_path / "none.wav", "is no file"), (tmp_path, "is no file"),
    ]:  # fmt: skip
        with pytest.raises(FileError, match=sentence):
            FileReader(str(path), RATE)


def test_numbers_that_are_none_are_silence(tmp_path: Path) -> None:
    audio = np.full((1000, 2), np.nan, np.float32)
    audio[::2] = 0.5
    soundfile.write(tmp_path / "nan.wav", audio, RATE, subtype="FLOAT")
    np.testing.assert_array_equal(read_region(str(tmp_path / "nan.wav"), 0, 1000, RATE)[0, :4], [0.5, 0, 0.5, 0])


class Player:
    """A segment, a core and a feeder that move together."""

    def __init__(self, compiled: bool) -> None:
        self.segment = Segment.create(Geometry(block=128, ring=RATE, slot=RATE, loop=RATE, feed=8 * RATE), fresh_name())
        self.core: Core = make_core(self.segment, compiled)
        self.feeder = Feeder(self.segment)
        self.out: list[np.ndarray] = []

    def load(self, path: str, position: int = 0) -> int:
        """Asks and waits; the file's number."""
        ticket = self.segment.request_file(0, path, position)
        for _ in range(100):
            self.feeder.step()
            status = self.segment.file_status(0)
            if status.ticket == ticket and status.state is not FileState.LOADING:
                return status.file
        raise AssertionError(f"never answered: {status}")

    def play(self, frames: int) -> None:
        for _ in range(0, frames, 128):
            self.out.append(self.core.process(None, 0, 128))
            self.feeder.step()

    def heard(self) -> np.ndarray:
        return np.concatenate(self.out, axis=1)

    def close(self) -> None:
        self.feeder.close()
        self.segment.unlink()
        self.segment.close()


@pytest.fixture
def player(request: pytest.FixtureRequest):
    one = Player(request.param)
    yield one
    one.close()


both = pytest.mark.parametrize("player", CORES, indirect=True)


@both
def test_seeks_fall_on_the_exact_frame(player: Player, tmp_path: Path) -> None:
    path = write(tmp_path, RATE, 2, 40.0)
    whole = read_region(path, 0, 40 * RATE, RATE)
    s = player.segment
    file = player.load(path)
    s.push(Command.feed(0, Tape.PLAY, 1000, 100, file))
    player.play(128 * 100)
    assert player.load(path, 30 * RATE) == file  # fills the other bank; the deck plays on
    s.push(Command.feed(0, Tape.PLAY, 20_001, 30 * RATE + 17, file))
    player.play(12 * RATE)
    s.push(Command.feed(0, Tape.PAUSE, s.frame + 5, 0, file))
    stopped = s.frame + 5
    player.play(1024)
    out = player.heard()
    assert not out[:, :1000].any()
    np.testing.assert_array_equal(out[:, 1000:20_001], whole[:, 100 : 100 + 19_001])
    ended = 20_001 + 10 * RATE - 17
    np.testing.assert_array_equal(out[:, 20_001:ended], whole[:, 30 * RATE + 17 :])
    assert not out[:, ended:].any()
    assert stopped > ended
    assert s.counters()["feed_underruns"] == 0


@both
def test_a_long_file_never_runs_dry(player: Player, tmp_path: Path) -> None:
    path = write(tmp_path, 48_000, 1, 30.0)
    file = player.load(path)
    player.segment.push(Command.feed(0, Tape.PLAY, 0, 0, file))
    player.play(29 * RATE)
    whole = read_region(path, 0, 29 * RATE, RATE)
    assert np.abs(player.heard()[:, : 29 * RATE] - whole).max() <= SETTLED
    assert player.segment.counters()["feed_underruns"] == 0


@both
def test_a_place_that_nobody_asked_for_is_found_again(player: Player, tmp_path: Path) -> None:
    path = write(tmp_path, RATE, 2, 60.0)
    file = player.load(path)
    player.segment.push(Command.feed(0, Tape.PLAY, 0, 40 * RATE, file))
    player.play(RATE)
    lost = player.segment.counters()["feed_underruns"]
    assert 0 < lost <= 512
    np.testing.assert_array_equal(player.heard()[:, 512:RATE], read_region(path, 40 * RATE + 512, RATE - 512, RATE))


def test_the_future_of_a_file_can_be_read(tmp_path: Path) -> None:
    player = Player(False)
    try:
        path = write(tmp_path, RATE, 2, 20.0)
        player.load(path, 5 * RATE)
        np.testing.assert_array_equal(player.segment.read_feed(0, 5 * RATE, RATE), read_region(path, 5 * RATE, RATE, RATE))
        with pytest.raises(NotHeard):
            player.segment.read_feed(0, 15 * RATE, RATE)
    finally:
        player.close()


def test_a_file_that_cannot_be_used_leaves_the_one_before(tmp_path: Path) -> None:
    player = Player(False)
    try:
        path = write(tmp_path, RATE, 2, 5.0)
        file = player.load(path)
        s = player.segment
        s.push(Command.feed(0, Tape.PLAY, 0, 0, file))
        player.play(1024)
        assert player.load(str(tmp_path / "none.wav")) == file
        assert s.file_status(0).state is FileState.FAILED
        assert "is no file" in s.file_status(0).sentence
        player.play(1024)
        np.testing.assert_array_equal(player.heard(), read_region(path, 0, 2048, RATE))
        assert player.load("") == -1
        assert s.file_status(0).state is FileState.EMPTY
    finally:
        player.close()


def test_offline_driving_reads_files_and_arrays(tmp_path: Path) -> None:
    player = Player(False)
    try:
        path = write(tmp_path, RATE, 2, 0.2)
        other = np.full((2, 5000), 0.25, np.float32)
        blocks: list[int] = []
        out = run_offline(player.core, player.segment, [path, other], blocks.append)
        expected = read_region(path, 0, 8820, RATE)
        expected[:, :5000] += 0.25
        np.testing.assert_array_equal(out, expected)
        assert blocks == [*range(128, 8820, 128), 8820]
    finally:
        player.close()
