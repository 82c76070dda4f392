"""Offline rendering: repeatable to the bit, in time with the music, and plain about what it cannot use."""

from __future__ import annotations

import hashlib
import json
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
import soundfile
from fake_runner import RATE, STATE, FakeRunner

from segue.engine.models.guide import SHIPPED
from segue.server.config import Config
from segue.server.jobs import Audio
from segue.server.render import perform, read_input
from segue.server.score import Event, ScoreError, read_score
from segue.server.stage import Stage

BEAT = RATE // 2
CLIP = Path(__file__).parents[1] / "examples" / "clip_a.flac"


def clicks(seconds: float) -> Audio:
    """A click on every beat at 120 BPM, the first of four at another pitch, over a bed of noise that repeats every second."""
    rng = np.random.default_rng(2)
    bed = 0.01 * rng.standard_normal((2, RATE), np.float32)
    frames = np.arange(round(seconds * RATE))
    place = frames % BEAT
    pitch = np.where(frames // BEAT % 2 == 0, 2000.0, 1000.0)
    click = 0.5 * np.exp(-place / 200) * np.sin(2 * np.pi * pitch * place / RATE)
    return (bed[:, frames % RATE] + click).astype(np.float32)


def rendered(audio: Audio, score: list[Event], cost: float = 0.3, tail: int = 0) -> tuple[Audio, list[tuple[object, ...]]]:
    """What sounded, and the takes."""
    stage = Stage(Config(), FakeRunner, STATE, cost)
    try:
        whole = np.concatenate([audio, np.zeros((2, tail), np.float32)], axis=1)
        rest = whole

        def read(n: int) -> Audio:
            nonlocal rest
            head, rest = rest[:, :n], rest[:, n:]
            return head

        out = np.concatenate(list(perform(stage, read, whole.shape[1], score)), axis=1)
        return out, [args for address, args in stage.sent if address == "/segue/take"]
    finally:
        stage.close()


SCORE = [
    Event(0.0, "/segue/tempo", (120.0,)),
    Event(3.0, "/segue/deck/1/continue", ("beats", 4, "seed", 3, "quant", "bar")),
    Event(7.3, "/segue/deck/1/continue", ("sec", 1.0, "seed", 4)),
    Event(9.0, "/segue/deck/1/gain", (0.5,)),
]


def test_the_same_score_gives_the_same_bytes() -> None:
    audio = 0.1 * np.random.default_rng(4).standard_normal((2, 11 * RATE), np.float32)
    digests = {hashlib.sha256(rendered(audio, SCORE, tail=RATE)[0].tobytes()).hexdigest() for _ in range(2)}
    assert len(digests) == 1
    other, _ = rendered(audio, SCORE[:2], tail=RATE)
    assert hashlib.sha256(other.tobytes()).hexdigest() not in digests


def test_a_render_lasts_as_long_as_its_input_and_tail() -> None:
    out, takes = rendered(clicks(4.0), [], tail=1234)
    assert out.shape == (2, 4 * RATE + 1234)
    assert not takes
    np.testing.assert_array_equal(out[:, : 4 * RATE], clicks(4.0))


@pytest.mark.parametrize("cost", [0.2, 2.0])
def test_a_click_track_goes_on_in_time_however_long_the_take_took(cost: float) -> None:
    asked = 4.13
    score = [Event(asked, "/segue/deck/1/continue", ("sec", 1.2))]
    heard = clicks(asked + 0.05)  # then the performer stops
    out, (take,) = rendered(heard, score, cost, tail=5 * RATE)
    t0, t1, offset = (int(str(field)) for field in take[2:5])
    assert offset == t1 - t0
    assert cost * RATE <= offset < (cost + 0.4) * RATE
    expected = clicks(9.0)
    inside = slice(t1 + round(0.03 * RATE), t1 + round(1.2 * RATE))  # behind its fade
    np.testing.assert_allclose(out[:, inside], expected[:, inside], atol=1e-6)  # the take's place in the bar, to the frame


def test_a_click_track_that_goes_on_by_itself_is_not_disturbed() -> None:
    audio = clicks(12.0)
    out, takes = rendered(audio, [Event(4.13, "/segue/deck/1/continue", ("sec", 2.0, "xfade", 0.0))], 0.7)
    assert len(takes) == 1
    np.testing.assert_array_equal(out, audio)


def test_a_tagged_message_is_kept_to_its_frame() -> None:
    _, (take,) = rendered(clicks(12.0), [Event(7.77, "/segue/deck/1/continue", ("sec", 1.0), tagged=True)])
    assert take[3] == round(7.77 * RATE)


@pytest.mark.parametrize(("rate", "channels"), [(44_100, 1), (48_000, 2), (48_000, 1), (8_000, 1), (44_100, 6)])
def test_inputs_of_other_forms_become_stereo_at_the_rate_of_the_stream(tmp_path: Path, rate: int, channels: int) -> None:
    t = np.arange(3 * rate) / rate
    wave = 0.3 * np.sin(2 * np.pi * 440.0 * t)
    path = str(tmp_path / "in.wav")
    soundfile.write(path, np.repeat(wave[:, None], channels, axis=1), rate, subtype="FLOAT")
    audio = read_input(path, RATE)
    assert audio.dtype == np.float32
    assert audio.shape == (2, 3 * RATE)
    np.testing.assert_array_equal(audio[0], audio[1])
    middle = slice(RATE, 2 * RATE)
    np.testing.assert_allclose(audio[0, middle], 0.3 * np.sin(2 * np.pi * 440.0 * np.arange(3 * RATE) / RATE)[middle], atol=2e-4)


def test_gaps_in_numbers_are_silence(tmp_path: Path) -> None:
    path = str(tmp_path / "nan.wav")
    soundfile.write(path, np.full((RATE, 2), np.nan, np.float32), RATE, subtype="FLOAT")
    assert not read_input(path, RATE).any()


@pytest.mark.parametrize("kind", ["missing", "empty", "no frames", "text", "folder"])
def test_an_input_that_cannot_be_used_is_one_sentence(tmp_path: Path, kind: str) -> None:
    path = tmp_path / "in.wav"
    if kind == "empty":
        path.write_bytes(b"")
    elif kind == "no frames":
        soundfile.write(path, np.zeros((0, 2)), RATE)
    elif kind == "text":
        path.write_text("no audio, whatever it is called")
    elif kind == "folder":
        path.mkdir()
    with pytest.raises(ScoreError, match=r"in\.wav.*give (a|the path of an audio)") as told:
        read_input(str(path), RATE)
    assert "\n" not in str(told.value)


BAD = {
    "mapping": ("at: 3", "a list of"),
    "nothing": ("", "a list of"),
    "not YAML": ("- {at: [", "score"),
    "no send": ("- {at: 3.0}", "entry 1: takes at, send and tag"),
    "key": ("- {at: 3.0, send: [/segue/stop], loud: 1}", "entry 1: takes at, send and tag"),
    "time": ("- {at: soon, send: [/segue/stop]}", "entry 1: at is a time in seconds, got 'soon'"),
    "negative": ("- {at: -1, send: [/segue/stop]}", "entry 1: at is a time"),
    "not finite": ("- {at: .nan, send: [/segue/stop]}", "entry 1: at is a time"),
    "message": ("- {at: 0, send: [/segue/panic]}\n- {at: 1, send: /segue/stop}", "entry 2: send is"),
    "no address": ("- {at: 0, send: [1, 2]}", "entry 1: send is"),
}


@pytest.mark.parametrize("name", BAD)
def test_a_score_that_cannot_be_used_is_one_sentence(tmp_path: Path, name: str) -> None:
    text, sentence = BAD[name]
    path = tmp_path / "score.yaml"
    path.write_text(text)
    with pytest.raises(ScoreError, match=r"score\.yaml") as told:
        read_score(str(path))
    assert sentence in str(told.value)
    assert "\n" not in str(told.value)


def test_a_score_is_read_in_order_of_time(tmp_path: Path) -> None:
    path = tmp_path / "score.yaml"
    path.write_text("- {at: 2, send: [/segue/panic], tag: true}\n- {at: 1.5, send: [/segue/deck/1/continue, beats, 4]}\n")
    assert read_score(str(path)) == [
        Event(1.5, "/segue/deck/1/continue", ("beats", 4)),
        Event(2.0, "/segue/panic", (), True),
    ]


def render(folder: Path, *words: str) -> subprocess.CompletedProcess[str]:
    argv = [sys.executable, "-m", "segue", "render", str(CLIP), "out.wav", "--score", "score.yaml", *words]
    (folder / "score.yaml").write_text("- {at: 4.0, send: [/segue/deck/1/style, class, Piano, sec, 0.5, steps, 1]}")
    return subprocess.run(argv, cwd=folder, capture_output=True, text=True, check=False, timeout=120)


def test_what_measures_style_is_given_by_name_or_path(tmp_path: Path) -> None:
    """Statistics know no classes, the network that ships for the model does."""
    told = render(tmp_path, "--embedder", "statistics")
    assert (told.returncode, "guide statistics has no classes" in told.stderr) == (0, True)
    made = render(tmp_path, "--embedder", str(SHIPPED / "live.embedder"), "--json")
    assert (made.returncode, made.stderr) == (0, "")
    assert [take["verb"] for take in json.loads(made.stdout)["takes"]] == ["style"]


def test_an_embedder_that_cannot_be_used_is_one_line(tmp_path: Path) -> None:
    (tmp_path / "text.embedder").write_text("no network")
    for name, sentence in (("gone.embedder", "got 'gone.embedder'"), ("text.embedder", "holds no latent embedder")):
        told = render(tmp_path, "--embedder", name)
        assert told.returncode == 2
        assert sentence in told.stderr
        assert len(told.stderr.splitlines()) == 1


def test_the_command_says_one_line_and_ends_with_two(tmp_path: Path) -> None:
    argv = [sys.executable, "-m", "segue", "render", "nowhere.wav", "out.wav", "--score", "nothing.yaml"]
    answer = subprocess.run(argv, cwd=tmp_path, capture_output=True, text=True, check=False, timeout=60)
    assert answer.returncode == 2
    assert answer.stderr.startswith("segue render: score nothing.yaml:")
    assert len(answer.stderr.splitlines()) == 1
    assert not (tmp_path / "out.wav").exists()
