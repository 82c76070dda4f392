"""Marks the tests that play in real time, on a JACK server or a running `segue serve`: a machine that loses cycles fails them."""

from __future__ import annotations

import os
import sys
from collections.abc import Iterator
from typing import TYPE_CHECKING

import pytest

if TYPE_CHECKING:
    from segue.server.stage import Stage

# A server's first start measures back-ends beside the music: no test is to share its cores with that, or depend on its outcome.
os.environ.setdefault("SEGUE_BACKEND", "eager")

REAL_TIME = {
    "test_audio_process.py",
    "test_bad_input.py",
    "test_floods.py",
    "test_hangs.py",
    "test_midi.py",
    "test_midi_map.py",
    "test_page.py",
    "test_rates.py",
    "test_serve.py",
    "test_survival.py",
}


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Adds the marker by file."""
    for item in items:
        if item.path.name in REAL_TIME:
            item.add_marker(pytest.mark.realtime)


@pytest.fixture(autouse=True)
def _subnormal_numbers() -> Iterator[None]:
    """Commands that run models flush subnormal numbers to zero for the whole process; hypothesis wants them back."""
    yield
    if "torch" in sys.modules:
        sys.modules["torch"].set_flush_denormal(False)


@pytest.fixture
def stage() -> Iterator[Stage]:
    """The whole server on a stepped clock, with an engine whose takes are what their context foretells."""
    from fake_runner import STATE, FakeRunner

    from segue.server.config import Config
    from segue.server.stage import Stage

    made = Stage(Config(), FakeRunner, STATE, 0.3)
    yield made
    made.close()
