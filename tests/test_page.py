"""The page in headless Chromium on a live server: what a performer presses arrives, what the server says is shown."""

from __future__ import annotations

import contextlib
import json
import shutil
import sys
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import soundfile

from segue.bench.live import serve
from segue.clients.python import Client

webdriver = pytest.importorskip("selenium.webdriver", reason="selenium is missing: pip install segue[dev]")
pytestmark = pytest.mark.skipif(
    shutil.which("chromium") is None or shutil.which("chromedriver") is None,
    reason="chromium is missing: apt-get install chromium chromium-driver",
)

RATE = 44_100
PATIENCE = 15.0
FLAGS = "--headless --no-sandbox --disable-gpu --disable-quic --no-first-run --disable-background-networking"
QUIET = "--disable-component-update --disable-sync --disable-dev-shm-usage"


@dataclass
class Stage:
    """A server with a file on each deck, its show log, and the page."""

    client: Client
    log: Path
    page: Any
    song: str

    def until(self, script: str, *args: object) -> Any:
        """What the script returns, once it returns anything true."""
        return patient(lambda: self.page.execute_script(script, *args), script)

    def press(self, label: str) -> None:
        """The button of this name, by a click of the mouse."""
        element = self.page.find_element("css selector", f'[aria-label="{label}"]')
        self.page.execute_script("arguments[0].scrollIntoView({block: 'center'})", element)
        element.click()

    def commands(self) -> list[tuple[str, list[Any]]]:
        """What the server has carried out so far."""
        whole, _, _ = self.log.read_text(encoding="utf-8").rpartition("\n")
        lines = map(json.loads, whole.splitlines())
        return [(line["address"], line["args"]) for line in lines if line["kind"] == "command"]

    def arrived(self, address: str, since: int = 0) -> list[Any]:
        """The arguments of the first command of this address since a number of commands."""
        found = patient(lambda: [args for known, args in self.commands()[since:] if known == address], address)
        return list(found[0])


def patient(what: Callable[[], Any], name: str) -> Any:
    until = time.monotonic() + PATIENCE
    while time.monotonic() < until:
        found = what()
        if found:
            return found
        time.sleep(0.1)
    raise AssertionError(f"not within {PATIENCE:g} s: {name}")


@contextlib.contextmanager
def browser() -> Iterator[Any]:
    options = webdriver.ChromeOptions()
    options.binary_location = str(shutil.which("chromium"))
    for flag in f"{FLAGS} {QUIET}".split():
        options.add_argument(flag)
    options.set_capability("goog:loggingPrefs", {"browser": "ALL"})
    service = webdriver.ChromeService(shutil.which("chromedriver"))
    page = webdriver.Chrome(options=options, service=service)
    try:
        yield page
    finally:
        page.quit()


@pytest.fixture(scope="module")
def stage(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Stage]:
    song = str(tmp_path_factory.mktemp("song") / "song.wav")
    noise = 0.2 * np.random.default_rng(1).standard_normal((RATE * 300, 2), np.float32)
    soundfile.write(song, noise, RATE)
    engine = json.dumps([sys.executable, str(Path(__file__).with_name("fake_engine.py")), "0.3"])
    with pytest.MonkeyPatch.context() as patch, browser() as page:
        patch.setenv("SEGUE_TEST_ENGINE", engine)
        with serve("--device", "null", "--load", song, "--load", song) as (client, _, log):
            page.get(f"http://127.0.0.1:{client.port}/")
            made = Stage(client, log, page, song)
            made.until("return document.querySelector('#link').dataset.state === 'open'")
            made.until("return document.querySelector('#engine').dataset.state === 'ready'")
            made.until("return [...document.querySelectorAll('output.file')].every(one => one.value)")
            client.send("/segue/deck/1/play")
            client.send("/segue/deck/2/play")
            time.sleep(3.5)  # of music, so that there is something to go on from
            yield made


def size(page: Any, width: int, height: int) -> None:
    page.execute_cdp_cmd(
        "Emulation.setDeviceMetricsOverride", {"width": width, "height": height, "deviceScaleFactor": 1, "mobile": width < 500}
    )


def test_a_take_is_seen_from_its_button_to_its_colour(stage: Stage) -> None:
    size(stage.page, 1280, 900)
    stage.press("deck 1 continue")
    stage.until("""return document.querySelector('[aria-label="deck 1 continue"]').dataset.state === 'playing'""")
    stage.until("""return document.querySelector('[aria-label="deck 1 plays"]').value === 'take'""")
    stage.until("return [...document.querySelectorAll('#jobs li')].some(one => one.dataset.state === 'playing')")
    time.sleep(0.5)
    found = shades(stage, ".wave", 0, 1)
    assert min(found["new"], found["dry"]) > 1000  # the waveform, dry and generated, in colours of their own
    stage.press("deck 1 stop")
    stage.until("""return document.querySelector('[aria-label="deck 1 plays"]').value === 'dry'""")


def shades(stage: Stage, canvas: str, top: float, bottom: float) -> dict[str, int]:
    """Pixels of deck 1's picture by colour, between two shares of its height."""
    script = """
      const [canvas, top, bottom] = arguments, wave = document.querySelector(canvas), pen = wave.getContext('2d');
      const from = Math.round(top * wave.height), tall = Math.round((bottom - top) * wave.height);
      const data = pen.getImageData(0, from, wave.width, tall).data, found = {new: 0, dry: 0, rest: 0};
      for (let at = 0; at < data.length; at += 4)
        found[data[at] > data[at + 2] + 60 ? 'new' : data[at + 2] > data[at] + 60 ? 'dry' : 'rest'] += 1;
      return found"""
    return dict(stage.page.execute_script(script, canvas, top, bottom))


def test_the_spectrogram_shows_takes_in_their_colour_and_can_be_put_away(stage: Stage) -> None:
    size(stage.page, 1280, 900)
    stage.press("deck 1 continue")
    stage.until("""return document.querySelector('[aria-label="deck 1 plays"]').value === 'take'""")
    patient(lambda: min(shades(stage, ".spectrum", 0.5, 1)[one] for one in ("new", "dry")) > 1000, "both colours in what sounds")
    stage.press("deck 1 stop")
    shown = "return document.querySelector('.spectrum').clientHeight"
    stage.page.execute_script("""
      const send = WebSocket.prototype.send;
      window.asked = [];
      WebSocket.prototype.send = function (data) {
        if (new TextDecoder().decode(data).startsWith('/segue/spectrum')) window.asked.push(data.at(-1));
        send.call(this, data);
      }""")
    heights = [stage.page.execute_script(shown)]
    for _ in range(2):
        stage.press("Spectrograms of input and output")
        heights.append(stage.page.execute_script(shown))
    assert heights[1] == 0 < 100 < heights[0] == heights[2]
    assert stage.page.execute_script("return window.asked") == [0, 1]  # the server stops its sums and takes them up again


def test_what_stands_ready_is_seen_on_its_button_and_in_the_picture(stage: Stage) -> None:
    size(stage.page, 1280, 900)
    stage.client.send("/segue/deck/1/speculate", "continue")
    stage.until("""return document.querySelector('[aria-label="deck 1 continue"]').dataset.ready === '1'""")
    patient(lambda: shades(stage, ".wave", 0.88, 1)["new"] > 20, "a line at the foot of the picture")
    stage.client.send("/segue/deck/1/speculate", "")
    stage.until("""return !document.querySelector('[aria-label="deck 1 continue"]').dataset.ready""")


def test_a_value_that_is_left_to_the_model_says_so(stage: Stage) -> None:
    stage.until("""return document.querySelector('[data-address="/segue/deck/1/xi"] output').value === 'its own'""")


def test_a_phone_begins_without_spectrograms(stage: Stage) -> None:
    size(stage.page, 390, 844)
    stage.page.execute_script("localStorage.clear()")
    stage.page.refresh()
    stage.until("return document.querySelectorAll('.deck').length === 2")
    assert stage.page.execute_script("return document.querySelector('.spectrum').clientHeight") == 0
    size(stage.page, 1280, 900)
    stage.page.refresh()
    stage.until("return document.querySelector('.spectrum')?.clientHeight > 100")
    stage.until("return document.querySelector('#link').dataset.state === 'open'")


def test_every_button_arrives(stage: Stage) -> None:
    stage.page.execute_script("for (const one of document.querySelectorAll('details')) one.open = true")
    labels = stage.page.execute_script(
        "return [...document.querySelectorAll('button[data-address]')].map(b => [b.ariaLabel, b.dataset.address])"
    )
    assert len(labels) > 30
    since = len(stage.commands())
    for label, _ in labels:
        stage.press(label)
    for _, address in labels:
        stage.arrived(address, since)
    fields = stage.page.find_elements("css selector", '.row input[type="text"]')
    fields[1].send_keys(stage.song)
    stage.page.find_elements("css selector", "button.load")[1].click()
    assert stage.arrived("/segue/deck/2/load", since) == [stage.song]
    stage.page.find_elements("css selector", 'input[type="number"]')[1].send_keys("1.5")
    stage.page.find_elements("css selector", "button.seek")[1].click()
    assert stage.arrived("/segue/deck/2/seek", since)
    assert not stage.page.execute_script("return document.querySelector('#log').innerText.includes('not sent')")


def test_faders_and_choices_set_and_follow(stage: Stage) -> None:
    move = """const fader = document.querySelector('[aria-label="' + arguments[0] + '"]'); fader.value = arguments[1];
      fader.dispatchEvent(new Event(arguments[2]))"""
    stage.page.execute_script(move, "deck 1 k", 0.25, "input")
    patient(lambda: stage.client.deck(1).k() == pytest.approx(0.25), "k over OSC")
    stage.page.execute_script(move, "deck 2 quant", "bar", "change")
    patient(lambda: stage.client.deck(2).quant() == "bar", "quant over OSC")
    label, address = "server transport", "/segue/transport"  # a switch
    before = len(stage.commands())
    stage.page.execute_script(move, label, "1", "change")
    assert stage.arrived(address, before) == [1]
    stage.client.send(address, 0)
    stage.until("""return document.querySelector('[aria-label="server transport"]').value === '0'""")
    stage.client.deck(1).k(0.75)  # somebody else's hand
    stage.until("""return Math.abs(document.querySelector('[aria-label="deck 1 k"]').value - 0.75) < 0.01""")
    stage.client.deck(2).quant("off")
    stage.until("""return document.querySelector('[aria-label="deck 2 quant"]').value === 'off'""")


def test_keys_play(stage: Stage) -> None:
    body = stage.page.find_element("css selector", "body")
    since = len(stage.commands())
    for letter, address in (
        ("r", "/segue/deck/1/vary"),
        (";", "/segue/deck/2/stop"),
        (" ", "/segue/tap"),
        ("\ue00c", "/segue/panic"),
    ):
        stage.page.execute_script("document.activeElement.blur()")
        body.send_keys(letter)
        stage.arrived(address, since)
    field = stage.page.find_elements("css selector", '.row input[type="text"]')[0]
    before = len(stage.commands())
    field.send_keys("qwerty")  # typing plays nothing
    stage.client.ask("/segue/sync", 1)
    time.sleep(0.5)
    assert not [address for address, _ in stage.commands()[before:] if address.startswith("/segue/deck")]


def test_what_is_next_is_counted_down(stage: Stage) -> None:
    stage.client.deck(1).stop()
    stage.client.deck(1).continue_(beats=2, quant="4bar")
    seen: set[str] = set()
    shown = "return document.querySelector('[aria-label=\"deck 1 next\"]').value"
    patient(lambda: seen.add(stage.page.execute_script(shown)) or len([one for one in seen if one]) >= 3, "three beats counted")
    assert all(one.startswith("then continue in ") for one in seen if one)
    stage.client.deck(1).cancel()
    stage.until("return document.querySelector('[aria-label=\"deck 1 next\"]').value === ''")


def test_a_failure_is_read_in_the_log(stage: Stage) -> None:
    field = stage.page.find_elements("css selector", '.row input[type="text"]')[0]
    field.clear()
    field.send_keys("/nowhere.wav")
    stage.page.find_elements("css selector", "button.load")[0].click()
    stage.until("return document.querySelector('#log').innerText.includes('/nowhere.wav')")


def test_learning_sends_what_is_touched_and_plays_nothing(stage: Stage) -> None:
    stage.press("deck 1 stop")
    before = len(stage.commands())
    stage.page.find_element("css selector", "#learn").click()
    stage.press("deck 1 loop")
    stage.until("return document.querySelector('#log').innerText.includes('--midi')")  # this server has none, and says so
    assert stage.page.execute_script("return document.querySelector('.learning').dataset.verb") == "loop"
    stage.page.find_element("css selector", "#learn").click()
    assert stage.page.execute_script("return document.querySelector('.learning')") is None
    stage.client.ask("/segue/sync", 2)
    assert not [one for one in stage.commands()[before:] if one[0].endswith("/loop")]


@pytest.mark.parametrize(("width", "height"), [(390, 844), (1920, 1080)])
def test_it_fits_and_fingers_hit_it(stage: Stage, width: int, height: int) -> None:
    size(stage.page, width, height)
    script = """
      const shown = [...document.querySelectorAll('button, select, input')].filter(e => e.offsetParent);
      return {wide: document.documentElement.scrollWidth, small: shown.filter(e => e.getBoundingClientRect().height < 40).length,
        outside: shown.filter(e => e.getBoundingClientRect().right > innerWidth + 1).length, panic:
        document.querySelector('#panic').getBoundingClientRect().top, count: shown.length}"""
    found = stage.page.execute_script(script)
    assert found["wide"] <= width
    assert (found["small"], found["outside"]) == (0, 0)
    assert found["count"] > 40
    assert 0 <= found["panic"] < height - 40  # always in sight
    letters = "return parseFloat(getComputedStyle(document.querySelector('.verb .name')).fontSize)"
    assert stage.page.execute_script(letters) >= 18
    size(stage.page, 1280, 900)


def test_everything_has_a_name_for_those_who_do_not_see_it(stage: Stage) -> None:
    script = """return [...document.querySelectorAll('button, select, input, canvas, [role=meter], progress')].filter(e =>
      !(e.getAttribute('aria-label') || e.labels?.length || e.innerText)).map(e => e.outerHTML.slice(0, 80))"""
    assert stage.page.execute_script(script) == []
    roles = stage.page.execute_script("return [...document.querySelectorAll('canvas')].map(c => c.getAttribute('role'))")
    assert roles == ["img"] * 4  # of each deck the waveform and the spectrogram


def test_light_and_dark(stage: Stage) -> None:
    ground = "return getComputedStyle(document.body).backgroundColor"
    first = stage.page.execute_script(ground)
    stage.press("Light or dark")
    second = stage.page.execute_script(ground)
    stage.press("Light or dark")
    assert (first != second, stage.page.execute_script(ground)) == (True, first)


def test_it_comes_back_with_the_server() -> None:
    engine = json.dumps([sys.executable, str(Path(__file__).with_name("fake_engine.py")), "0.1"])
    with pytest.MonkeyPatch.context() as patch, browser() as page:
        patch.setenv("SEGUE_TEST_ENGINE", engine)
        state = "return document.querySelector('#link').dataset.state"
        with serve("--device", "null") as (client, _, _):
            port = client.port
            page.get(f"http://127.0.0.1:{port}/")
            patient(lambda: page.execute_script(state) == "open", "open")
            assert page.execute_script("return document.querySelectorAll('.deck').length") == 2
        patient(lambda: page.execute_script(state) == "lost", "lost")
        with serve("--device", "null", "--decks", "3", port=port) as (client, _, log):
            patient(lambda: page.execute_script(state) == "open", "open again")
            patient(lambda: page.execute_script("return document.querySelectorAll('.deck').length") == 3, "three decks")
            page.find_element("css selector", '[aria-label="Tap tempo"]').click()
            made = Stage(client, log, page, "")
            made.arrived("/segue/tap")
        assert [line for line in page.get_log("browser") if "Uncaught" in line["message"]] == []
