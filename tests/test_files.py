"""What file decks are asked to do meets the feeder: the track that is meant plays, however late it comes, and nothing else."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pytest
import soundfile
from audio import drive, noise, stream

from segue.server.audio.core import Core
from segue.server.audio.feeder import Feeder
from segue.server.audio.segment import Segment
from segue.server.audio.track import Track
from segue.server.files import FADE_S, FileDecks, Loaded, Moved

RATE = 8000
MARGIN = round(FADE_S * RATE) + 1


class Deck:
    """Deck 1 with a file, and a feeder that works when it is told to."""

    def __init__(self, segment: Segment, core: Core, path: Path) -> None:
        self.segment, self.core, self.path = segment, core, path
        self.files, self.feeder = FileDecks(segment), Feeder(segment)
        self.audio = noise(1, 6 * RATE, 2)
        soundfile.write(path, self.audio.T, RATE, "FLOAT")
        self.files.load(1, self.track(0.0))
        self.feed()
        assert [type(one) for one in self.files.poll()] == [Loaded]
        self.play(64)

    def track(self, gain_db: float) -> str:
        return str(Track(str(self.path), gain_db))

    def feed(self) -> None:
        while self.feeder.step():
            pass

    def play(self, n: int) -> np.ndarray:
        return drive(self.segment, self.core, np.zeros((4, n), np.float32))[0]


@pytest.fixture
def deck(tmp_path: Path) -> Iterator[Deck]:
    with stream(False, rate=RATE, feed=8 * RATE) as (segment, core):
        made = Deck(segment, core, tmp_path / "noise.wav")
        yield made
        made.feeder.close()


def test_a_track_that_is_still_being_made_ready_is_waited_for(deck: Deck) -> None:
    quieter = deck.track(-20.0)
    deck.files.prepare(1, quieter, RATE)
    frame = deck.segment.frame + 64
    deck.files.move(1, frame, RATE, True, quieter, exact=True)
    assert deck.files.poll() == []  # what is buffered is the other track
    assert not deck.play(640).any()
    deck.feed()
    (moved,) = deck.files.poll()
    assert isinstance(moved, Moved)
    assert moved.position - moved.frame == RATE - frame  # as far on as it is late
    begun = deck.segment.frame
    out = deck.play(1280)[moved.frame - begun + MARGIN :]
    place = moved.position + MARGIN
    np.testing.assert_allclose(out, 0.1 * deck.audio[0, place : place + out.size], atol=1e-6)


def test_what_is_asked_for_since_does_not_stop_a_move(deck: Deck) -> None:
    deck.files.move(1, deck.segment.frame, RATE, True, deck.track(-20.0))
    deck.files.prepare(1, deck.track(-6.0), 0)
    news: list[object] = []
    for _ in range(4):
        deck.feed()
        news += deck.files.poll()
    (moved,) = news
    assert isinstance(moved, Moved)
    assert moved.track == deck.track(-20.0)
    deck.play(640)
    out = deck.play(640)
    place = moved.position + deck.segment.frame - 640 - moved.frame
    np.testing.assert_allclose(out, 0.1 * deck.audio[0, place : place + 640], atol=1e-6)


def test_a_move_within_what_is_buffered_falls_on_its_frame(deck: Deck) -> None:
    frame = deck.segment.frame + 5
    deck.files.move(1, frame, 0, True, deck.track(0.0))
    out = deck.play(640)  # with nobody asking meanwhile
    assert not out[:5].any()
    np.testing.assert_allclose(out[5 + MARGIN :], deck.audio[0, MARGIN:635], atol=1e-6)
    assert [type(one) for one in deck.files.poll()] == [Moved]
