"""`python -m segue.bench.score --minutes 30 --seed 1`: a performance over real music on jackd, with what goes wrong on stage.

Several hundred commands are drawn from the vocabulary while tempi ramp, Link peers join, leave and vanish, MIDI clocks jitter and
stop, and values come that are no tempo. A recorder that is a JACK client of its own hears the output; what the server's memory
says that it played is what should sound. `--cost 2` makes the engine as dear again: the ladder shows, the sound may not stop.
"""

from __future__ import annotations

import argparse
import contextlib
import json
import os
import platform
import signal
import sys
import tempfile
import threading
import time
from collections import Counter
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import soundfile

from segue.bench import slow_engine
from segue.bench.demo import segment_of
from segue.bench.live import jack, serve
from segue.bench.phase_peers import PORT
from segue.bench.score_ear import Ear
from segue.bench.score_part import Act, Part
from segue.bench.score_tempo import Tempo, Witness
from segue.bench.tape import Player
from segue.clients.python import Client
from segue.server.audio.files import FileReader

RATE, BLOCK = 44_100, 256
MUSIC = "../shared/data/eval"
KINDS = (".wav", ".flac", ".ogg", ".mp3")
ANSWER_S = 5.0  # in which every command is answered
SETTLE_S = 20.0  # after the last command: jobs come to their ends
BEGIN_S = 6.0  # of music before the first command
SILENCE_S = 0.1  # of output while the performer plays: the sound has stopped
OPEN = ("queued", "running", "ready", "armed")
JACKS = ("gap_xruns", "status_xruns", "lost_frames", "restarts")  # what JACK and the machine lost
OURS = ("underruns", "feed_underruns", "late", "refused", "queue_refusals", "pending_overflows", "nonfinite", "over_period")


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """What is played, and for how long."""
    parser.add_argument("--minutes", type=float, default=30.0)
    parser.add_argument("--seed", type=int, default=1)
    parser.add_argument("--input", default=MUSIC, metavar="FOLDER", help=f"music ({MUSIC})")
    parser.add_argument("--cost", type=float, default=1.0, metavar="FACTOR", help="the engine is made so many times as dear")
    parser.add_argument("--block", type=int, default=BLOCK)
    parser.add_argument("--json", action="store_true")


def main(argv: list[str] | None = None) -> int:
    """Exit code 1 where the sound stopped, a command was not answered, or the callback ran dry."""
    parser = argparse.ArgumentParser(prog="score", description=__doc__)
    add_arguments(parser)
    return run(parser.parse_args(argv))


def run(args: argparse.Namespace) -> int:
    """Performs and prints. A run that is told to end gives JACK and the server back."""
    signal.signal(signal.SIGTERM, lambda number, frame: sys.exit(128 + number))
    before = os.getloadavg()[0]
    files = sorted(str(p) for p in Path(args.input).iterdir() if p.suffix in KINDS)
    if not files:
        raise ValueError(f"{args.input} has no music ({' '.join(KINDS)}): name a folder that has some")
    report = {"minutes": args.minutes, "seed": args.seed, "cost": args.cost, "block": args.block, "files": len(files)}
    report |= {"machine": platform.machine(), "cores": os.cpu_count(), "load_before": before}
    report |= perform(args, files) | {"load_after": os.getloadavg()[0]}
    report["failures"] = failures(report)
    if args.json:
        print(json.dumps(report))
    else:
        for name, value in report.items():
            print(f"{name:22} {value}")
    return 1 if report["failures"] else 0


def failures(report: dict[str, Any]) -> list[str]:
    """Bars that were missed, by name."""
    own = [name for name in ("underruns", "nonfinite") if report["counters"].get(name)]
    zero = [name for name in ("unanswered", "stuck_jobs", "gaps", "drift_frames", "torn_reads", "accepted_bad") if report[name]]
    stopped = ["longest_silence_s"] if report["longest_silence_s"] > SILENCE_S else []
    return own + zero + stopped + (["scenes"] if report["tempo"]["failed"] else [])


def programme(files: list[str], seconds: float, out: Path, seed: int) -> None:
    """One file of real music, piece after piece, as long as the performance; what is quiet at its ends is left out."""
    rng, written = np.random.default_rng(seed), 0
    with soundfile.SoundFile(out, "w", RATE, 2, "PCM_16") as to:
        while written < seconds * RATE:
            for path in rng.permutation(files):
                with contextlib.closing(FileReader(str(path), RATE)) as reader:
                    audio = reader.read(reader.length)
                loud = np.flatnonzero(np.abs(audio).max(axis=0) > 0.01)
                if len(loud):
                    part = audio[:, loud[0] : loud[-1]]
                    to.write(part.T)
                    written += part.shape[1]
                if written >= seconds * RATE:
                    break


class Answers:
    """Everything that the server says, as it comes, on a thread of its own."""

    def __init__(self, client: Client, witness: Witness, tempo: Tempo) -> None:
        self._client, self.witness, self._tempo = client, witness, tempo
        self._news, self._over = threading.Condition(), threading.Event()
        self.jobs: dict[int, str] = {}
        self.failed: Counter[str] = Counter()
        self.codes: Counter[int] = Counter()
        self.rungs: Counter[str] = Counter()
        self.ends: Counter[str] = Counter()
        self.said: Counter[str] = Counter()
        self.engine: Counter[str] = Counter()
        self._thread = threading.Thread(target=self._listen, daemon=True)
        self._thread.start()

    def _listen(self) -> None:
        while not self._over.is_set():
            for event in self._client.events(timeout=0.2):
                with self._news:
                    self._take(event)
                    self._news.notify_all()
                if self._over.is_set():  # meters never cease
                    break

    def _take(self, event: Any) -> None:
        address, args = event.address, event.args
        self.said[address if address != "/segue/synced" else f"synced {args[0]}"] += 1
        if address == "/segue/job":
            self.jobs[args[0]] = args[3]
            if args[3] not in OPEN:
                self.ends[args[3]] += 1
        elif address == "/segue/fail":
            self.failed[args[0]] += 1
            self.codes[args[2]] += 1
        elif address == "/segue/take":
            self.rungs[args[7]] += 1
        elif address == "/segue/engine":
            self.engine[args[0]] += 1
        elif address == "/segue/beat":
            self.witness.hear(event, self._tempo.link_since)

    def until(self, true: Any, seconds: float = ANSWER_S) -> bool:
        """Whether something becomes true in time."""
        with self._news:
            return bool(self._news.wait_for(true, seconds))

    def close(self) -> None:
        """Ends it."""
        self._over.set()
        self._thread.join()


def perform(args: argparse.Namespace, files: list[str]) -> dict[str, Any]:
    """The performance: what was counted."""
    slow = ["--engine", sys.executable, str(slow_engine.__file__), str(args.cost)] if args.cost != 1.0 else []
    with tempfile.TemporaryDirectory() as folder, contextlib.ExitStack() as stack:
        music = Path(folder) / "music.wav"
        programme(files, 60.0 * args.minutes + SETTLE_S + 30.0, music, args.seed)
        stack.enter_context(jack(args.block))
        client, server, log = stack.enter_context(serve("--host-api", "JACK", "--midi", PORT, *slow))
        segment = stack.enter_context(segment_of(server.pid))
        player = stack.enter_context(Player(RATE, args.block))
        player.connect("segue")
        player.start(str(music))
        time.sleep(BEGIN_S)
        began = segment.counters()
        with listening(client, player, Ear(player, segment), args.seed) as (ear, answers, tempo, witness):
            counted = play(client, answers, Part(args.seed, files), 60.0 * args.minutes, server)
            client.send("/segue/deck/1/stop", "quant", "off")
            tempo.stop()
            answers.until(lambda: not any(state in OPEN for state in answers.jobs.values()), SETTLE_S)
            ear.stop()
            answers.close()  # from here on nobody else takes what is said
            held = client.ask("/segue/status", timeout=4 * ANSWER_S)
            counters = {name: value - began.get(name, 0) for name, value in segment.counters().items()}
            report = counted | ear.report() | {"tempo": told(tempo, witness)}
        waiting = {job["id"] for job in json.loads(held.args[0])["jobs"] if job["state"] in ("queued", "running", "armed")}
        return report | summary(answers, counters, waiting) | ladder(log)


@contextlib.contextmanager
def listening(client: Client, player: Player, ear: Ear, seed: int) -> Iterator[tuple[Ear, Answers, Tempo, Witness]]:
    """All threads beside the performer's, ended with the block."""
    witness, tempo = Witness(), Tempo(client.port, seed)
    client.send("/segue/subscribe", 1)
    answers = Answers(client, witness, tempo)
    ear.start()
    tempo.start()
    try:
        yield ear, answers, tempo, witness
    finally:
        answers.close()
        witness.close()
        if tempo.is_alive():
            tempo.stop()
        if ear.is_alive():
            ear.stop()


def play(client: Client, answers: Answers, part: Part, seconds: float, server: Any) -> dict[str, Any]:
    """Sends act after act, each followed by `sync`: what was not answered in time is counted."""
    until, sent, unanswered, accepted = time.monotonic() + seconds, 0, [], []
    for number, act in enumerate(part.acts(), 1):
        if time.monotonic() >= until or server.poll() is not None:
            break
        refused, said = answers.failed.copy(), answers.said[act.address]
        if not act.bad:
            answers.witness.move(act.address, act.args)
        client.send(act.address, *act.args)
        client.send("/segue/sync", number)
        sent += 1
        if not answered(answers, act, number, refused, said):
            unanswered.append(f"{act.address} {act.args}")
        elif act.bad and not answers.until(lambda a=act, r=refused: answers.failed[a.address] > r[a.address]):
            accepted.append(f"{act.address} {act.args}")
        time.sleep(act.pause)
    facts = {"commands": sent, "unanswered": len(unanswered), "accepted_bad": len(accepted)}
    return facts | {"unanswered_are": unanswered[:10], "accepted_are": accepted[:10], "server_lives": server.poll() is None}


def answered(answers: Answers, act: Act, number: int, refused: Counter[str], said: int) -> bool:
    """Whether a command was carried out or refused, with a job where it asks for one, and an answer where it asks."""

    def done() -> bool:
        if not answers.said[f"synced {number}"]:
            return False
        told_ = act.job is None or act.job in answers.jobs or answers.failed[act.address] > refused[act.address]
        return told_ and (not act.asks or answers.said[act.address] > said)

    return answers.until(done)


def told(tempo: Tempo, witness: Witness) -> dict[str, Any]:
    """Peers and scenes, and the beat beside Link's."""
    peers = {"joined": tempo.joined, "left": tempo.left, "vanished": tempo.vanished}
    return {"scenes": tempo.scenes, "peers": peers, "failed": tempo.failed, "link": witness.report()}


def summary(answers: Answers, counters: dict[str, int], waiting: set[int]) -> dict[str, Any]:
    """Jobs, refusals and counters."""
    return {
        "jobs": len(answers.jobs),
        "stuck_jobs": len(waiting),
        "job_ends": dict(answers.ends),
        "ladder_rungs": dict(answers.rungs),
        "refused_by_code": dict(answers.codes),
        "engine_states": dict(answers.engine),
        "counters": {name: value for name, value in counters.items() if name in OURS and value},
        "jack": {name: value for name, value in counters.items() if name in JACKS},
    }


def ladder(log: Path) -> dict[str, int]:
    """What the callback's own ladder did, from the show log: exits of takes, and plays whose take had no such frame."""
    counts = {"exits": 0, "redirected": 0, "ran_dry": 0}
    with log.open() as lines:
        for line in lines:
            with contextlib.suppress(ValueError):  # the last line may be half written
                one = json.loads(line)
                if one.get("kind") == "applied":
                    counts["exits"] += one["op"] == "EXIT"
                    counts["ran_dry"] += one["op"] == "UNDERRUN"
                    counts["redirected"] += one["status"] == "REDIRECTED"
    return {f"callback_{name}": value for name, value in counts.items()}


if __name__ == "__main__":
    sys.exit(main())
