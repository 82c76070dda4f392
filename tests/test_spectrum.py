"""The spectrum on its way to the page: a sine stands at its band and level, and nobody's wish costs nothing."""

from __future__ import annotations

import os
from collections.abc import Iterator
from typing import Any

import numpy as np
import pytest

from segue.server import spectrum
from segue.server.audio.layout import Geometry
from segue.server.audio.segment import Segment
from segue.server.audio.values import Source
from segue.server.bands import FLOOR_DB, edges
from segue.server.events import Audience, Events
from segue.server.spectrum import BANDS, CAUGHT_UP, COLUMN, WINDOW, Spectra, columns_of
from segue.server.waveform import SOURCES

RATE = 44_100
ROUTE = "tcp:1"


def sine(hertz: float, frames: int, amplitude: float = 0.5) -> np.ndarray:
    one = amplitude * np.sin(2 * np.pi * hertz * np.arange(frames) / RATE)
    return np.repeat(one[None], 2, axis=0).astype(np.float32)


@pytest.mark.parametrize("hertz", [60.0, 440.0, 9_000.0])
def test_a_sine_is_loudest_in_its_band(hertz: float) -> None:
    columns = columns_of(sine(hertz, WINDOW + 2 * COLUMN), RATE)
    assert columns.shape == (3, BANDS)
    bounds, loudest = edges(RATE, BANDS), int(columns[1].argmax())
    assert bounds[loudest] / 1.15 <= hertz <= bounds[loudest + 1] * 1.15
    decibels = float(columns[1].max()) / 255 * -FLOOR_DB + FLOOR_DB
    assert decibels == pytest.approx(-6.0, abs=1.5)


def test_silence_lies_on_the_floor_and_what_is_no_number_does_no_harm() -> None:
    assert not columns_of(np.zeros((2, WINDOW), np.float32), RATE).any()
    broken = np.full((2, WINDOW), np.nan, np.float32)
    broken[:, ::3] = np.inf
    assert columns_of(broken, RATE).shape == (1, BANDS)


class House:
    """A stream without a device that has sounded for a while, and what was told."""

    def __init__(self) -> None:
        self.segment = Segment.create(Geometry(RATE, 256, 2, RATE, RATE, RATE, RATE), f"segue-test-spectrum-{os.getpid()}")
        self.told: list[tuple[str, tuple[Any, ...]]] = []
        self.events = Events(lambda route, address, args=(), types=None, time=None: self.told.append((address, tuple(args))))
        self.spectra = Spectra(self.segment, self.events)

    def sounds(self, frames: int) -> None:
        """Says that so many frames of silence were heard."""
        for deck in range(self.segment.decks):
            for ring in ("input", "sounded"):
                for word in ("reserved", "written"):
                    setattr(self.segment.deck(deck), f"{ring}_{word}", frames)

    def columns(self) -> list[tuple[Any, ...]]:
        found = [args for address, args in self.told if address == "/segue/deck/2/spectrum"]
        self.told.clear()
        return found


@pytest.fixture
def house() -> Iterator[House]:
    made = House()
    yield made
    made.segment.unlink()
    made.segment.close()


def test_nothing_is_computed_while_nobody_asks(house: House, monkeypatch: pytest.MonkeyPatch) -> None:
    made: list[int] = []
    monkeypatch.setattr(spectrum, "columns_of", lambda audio, rate: made.append(1) or columns_of(audio, rate))
    house.events.notify(ROUTE)
    house.events.join(ROUTE, Audience.WATCHING)
    house.sounds(8 * COLUMN)
    house.spectra.tick()
    assert made == []
    house.events.join(ROUTE, Audience.SPECTRA)
    house.spectra.tick()
    assert made
    house.events.join(ROUTE, Audience.SPECTRA, False)
    made.clear()
    house.sounds(12 * COLUMN)
    house.spectra.tick()
    assert made == []


def test_columns_follow_one_another_and_late_ones_are_bounded(house: House) -> None:
    house.events.join(ROUTE, Audience.SPECTRA)
    house.sounds(8 * COLUMN)
    house.spectra.tick()
    first = house.columns()
    assert {args[0] for args in first} == {"input", "output"}
    assert {len(args[4]) for args in first} == {CAUGHT_UP * (BANDS + 1)}
    house.spectra.tick()
    assert house.columns() == []
    house.sounds(9 * COLUMN + 5)
    house.spectra.tick()
    (what, frame, column, bands, blob) = house.columns()[0]
    assert (what, column, bands, len(blob)) == ("input", COLUMN, BANDS, BANDS + 1)
    assert frame == first[0][1] + CAUGHT_UP * COLUMN
    house.sounds(COLUMN)  # the stream began anew
    house.spectra.tick()
    assert house.columns() == []


def test_output_says_what_made_it(house: House) -> None:
    house.events.join(ROUTE, Audience.SPECTRA)
    house.segment.deck(1).to = Source.SLOT_A
    house.sounds(8 * COLUMN)
    house.spectra.tick()
    sources = {args[0]: args[4][0] for args in house.columns()}
    assert sources == {"input": SOURCES["dry"], "output": SOURCES["slot_a"]}
