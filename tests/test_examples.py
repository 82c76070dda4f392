"""The shipped clips and scores are what they say, and the server would take every message in them."""

from pathlib import Path

import numpy as np
import pytest
import soundfile

from segue.server.binding import bind
from segue.server.commands import addresses
from segue.server.score import read_score

EXAMPLES = Path(__file__).resolve().parent.parent / "examples"
BEAT = 22_050  # frames at 120 BPM


@pytest.mark.parametrize("name", ["clip_a", "clip_b"])
def test_a_clip_is_24_seconds_of_stereo_music_that_does_not_clip(name):
    audio, rate = soundfile.read(EXAMPLES / f"{name}.flac")
    assert (rate, audio.shape) == (44_100, (48 * BEAT, 2))
    assert 0.3 < np.abs(audio).max() < 0.9
    bars = np.sqrt((audio.reshape(12, -1) ** 2).mean(axis=1))
    assert 20 * np.log10(bars.max() / bars.min()) < 3
    assert 0.5 < np.corrcoef(audio.T)[0, 1] < 0.97
    assert (EXAMPLES / f"{name}.flac").stat().st_size < 1_500_000


@pytest.mark.parametrize("name", ["clip_a", "clip_b"])
def test_a_kick_falls_on_the_first_beat_of_every_bar(name):
    audio, _ = soundfile.read(EXAMPLES / f"{name}.flac")
    energy = (audio.mean(axis=1).reshape(-1, BEAT // 18) ** 2).mean(axis=1).reshape(12, 72)  # 28 ms
    assert (energy[1:, :3].max(axis=1) > 2 * energy[:-1, -3:].max(axis=1)).all()


@pytest.mark.parametrize("score", sorted(EXAMPLES.glob("*.yaml")), ids=lambda p: p.stem)
def test_every_message_of_a_score_is_understood(score):
    table = addresses()
    events = read_score(str(score))
    assert events
    for event in events:
        bind(table[event.address][0], event.args)


def test_the_prepared_scripts_use_addresses_that_exist():
    known = {*addresses(), "/segue/job", "/segue/fail"}
    for script in (EXAMPLES / "perform.sh", EXAMPLES / "perform.scd"):
        words = script.read_text().replace("'", " ").replace(",", " ").split()
        used = {word for word in words if word.startswith("/segue")}
        assert used
        assert used <= known
