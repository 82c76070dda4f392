"""The listening page: blind, loudness-matched, by keyboard in a real browser, votes in a file, wins with right intervals."""

from __future__ import annotations

import contextlib
import io
import json
import shutil
import threading
import time
import urllib.error
import urllib.request
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import soundfile

from segue.engine.measure import loudness
from segue.train.listening import PEAK, Server, matched, tally, trials, wilson

RATE = 22_050
FLAGS = ("--headless", "--no-sandbox", "--disable-gpu", "--no-first-run", "--disable-background-networking", "--disable-sync")
PROMPTS = ("one.wav", "two.wav")


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    rng = np.random.default_rng(1)
    for i, system in enumerate(("ours", "codec", "original")):
        (tmp_path / "takes" / system).mkdir(parents=True)
        for prompt in PROMPTS:
            noise = 0.02 * (i + 1) * rng.standard_normal((RATE, 2))
            soundfile.write(tmp_path / "takes" / system / prompt, noise, RATE)
    return tmp_path / "takes"


@contextlib.contextmanager
def serving(folder: Path, results: Path) -> Iterator[Server]:
    with Server(folder, results, seed=3, port=0, rater="me") as server:
        thread = threading.Thread(target=server.serve_forever)
        thread.start()
        try:
            yield server
        finally:
            server.shutdown()
            thread.join()


def asked(url: str, body: bytes | None = None) -> tuple[int, bytes]:
    try:
        with urllib.request.urlopen(urllib.request.Request(url, body), timeout=10) as answer:
            return answer.status, answer.read()
    except urllib.error.HTTPError as error:
        with error:
            return error.code, error.read()


def test_every_pair_is_there_once_in_an_order_and_on_sides_that_are_drawn(folder: Path) -> None:
    made = trials(folder, 1)
    pairs = [{"ours", "codec"}, {"ours", "original"}, {"codec", "original"}]
    wanted = {(frozenset(pair), prompt) for pair in pairs for prompt in PROMPTS}
    assert {(frozenset((one.a, one.b)), one.prompt) for one in made} == wanted
    assert len(made) == len(wanted)
    assert made == trials(folder, 1) != trials(folder, 2)
    firsts = [trial.a for seed in range(40) for trial in trials(folder, seed) if {trial.a, trial.b} == {"ours", "codec"}]
    assert 20 < firsts.count("ours") < 60  # of 80
    with pytest.raises(FileNotFoundError, match="one folder a system"):
        trials(folder / "ours", 1)


def test_both_sides_are_equally_loud_and_neither_clips(tmp_path: Path) -> None:
    quiet = 0.01 * np.random.default_rng(1).standard_normal((RATE, 2))
    spike = quiet.copy()
    spike[100] = 0.9
    for name, audio in (("quiet.wav", quiet), ("spike.wav", spike)):
        soundfile.write(tmp_path / name, audio, RATE, subtype="FLOAT")
    found = [soundfile.read(io.BytesIO(file))[0] for file in matched(tmp_path / "quiet.wav", tmp_path / "spike.wav")]
    levels = [loudness(audio.T, RATE) for audio in found]
    assert levels[0] == pytest.approx(levels[1], abs=0.1)
    assert max(np.abs(audio).max() for audio in found) <= PEAK + 1e-3


def test_wilson_is_the_published_interval_and_wins_are_counted(tmp_path: Path) -> None:
    assert wilson(81, 263) == pytest.approx((0.2553, 0.3662), abs=5e-4)  # Newcombe 1998, table I
    assert wilson(0, 20) == pytest.approx((0.0, 0.1611), abs=5e-4)
    votes = [("ours", "codec", "a")] * 3 + [("codec", "ours", "b")] * 2 + [("codec", "ours", "a"), ("ours", "codec", "none")]
    file = tmp_path / "votes.jsonl"
    file.write_text("".join(json.dumps({"a": a, "b": b, "choice": choice}) + "\n" for a, b, choice in votes))
    (only,) = tally(file)
    assert (only.one, only.other, only.wins, only.losses, only.undecided) == ("codec", "ours", 1, 5, 1)
    assert only.interval == wilson(1, 6)


def test_no_answer_says_who_played_and_nonsense_is_refused(folder: Path, tmp_path: Path) -> None:
    results = tmp_path / "votes.jsonl"
    with serving(folder, results) as server:
        assert json.loads(asked(server.url + "trials")[1]) == {"count": 6}
        page = asked(server.url)[1]
        assert b"http://" not in page  # nothing from elsewhere
        assert b"https://" not in page
        status, audio = asked(server.url + "audio/0/a.wav")
        assert status == 200
        for name in ("ours", "codec", "original"):
            assert name.encode() not in audio[:200] + page
        for path in ("audio/99/a.wav", "audio/0/c.wav", "audio/../../x", "audio/-1/a.wav", "elsewhere"):
            assert asked(server.url + path)[0] == 404
        wrong = [b"", b"[", b"{", b'{"trial": 9, "choice": "a"}', b'{"trial": 0, "choice": "c"}', b'{"trial": []}']
        for body in wrong:
            assert asked(server.url + "vote", body)[0] == 400
        assert not results.exists()
        assert asked(server.url + "vote", b'{"trial": 0, "choice": "b"}')[0] == 200
        vote = json.loads(results.read_text())
        assert vote["b"] == server.trials[0].b
        assert (vote["choice"], vote["rater"]) == ("b", "me")


@pytest.mark.skipif(
    shutil.which("chromium") is None or shutil.which("chromedriver") is None,
    reason="chromium is missing: apt-get install chromium chromium-driver",
)
def test_a_listener_votes_by_keyboard_in_a_browser(folder: Path, tmp_path: Path) -> None:
    webdriver = pytest.importorskip("selenium.webdriver", reason="selenium is missing: pip install segue[dev]")
    from selenium.webdriver.common.keys import Keys

    options = webdriver.ChromeOptions()
    options.add_argument("--disable-dev-shm-usage")
    options.binary_location = str(shutil.which("chromium"))
    for flag in FLAGS:
        options.add_argument(flag)
    results = tmp_path / "votes.jsonl"
    page = webdriver.Chrome(options=options, service=webdriver.ChromeService(shutil.which("chromedriver")))
    try:
        with serving(folder, results) as server:
            page.get(server.url)
            choices = [Keys.ARROW_LEFT, Keys.ARROW_RIGHT, Keys.ARROW_DOWN, Keys.ARROW_LEFT, Keys.ARROW_RIGHT, Keys.ARROW_DOWN]
            for number, key in enumerate(choices, start=1):
                until(page, f"return document.body.dataset.state === 'ready' && place.textContent === 'Pair {number} of 6'")
                body = page.find_element("css selector", "body")
                body.send_keys(key)  # before both were heard: no vote
                body.send_keys("1")
                assert page.execute_script("return document.getElementById('hear-a').ariaPressed") == "true"
                assert page.execute_script("return document.getElementById('prefer-a').disabled")
                body.send_keys("2")
                assert page.execute_script("return sources.a.loop && sources.b.loop")
                body.send_keys(key)
            until(page, "return document.body.dataset.state === 'done'")
            votes = [json.loads(line) for line in results.read_text().splitlines()]
            assert [vote["number"] for vote in votes] == list(range(6))
            assert [vote["choice"] for vote in votes] == ["a", "b", "none"] * 2
            assert sum(one.wins + one.losses + one.undecided for one in tally(results)) == 6
    finally:
        page.quit()


def until(page: Any, script: str) -> None:
    end = time.monotonic() + 20
    while not page.execute_script(script):
        assert time.monotonic() < end, script
        time.sleep(0.05)
