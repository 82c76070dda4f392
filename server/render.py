"""`segue render IN OUT --score SCORE.yaml`: the whole server offline, faster than real time, the same bytes every time."""

from __future__ import annotations

import argparse
import hashlib
import json
import sys
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import soundfile
import yaml

from segue.server.commands import Value
from segue.server.config import Config
from segue.server.jobs import Audio
from segue.server.stage import Stage

COST_S = 0.8  # seconds charged for each window of new audio
LONGEST_S = 4 * 3600.0


class ScoreError(ValueError):
    """A score or an input that cannot be used."""


@dataclass(frozen=True)
class Event:
    """One message of a score: at second `at`, `address` with `args`; tagged: `at` is when its result sounds."""

    at: float
    address: str
    args: tuple[Value, ...]
    tagged: bool = False


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Arguments of `segue render`."""
    parser.add_argument("input", metavar="IN", help="what deck 1 hears: any audio file")
    parser.add_argument("output", metavar="OUT", help="WAV or FLAC file to write")
    parser.add_argument("--score", required=True, help="YAML list of {at: seconds, send: [address, arguments...], tag: false}")
    parser.add_argument("--cost", type=float, default=COST_S, help=f"seconds charged for a window of new audio ({COST_S:g})")
    parser.add_argument("--model", default="live")
    parser.add_argument("--backend", default="eager")
    parser.add_argument("--block", type=int, default=256)
    parser.add_argument("--tempo", type=float, default=120.0)
    parser.add_argument("--tail", type=float, default=0.0, help="seconds rendered after the input ends")
    parser.add_argument("--log", default="", help="JSON-lines log of the show")


def read_score(path: str) -> list[Event]:
    """The messages of a score file in order of time. Raises ScoreError with a sentence."""
    try:
        data = yaml.safe_load(Path(path).read_text(encoding="utf-8"))
    except (OSError, yaml.YAMLError) as error:
        raise ScoreError(f"score {path}: {str(error).splitlines()[0]}") from None
    if not isinstance(data, list):
        raise ScoreError(f"score {path}: a list of {{at: seconds, send: [address, ...]}}, got {type(data).__name__}")
    return sorted((_event(path, number, item) for number, item in enumerate(data, 1)), key=lambda e: e.at)


def _event(path: str, number: int, item: Any) -> Event:
    keys = {"at", "send", "tag"}
    if not isinstance(item, dict) or not {"at", "send"} <= set(item) <= keys:
        raise ScoreError(f"score {path}, entry {number}: takes at, send and tag, got {item!r}")
    at, message = item["at"], item["send"]
    if not isinstance(at, int | float) or not 0 <= at < LONGEST_S:
        raise ScoreError(f"score {path}, entry {number}: at is a time in seconds, got {at!r}")
    if not isinstance(message, list) or not message or not isinstance(message[0], str):
        raise ScoreError(f"score {path}, entry {number}: send is [address, arguments...], got {message!r}")
    return Event(float(at), message[0], tuple(message[1:]), bool(item.get("tag", False)))


def read_input(path: str, rate: int) -> Audio:
    """A whole file as `[2, n]` at `rate`. Raises ScoreError with a sentence."""
    import soxr

    try:
        audio, found = soundfile.read(path, dtype="float32", always_2d=True)
    except (OSError, soundfile.LibsndfileError) as error:
        reason = str(error).splitlines()[0]
        raise ScoreError(f"{path}: cannot be read as audio ({reason}); give a WAV, FLAC, Ogg or MP3 file") from None
    if not len(audio):
        raise ScoreError(f"{path}: holds no audio; give a file with sound in it")
    if found != rate:
        audio = soxr.resample(audio, found, rate)
    stereo: Audio = np.ascontiguousarray(audio[:, :2].T if audio.shape[1] > 1 else np.repeat(audio.T, 2, axis=0), np.float32)
    return np.nan_to_num(stereo)


def perform(stage: Stage, audio: Audio, score: list[Event], tail: int) -> Audio:
    """Plays a score over `[2, n]` audio; returns everything that sounded, `[2, n + tail]`."""
    total, rate, out, at = audio.shape[1] + tail, stage.segment.rate, [], 0
    for event in [*score, None]:
        until = total if event is None else min(total, round(event.at * rate))
        # A tagged message is sent ahead, as a sequencer would.
        if event is not None and event.tagged:
            until = max(at, until - 4 * rate)
        if until > at:
            out.append(stage.play(audio[:, at:until], until - at))
            at = until
        if event is not None and at < total:
            stage.send(event.address, *event.args, tag=event.at if event.tagged else None)
    return np.concatenate(out, axis=1)


def run(args: argparse.Namespace) -> int:
    """Renders; exit code 2 with one line where it cannot."""
    try:
        score, audio = read_score(args.score), read_input(args.input, 44_100)
    except ScoreError as error:
        print(f"segue render: {error}", file=sys.stderr)
        return 2
    # Only now, since they load torch.
    from segue.server.engine_process import make_engine
    from segue.server.inference import Inference
    from segue.server.takelog import rows

    config = Config(rate=44_100, block=args.block, model=args.model, backend=args.backend, tempo=args.tempo, log=args.log)
    engine, state = make_engine(config)
    stage = Stage(config, lambda segment: Inference(engine, segment, config.rate), state, args.cost)
    try:
        out = perform(stage, audio, score, round(args.tail * config.rate))
        takes = rows(stage.conductor.session.world, out, config.rate)
        fails = [args for address, args in stage.sent if address == "/segue/fail"]
    finally:
        stage.close()
    soundfile.write(args.output, out.T, config.rate, subtype="PCM_24")
    report = {"sha256": hashlib.sha256(out.tobytes()).hexdigest(), "frames": out.shape[1], "takes": takes}
    for fail in fails:
        print("segue render", *fail[:2], sep=": ", file=sys.stderr)
    if args.json:
        print(json.dumps(report))
    else:
        print(f"{args.output}: {out.shape[1] / config.rate:.1f} s, {len(takes)} takes, sha256 {report['sha256'][:16]}")
        for take in takes:
            print(f"  {take['verb']} on deck {take['deck']}: t1 {take['start_frame'] / config.rate:.3f} s, seed {take['seed']}")
    return 0
