"""Masters of tempo for `segue.bench.phase`: `python -m segue.bench.phase_peers link|midi OUT LOW HIGH SEED`, one process each.

They go through the same programme of steps and ramps until their input is closed, then write what the truth was to OUT as JSON:
`beats`, rows of [time, beat, bpm] for Link and [JACK frame, beat, bpm] for MIDI; `steps`, when the tempo jumped; and for MIDI
`cycles`, rows of [JACK frame, time] of periods' beginnings. Times are unix seconds.
"""

from __future__ import annotations

import json
import random
import sys
import threading
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

# Seconds, tempo at the beginning, tempo at the end; ramps are 2 BPM a second.
PROGRAMME = (
    (15.0, 120.0, 120.0),
    (10.0, 120.0, 140.0),
    (12.0, 140.0, 140.0),
    (15.0, 98.0, 98.0),
    (10.0, 98.0, 118.0),
    (5.0, 118.0, 118.0),
    (15.0, 126.0, 126.0),
    (13.0, 126.0, 100.0),
)
TICKS = 24
LOG_S = 0.01
RAMP_S = 0.02  # between two tempi of a ramp over Link
PORT = "phasemaster"


def tempo(seconds: float) -> tuple[int, float]:
    """Which step of the programme it is at a time, counted on over its repetitions, and the tempo."""
    length = sum(part[0] for part in PROGRAMME)
    turn, rest = divmod(seconds, length)
    for at, (lasts, first, last) in enumerate(PROGRAMME):
        if rest < lasts:
            return int(turn) * len(PROGRAMME) + at, first + (last - first) * rest / lasts
        rest -= lasts
    return int(turn + 1) * len(PROGRAMME), PROGRAMME[0][1]


def stepped(part: int) -> bool:
    """Whether the tempo jumps where a part begins."""
    here, before = PROGRAMME[part % len(PROGRAMME)], PROGRAMME[(part - 1) % len(PROGRAMME)]
    return part > 0 and here[1] != before[2]


def link(over: threading.Event) -> dict[str, Any]:
    """A peer that leads a Link session."""
    import link as library

    peer = library.Link(PROGRAMME[0][1])
    peer.enabled = True
    begun, part, bpm, set_at = time.time(), 0, PROGRAMME[0][1], 0.0
    beats: list[tuple[float, float, float]] = []
    steps = [begun]
    while not over.wait(LOG_S):
        now = time.time()
        number, wanted = tempo(now - begun)
        state = peer.captureAppSessionState()
        if wanted != bpm and (number != part or now - set_at >= RAMP_S):
            if number != part and stepped(number):
                steps.append(now)
            state.setTempo(wanted, peer.clock().micros())
            peer.commitAppSessionState(state)
            bpm, set_at = wanted, now
        part = number
        before = peer.clock().micros()
        now = time.time()
        micros = (before + peer.clock().micros()) // 2
        beats.append((now, state.beatAtTime(micros, 4.0), bpm))
    peer.enabled = False
    return {"beats": beats, "steps": steps, "peers": peer.numPeers()}


class Master:
    """Sends the ticks of a MIDI clock at their frames, each moved by its jitter. Its callback is on JACK's thread."""

    def __init__(self, low: float, high: float, seed: int) -> None:
        import jack

        self.client: Any = jack.Client(PORT, no_start_server=True)
        self._out = self.client.midi_outports.register("out")
        self._rate = float(self.client.samplerate)
        self._random, self._low, self._high = random.Random(seed), low * self._rate, high * self._rate
        self.beats: list[tuple[float, float, float]] = []
        self.steps: list[float] = []
        self.cycles: list[tuple[int, float]] = []
        self.late = 0
        self._first: float | None = None
        self._ticks = self._events()
        self._next = next(self._ticks)
        self.client.set_process_callback(self._process)

    def _events(self) -> Iterator[tuple[float, int]]:
        """Frames after the first tick, with their jitter, and the number of each tick; the truth is noted as it is made."""
        at, number, part = 0.0, 0, 0
        while True:
            now, bpm = tempo(at / self._rate)
            if now != part and stepped(now):
                self.steps.append(at)
            part = now
            self.beats.append((at, number / TICKS, bpm))
            yield at + self._random.uniform(self._low, self._high), number
            period = 60.0 / (TICKS * bpm)
            _, middle = tempo(at / self._rate + period / 2.0)
            at, number = at + self._rate * 60.0 / (TICKS * (middle if middle else bpm)), number + 1

    def _process(self, frames: int) -> None:
        now = self.client.last_frame_time
        self.cycles.append((now, time.time()))
        self._out.clear_buffer()
        if self._first is None:
            if len(self.cycles) < 2.0 * self._rate / frames:  # whoever listens needs time to connect
                return
            self._first = float(now + frames // 2)
            self._out.write_midi_event(0, b"\xfa")
        place = 0  # in the buffer, where events stand in order, also where jitter is wider than a tick is long
        while (frame := self._first + self._next[0]) < now + frames:
            self.late += frame < now
            place = max(place, int(frame) - now)
            self._out.write_midi_event(place, b"\xf8")
            self._next = next(self._ticks)

    def truth(self) -> dict[str, Any]:
        """What was so."""
        first = self._first or 0.0
        beats = [(first + at, beat, bpm) for at, beat, bpm in self.beats]
        return {"beats": beats, "steps": [first, *(first + at for at in self.steps)], "cycles": self.cycles, "late": self.late}


def midi(over: threading.Event, low: float, high: float, seed: int) -> dict[str, Any]:
    """A master of MIDI clock on JACK."""
    master = Master(low, high, seed)
    with master.client:
        over.wait()
        master.client.deactivate()
    return master.truth()


def main(kind: str, out: str, low: str, high: str, seed: str) -> None:
    """Leads until standard input ends."""
    over = threading.Event()

    def wait() -> None:
        sys.stdin.read()
        over.set()

    threading.Thread(target=wait, daemon=True).start()
    truth = link(over) if kind == "link" else midi(over, float(low), float(high), int(seed))
    Path(out).write_text(json.dumps(truth))


if __name__ == "__main__":
    main(*sys.argv[1:])
