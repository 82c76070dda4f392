"""`segue demo`: a real server hears a clip, continues it and bridges it into the next track, told so over OSC.

With JACK at hand (the dummy driver needs no sound card) a second client plays the clip into the server and records it;
without, the clip is played by a deck of the server itself, aloud where there is a sound device.
"""

from __future__ import annotations

import argparse
import contextlib
import json
import shutil
import sys
import tempfile
import time
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import soundfile

from segue.bench.clips import RATE, prepared
from segue.bench.live import LiveError, jack, serve
from segue.bench.tape import Player
from segue.clients.python import Client, SegueError
from segue.engine.measure import own_loudness_steps
from segue.server.audio.files import FileError
from segue.server.audio.segment import Segment
from segue.server.audio.values import NotHeard, Ring
from segue.server.audio.writing import check_output, create
from segue.server.jobs import Audio
from segue.server.score import ScoreError
from segue.server.takelog import row

BLOCK = 256
TAKE_S = 4.0
TAIL_S = 5.0
SAY = "  {:6.2f} s  {}"


@dataclass(frozen=True)
class Plan:
    """Seconds after the beginning at which things are asked for."""

    continue_at: float
    transition_at: float
    end: float


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Arguments of `segue demo`."""
    parser.add_argument("--input", help="any music file, instead of the clip that comes along")
    parser.add_argument("--next", help="the track to bridge into, likewise")
    parser.add_argument("--out", default="demo.wav", help="recording (demo.wav)")
    parser.add_argument("--picture", default="demo.png", help="waveform and spectrogram (demo.png)")
    parser.add_argument("--model", default="live")
    parser.add_argument("--backend", default="eager")
    parser.add_argument("--no-jack", action="store_true", help="do not start a JACK server of our own")


def run(args: argparse.Namespace) -> int:
    """Performs; exit code 1 where it could not be carried through, 2 for an input that cannot be used."""
    try:
        check_output(args.out)
        with tempfile.TemporaryDirectory(prefix="segue-demo-") as folder:
            report = perform(args, Path(folder))
    except (ScoreError, FileError) as error:
        print(f"segue demo: {error}", file=sys.stderr)
        return 2
    except (LiveError, SegueError) as error:
        print(f"segue demo: {error}", file=sys.stderr)
        return 1
    if args.json:
        print(json.dumps(report))
    else:
        show(report)
    return 0


def perform(args: argparse.Namespace, folder: Path) -> dict[str, Any]:
    """Prepares the clips, performs with or without JACK, and measures what was recorded."""
    clip, following = prepared(args.input, "clip_a.flac", folder), prepared(args.next, "clip_b.flac", folder)
    length = soundfile.info(clip).duration
    plan = planned(length)
    stage = with_jack if shutil.which("jackd") and not args.no_jack else without_jack
    audio, first, takes, facts = stage(args, clip, following, plan)
    with create(args.out, RATE) as out:
        out.write(audio.T)
    rows = [row(take, audio, RATE, first) for take in takes]
    picture = drawn(args.picture, audio, rows, first)
    own = max(own_loudness_steps(soundfile.read(path, dtype="float32")[0].T, RATE) for path in (clip, following))
    return {
        "sample_rate": RATE,
        "model": args.model,
        "backend": args.backend,
        "output": args.out,
        "picture": picture,
        **facts,
        "own_loudness_step_lu": own,
        "gflops_fp32": gflops(),
        "takes": rows,
    }


def planned(length: float) -> Plan:
    """When to ask for what, for an input of so many seconds."""
    first = min(8.0, max(3.0, 0.45 * length))
    second = first + TAKE_S + 4.0
    return Plan(first, second, second + TAKE_S + TAIL_S)


@contextlib.contextmanager
def segment_of(pid: int) -> Iterator[Segment]:
    """The memory of a server, by its process id."""
    segment = Segment.attach(f"segue-{pid}")
    try:
        yield segment
    finally:
        segment.close()


Outcome = tuple[Audio, int, list[dict[str, Any]], dict[str, Any]]


def with_jack(args: argparse.Namespace, clip: str, following: str, plan: Plan) -> Outcome:
    """Another JACK client plays the clip into deck 1 and records the output."""
    options = ["--host-api", "JACK", "--model", args.model, "--backend", args.backend]
    with (
        jack(BLOCK),
        serve(*options) as (client, server, log),
        segment_of(server.pid) as segment,
        Player(RATE, BLOCK) as player,
    ):
        load(client, 2, following)
        player.connect("segue")
        player.start(clip)
        begun = time.monotonic() + (player.started - player.segment.frame) / RATE
        act(client, plan, begun, player.listen)
        first = player.origin(segment)
        facts = {"backend_audio": "JACK (dummy driver, 44100 Hz)", **counted(client)}
        return player.recording(), first, takes_of(log), facts


def without_jack(args: argparse.Namespace, clip: str, following: str, plan: Plan) -> Outcome:
    """The server's own deck 1 plays the clip, on a device if there is one; both decks are recorded from memory."""
    options = ["--model", args.model, "--backend", args.backend, "--rate", str(RATE), "--block", str(BLOCK)]
    options += [] if sound_device() else ["--device", "null"]
    with serve(*options) as (client, server, log), segment_of(server.pid) as segment:
        load(client, 1, clip)
        load(client, 2, following)
        first = segment.frame
        tape = Tapes(segment, first)
        client.deck(1).play()
        act(client, plan, time.monotonic(), tape.listen)
        facts = {"backend_audio": segment.sentence, **counted(client)}
        return tape.recording(), first, takes_of(log), facts


class Tapes:
    """Records what all decks of a server sounded, from its memory."""

    def __init__(self, segment: Segment, first: int) -> None:
        self._segment, self._at = segment, first
        self._parts: list[Audio] = []

    def listen(self) -> None:
        """Takes what is new."""
        end = min(self._segment.written(Ring.SOUNDED, d) for d in range(self._segment.decks))
        with contextlib.suppress(NotHeard):
            if end > self._at:
                decks = [self._segment.read(Ring.SOUNDED, d, end, end - self._at) for d in range(self._segment.decks)]
                self._parts.append(np.sum(decks, axis=0, dtype=np.float32))
                self._at = end

    def recording(self) -> Audio:
        """Everything, `[2, n]`."""
        self.listen()
        return np.concatenate(self._parts, axis=1)


def sound_device() -> bool:
    """Whether there is any output device."""
    from segue.server.audio.device import DeviceError, devices
    from segue.server.quiet import quiet

    try:
        with quiet():
            return any(d.outputs >= 2 for d in devices())
    except (DeviceError, OSError):
        return False


def load(client: Client, deck: int, path: str) -> None:
    """Puts a file on a deck and waits until it stands."""
    client.deck(deck).load(path, gain=0.0)
    client.wait(lambda e: e.address == f"/segue/deck/{deck}/file", 15.0)


def act(client: Client, plan: Plan, begun: float, listen: Any) -> None:
    """Sends the verbs when their time has come, and waits for the end."""
    sent = [
        (plan.continue_at, "/segue/deck/1/continue", ("sec", TAKE_S, "seed", 7)),
        (plan.transition_at, "/segue/deck/1/transition", ("to", 2, "sec", TAKE_S, "seed", 11)),
        (plan.end, "", ()),
    ]
    for at, address, arguments in sent:
        while time.monotonic() < begun + at:
            listen()
            time.sleep(min(0.5, max(0.0, begun + at - time.monotonic())))
        if address:
            print(SAY.format(at, " ".join(map(str, (address, *arguments)))), file=sys.stderr)
            client.send(address, *arguments)
    settle(client)


def settle(client: Client) -> None:
    """Waits until no job is left, some seconds at most."""
    until = time.monotonic() + 10.0
    while client.status()["jobs"] and time.monotonic() < until:
        time.sleep(0.2)
    time.sleep(1.2)  # the log is written once a second
    for event in client.events(timeout=0.1):
        if event.address == "/segue/fail":
            print(f"  {event.args[0]}: {event.args[1]}", file=sys.stderr)


def counted(client: Client) -> dict[str, Any]:
    """The callback's counters under the names of the report."""
    status = client.status()
    c, door = status["counters"], status["door"]
    return {
        "block": status["block"],
        "xruns": c["status_xruns"] + c["gap_xruns"],
        "callbacks": c["callbacks"],
        "callbacks_over_period": c["over_period"],
        "underruns": c["underruns"],
        "lost_frames": c["lost_frames"],
        "dropped": door["dropped"],
    }


def takes_of(log: Path) -> list[dict[str, Any]]:
    """The takes that a show log tells of."""
    lines = (json.loads(line) for line in log.read_text(encoding="utf-8").splitlines())
    return [{k: v for k, v in line.items() if k not in ("frame", "kind")} for line in lines if line["kind"] == "take"]


def drawn(path: str, audio: Audio, rows: list[dict[str, Any]], first: int) -> str | None:
    """The picture's path, or None where matplotlib is missing."""
    from segue.server.picture import Region, draw

    regions = [Region(r["start_frame"] - first, r["start_frame"] - first + r["frames"], r["verb"]) for r in rows]
    try:
        return str(draw(audio.T, RATE, regions, Path(path)))
    except ImportError as error:
        print(f"segue demo: no picture: {error}", file=sys.stderr)
        return None


def gflops(size: int = 1024, repeats: int = 8) -> float:
    """Billions of float32 operations a second in a matrix product, the best of a few."""
    a = np.random.default_rng(0).random((size, size), dtype=np.float32)
    best = float("inf")
    for _ in range(repeats):
        began = time.perf_counter()
        a @ a
        best = min(best, time.perf_counter() - began)
    return 2e-9 * size**3 / best


def show(report: dict[str, Any]) -> None:
    """The report for people."""
    print(f"{report['output']}: recorded from {report['backend_audio']}; picture: {report['picture']}")
    print(f"callbacks {report['callbacks']}, over their period {report['callbacks_over_period']}, xruns {report['xruns']}")
    print(f"from one second to the next the music itself moves by up to {report['own_loudness_step_lu']:.2f} LU (95 %)")
    for take in report["takes"]:
        rtf = "-" if take["rtf"] is None else f"{take['rtf']:.2f}"
        print(
            f"{take['verb']}: t0 {take['context_end_frame']}, t1 {take['start_frame']} (offset {take['entry_offset']}), "
            f"{take['new_s']:.2f} s new in {take['generation_s']:.2f} s (rtf {rtf}), seed {take['seed']}"
        )
        for seam in take["seams"]:
            step, loud = seam["step_over_material"], seam["loudness_step_lu"]
            if step is not None:
                print(f"  seam at {seam['frame']}: step {step:.2f} of the material's, loudness {loud:+.2f} LU")
