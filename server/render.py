"""`segue render IN OUT --score SCORE.yaml`: the whole server offline, faster than real time, the same bytes every time.

Input and output go through in pieces, so that an hour takes no more memory than a minute.
"""

from __future__ import annotations

import argparse
import hashlib
import json
import sys
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import soundfile

from segue.server.audio.files import FileError, FileReader
from segue.server.audio.writing import check_output, create
from segue.server.config import Config, add_embedder
from segue.server.jobs import Audio
from segue.server.score import Event, ScoreError, read_score
from segue.server.showlog import ShowLog
from segue.server.stage import Stage

COST_S = 0.8  # seconds charged for each window of new audio
AHEAD_S = 4.0  # a tagged message is sent so long before its time, as a sequencer would
PIECE_BLOCKS = 256  # blocks handed on at once


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Arguments of `segue render`."""
    parser.add_argument("input", metavar="IN", help="what deck 1 hears: any audio file")
    parser.add_argument("output", metavar="OUT", help="WAV or FLAC file to write")
    parser.add_argument("--score", required=True, help="YAML list of {at: seconds, send: [address, arguments...], tag: false}")
    parser.add_argument("--cost", type=float, default=COST_S, help=f"seconds charged for a window of new audio ({COST_S:g})")
    parser.add_argument("--model", default="live")
    parser.add_argument("--backend", default="eager")
    add_embedder(parser)
    parser.add_argument("--block", type=int, default=256)
    parser.add_argument("--tempo", type=float, default=120.0)
    parser.add_argument("--tail", type=float, default=0.0, help="seconds rendered after the input ends")
    parser.add_argument("--log", default="", help="JSON-lines log of the show")


class TakeLog(ShowLog):
    """A show log that also keeps what it hears of takes: the session itself remembers the last ones only."""

    def __init__(self, path: str) -> None:
        """path: as of ShowLog."""
        super().__init__(path)
        self.takes: list[dict[str, Any]] = []

    def write(self, frame: int, kind: str, **facts: Any) -> None:
        """As ShowLog's."""
        super().write(frame, kind, **facts)
        self.spell()
        if kind == "take":
            self.takes.append(facts)


def opened(path: str, rate: int) -> FileReader:
    """A file at `rate`. Raises ScoreError with a sentence."""
    try:
        return FileReader(path, rate)
    except FileError as error:
        raise ScoreError(str(error).removeprefix("load: ")) from None


def read_input(path: str, rate: int) -> Audio:
    """A whole file as `[2, n]` at `rate`. Raises ScoreError with a sentence."""
    with opened(path, rate) as reader:
        return reader.read(reader.length)


def perform(stage: Stage, read: Callable[[int], Audio], frames: int, score: list[Event]) -> Iterator[Audio]:
    """Plays a score over what `read(n)` gives; yields what sounded, `frames` frames in all."""
    rate, piece, at = stage.segment.rate, PIECE_BLOCKS * stage.segment.block, 0
    for event in [*score, None]:
        until = frames if event is None else min(frames, round(event.at * rate))
        if event is not None and event.tagged:
            until = max(at, until - round(AHEAD_S * rate))
        while at < until:
            n = min(piece, until - at)
            yield stage.play(read(n), n)
            at += n
        if event is not None and at < frames:
            stage.send(event.address, *event.args, tag=event.at if event.tagged else None)


def run(args: argparse.Namespace) -> int:
    """Renders; exit code 2 with one line where it cannot."""
    try:
        score = read_score(args.score)
        check_output(args.output)
        if Path(args.output).exists() and Path(args.output).samefile(args.input):
            raise ScoreError(f"{args.output}: is the input itself; give another name for the output")
        with opened(args.input, 44_100) as reader:
            report, fails = rendered(args, score, reader)
    except (OSError, ValueError, soundfile.LibsndfileError) as error:
        print(f"segue render: {error}", file=sys.stderr)
        return 2
    for fail in fails:
        print("segue render", *fail[:2], sep=": ", file=sys.stderr)
    if args.json:
        print(json.dumps(report))
    else:
        print(f"{args.output}: {report['frames'] / 44_100:.1f} s, {len(report['takes'])} takes, sha256 {report['sha256'][:16]}")
        for take in report["takes"]:
            print(f"  {take['verb']} on deck {take['deck']}: t1 {take['start_frame'] / 44_100:.3f} s, seed {take['seed']}")
    return 0


def rendered(args: argparse.Namespace, score: list[Event], reader: FileReader) -> tuple[dict[str, Any], list[Any]]:
    """Renders to the output file; the report, and the failures that a client would have been told of."""
    from segue.server.engine_process import make_engine  # only now, since it loads torch
    from segue.server.inference import Inference
    from segue.server.takelog import measured, still_playing

    chosen = {name: getattr(args, name) for name in ("block", "model", "backend", "embedder", "tempo")}
    config = Config(rate=44_100, **chosen)
    engine, state = make_engine(config)
    log, digest, frames = TakeLog(args.log), hashlib.sha256(), reader.length + round(args.tail * config.rate)
    stage = Stage(config, lambda segment: Inference(engine, segment, config.rate), state, args.cost, log)
    try:
        with create(args.output, config.rate) as out:
            for audio in perform(stage, reader.read, frames, score):
                out.write(audio.T)
                digest.update(audio.T.tobytes())
        facts = [*log.takes, *still_playing(stage.conductor.session.world, config.rate)]
        fails = [args for address, args in stage.sent if address == "/segue/fail"]
    finally:
        log.close()
        stage.close()
    with opened(args.output, config.rate) as sounded:
        takes = [measured(take, sounded, config.rate) for take in facts]
    return {"sha256": digest.hexdigest(), "frames": frames, "takes": takes}, fails
