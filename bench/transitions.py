"""Goes from track to track, ours beside plain crossfades at the same place: beats, loudness and seams, printed side by side.

Pairs are real tracks whose tempi differ by at most the limit, as the server finds them, and composed ones whose tempo and beats
are known. The server runs on a stepped clock with the real engine. Beats are judged by librosa, which the server does not use, on
each track alone as it is played during the transition; those of composed tracks also by what they were composed to.
Systems: `ours`; `aligned`, a constant-power crossfade of the tracks as ours plays them; `plain`, the same of the tracks at their
own tempi, the second from the place that was asked for. All three have the levels that `load` gives them.
"""

from __future__ import annotations

import argparse
import json
import os
import platform
import sys
import tempfile
from collections.abc import Callable
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any, TypeAlias

import numpy as np
import soundfile
from numpy.typing import NDArray

from segue.bench.judge import alignment, beats_by_librosa, smoothness, summary, true_beats
from segue.engine.shapes import crossfade
from segue.engine.synthesis import compose
from segue.server.analysis import analysed
from segue.server.audio.segment import Segment
from segue.server.audio.track import read_region
from segue.server.commands import STRETCH_LIMIT
from segue.server.config import Config
from segue.server.filed import File
from segue.server.jobs import Audio, EngineState
from segue.server.stage import Runner, Stage
from segue.train.data import audio_files

RATE = 44_100
CUE_S = 12.0  # place in the first track from which it is played
HEARD_S = 7.0  # before the transition is asked for
AT_S = 16.0  # place in the second track
BEATS = 16.0
AROUND_S = 8.0  # on each side of a transition, that is listened to
SHORTEST_S = 48.0
COST_S = 0.8  # charged for a window, as `segue render` does
COMPOSED_S = 48.0
Engine: TypeAlias = tuple[Callable[[Segment], Runner], EngineState]
SYSTEMS = ("ours", "aligned", "plain")


@dataclass(frozen=True)
class Song:
    """A track. bpm: as the server finds it. truth: as it was composed, beat 0 at its beginning; 0 for unknown."""

    name: str
    path: str
    bpm: float
    truth: float = 0.0


@dataclass(frozen=True)
class Passage:
    """What sounded, `[2, n]`, and the two tracks alone over the same frames; the transition is frames first to last of it."""

    sounded: Audio
    outgoing: Audio
    incoming: Audio
    first: int
    last: int


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Options of `segue bench transitions`."""
    parser.add_argument("--data", type=Path, default=None, help="folder that holds eval/ (default: SEGUE_DATA)")
    parser.add_argument("--pairs", type=int, default=8, help="of real tracks; 0 for none")
    parser.add_argument("--songs", type=Path, nargs=2, default=None, metavar="FILE", help="these two and no others that are real")
    parser.add_argument("--composed", type=int, default=6, help="pairs of composed tracks")
    parser.add_argument("--beats", type=float, default=BEATS, help=f"that a transition lasts ({BEATS:g})")
    parser.add_argument("--limit", type=float, default=STRETCH_LIMIT, help="by which a tempo is changed at most, %%")
    parser.add_argument("--model", default="live")
    parser.add_argument(
        "--store", type=Path, default=None, metavar="FILE", help="rows are kept here, pair by pair, and not made twice"
    )
    parser.add_argument("--seed", type=int, default=1, help="of the choice of pairs, and of what is composed")


def run(args: argparse.Namespace) -> int:
    """Prints a row for each pair and system, and medians; exit code 2 where the tracks are not there."""
    import torch

    from segue.server.engine_process import make_engine
    from segue.server.inference import Inference

    data = args.data or Path(os.environ.get("SEGUE_DATA", "../shared/data"))
    torch.set_num_threads(1)
    made, state = make_engine(Config(model=args.model, threads=1))
    engine: Engine = (lambda segment: Inference(made, segment, RATE), state)
    rows = [json.loads(line) for line in args.store.read_text().splitlines()] if args.store and args.store.exists() else []
    with tempfile.TemporaryDirectory() as folder:
        pairs = composed_pairs(Path(folder), args.composed, args.seed, args.limit)
        pairs += real_pairs(data / "eval", args.pairs, args.seed, args.limit) if args.pairs and not args.songs else []
        pairs += [(song_of(args.songs[0]), song_of(args.songs[1]))] if args.songs else []
        for number, (a, b) in enumerate(pairs, 1):
            if any(row["pair"] == named(a, b) for row in rows):
                continue
            rows += measured(engine, a, b, args)
            if args.store:
                with args.store.open("a", encoding="utf-8") as file:
                    file.writelines(json.dumps(row) + "\n" for row in rows[-len(SYSTEMS) :])
            say(f"{number} of {len(pairs)}: {a.name} into {b.name}: {rows[-3]['beats']['median_ms']} ms")
    totals = [summary(rows, kind, system) for kind in ("composed", "real") for system in SYSTEMS]
    report = {
        "machine": f"{platform.machine()}, {os.cpu_count()} cores",
        "load": os.getloadavg()[0],
        "beats": args.beats,
        "limit_percent": args.limit,
        "summary": [total for total in totals if total["n"]],
        "rows": rows,
    }
    print(json.dumps(report, indent=1) if args.json else table(report))
    return 0


def composed_pairs(folder: Path, count: int, seed: int, limit: float) -> list[tuple[Song, Song]]:
    """Pairs of composed tracks of different tempo within the limit."""
    songs: list[Song] = []
    pairs: list[tuple[Song, Song]] = []
    number = 0
    while len(pairs) < count:
        piece = compose(np.random.default_rng([seed, number]), COMPOSED_S)
        path = folder / f"{number:02d}.wav"
        soundfile.write(path, piece.audio, RATE)
        song = Song(f"{piece.style} {piece.bpm:g}", str(path), analysed(str(path), RATE).bpm, piece.bpm)
        for other in songs:
            if near(song.truth, other.truth, limit):
                pairs.append((other, song))
                songs.remove(other)
                break
        else:
            songs.append(song)
        number += 1
    return pairs[:count]


def real_pairs(folder: Path, count: int, seed: int, limit: float) -> list[tuple[Song, Song]]:
    """Pairs of files whose beats are found and whose tempi differ by no more than the limit, drawn. Raises FileNotFoundError."""
    files = audio_files(folder) if folder.is_dir() else []
    if not files:
        raise FileNotFoundError(f"transitions: no audio in {folder}; give --data the folder that holds eval/, or set SEGUE_DATA")
    songs = [song for song in map(song_of, files) if song.bpm]
    pairs = [(a, b) for a in songs for b in songs if a is not b and near(a.bpm, b.bpm, limit)]
    np.random.default_rng(seed).shuffle(pairs)
    return pairs[:count]


def song_of(path: Path) -> Song:
    """A file as the server finds it; without a tempo where it has no beat, or is too short."""
    what = analysed(str(path), RATE)
    return Song(path.stem[:24], str(path), what.bpm if what.beats and what.beats[-1] > SHORTEST_S * RATE else 0.0)


def near(one: float, other: float, limit: float) -> bool:
    """Whether two tempi differ, and by no more than the limit, in percent, be it by the octave."""
    off = min(abs(other / one * octave - 1.0) for octave in (0.5, 1.0, 2.0))
    return 0.004 < off < 0.01 * limit


def named(a: Song, b: Song) -> str:
    """A pair in the rows."""
    return f"{a.name} > {b.name}"


def measured(engine: Engine, a: Song, b: Song, args: argparse.Namespace) -> list[dict[str, Any]]:
    """One row a system."""
    passages, facts = performed(engine, a, b, args)
    rows: list[dict[str, Any]] = []
    found: dict[int, NDArray[np.float64]] = {}  # beats of each track: some are in more than one passage
    for system, (passage, beats) in passages.items():
        start, end = passage.first / RATE, passage.last / RATE
        for track in (passage.outgoing, passage.incoming):
            if id(track) not in found:
                found[id(track)] = beats_by_librosa(track, RATE)
        heard = found[id(passage.outgoing)], found[id(passage.incoming)]
        row = {"pair": named(a, b), "kind": "composed" if a.truth else "real", "system": system, **facts}
        row["beats"] = alignment(heard[0], heard[1], start, end)
        row["true_beats"] = None if beats is None else alignment(beats[0], beats[1], start, end)
        rows.append(row | smoothness(passage.sounded, passage.first, passage.last, RATE))
    return rows


def performed(engine: Engine, a: Song, b: Song, args: argparse.Namespace) -> tuple[dict[str, Any], dict[str, Any]]:
    """The passage of each system, with true beats where they are known, and what the server said."""
    make_runner, state = engine
    stage = Stage(Config(), make_runner, state, COST_S)
    try:
        for deck, song in ((1, a), (2, b)):
            stage.send(f"/segue/deck/{deck}/load", song.path)
        stage.play(None, RATE // 2)
        stage.send("/segue/deck/1/cue", CUE_S)
        stage.play(None, RATE // 4)
        stage.send("/segue/deck/1/play")
        out = [stage.play(None, round(HEARD_S * RATE))]
        held = stage.conductor.session.world
        source = held.deck(1).file
        begun = stage.frame - out[0].shape[1]
        stage.send("/segue/deck/1/transition", "to", 2, "at", AT_S, "beats", args.beats, "limit", args.limit, "seed", 7)
        take = next(iter(held.takes.values()))
        out.append(stage.play(None, round((args.beats * 60.0 / a.bpm + 3.0 + AROUND_S) * RATE)))
        said = [facts for address, facts in stage.sent if address == "/segue/transition"]
        target = held.deck(2).file
        assert source is not None  # loaded above
        assert target is not None
    finally:
        stage.close()
    if not said or take.heard_at is None:
        raise ValueError(f"transitions: {a.name} into {b.name} did not sound; see {[f for f in stage.sent if 'fail' in f[0]]}")
    sounded, low = np.concatenate(out, axis=1), take.t0 - round(AROUND_S * RATE)
    facts = {
        "factor": said[0][3],
        "bpm": [said[0][4], said[0][5]],
        "rung": take.rung,
        "sentence": said[0][7],
        "server_error_ms": said[0][6],
    }
    places = Places(source, target, low, take.t0, take.t0 + take.length, low + sounded.shape[1] - (low - begun))
    return places.passages(sounded[:, low - begun :], a, b), facts


@dataclass(frozen=True)
class Places:
    """Where two files lie on the stream: frames low to high are looked at, the transition is first to last."""

    source: File
    target: File
    low: int
    first: int
    last: int
    high: int

    def passages(self, sounded: Audio, a: Song, b: Song) -> dict[str, Any]:
        """By system: the passage, and true beats of both."""
        n = self.high - self.low
        outgoing = read_region(self.source.path, self.low - self._origin(self.source), n, RATE)
        incoming = read_region(self.target.path, self.low - self._origin(self.target), n, RATE)
        own = str(replace(self.target.track, factor=1.0, start=0))
        at = round(AT_S * RATE) - (self.first - self.low)
        untouched = read_region(own, at, n, RATE)
        first, last = self.first - self.low, self.last - self.low
        played = self.target.track
        begun = self._origin(self.target) - self.low - played.start * played.factor  # frame 0 of the file
        mine = true_beats(a.truth, (self._origin(self.source) - self.low) / RATE, n / RATE) if a.truth else None
        theirs = true_beats(b.truth / played.factor, begun / RATE, n / RATE) if b.truth else None
        plainly = true_beats(b.truth, -at / RATE, n / RATE) if b.truth else None
        truth = None if mine is None else (mine, theirs)
        return {
            "ours": (Passage(sounded[:, :n], outgoing, incoming, first, last), truth),
            "aligned": (Passage(faded(outgoing, incoming, first, last), outgoing, incoming, first, last), truth),
            "plain": (
                Passage(faded(outgoing, untouched, first, last), outgoing, untouched, first, last),
                None if mine is None else (mine, plainly),
            ),
        }

    @staticmethod
    def _origin(file: File) -> int:
        return file.origin_frame - file.origin_position


def faded(one: Audio, other: Audio, first: int, last: int) -> Audio:
    """One track up to a frame, a constant-power crossfade, the other from another frame on."""
    middle = crossfade(one[:, first:last], other[:, first:last])
    return np.concatenate([one[:, :first], middle, other[:, last:]], axis=1)


def table(report: dict[str, Any]) -> str:
    """The medians under each other."""
    columns = list(report["summary"][0])
    widths = [max(len(column), 8) for column in columns]
    lines = ["  ".join(f"{column:>{width}}" for column, width in zip(columns, widths, strict=True))]
    for row in report["summary"]:
        cells = ["-" if row[column] is None else str(row[column]) for column in columns]
        lines.append("  ".join(f"{text:>{width}}" for text, width in zip(cells, widths, strict=True)))
    return "\n".join(lines)


def say(line: str) -> None:
    """A line of progress."""
    print(f"transitions: {line}", file=sys.stderr, flush=True)


if __name__ == "__main__":
    from segue.server.cli import main

    sys.exit(main(["bench", "transitions", *sys.argv[1:]]))
