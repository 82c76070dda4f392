"""What a deck is said to play next, and when waveforms are told."""

from __future__ import annotations

import os

import numpy as np

from segue.server.audio.layout import Geometry
from segue.server.audio.segment import Segment
from segue.server.events import Audience, Events
from segue.server.jobs import Job
from segue.server.state import World
from segue.server.takes import State, Take
from segue.server.upcoming import Upcoming, next_of
from segue.server.waveform import COLUMN, Waveforms, extremes

RATE = 44_100
BEAT = RATE // 2  # frames at 120 BPM


def take(number: int, state: State, entry: int | None = None, due: int | None = None, commit: bool = True) -> Take:
    made = Take(Job(number, 1, "vary", "regenerate", BEAT), "", "", number, BEAT, 0, "off", commit, due, 0)
    made.state, made.entry = state, entry
    return made


def world(*takes: Take) -> World:
    made = World.fresh(RATE, 2, 120.0)
    for one in takes:
        made.remember(one)
    return made


def test_the_first_entry_is_next_and_counted_in_beats():
    held = world(
        take(1, State.ARMED, entry=6 * BEAT),
        take(2, State.QUEUED, due=4 * BEAT),
        take(3, State.READY, due=2 * BEAT, commit=False),
    )
    assert next_of(held, 1, 0) == ("vary", 4.0)
    assert next_of(held, 1, 5 * BEAT) == ("vary", 1.0)
    assert next_of(held, 1, 6 * BEAT) == ("", 0.0)
    assert next_of(held, 2, 0) == ("", 0.0)


class House:
    """A stream without a device, one watcher, and what it was told."""

    def __init__(self, name: str, *takes: Take) -> None:
        self.segment = Segment.create(Geometry(RATE, 256, 2, RATE, RATE, RATE, RATE), name)
        self.world = world(*takes)
        self.told: list[tuple[str, tuple[object, ...]]] = []
        self.events = Events(lambda route, address, args=(), types=None, time=None: self.told.append((address, tuple(args))))

    def close(self) -> None:
        self.segment.unlink()
        self.segment.close()


def test_next_is_told_once_a_beat_and_waveforms_only_to_watchers():
    house = House(f"segue-test-upcoming-{os.getpid()}", take(1, State.ARMED, entry=2 * BEAT))
    try:
        upcoming, waveforms = (
            Upcoming(house.segment, house.world, house.events),
            Waveforms(house.segment, house.world, house.events),
        )
        waveforms.tick()
        assert house.told == []
        house.events.notify("udp:127.0.0.1:1")
        for frame in range(0, 3 * BEAT, RATE // 100):
            house.segment.header.frame = frame
            upcoming.tick()
            waveforms.tick()
        said = [args for address, args in house.told if address == "/segue/deck/1/next"]
        assert [(verb, round(float(str(beats)))) for verb, beats in said] == [("vary", 2), ("vary", 1), ("", 0)]
        assert not [address for address, _ in house.told if address.endswith(("/wave", "/coming", "/grid"))]
        house.events.join("udp:127.0.0.1:1", Audience.WATCHING)
        waveforms.tick()
        coming = [args for address, args in house.told if address == "/segue/deck/1/coming"]
        assert coming[0][:5] == (1, "vary", "armed", 2 * BEAT, 0)
        house.world.takes[1].state = State.DONE
        house.segment.header.frame = 4 * BEAT
        waveforms.tick()
        assert [args for address, args in house.told if address == "/segue/deck/1/coming"][-1][2] == "done"
    finally:
        house.close()


def test_a_column_is_its_lowest_and_its_highest():
    audio = np.zeros((2, 2 * COLUMN), np.float32)
    audio[0, 3], audio[1, 7], audio[1, COLUMN] = -0.5, 1.0, np.nan
    columns = extremes(audio)
    assert columns.shape == (2, 2)
    assert columns[0].tolist() == [65, 255]
    assert columns[1].tolist() == [128, 128]
