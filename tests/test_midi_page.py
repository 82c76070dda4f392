"""A controller on JACK MIDI, the whole server and its page: scenes by program change, and learning by touch."""

from __future__ import annotations

import json
import sys
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
from test_midi import jack_process, jack_server  # noqa: F401  (fixtures)
from test_page import Stage, browser, patient, pytestmark

from segue.bench.live import serve

__all__ = ["jack_server", "pytestmark"]  # a fixture, and the reason for which browsers are skipped
NOTE, CONTROL = 77, 31  # bound to nothing at first


class Pads:
    """A controller: RtMidi's own output on JACK, as any program's would be."""

    def __init__(self) -> None:
        rtmidi = pytest.importorskip("rtmidi", reason="python-rtmidi is missing: pip install segue[midi]")
        self._out = rtmidi.MidiOut(rtmidi.API_UNIX_JACK, name="pads")
        self._out.open_virtual_port("out")

    def play(self, *message: int) -> None:
        self._out.send_message(message)

    def until(self, message: tuple[int, ...], done: Callable[[], Any], name: str) -> None:
        """Plays until it has been heard: JACK connects only cycles after a port was opened, and drops events under load."""

        def played() -> bool:
            self.play(*message)
            time.sleep(0.2)
            return bool(done())

        patient(played, name)

    def close(self) -> None:
        self._out.close_port()
        self._out.delete()


@pytest.fixture
def stage(jack_server: str) -> Iterator[tuple[Stage, Pads]]:
    engine = json.dumps([sys.executable, str(Path(__file__).with_name("fake_engine.py")), "0.1"])
    pads = Pads()
    with pytest.MonkeyPatch.context() as patch, browser() as page:
        patch.setenv("SEGUE_TEST_ENGINE", engine)
        with serve("--device", "null", "--midi", "pads") as (client, _, log):
            page.get(f"http://127.0.0.1:{client.port}/")
            made = Stage(client, log, page, "")
            made.until("return document.querySelector('#link').dataset.state === 'open'")
            yield made, pads
    pads.close()


def test_scenes_by_program_change_and_learning_by_touch(stage: tuple[Stage, Pads]) -> None:
    page, pads = stage
    page.client.deck(2).gain(0.25)
    page.client.scene_save(12)
    page.client.deck(2).gain(0.75)
    assert page.client.deck(2).gain() == 0.75
    pads.until((0xC0, 12), lambda: page.client.deck(2).gain() == 0.25, "scene 12")
    page.until("return Math.abs(document.querySelector('[aria-label=\"deck 2 gain\"]').value - Math.cbrt(0.25 / 4)) < 0.01")

    since = len(page.commands())
    page.page.find_element("css selector", "#learn").click()
    page.press("deck 1 loop")
    learnt = f"return document.querySelector('#log').innerText.includes('learnt: note {NOTE} channel 1')"
    pads.until((0x90, NOTE, 100), lambda: page.page.execute_script(learnt), "the note learnt")
    page.until("return document.querySelector('#learn').ariaPressed === 'false'")
    pads.until((0x90, NOTE, 100), lambda: ("/segue/deck/1/loop", [1]) in page.commands()[since:], "the verb")

    page.page.find_element("css selector", "#learn").click()
    touch = "document.querySelector('label[data-address=\"/segue/deck/1/k\"]').dispatchEvent(new Event('pointerdown'))"
    page.page.execute_script(touch)
    learnt = f"return document.querySelector('#log').innerText.includes('learnt: control {CONTROL} channel 1')"
    pads.until((0xB0, CONTROL, 10), lambda: page.page.execute_script(learnt), "the controller learnt")
    pads.until((0xB0, CONTROL, 127), lambda: page.client.deck(1).k() == 1.0, "the value")
    page.until("return document.querySelector('[aria-label=\"deck 1 k\"]').value === '1'")
